# ---
# jupyter:
#   attention_book:
#     kind: chapter
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: attention_book
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Non-local blocks
#
# :::{admonition} What does one far look add to a stack of near ones, and does the block ever leave the identity?
# :class: question
#
# **It adds reach.** In the middle of a small network a pixel depends on 13 x 13 of the image's 32 x 32 pixels; behind one
# block it depends on all. Convolutions would take 13 more layers for that, and 55 times as many parameters.
#
# **It leaves the identity.** It starts there exactly, and in the first step only its norm has a gradient. After three epochs on
# generated shapes, each of two blocks adds more than a tenth of the size of its input.
#
# **Where it stands decides what it can be.** Give all positions the average weights of their image, and in the middle of the
# network that costs more than 15 points. In front of the global mean it costs nothing, by a theorem. On CIFAR-10, 3 seeds do
# not show that the blocks help.
# :::
#
# :::{mechanism}
# :name: non-local-mechanism
# :symbols: \gamma:weight \beta:weight
#
# ![The non-local block](../../book/figures/non_local-block.svg)
# ![One position looks at all others](../../book/figures/non_local-look.svg)
#
# The non-local block, and what one position of a map takes from the others.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`non_local`; read in its third version (arXiv 1711.07971), in a text conversion.
# **You need:** convolution, batch norm, softmax, the chain rule. **Time:** half an hour.
#
# Afterwards you can write the four pairwise functions and say what each costs; derive which parameters have a gradient in the
# first step; say what sub-sampling saves; and test whether a trained block uses where it looks. Symbols are those of the
# [notation page](../../book/notation.md), but for two: as in the paper, $y$ is the mean that a position takes, and $z$ is the
# output. What goes further is in [non-local, deeper](non_local_deeper.ipynb).
# :::

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Install attnlib where it is missing"}
# Where attnlib is missing (Colab, a bare kernel), this installs it.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "../..[chapters]"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Imports"}
import math

import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("non_local")

