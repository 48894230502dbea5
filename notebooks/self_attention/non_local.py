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
# **Not every far look is needed.** Give all positions the same weights, the average of their image, and the network loses less
# than 3 points in one block, more than 15 in the other. On CIFAR-10, 3 seeds do not show that the blocks help.
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
# Afterwards you can write the four pairwise functions and say what each costs; derive which parameters have a gradient in
# the first step, and which never have one; count what sub-sampling saves; and test whether a trained block uses where it
# looks. Symbols are those of the [notation page](../../book/notation.md), but for two: as in the paper, $y$ is the mean
# that a position takes, and $z$ is the output.
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

import matplotlib.pyplot as plt
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
# one pixel on every side. What is far apart in the image can meet only late, after many steps from neighbour to
# neighbour. A non-local block takes one far look instead: every position takes a weighted mean of *all* positions. How
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
# would shout on large ones. The values are a linear map of the vectors, to half as many channels, $D = C / 2$:
#
# $$g(x_j) = W_g\, x_j + b_g.$$ (non-local-value)
#
# **Gaussian.** A natural choice of $f$ lets alike positions weigh most. Its sum over $j$ is what it is divided by:
#
# $$f = e^{x_i \cdot x_j}, \qquad n_i = \sum_j f.$$ (non-local-gaussian)
#
# So the weights $A_{ij} = f / n_i$ of a position sum to one: this is a softmax over $j$.
#
# **Embedded Gaussian.** Being alike in all channels is not what a network may look for. Two learned maps, with
# $\theta_i = W_\theta\, x_i + b_\theta$ and $\phi_j = W_\phi\, x_j + b_\phi$, let it choose what to compare:
#
# $$f = e^{\theta_i \cdot \phi_j}, \qquad n_i = \sum_j f.$$ (non-local-embedded)
#
# This is attention as in the transformer, with $\theta$ for queries, $\phi$ for keys and $g$ for values, but without its
# division of the scores by $\sqrt D$.
#
# **Dot product.** Is the softmax needed? Without the exponential,
#
# $$f = \theta_i \cdot \phi_j, \qquad n_i = P.$$ (non-local-dot)
#
# A weight may now be negative, so that their sum may be zero and must not be divided by. The number of
# positions takes its place, which also makes the gradient simple: $n_i$ does not depend on $x$.
#
# **Concatenation.** One vector $w$ of $2 D$ numbers weighs both embeddings together, and a ReLU $\delta$ follows:
#
# :::{div} wide
# $$f = \delta\big(w \cdot [\theta_i;\, \phi_j]\big), \qquad n_i = P.$$ (non-local-concat)
# :::
#
# **The block.** $W_z$ brings $y$ back to $C$ channels, a batch norm follows, and the result is added:
#
# $$a_i = W_z\, y_i + b_z,$$ (non-local-out)
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
# $$\bar\beta = \sum_i \bar z_i,$$ (non-local-back-shift)
#
# $$\bar{\hat a}_i = \gamma\, \bar z_i = 0.$$ (non-local-back-branch)
#
# Everything behind the norm, $W_z$, $g$, $\theta$ and $\phi$, gets its gradient through $\bar{\hat a}$ by the chain rule, as
# a product with zero. In the first step $2 C$ parameters have a gradient and all others have none. The input gets
# $\bar x = \bar z$, as if the block were not there. $\gamma$ is not zero in the second step, and then all can move.
#
# **How much it adds.** Since $\hat a$ has mean zero and variance one (but for the $\varepsilon$ of the norm), the mean
# square of what is added to a channel needs no look at $\theta$, $\phi$ or $g$:
#
# :::{div} wide
# $$\frac{1}{NP} \sum_{n, i} (z_i - x_i)^2 = \gamma^2 + \beta^2.$$ (non-local-size)
# :::
#
# So "does it leave the identity?" is a question about $\gamma$ and $\beta$ alone. The norm has one more effect:
# whatever is the same at all positions of all images, it takes out again. So $b_z$ never gets a gradient. Nor does
# $b_g$, because weights that sum to one pass it on unchanged; nor does $b_\phi$, which adds the same
# $\theta_i \cdot b_\phi$ to all scores of a position, and a softmax does not see that.
#
# **Sub-sampling.** Keys and values may come from a map that is max-pooled 2 by 2, in the paper never over time. Every
# position still asks, and a quarter of them answers.
#
# **Cost.** Four 1 by 1 convolutions between $C$ and $D$, and two products over all pairs, with $P'$ keys. In multiply-adds,
#
# $$2\, C D\, (P + P') + 2\, P P' D.$$ (non-local-cost)
#
# This is where the keys are pooled before they are projected. Without pooling, $P' = P$. The dot product has no softmax
# between its two products, so that the brackets may be moved:
#
# $$(\theta \phi^{\top})\, g = \theta\, (\phi^{\top} g).$$ (non-local-order)
#
# On the right no matrix of $P \times P'$ is ever built: $D \times D$ numbers take its place, and $P P' D$ becomes
# $P D^2$ and $P' D^2$.
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
# All checks are in double precision; one that fails stops the notebook. The first two hold the code against the equations in
# plain loops, position by position, in training mode and with a random $\gamma$ and $\beta$.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def product(layer, vector):
    return [dot(row, vector) + b for row, b in zip(*layer, strict=True)]


def loops(images, theta, phi, g, out, norm, eps=1e-5):
    """Images as [N][P][C]; layers as (matrix, bias), norm as (gamma, beta)."""
    inputs, a = [], []
    for image in images:
        keys = [product(phi, x) for x in image]
        values = [product(g, x) for x in image]
        for x in image:
            query = product(theta, x)
            f = [math.exp(dot(query, key)) for key in keys]
            y = [dot(f, v) / sum(f) for v in zip(*values, strict=True)]
            inputs.append(x)
            a.append(product(out, y))
    z = [list(x) for x in inputs]
    for c, channel in enumerate(zip(*a, strict=True)):
        mean = sum(channel) / len(channel)
        variance = sum((v - mean) ** 2 for v in channel) / len(channel)
        for i, v in enumerate(channel):
            normalised = (v - mean) / math.sqrt(variance + eps)
            z[i][c] += norm[0][c] * normalised + norm[1][c]
    return z


def moved(*blocks):
    """The same random norm in all blocks: away from the identity."""
    gamma, beta = torch.randn(2, len(blocks[0].norm.weight)).double()
    for block in blocks:
        block.norm.weight.data = gamma.clone()
        block.norm.bias.data = beta.clone()


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 8, 5, 3, dtype=torch.float64)
scratch = NonLocalBlock(8).double()
library = attnlib.create("non_local", 8, scale=False).double()
check("both start as the identity", [scratch(x), library(x)], [x, x])
names = ("theta", "phi", "g", "out")
for name in names:  # there 1 x 1 convolutions
    ours, theirs = getattr(scratch, name), getattr(library, name)
    theirs.weight.data = ours.weight.data[:, :, None, None].clone()
    theirs.bias.data = ours.bias.data.clone()
moved(scratch, library)

layers = [
    tuple(p.tolist() for p in getattr(scratch, name).parameters())
    for name in (*names, "norm")
]
positions = x.flatten(2).transpose(1, 2)
by_loops = torch.tensor(loops(positions.tolist(), *layers), dtype=x.dtype)
by_loops = by_loops.view(2, 15, 8).transpose(1, 2).reshape(x.shape)
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# **The first step.** {eq}`non-local-back-scale` by hand against automatic differentiation, for all four pairwise functions;
# and every other gradient is zero, not nearly zero:

# %% tags=["nbval-check-output"]
upstream = torch.randn_like(x)  # dL / dz
seen_a = []  # what the norm is given
for form in ("gaussian", "embedded", "dot", "concat"):
    fresh = attnlib.create("non_local", 8, pairwise=form).double()
    fresh.out.register_forward_hook(lambda _, args, a: seen_a.append(a))
    (upstream * fresh(x)).sum().backward()
    norm = nn.BatchNorm2d(8, affine=False, dtype=torch.float64)
    by_hand = (upstream * norm(seen_a.pop())).sum((0, 2, 3))
    check(f"{form}: scale", fresh.norm.weight.grad, by_hand, atol=1e-12)
    shift = upstream.sum((0, 2, 3))
    check(f"{form}: shift", fresh.norm.bias.grad, shift, atol=1e-12)
    for name, parameter in fresh.named_parameters():
        if not name.startswith("norm."):
            assert not parameter.grad.any(), name