# %% [markdown]
# ## The idea
#
# A 3 x 3 convolution is a near look: a pixel sees its eight neighbours. To see farther, layers are stacked, and each adds
# one pixel on every side ({term}`receptive field`). What is far apart in the image can meet only late, after many steps
# from neighbour to neighbour. A non-local block takes one far look instead: every position takes a weighted mean of *all* positions. How
# much it takes from another depends on what the two hold, never on how far apart they are.
#
# The block is made to be put between the layers of a network that is already trained. So it must not disturb: it adds what
# it found to what was there, and the last scale in its branch starts at zero, so that at first it adds nothing. That is
# safe, and it raises this chapter's two questions. What does a far look bring that near ones do not? And does a
# block that begins as nothing ever become something?
#
# ## Derivation
#
# Let $x$ be a map with $C$ channels and $P$ positions, and $x_i$ its vector at position $i$. A position is a step of a
# sequence, a pixel of an image, or a pixel of a frame of a video: no equation below asks which.
#
# **The mean.** Position $i$ takes from every position $j$ a value $g(x_j)$, weighted by a function $f$ of the two:
#
# $$y_i = \frac{1}{n_i} \sum_{j=1}^{P} f(x_i, x_j)\, g(x_j).$$ (non-local-mean)
#
# The sum grows with the number of positions, so it is divided by some $n_i$; else a block that was trained on small maps
# would shout on large ones. The values $g(x_j) = W_g\, x_j + b_g$ have half as many channels, $D = C / 2$.
#
# **Gaussian.** A natural choice of $f$ lets alike positions weigh most. It is divided by its sum over $j$, so that the weights
# $A_{ij} = f / n_i$ of a position sum to one, a softmax over $j$:
#
# $$f = e^{x_i \cdot x_j}, \qquad n_i = \sum_j f.$$ (non-local-gaussian)
#
# **Embedded Gaussian.** Being alike in all channels is not what a network may look for. Two learned maps, with
# $\theta_i = W_\theta\, x_i + b_\theta$ and $\phi_j = W_\phi\, x_j + b_\phi$, let it choose what to compare:
#
# $$f = e^{\theta_i \cdot \phi_j}, \qquad n_i = \sum_j f.$$ (non-local-embedded)
#
# This is attention as in the {term}`transformer`, with $\theta$ for queries, $\phi$ for keys and $g$ for values, but without its
# division of the scores by $\sqrt D$.
#
# **Dot product.** Is the softmax needed? Without the exponential,
#
# $$f = \theta_i \cdot \phi_j, \qquad n_i = P.$$ (non-local-dot)
#
# Weights may now be negative, and their sum may be zero, so one cannot divide by it. The number of positions takes its
# place. That also makes the gradient simple: $n_i$ does not depend on $x$.
#
# **Concatenation.** One vector $w$ of $2 D$ numbers weighs both embeddings together, and a ReLU $\delta$ follows:
#
# :::{div} wide
# $$f = \delta\big(w \cdot [\theta_i;\, \phi_j]\big), \qquad n_i = P.$$ (non-local-concat)
# :::
#
# **The block.** $a_i = W_z\, y_i + b_z$ brings $y$ back to $C$ channels, a batch norm follows, and the result is added:
#
# $$z_i = x_i + \gamma \odot \hat a_i + \beta.$$ (non-local-block)
#
# Here $\hat a$ is $a$ with mean zero and variance one in each channel, over the batch. The scale $\gamma$ and the shift
# $\beta$ start at zero, so that at the start $z = x$, exactly and for every input.
#
# **What gets a gradient there.** Write a bar for the gradient of the loss. Backwards through {eq}`non-local-block`, for
# one channel:
#
# $$\bar\gamma = \sum_i \bar z_i\, \hat a_i,$$ (non-local-back-scale)
#
# and $\bar\beta = \sum_i \bar z_i$. To the normalised branch comes
#
# $$\bar{\hat a}_i = \gamma\, \bar z_i = 0.$$ (non-local-back-branch)
#
# Everything behind the norm, $W_z$, $g$, $\theta$ and $\phi$, gets its gradient through $\bar{\hat a}$ by the chain rule, as
# a product with zero. In the first step $2 C$ parameters have a gradient and all others have none. The input gets
# $\bar x = \bar z$, as if the block were not there. $\gamma$ is not zero in the second step, and then the rest begins to
# move (but for three biases, which never do; that is an exercise of the deeper page).
#
# **How much it adds.** Since $\hat a$ has mean zero and variance one (but for the $\varepsilon$ of the norm), the mean
# square of what is added to a channel needs no look at $\theta$, $\phi$ or $g$:
#
# :::{div} wide
# $$\frac{1}{NP} \sum_{n, i} (z_i - x_i)^2 = \gamma^2 + \beta^2.$$ (non-local-size)
# :::
#
# So "does it leave the identity?" is a question about $\gamma$ and $\beta$ alone.
#
# **Sub-sampling.** Keys and values may come from a map that is max-pooled 2 by 2, in the paper never over time. Every
# position still asks, and a quarter of them answers. The pairs fall to exactly a quarter; the block does not, because
# queries and the way back stay as they are ([the deeper page](non_local_deeper.ipynb) counts it).
#
# **Cost.** Four 1 by 1 convolutions between $C$ and $D$, and two products over all pairs, with $P'$ keys. In multiply-adds,
#
# $$2\, C D\, (P + P') + 2\, P P' D.$$ (non-local-cost)
#
# This is where the keys are pooled before they are projected. Without pooling, $P' = P$. The dot product has no softmax between
# its two products, so that the brackets may be moved, $(\theta \phi^{\top})\, g = \theta\, (\phi^{\top} g)$. On the right no
# matrix of $P \times P'$ is ever built: $D \times D$ numbers take its place, and $P P' D$ becomes $P D^2$ and $P' D^2$.
#
# ## The module from scratch
#
# The embedded Gaussian as the paper's equations have it. `x` may have any number of axes behind its channels.


# %%
class NonLocalBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        D = channels // 2
        self.theta, self.phi, self.g = (
            nn.Linear(channels, D) for _ in range(3)
        )
        self.out = nn.Linear(D, channels)  # W_z
        self.norm = nn.BatchNorm1d(channels)
        nn.init.zeros_(self.norm.weight)  # gamma; beta is zero

    def forward(self, x):
        u = x.flatten(2).transpose(1, 2)  # all positions
        # f = exp(theta_i . phi_j), A = f / sum_j f
        scores = self.theta(u) @ self.phi(u).transpose(1, 2)
        # y_i = sum_j A_ij g_j
        y = scores.softmax(-1) @ self.g(u)
        # z_i = x_i + BN(W_z y_i)
        a = self.norm(self.out(y).transpose(1, 2))
        return x + a.reshape(x.shape)