# %% [markdown]
# **The size of what is added** is in the norm, {eq}`non-local-size`, and three **biases** have no gradient even when the
# block has moved. **Any dimension:** 24 vectors as a sequence, an image and a video give the same output, since no equation
# knows which it is; the module from scratch says so without a change, attnlib's with `dimensions`.

# %% tags=["nbval-check-output"]
wide = NonLocalBlock(64).double()
wide.norm.eps = 1e-30  # zero is not allowed
moved(wide)
x = torch.randn(8, 64, 24, dtype=torch.float64)
added = wide(x) - x
size = wide.norm.weight**2 + wide.norm.bias**2
check("size of what is added", (added**2).mean((0, 2)), size, atol=1e-12)

(torch.randn_like(x) * wide(x)).sum().backward()
for layer in (wide.phi, wide.g, wide.out):
    zero = torch.zeros_like(layer.bias)
    check("bias without gradient", layer.bias.grad, zero, atol=1e-9)

shapes = ((24,), (4, 6), (2, 3, 4))
as_all = [wide(x.unflatten(2, shape)).flatten(2) for shape in shapes]
check("sequence = image = video", as_all[1:], as_all[:1] * 2)

# %% [markdown]
# The last check moves the brackets of the dot product, {eq}`non-local-order`: attnlib's `forward` never builds the weights,
# its `weights` does.

# %% tags=["nbval-check-output"]
x = torch.randn(2, 8, 6, 4, dtype=torch.float64)
block = attnlib.create("non_local", 8, pairwise="dot").double()
moved(block)
y = block.weights(x)[:, 0] @ block.g(x).flatten(2).transpose(1, 2)
a = block.out(y.transpose(1, 2).unflatten(2, (6, 4)))
check("weights first", block(x), x + block.norm(a), atol=1e-12)

# %% [markdown]
# ## What it costs
#
# One block on a map of 64 channels, 32 by 32 pixels, counted by the package's `profile` (a *MAC* is one multiply-add). The
# last column is what the paper prints for one block of each form on Kinetics (its Table 2a, single runs).

# %% tags=["nbval-check-output"]
C, side = 64, 32
printed = paper.table("table-2a")["top1"]
forms = ("gaussian", "embedded", "dot", "concat")


def cost(form, side=side, **arguments):
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
# most; it costs a seventh of the embedded Gaussian, because without a softmax no weights need to be built.
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
macs, gains = prices["MACs (M)"], prices["gain (points)"]
finding("from 10.5 to 104.9 million MACs", macs.min(), macs.max())
finding("from 0.7 to 1.1 points", gains.min(), gains.max())
finding(
    "the dot product, gains most",
    bool(macs.idxmin() == gains.idxmax() == 2),
)
finding("a seventh", round(macs[1] / macs[2]) == 7)

# %% [markdown]
# **What sub-sampling saves.** The pairs fall to a quarter. The whole block does not, because queries and the way back stay as
# they are. The formula {eq}`non-local-cost` and the count agree exactly:


# %% tags=["nbval-check-output"]
def formula(P, keys):
    return 2 * C * (C // 2) * (P + keys) + 2 * P * keys * (C // 2)


saved, pairs = [], []
for s in (8, 16, 32):
    full, pooled = cost("embedded", s), cost("embedded", s, subsample=True)
    ours = [formula(s**2, s**2), formula(s**2, s**2 // 4)]
    check(f"side {s}", ours, [full.macs, pooled.macs])
    saved.append(full.macs / pooled.macs)
    both = [c.macs_by_operator["attention"] for c in (full, pooled)]
    pairs.append(both[0] / both[1])
finding("exactly a quarter", pairs == [4, 4, 4])
finding("2.00, 2.67 and 3.43 at 8, 16 and 32", *saved, 8, 16, 32)
finding("less than 1.7", macs[2] / prices["pooled (M)"][2] < 1.7)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Pooled, the embedded Gaussian has exactly a quarter of the multiply-adds over pairs. The whole block gets cheaper by a
# factor of 2.00, 2.67 and 3.43 at 8, 16 and 32 pixels a side: the larger the map, the nearer to 4. The dot product gets
# cheaper by less than 1.7, since it builds no pairs that could be saved.
# :::
#
# What is pooled matters, too. The text pools $\phi(x)$ and $g(x)$, the released code pools $x$ before both. The keys have the
# same number in both, but in the text's order all positions are projected first. The printed costs tell which was used: five
# blocks in ResNet-101 are printed as 1.2 times the multiply-adds, and counted as 1.24 times in the code's order, 1.33 times
# in the text's.
#
# :::{admonition} Try it
# :class: try-it
# From which side of the map on do the pairs cost more than the four convolutions, without pooling? Say a number for 64
# channels, run, and then change `channels`.
# :::

# %%
channels = 64
for s in (4, 8, 12, 16, 32):
    share = 2 * s**4 * (channels // 2) / (2 * channels**2 * s**2)
    print(f"side {s}: pairs / convolutions = {share}")

# %% [markdown]
# ## Does it train, does it help?
#
# ### What it reaches
#
# The network that is trained below is a ResNet-8: one convolution, then three residual blocks at 32, 16 and 8 pixels a
# side, and a non-local block behind the second and the third. Which pixels of the image does the middle position of the
# second stage depend on, before and behind its block? Those where the gradient is not zero:

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
finding("13 x 13", before, before)
finding("all 32 x 32", behind, behind)
finding("13 more 3 x 3 convolutions", layers, 3, 3)
finding("119,808 weights", weights)
finding("2,192 parameters", parameters)
finding("55 times", weights / parameters)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Before the block a position depends on 13 x 13 pixels, behind it on all 32 x 32. For a corner of this map to see the
# opposite corner by near looks alone takes 13 more 3 x 3 convolutions with 119,808 weights: 55 times the block's 2,192 parameters.
# :::
#
# To be able to see is not yet to look. That is a question for training.
#
# ### Live, on generated shapes
#
# The cell below trains this network on generated shapes for three epochs. With `ATTNLIB_LANE=full` it trains ResNet-20 on
# CIFAR-10 for thirty, and writes the record.

# %% mystnb={"figure": {"caption": "Accuracy on generated shapes by epoch.", "name": "non-local-live"}, "image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}}
trained = train(chapter_recipe("non_local", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than half", trained.record.final.accuracy > 0.5)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than half of the held-out images, five times as many as chance: the code trains.
# Whether the block helps, one run cannot say.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: 5,000 images of CIFAR-10, ResNet-20, four epochs, with five non-local blocks, two
# in the second stage and three in the third. The constant, which multiplies every branch by one half, is no control for what
# this block does; it shows how far so short a run can be moved by something that knows nothing.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test accuracy of every recorded run, a point for each seed; the bar is the mean.", "name": "non-local-seeds"}, "image": {"alt": "Test accuracy of the recorded runs as points: no module, a constant of one half, non-local blocks. The points of non-local lie between the others' and spread widely."}, "code_prompt_show": "Draw the figure"}
runs = [
    run
    for key in ("none", "constant", "non_local")
    for run in records("cifar10-slice", key)
]
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="non_local")
row = {row.label: row for row in compared.rows}
plain, constant = row["none"], row["constant"]
seeds = len(row["non_local"].seeds)
low, high = (-end for end in reversed(plain.student))
finding("Over 3 seeds", seeds)
finding(
    "better than no module by 2.38 points",
    -plain.difference,
    low < 0 < high,
)
finding("-4.50 to 9.27", low, high)
worst, best = sorted(-d for d in plain.differences)[:: seeds - 1]
finding("from -0.27 to 5.26", worst, best)
finding("better still by 1.23 points", constant.difference)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over 3 seeds non-local blocks are better than no module by 2.38 points in the mean, but the seeds differ from -0.27 to 5.26, and
# the 95 % interval, -4.50 to 9.27, holds zero: these runs do not show that the blocks help. On the same seeds the constant is
# better still by 1.23 points.
# :::
#
# The paper's own gains are small beside such a spread: 0.7 to 1.1 points for one block, from single runs on Kinetics.
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
objects = torch.tensor(masks).double()
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="non_local"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
blocks = attention_modules(model)
with (
    torch.no_grad(),
    plots.captured(
        model,
        lambda block, x: (x, block.forward(x) - x, block.weights(x)[:, 0]),
    ) as seen,
):
    own = model(inputs).argmax(1)
sizes = [(d.norm() / x.norm()).item() for x, d, _ in seen.values()]

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
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
# The generated images come with a mask of the object, so that "does it look at the object?" has a number: the share of a
# position's weights that falls on the object, beside the object's share of the image.


# %%
def on_object(weights, side):
    """Share of each position's weights on the object, and its area."""
    mask = nn.functional.avg_pool2d(objects[:, None], 32 // side)
    mask = mask.flatten(1)
    return (weights * mask[:, None]).sum(-1), mask


looks = []
for x, _, weights in seen.values():
    share, mask = on_object(weights.double(), x.shape[-1])
    inside, outside = share[mask > 0.5].mean(), share[mask == 0].mean()
    looks.append((mask.mean(), inside, outside))
looks = 100 * torch.stack([torch.stack(look) for look in looks])
names = ["the object's area", "from the object", "from the ground"]
shares = pd.DataFrame(looks.tolist(), columns=names)
shares.insert(0, "block", list(seen))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Images, and the weights of two positions of the first block's map, 16 by 16: one on the object, one in a corner.", "name": "non-local-looks"}, "image": {"alt": "Four generated images in rows. Beside each, the weights that a position on the object and a corner position give to the 256 positions of the map."}, "code_prompt_show": "Draw the figure"}
first = seen["layer2.0"][2]
mask = nn.functional.avg_pool2d(objects[:, None], 2).flatten(1)
middle = mask[:4].argmax(1)  # the first position that lies on the object
maps = [
    (256 * first[range(4), place]).view(4, 16, 16)
    for place in (middle, [0] * 4)
]
plots.show_maps(
    images[:4], maps, ["on object", "corner"], label="weight x 256"
)
_, on_first, off_first = looks[0]
_, on_second, off_second = looks[1]
plt.show()

# %%
finding("more than 60 %", on_first > 60)
finding("less than 30 %", off_first < 30)
finding("less than 25 points apart", abs(on_second - off_second) < 25)
plots.table(shares, "Share of the weights on the object (%)", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The first block tells object from ground: a position on the object gives more than 60 % of its weight to the object, which
# covers a fifth of the image; a position on the ground gives it less than 30 %. In the second block both kinds of positions look
# alike, less than 25 points apart.
# :::
#
# ### What the network does with it
#
# Exchange the weights of the trained network, and see what it loses: *equal* weights for all positions; for every position the
# *average* weights of its image, so that who asks no longer matters; the weights of *another* image. Or leave the block out.


# %%
def accuracy(exchange, paths):
    """Images named right, in per cent, with some weights exchanged."""

    def replaced(block, args, output):
        x = args[0]
        weights = exchange(block.weights(x)[:, 0])
        if weights is None:
            return x
        y = weights @ block.g(x).flatten(2).transpose(1, 2)
        y = y.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + block.norm(block.out(y))

    hooks = [blocks[p].register_forward_hook(replaced) for p in paths]
    with torch.no_grad():
        right = model(inputs).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


equal = lambda A: torch.full_like(A, 1 / A.shape[-1])
average = lambda A: A.mean(1, keepdim=True).expand_as(A)
another = lambda A: A.roll(1, 0)  # of the image before
left_out = lambda A: None

# %%
places = {"first block": ["layer2.0"], "second block": ["layer3.0"]}
places["both"] = list(blocks)
whole = 100 * (own == labels).double().mean().item()
exchanges = {
    "average": average,
    "equal": equal,
    "another image": another,
    "left out": left_out,
}
lost = [
    (what, *(whole - accuracy(exchange, p) for p in places.values()))
    for what, exchange in exchanges.items()
]
lost = pd.DataFrame(lost, columns=["weights", *places])
plots.table(lost, "Points of accuracy lost", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
first, second = lost["first block"], lost["second block"]
finding("more than 15 points", min(first) > 15)
finding("less than 3 points", second[0] < 3)
finding("more than 10 points", second[1] > 10)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The first block needs its look: with any exchange the network loses more than 15 points. The second does not need to know who
# asks: with the average weights of its image for every position it loses less than 3 points. It still needs to look: equal weights for
# all pixels cost more than 10 points. One block of the two takes a mean that is the same for all positions.
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does the network lose if each position takes from itself alone? That is a block without any far look. Say first
# whether it is more or less than with equal weights; then run, and try `["layer3.0"]`.
# :::

# %%
itself = lambda A: torch.eye(A.shape[-1]).expand_as(A)
print(f"lost: {whole - accuracy(itself, list(blocks)):.1f} points")

# %% [markdown]
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
plots.differences(paper)

# %% [markdown]
# The scale changes no function that a block can learn: it can be folded into $W_\theta$ and $b_\theta$. It changes where
# training starts.
#
# ## Quiz
#
# Choose an answer; it opens and says why.
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
# ```{quiz} The pixels of a map are shuffled before a block without sub-sampling. What happens to its output?
# - [x] It is shuffled in the same way.
#
#   No equation knows where a position is; a sum over all of them does not depend on their order.
# - [ ] It changes, because neighbours are no longer neighbours.
#
#   That is true for a convolution. The block knows no neighbours.
# - [ ] It stays as it was.
#
#   Each position keeps its own vector and its own answer, and these have moved.
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
map_7 = torch.randn(1, 8, 7, 7)
keys = [
    attnlib.create("non_local", 8, subsample=s).weights(map_7).shape[-1]
    for s in (False, True)
]
factor = keys[0] / keys[1]
print(f"{factor:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-odd", right=factor, wrong=[4, 49 / 16]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Safe twice
# :label: non-local-exercise-twice
#
# *Medium, 10 minutes.* The norm's scale starts at zero; the form for long clips has no norm, and $W_z$ and $b_z$ start at zero
# instead. Suppose somebody does both, in a block with 64 channels. How many of its 8,480 parameters can ever move, without
# weight decay?
#
# :::{dropdown} Hint
# What does the norm put out when its input is zero? What is then $\bar\gamma$, and what does $W_z$ get?
# :::
# ````

# %%
exercises.answer("non-local-exercise-twice", ...)  # your number

# %% [markdown]
# ````{solution-start} non-local-exercise-twice
# :class: dropdown
# ````
#
# $a = 0$, so that $\hat a = 0$ and $\bar\gamma = 0$: the scale waits for $W_z$. And $W_z$ waits for the scale, as ever. Only
# the shift moves, 64 numbers, and no step changes that.

# %%
torch.manual_seed(0)
twice = attnlib.create("non_local", 64)
nn.init.zeros_(twice.out.weight)
nn.init.zeros_(twice.out.bias)
steps = torch.optim.SGD(twice.parameters(), lr=0.1)
start = [p.detach().clone() for p in twice.parameters()]
for _ in range(5):
    steps.zero_grad()
    x = torch.randn(2, 64, 5, 5)
    (torch.randn_like(x) * twice(x)).sum().backward()
    steps.step()
pairs_of = zip(start, twice.parameters(), strict=True)
moving = sum(int((a != b).sum()) for a, b in pairs_of)
print(f"{moving} parameters moved")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-twice", right=moving, wrong=[128, 0, 8480]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Parameters without effect
# :label: non-local-exercise-biases
#
# *Hard, 15 minutes.* How many of the 8,480 parameters of an embedded Gaussian block with 64 channels never get a gradient, in
# whatever state the block is? And how many in the dot-product form? Answer with a list of the two.
#
# :::{dropdown} Hint
# Three biases are candidates. Ask of each which property it needs: a norm behind it, or weights that sum to one.
# :::
# ````

# %%
exercises.answer("non-local-exercise-biases", ...)  # your [a, b]

# %% [markdown]
# ````{solution-start} non-local-exercise-biases
# :class: dropdown
# ````
#
# In the embedded Gaussian $b_\phi$, $b_g$ and $b_z$ have none, with 32, 32 and 64 numbers. In the dot product only $b_z$ is left:
# weights do not sum to one, and no softmax hides $b_\phi$.

# %%
without = []
for form in ("embedded", "dot"):
    block = attnlib.create("non_local", 64, pairwise=form).double()
    moved(block)
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64)
    (torch.randn_like(x) * block(x)).sum().backward()
    gradients = [p.grad.abs() for p in block.parameters()]
    without.append(sum(int((g < 1e-12).sum()) for g in gradients))
print(without)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-biases",
    right=without,
    wrong=[[64, 64], [128, 128]],
)

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
# The rest is an experiment, and yours: say the number of seeds, the mean of the paired differences and its interval, whatever
# comes out.

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
# 5. A trained block need not look as it could: one of two here gives all positions the same mean, and loses nothing by it.
# :::
#
# ## Further reading
#
# * The paper {cite}`non_local` has the experiments on video: blocks over space, over time, and over both (its Table 2d).
# * [The ledger](../../book/ledger.md) has every claim of the paper with its verdict.
# * [SE](../scale_attention/se.ipynb) lets the whole image speak, too, but only in one number for each channel.