# %% [markdown]
# ## It is right
#
# All checks are in double precision; one that fails stops the notebook. At the start: the block is the identity, and in the first
# step the gradient of every parameter but two is zero, not nearly zero. Away from it, in training mode and with a random
# $\gamma$ and $\beta$: the code against the equations in plain loops. The
# [deeper page](non_local_deeper.ipynb) does the same for all four pairwise functions, and for sequences, images and videos.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def dot(a, b):
    return sum(p * q for p, q in zip(a, b))


def product(layer, vector):
    return [dot(row, vector) + b for row, b in zip(*layer)]


def loops(images, theta, phi, g, out, norm, eps=1e-5):
    """Images as [N][P][C]; layers as (matrix, bias), norm as (gamma, beta)."""
    inputs = [x for image in images for x in image]
    a = []
    for image in images:
        keys = [product(phi, x) for x in image]
        values = [product(g, x) for x in image]
        for x in image:
            query = product(theta, x)
            f = [math.exp(dot(query, key)) for key in keys]
            y = [dot(f, v) / sum(f) for v in zip(*values)]
            a.append(product(out, y))
    exact = lambda values: torch.tensor(values, dtype=torch.float64)
    a = exact(a)  # and the norm, over all positions of all images
    a = (a - a.mean(0)) / (a.var(0, correction=0) + eps).sqrt()
    gamma, beta = exact(norm)
    return exact(inputs) + gamma * a + beta


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 8, 5, 3, dtype=torch.float64)
scratch = NonLocalBlock(8).double()
library = attnlib.create("non_local", 8, scale=False).double()
check("both start as the identity", [scratch(x), library(x)], [x, x])

(torch.randn_like(x) * scratch(x)).sum().backward()
moving = [n for n, p in scratch.named_parameters() if p.grad.any()]
check("the first step moves", moving, ["norm.weight", "norm.bias"])


# %% tags=["nbval-check-output"]
def moved(block):
    """Away from the identity: a random norm."""
    for parameter in block.norm.parameters():
        nn.init.normal_(parameter)


moved(scratch)
here, there = scratch.state_dict(), library.state_dict()
same = {name: here[name].view_as(there[name]) for name in there}
library.load_state_dict(same)  # its layers are 1 x 1 convolutions
layers = [[p.tolist() for p in f.parameters()] for f in scratch.children()]
by_loops = loops(x.flatten(2).transpose(1, 2).tolist(), *layers)
by_loops = by_loops.view(2, 15, 8).transpose(1, 2).reshape(x.shape)
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# ## What it costs
#
# One block on a map of 64 channels, 32 by 32 pixels, counted by the package's `profile` (a *MAC* is one multiply-add), without
# sub-sampling and with it. The last column is what the paper prints as the gain of one block of each form on Kinetics, a data
# set of videos, in points of accuracy (its Table 2a, single runs).

# %% tags=["nbval-check-output"]
C, side = 64, 32
printed = paper.table("table-2a")["top1"]
forms = ("gaussian", "embedded", "dot", "concat")


def cost(form, **arguments):
    block = attnlib.create("non_local", C, pairwise=form, **arguments)
    return profile(block, image_size=side, in_channels=C)


rows = []
for form, top1 in zip(forms, printed[1:], strict=True):
    full, pooled = cost(form), cost(form, subsample=True)
    counted = full.parameters, full.macs / 1e6, pooled.macs / 1e6
    rows.append((form, *counted, top1 - printed[0]))
names = ["form", "parameters", "MACs (M)", "pooled (M)", "gain (points)"]
prices = pd.DataFrame(rows, columns=names)
plots.table(prices, "The four pairwise functions", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The four forms cost from 10.5 to 104.9 million MACs, and gain from 0.7 to 1.1 points. The cheapest, the dot product, gains
# most; it costs a seventh of the embedded Gaussian, because without a softmax no weights need to be built. Sub-sampling makes
# the embedded Gaussian cheaper by a factor of 3.43, and the dot product by less than 1.7, for it has no pairs to save. Single
# runs this close do not rank the forms; their costs do.
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
macs, gains = prices["MACs (M)"], prices["gain (points)"]
finding("from 10.5 to 104.9 million MACs", macs.min(), macs.max())
finding("from 0.7 to 1.1 points", gains.min(), gains.max())
cheapest, best = macs.idxmin(), gains.idxmax()
finding("the dot product, gains most", cheapest == best == 2)
finding("a seventh", round(macs[1] / macs[2]) == 7)
saved = macs / prices["pooled (M)"]
finding("by a factor of 3.43", saved[1])
finding("less than 1.7", saved[2] < 1.7)

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# On which map does sub-sampling save less than half of the embedded Gaussian? Say a side, and put it in place of 32.
# :::
#
# ## Does it train, does it help?
#
# ### What it reaches
#
# The network that is trained below is a ResNet-8: one convolution, then three residual blocks at 32, 16 and 8 pixels a side, and
# a non-local block behind the second and the third (they divide scores by $\sqrt D$, as the released code does). Which pixels
# does the middle position of the second stage depend on, before and behind its block? Those where the gradient is not zero:

# %%
torch.manual_seed(0)
network = attnlib.networks.create("resnet8", attention="non_local")
moved(attention_modules(network.double().eval())["layer2.0"])
image = torch.randn(1, 3, 32, 32).double().requires_grad_()


def reached(map_of):
    """Rows of the image that the position (8, 8) depends on."""
    out = map_of(network.layer1(network.conv1(image)))
    (back,) = torch.autograd.grad(out[0, :, 8, 8].abs().sum(), image)
    return int(back.ne(0).any(3).any(1).sum())


before, behind = reached(network.layer2[0].layer), reached(network.layer2)
print(f"{before} of 32 rows before the block, {behind} behind it")

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
layers = math.ceil((31 - before // 2) / 2)  # 3 x 3 at half size: 2 farther
weights = layers * 9 * 32**2
block = attnlib.create("non_local", 32)
parameters = sum(p.numel() for p in block.parameters())
both = before, before, behind, behind
finding("13 x 13 pixels, behind it on all 32 x 32", *both)
finding("13 more 3 x 3 convolutions", layers, 3, 3)
finding("with 119,808 weights: 55 times", weights, weights / parameters)
finding("2,192 parameters", parameters)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Before the block a position depends on 13 x 13 pixels, behind it on all 32 x 32. For a corner of this map to see the
# opposite corner by near looks alone takes 13 more 3 x 3 convolutions with 119,808 weights: 55 times the block's 2,192 parameters.
# :::
#
# ### Live, on generated shapes
#
# The cell below trains this network for three epochs on the images that the package draws, one of ten shapes on a cluttered ground.

# %% mystnb={"figure": {"caption": "Accuracy on generated shapes by epoch.", "name": "non-local-live"}, "image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}}
trained = train(chapter_recipe("non_local", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than half", trained.record.final.accuracy > 0.5)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than half of the held-out images, five times as many as chance: the code trains.
# Whether the block helps, one run cannot say.
# :::
#
# ### On CIFAR-10, recorded
#
# Recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on 10,000, with five non-local blocks, two in
# the second stage and three in the third. The constant, which multiplies every branch by one half, is no control for what this
# block does; it shows how far so short a run can be moved by something that knows nothing.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test accuracy of every recorded run, a point for each seed; the bar is the mean.", "name": "non-local-seeds"}, "image": {"alt": "Test accuracy of the recorded runs as points: no module, a constant of one half, non-local blocks. The points of non-local lie between the others' and spread widely."}, "code_prompt_show": "Draw the figure"}
keys = ("none", "constant", "non_local")
runs = [run for key in keys for run in records("cifar10-slice", key)]
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="non_local")
row = {row.label: row for row in compared.rows}
plain, constant = row["none"], row["constant"]
low, high = (-end for end in reversed(plain.student))
finding("Over 3 seeds", len(row["non_local"].seeds))
finding("better than no module by 2.38 points", -plain.difference)
finding("-4.50 to 9.27, holds zero", low, high, low < 0 < high)
worst, best = sorted(-d for d in plain.differences)[::2]
finding("from -0.27 to 5.26", worst, best)
finding("1.23 points in the mean", constant.difference)
finding("-0.01, 0.36 and 3.35 points", *sorted(constant.differences))

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over 3 seeds non-local blocks are better than no module by 2.38 points in the mean, but the seeds differ from -0.27 to 5.26, and
# the 95 % interval, -4.50 to 9.27, holds zero: these runs do not show that the blocks help. The constant is better still by
# 1.23 points in the mean, of which nearly all comes from one seed: the differences are -0.01, 0.36 and 3.35 points.
# :::
#
# ## Look inside
#
# ### Does it leave the identity?
#
# Five hundred fresh images go through the live network. For each block, the root mean square of what it adds, as a share of the
# same of its input:

# %%
images, classes, masks = generate(500, seed=7)
labels = torch.tensor(classes)
objects = torch.tensor(masks).float()[:, None]
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="non_local"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
blocks = attention_modules(model)
parts = lambda block, x: (x, block.forward(x) - x, block.weights(x)[:, 0])
with torch.no_grad(), plots.captured(model, parts) as seen:
    answers = model(inputs)
sizes = [(d.norm() / x.norm()).item() for x, d, _ in seen.values()]
for path, share in zip(blocks, sizes, strict=True):
    print(f"{path} adds {share:.0%} of the size of its input")
finding("more than a tenth", min(sizes) > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Both blocks leave the identity: after three epochs each adds more than a tenth of the size of its input.
# :::
#
# ### Where does it look?
#
# As in [the chapter before](dot_product.ipynb), the masks of the generated images say which share of a position's weights
# falls on the object; beside it stands the object's share of the image.

# %%
rows = []
for path, (x, _, A) in seen.items():
    mask = nn.functional.avg_pool2d(objects, 32 // x.shape[-1]).flatten(1)
    share = (A * mask[:, None]).sum(-1)  # of each position's weights
    parts = mask.mean(), share[mask > 0.5].mean(), share[mask == 0].mean()
    rows.append((path, *(100 * part.item() for part in parts)))
names = ["block", "area of object", "from object", "from ground"]
shares = pd.DataFrame(rows, columns=names)
plots.table(shares, "Share of the weights on the object (%)", digits=1)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Images, and the weights of two positions of the first block's map, each marked by a circle; 15 times the plain mean and more is yellow.", "name": "non-local-looks"}, "image": {"alt": "Four generated images in rows. Beside each, the weights that a position on the object and a corner position give to the 256 positions of the map."}, "code_prompt_show": "Draw the figure"}
first = seen["layer2.0"][2][:4]
inside = nn.functional.avg_pool2d(objects[:4], 2).flatten(1).argmax(1)
asked = (first[range(4), place] for place in (inside, [0] * 4))
maps = [256 * weights.view(4, 16, 16) for weights in asked]
titles, label = ["object asks", "corner asks"], "times the plain mean"
figure = plots.show_maps(images[:4], maps, titles, (0, 15), label)
for n, query in enumerate(inside.tolist()):
    for panel, place in enumerate((query, 0), start=3 * n + 1):
        row, column = divmod(place, 16)
        figure.axes[panel].plot(column, row, "o", mfc="none", mec="w")
(_, _, on_first, off_first), (_, _, on_second, off_second) = rows
finding("more than 35 %", on_first > 35)
finding("less than 15 %", off_first < 15)
finding("less than 25 points apart", abs(on_second - off_second) < 25)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The first block tells object from ground: a position on the object gives more than 35 % of its weight to the object, which
# covers a fifth of the image; a position on the ground gives it less than 15 %. In the second block both kinds of positions
# look at much the same, less than 25 points apart. The next section says why: there it makes no difference who asks.
# :::
#
# ### What the network does with it
#
# Exchange the weights of a trained block, and see what the network loses: for every position the *average* weights of its image,
# so that who asks no longer matters; *equal* weights; the weights of *another* image. Or leave the block out.
#
# For the second block one answer is known before. Only the mean over all positions follows it. $W_z$ is linear and so is the norm
# of a trained network, but for constants; so the mean goes through both, and what reaches the last layer is made of
#
# $$\frac1P \sum_i y_i = \sum_j m_j\, g(x_j).$$ (non-local-pooled)
#
# **In front of a global mean only the average weights $m_j = \tfrac1P \sum_i A_{ij}$ count.** Who asks cannot matter there: the
# block is one weighted mean of the whole image.


# %%
def exchanged(change, path):
    """The network's answers when the weights of one block change."""

    def with_change(block, args, output):
        x = args[0]
        if change is None:  # leave the block out
            return x
        A = change(block.weights(x)[:, 0])
        y = block.g(x).flatten(2) @ A.mT
        y = y.unflatten(2, x.shape[2:])
        return x + block.norm(block.out(y))

    hook = blocks[path].register_forward_hook(with_change)
    with torch.no_grad():
        answers = model(inputs)
    hook.remove()
    return answers


# %%
changes = {
    "average": lambda A: A.mean(1, keepdim=True).expand_as(A),
    "equal": lambda A: torch.full_like(A, 1 / A.shape[-1]),
    "another image": lambda A: A.roll(1, 0),
    "left out": None,
}
right = lambda out: (out.argmax(1) == labels).double().mean().item()
rows = []
for what, change in changes.items():
    named = [right(exchanged(change, path)) for path in blocks]
    rows.append((what, *(100 * (right(answers) - each) for each in named)))
lost = pd.DataFrame(rows, columns=["weights", "block 1", "block 2"])
same = exchanged(changes["average"], "layer3.0")
check("average weights before the mean", same, answers, atol=1e-3)
plots.table(lost, "Points of accuracy lost", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
first, second = lost["block 1"], lost["block 2"]
finding("more than 15 points", min(first) > 15)
finding("cost it nothing", abs(second[0]) < 0.5)
finding("more than 10 points", second[1] > 10)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The first block needs its look: with any exchange the network loses more than 15 points. In the second the average weights cost it
# nothing, as they must. It still needs to look: equal weights for all positions cost more than 10 points.
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does the network lose if each position takes from itself alone, a block without any far look? Say first for both blocks
# whether it is more or less than with equal weights; for one of them {eq}`non-local-pooled` knows. Then give `changes` one more
# row, `"itself": lambda A: torch.eye(A.shape[-1]).expand_as(A)`.
# :::
#
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the
# code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """ratio-projected-first released-runs accuracy-forms
    initial-output first-step pairs bottleneck deeper"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
those = "pooling scale initialisation stride recipe accuracies".split()
rows = [(d.id, d.text) for d in paper.differences if d.id in those]
differing = pd.DataFrame(rows, columns=["where", "what differs"])
plots.table(differing, "Paper and released code")

# %% [markdown]
# The scale changes no function that a block can learn, since $W_\theta$ and $b_\theta$ can hold it; it changes where training starts.
#
# ## Quiz
#
# ```{quiz} Which parameters of a fresh block have a gradient in the first step?
# - [ ] All of them: the chain rule reaches everything.
#
#   It reaches everything behind the norm by a product with the scale, which is zero.
# - [ ] None of them: the block is the identity.
#
#   The output does not depend on x in another way at first, but it does change when the norm's scale or shift changes.
# - [x] The scale and the shift of the norm, $2 C$ numbers.
#
#   They act on the output directly; once the scale is not zero, the gradient passes.
# ```
#
# ```{quiz} Why does the dot product not divide by the sum of its weights?
# - [ ] It would cost too much.
#
#   The sum over all keys is a single product with the sum of the keys.
# - [x] Weights may be negative, and their sum may be zero.
#
#   The number of positions is never zero, and does not depend on the input.
# - [ ] Its weights sum to one already.
#
#   Only those of the softmax do.
# ```
#
# ```{quiz} Keys and values are pooled 2 by 2. What falls to a quarter?
# - [x] The pairs.
#
#   All positions ask, and a quarter of them answers.
# - [ ] The cost of the block.
#
#   The queries' projection and the way back stay; the block comes near to a quarter on large maps alone.
# - [ ] The positions of the output.
#
#   Queries are not pooled, so the output has the size of the input.
# ```
#
# ```{quiz} A non-local block stands directly in front of the global mean. What can it not do there?
# - [x] Give one position another answer than the rest, to any effect.
#
#   The mean takes all answers together. The average weights of the image do the same.
# - [ ] Take more from the object than from the ground.
#
#   It can: the average weights may lie on the object, and here equal weights cost the network much.
# - [ ] Anything: a mean over all positions follows anyway.
#
#   That mean weighs all positions alike. The block weighs them by what they hold.
# ```
#
# ```{quiz} A trained block adds a lot, and the network breaks down without it. What follows?
# - [ ] The network needs to look far.
#
#   What is added may hardly depend on where the block looks. Exchange the weights to find out.
# - [x] The layers behind it have learned to expect what it adds.
#
#   Whether that needs a look at other positions is another experiment.
# - [ ] A network trained without it would be as much worse.
#
#   That network would have learned to do without. Only training it tells.
# ```
#
# ## Exercises
#
# ````{exercise} An odd map
# :label: non-local-exercise-odd
#
# *Easy, 5 minutes.* Pooling 2 by 2 leaves out a last odd row and column. By which factor does sub-sampling reduce the pairs of
# a map of 7 by 7 positions? Give two decimals.
#
# :::{dropdown} Hint
# Count the keys that are left. The number of queries cancels.
# :::
# ````

# %%
exercises.answer("non-local-exercise-odd", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} non-local-exercise-odd
# :class: dropdown
# ````
#
# 49 keys become 3 times 3. The factor is 4 for even sides alone.

# %%
factor = 7**2 / 3**2
print(f"{factor:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-odd", right=factor, wrong=[4, 49 / 16]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} As much as it gets
# :label: non-local-exercise-size
#
# *Easy, 5 minutes.* In a channel with $\gamma = 0.5$ and $\beta = 0.3$ the input has a root mean square of 2. How large is the root
# mean square of what the block adds, as a share of that? Give two decimals.
#
# :::{dropdown} Hint
# {eq}`non-local-size` is a mean square.
# :::
# ````

# %%
exercises.answer("non-local-exercise-size", ...)  # your number

# %% [markdown]
# ````{solution-start} non-local-exercise-size
# :class: dropdown
# ````
#
# Neither the weights nor the values nor their size matter: the norm has them at variance one.

# %%
part = math.sqrt(0.5**2 + 0.3**2) / 2
print(f"{part:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("non-local-exercise-size", part, [0.17, 0.40])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} In front of the mean
# :label: non-local-exercise-mean
#
# *Medium, 10 minutes.* The weights of the second block are exchanged for (a) the average of their image, (b) the same rows in
# another order, (c) the same columns in another order, (d) equal weights. Which of these leave all answers of the network as they
# are? Give the letters in alphabetical order as one word, such as "cd".
#
# :::{dropdown} Hint
# {eq}`non-local-pooled`: what does each of them do to $m$?
# :::
# ````

# %%
exercises.answer("non-local-exercise-mean", ...)  # a word

# %% [markdown]
# ````{solution-start} non-local-exercise-mean
# :class: dropdown
# ````
#
# $m$ is the mean of the rows. Their order does not matter to it, and their mean is the mean. The order of the columns says which
# position a weight belongs to.

# %%
order = torch.randperm(64)
rows = exchanged(lambda A: A[:, order], "layer3.0")
check("rows in another order", rows, answers, atol=1e-3)
those = "ab"

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("non-local-exercise-mean", those, ["a", "ad", "abc"])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Without the far look
# :label: non-local-exercise-near
#
# *Research, 60 minutes.* This chapter exchanged the weights of a trained network. Train without the far look instead: a block
# in which each position takes from itself alone has the same $g$, $W_z$ and norm. Compare it with the block on `smoke`, five
# seeds each, paired. Does the interval leave zero out? To begin with: how many parameters do $\theta$ and $\phi$ of both
# blocks of the network have, that the near block does without?
#
# :::{dropdown} Hint
# The two blocks have 32 and 64 channels. Each of $\theta$ and $\phi$ has a matrix of $C \times C / 2$ and $C / 2$ biases.
# :::
# ````

# %%
exercises.answer("non-local-exercise-near", ...)  # parameters

# %% [markdown]
# ````{solution-start} non-local-exercise-near
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: report the seeds, the mean of the paired differences and its interval, whatever comes out.

# %%
spared = sum(2 * (c * c // 2 + c // 2) for c in (32, 64))
print(f"{spared:,} parameters")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-near", right=spared, wrong=[5120, 4160]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. Every position takes a weighted mean of all positions, and adds it to what it has. No distance enters.
# 2. The zero scale makes a fresh block the identity; in the first step $2 C$ parameters have a gradient, and all the others none.
# 3. How much a block adds stands in the norm: $\gamma^2 + \beta^2$ in each channel. After training it is not small.
# 4. Sub-sampling leaves exactly a quarter of the pairs; without a softmax, no pair has to be built at all.
# 5. In front of a global mean a block is one weighted mean of the image: who asks cannot matter there. In the middle it does.
# :::
#
# ## Further reading
#
# * The paper {cite}`non_local` has the experiments on video: blocks over space, over time, and over both (its Table 2d).
# * [The ledger](../../book/ledger.md) has every claim of the paper with its verdict.
# * [SE](../scale_attention/se.ipynb) lets the whole image speak, too, but only in one number for each channel.
