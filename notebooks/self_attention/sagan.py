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
# # Self-attention in a GAN (SAGAN)
#
# :::{admonition} What does attention buy a generator?
# :class: question
#
# **A gain over no layer, and none that is shown over a control.** Over six seeds, small generators of outlines paint
# the class asked for in 51.3 % of their images with attention, in 46.1 % without a layer, and in 49.9 % with as many
# parameters that look nowhere: six seeds do not tell attention from those. The paper's gain on ImageNet, an FID of 18.65
# in place of 22.96 (a {term}`Fréchet distance` from real images, less is better), is one run of each.
#
# **A layer that its generator relies on.** When the layer is left out of a trained generator, the images are more than eight
# times as far from real ones. But who asks hardly matters: one average of the weights for the whole image does nearly as well.
#
# **Two layers under one name.** The code's has 2.5 times as many parameters as the text's and a quarter of the weights.
# In both a scalar starts at zero; under Adam that holds the matrices back for one step, not longer.
# :::
#
# :::{mechanism}
# :name: sagan-mechanism
# :symbols: o:map
#
# ![SAGAN's attention layer](../../book/figures/sagan-block.svg)
# ![The layer of the text and the layer of the code](../../book/figures/sagan-forms.svg)
#
# SAGAN's layer, and what its two forms, that of the text and that of the released code, look at.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`sagan`; its text was read, its first table in a picture of it; of the second, three figures are
# recalled. The released code was read. **You need:** the chapter [non-local](non_local.ipynb), the chain rule, the
# singular values of a matrix. **Time:** half an hour.
#
# Afterwards you can write the layer in both forms and say where they can agree; derive what moves in the first two
# steps of training; say what spectral normalisation bounds and what not; and judge a small generator by two numbers.
# Symbols are those of the [notation page](../../book/notation.md). The paper's $f, g, h$ are keys, queries and values
# here, its $\beta_{j,i}$ is $A_{ji}$; its four matrices are $W_k, W_q, W_v$ and $W_o$.
# :::

# %% mystnb={"code_prompt_show": "Install attnlib where it is missing"} tags=["hide-cell"]
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
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.profiling import profile
from attnlib.results import measurements
from attnlib.results.intervals import student
from attnlib.training import shapes_gan

plots.use()
paper = attnlib.paper("sagan")

# %% [markdown]
# ## The idea
#
# A {term}`generative adversarial network` is two networks. The {term}`generator` turns random numbers, and here the
# name of a class, into an image. The {term}`discriminator` looks at an image and says how real it seems. Each learns
# against the other. A generator made of convolutions paints every patch from what is near it. Texture comes out well
# that way; that a ring closes, or that a dog has four legs, has to be agreed on between patches that do not meet.
#
# SAGAN puts one layer of {term}`self-attention` into each network: a [non-local block](non_local.ipynb) with narrow
# queries and keys. And because two such networks easily get out of step, it holds every weight at a fixed size, by
# {term}`spectral normalization`.
#
# ## Derivation
#
# Let $x$ be a {term}`feature map` with $P$ positions, and $x_j$ its $C$ numbers at position $j$.
#
# **Queries, keys, values.** Three matrices without biases: $q_j = W_q x_j$, $k_i = W_k x_i$ and $v_i = W_v x_i$.
#
# **Weights.** Queries and keys have $C/8$ channels. Position $j$ gives to position $i$ the weight
#
# $$A_{ji} = \frac{\exp(q_j \cdot k_i)}{\sum_{i'} \exp(q_j \cdot k_{i'})},$$ (sagan-weights)
#
# a softmax over the positions that answer, whose scores are not divided by a square root.
#
# **Output.** The mixed values come back to $C$ channels, and one learned number $\gamma$ lets them in:
#
# $$o_j = W_o \sum_i A_{ji}\, v_i,$$ (sagan-mix)
#
# $$y_j = x_j + \gamma\, o_j.$$ (sagan-output)
#
# ### From zero
#
# $\gamma$ starts at zero, so that the layer starts as the identity: the networks first learn with what is near, says
# the paper, and then gradually give weight to what is far. How gradual is that? Write a bar for the gradient of the
# loss. Backwards through {eq}`sagan-output`,
#
# $$\bar\gamma = \sum_j \bar y_j \cdot o_j,$$ (sagan-back-gamma)
#
# $$\bar o_j = \gamma\, \bar y_j = 0.$$ (sagan-back-branch)
#
# The four matrices get their gradient through $\bar o$, so that in the first step they have none: exactly one parameter
# moves. By how much? The paper trains by Adam without a memory of the direction ($\beta_1 = 0$). It divides a gradient
# $g$ by the root of the mean of its squares, in which the mean of $t$ steps is corrected by $1 - \beta_2^t$. In the
# first step that mean is $g^2$, and $\gamma$ goes by the whole learning rate $\eta$, however small its gradient. In the
# second step the matrices see a gradient $g$ for the first time. Their mean of squares is
#
# $$\frac{0 + (1 - \beta_2)\, g^2}{1 - \beta_2^2} = \frac{g^2}{1 + \beta_2},$$ (sagan-adam)
#
# so that each of their entries moves by $\eta \sqrt{1 + \beta_2}$, although its gradient is only as large as $\gamma$.
# **Under Adam, the zero holds the matrices back for one step, not longer.** What is gradual is $\gamma$ itself.
#
# ### Text and code
#
# In the text, the values have $C/8$ channels, too. In the released code they have $C/2$, and keys and values are
# max-pooled 2 by 2 after their projection; the text mentions neither. With $w$ channels of values and $P'$ keys, the
# layer has $\tfrac14 C^2 + 2\, C w + 1$ parameters, $P P'$ weights, and in multiply-adds it takes
#
# :::{div} wide
# $$\tfrac14 C^2 P + 2\, C w P + P P' \left(\tfrac18 C + w\right).$$ (sagan-macs)
# :::
#
# For the text $w = C/8$ and $P' = P$; for the code $w = C/2$ and $P' = P/4$. Can the two give the same output?
#
# On a map that is constant in blocks of 2 by 2 **they can**. Give the code the text's matrices, and zeros in the values
# that the text does not have. A block has one key and one value, which pooling keeps; in {eq}`sagan-weights` the text
# counts each block four times, above and below the line, and the four cancels. On other maps **they cannot**: in
# another order of the positions the text's layer gives the same outputs in that order
# ({term}`permutation equivariance`), while the code's pools neighbours, and other neighbours give another maximum. And
# what the layer adds at all positions, as a matrix of $C \times P$ numbers, has at most the rank $w$. [SAGAN,
# deeper](sagan_deeper.ipynb) tries all three.
#
# ### Spectral normalisation
#
# Let $\lVert W \rVert$ be the largest {term}`singular value` of a matrix: the most by which it stretches any vector.
# Both networks use every weight as $W / \lVert W \rVert$, with the norm from one round of {term}`power iteration` in
# each step ([SAGAN, deeper](sagan_deeper.ipynb)). A chain of such matrices with ReLUs between them does not stretch,
# since no link does:
#
# $$|f(x) - f(x')| \le |x - x'|.$$ (sagan-lipschitz)
#
# That is a {term}`Lipschitz constant` of one. It keeps the discriminator's score from jumping, and with it the gradient
# that the generator learns from. But it holds for matrices. Neither a 3 by 3 window nor attention is one: the deeper
# page has a window that stretches by 3, and a map on which attention stretches by 99, with all its matrices at norm
# one.
#
# ## The module from scratch
#
# Both forms in one module; `pooled` is the code's.


# %%
class SelfAttention2d(nn.Module):
    def __init__(self, channels: int, pooled: bool = True):
        super().__init__()
        C, narrow, wide = channels, channels // 8, channels // 2
        wide = wide if pooled else narrow
        self.query = nn.Linear(C, narrow, bias=False)  # W_q
        self.key = nn.Linear(C, narrow, bias=False)  # W_k
        self.value = nn.Linear(C, wide, bias=False)  # W_v
        self.out = nn.Linear(wide, C, bias=False)  # W_o
        self.gamma = nn.Parameter(torch.zeros(()))
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def forward(self, x):
        x = x.movedim(1, -1)  # channels last
        q, k, v = self.query(x), self.key(x), self.value(x)
        k, v = (self.pool(u.movedim(-1, 1)).flatten(2).mT for u in (k, v))
        # A = softmax(q k^T), y = x + gamma W_o A v
        A = (q.flatten(1, 2) @ k.mT).softmax(-1)
        y = x + self.gamma * self.out(A @ v).view(x.shape)
        return y.movedim(-1, 1)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 6 by 8 positions: first against plain loops, in both forms, with $\gamma$ not zero.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def halved(rows):
    """The largest of each 2 by 2 positions, channel by channel."""
    pairs = zip(rows[::2], rows[1::2], strict=True)
    fours = [zip(a[::2], a[1::2], b[::2], b[1::2]) for a, b in pairs]
    return [[[*map(max, *four)] for four in row] for row in fours]


def loops(image, pooled, gamma, w_q, w_k, w_v, w_o):
    """One image as nested lists [H][W][C], weights as nested lists."""
    project = lambda w, row: [[dot(r, x) for r in w] for x in row]
    keys, values = ([project(w, row) for row in image] for w in (w_k, w_v))
    if pooled:
        keys, values = halved(keys), halved(values)
    keys, values, output = sum(keys, []), sum(values, []), []
    for x in sum(image, []):
        (q,) = project(w_q, [x])
        f = [math.exp(dot(q, key)) for key in keys]
        mixed = [dot(f, v) / sum(f) for v in zip(*values, strict=True)]
        (o,) = project(w_o, [mixed])
        output.append([a + gamma * b for a, b in zip(x, o, strict=True)])
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
for form, pooled in (("text", False), ("released", True)):
    scratch = SelfAttention2d(16, pooled).double()
    library = attnlib.create("sagan", 16, form=form).double()
    check(f"{form}: starts as the identity", scratch(x), x.clone())
    nn.init.constant_(scratch.gamma, 0.7)
    for ours, theirs in zip(scratch.parameters(), library.parameters()):
        theirs.data = ours.data.view_as(theirs)  # there 1 x 1 convolutions
    weights = [parameter.tolist() for parameter in scratch.parameters()]
    lists = [loops(i, pooled, *weights) for i in x.movedim(1, -1).tolist()]
    by_loops = torch.tensor(lists, dtype=x.dtype).mT.reshape(x.shape)
    check(f"{form}: scratch = loops", scratch(x), by_loops, atol=1e-12)
    check(f"{form}: attnlib = scratch", library(x), scratch(x), atol=1e-12)

# %% [markdown]
# **From zero.** Three steps of Adam with the paper's $\beta_1 = 0$, $\beta_2 = 0.9$ and learning rate $10^{-4}$, in the
# code's form, against some other map. For each step, how far the median entry of each parameter moved, in learning
# rates:


# %% tags=["nbval-check-output"]
def moves(layer, steps=3, rate=1e-4, betas=(0.0, 0.9)):
    """The median move of each parameter by step, in learning rates."""
    torch.manual_seed(1)
    goal = torch.randn_like(x)
    optimizer = torch.optim.Adam(layer.parameters(), rate, betas)
    for _ in range(steps):
        before = [p.detach().clone() for p in layer.parameters()]
        optimizer.zero_grad()
        (layer(x) - goal).square().sum().backward()
        optimizer.step()
        pairs = zip(layer.parameters(), before, strict=True)
        yield [(p - b).abs().median().item() / rate for p, b in pairs]


torch.manual_seed(0)
names = ["gamma", "W_q", "W_k", "W_v", "W_o"]
moved = pd.DataFrame(moves(SelfAttention2d(16).double()), columns=names)
moved.index += 1
plots.table(moved.reset_index(names="step"), "Moves in learning rates", 2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
matrices = moved.drop(columns="gamma")
finding("the matrices do not move at all", *matrices.loc[1] == 0)
finding("by 1.00 learning rates", moved.gamma[1])
second = matrices.loc[2]
finding("each matrix moves by 1.38", second.mean(), second.std() < 1e-3)
check("the root of 1 + beta_2", second.mean(), 1.9**0.5, atol=1e-3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the first step the matrices do not move at all, and $\gamma$ moves by 1.00 learning rates. The matrices' gradients
# then are as small as that; yet in the second step each matrix moves by 1.38 learning rates, as {eq}`sagan-adam` says.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Which step changes, and to what, with $\beta_2 = 0.999$, the library's default, which the released code uses? Say it
# first; then give `moves` the `betas=(0.0, 0.999)`.
# :::
#
# ## What it costs
#
# One layer where the released script has it, at 32 by 32 positions, which are 256 channels in the generator and 128 in
# the discriminator; and at 64 by 64 with half as many, as for the scores of the abstract. *A* is the size of
# the weights $A$ for one image in single precision, which training keeps.

# %% tags=["nbval-check-output"]
rows = []
for C, side in ((256, 32), (128, 32), (128, 64), (64, 64)):
    for form in ("text", "released"):
        layer = attnlib.create("sagan", C, form=form)
        cost = profile(layer, image_size=side, in_channels=C)
        P, pooled = side**2, side**2 // (4 if form == "released" else 1)
        w = C // 2 if form == "released" else C // 8
        macs = C * C * P // 4 + 2 * C * w * P + P * pooled * (C // 8 + w)
        check(f"{form}, C = {C}, {side} x {side}", cost.macs, macs)
        counted = cost.parameters, cost.macs / 1e6, 4 * P * pooled / 2**20
        word = "code" if form == "released" else "text"
        rows.append((f"{word} {C}, {side}²", *counted))
names = ["layer", "parameters", "MACs (M)", "A (MiB)"]
prices = pd.DataFrame(rows, columns=names)
plots.table(prices, "The two forms of the layer", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
of_text, of_code = prices.iloc[::2], prices.iloc[1::2]
size, macs, of_weights = (
    (of_code[n].to_numpy() / of_text[n].to_numpy()) for n in names[1:]
)
finding("2.5 times as many parameters", size.mean(), size.std() < 0.01)
finding("a quarter of the weights", *of_weights == 0.25)
finding("25 % more multiply-adds", 100 * (macs[0] - 1))
finding("26 % fewer", 100 * (1 - macs[2]))
finding("from 64 MiB to 16", of_text.iloc[2, 3], of_code.iloc[2, 3])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The code's layer has 2.5 times as many parameters as the text's and a quarter of the weights. In the generator at 32
# by 32 it takes 25 % more multiply-adds; at 64 by 64, 26 % fewer. What the code saves is memory: at 64 by 64, from 64
# MiB to 16 for each image. Narrow queries, which the text names as the way to save memory, leave $A$ as large as it is.
# :::
#
# ## Does it train, does it help?
#
# ### Live, in seconds
#
# The book's own pair is small. Images are the outlines of `shapes`, 16 by 16 in one channel. The generator is a linear
# layer and three convolutions, with a {term}`batch normalization` that has a scale and a shift for each class; the
# discriminator is three convolutions, and its score has an inner product with a vector for each class, as in the paper.
# All weights are normalised, the loss is the paper's {term}`hinge loss`, and the layer stands at 8 by 8 positions of 16
# channels in both. A hundred steps of it:

# %%
images, labels = shapes_gan.outlines(1000, seed=1)
play = shapes_gan.play
generator, discriminator = play("attention", images, labels, steps=100)

# %% [markdown]
# ### The judges
#
# A classifier that was trained on 6,000 real outlines, and names 99 % of fresh ones, looks at 2,000 generated images,
# 200 of each class. **Agreement** is the share that it takes for the class asked for; a guess is 10 %. A generator that
# knows one perfect image of each class would agree in all. So the second judge compares distributions, of the 32
# numbers before the classifier's last layer: real images have the mean $m$ and the covariance $S$, generated ones $m'$
# and $S'$. If both were normal, moving one distribution to the other would cost the **Fréchet distance**
#
# :::{div} wide
# $$|m - m'|^2 + \operatorname{tr}\left(S + S' - 2\, (S S')^{1/2}\right).$$ (sagan-frechet)
# :::
#
# In one dimension that is $(m - m')^2 + (s - s')^2$ for deviations $s$, $s'$: it sees a wrong mean and a wrong spread.
# The paper's FID takes features of another network, so that its numbers and ours have no common scale.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
networks = shapes_gan.recorded()
jury = shapes_gan.Jury(networks["classifier"])
right, distance = jury(generator)
print(f"agreement {right:.0f} %, distance {distance:.0f}")
finding("less than half", distance < 900)
gamma = discriminator.middle.gamma.item()
finding("more than 0.001 away from zero", abs(gamma) > 0.001)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In a hundred steps the distance falls to less than half of the 1,900 it starts from, and the discriminator's $\gamma$
# is more than 0.001 away from zero. It trains. Whether the attention helps, a hundred steps of one run cannot say.
# :::
#
# ### Over seeds, recorded
#
# Six seeds, 1,000 steps, made once by `python -m benchmarks.shapes_gan`. From one seed the three begin as the same
# networks, since $\gamma$ is zero, and see the same noise and images in the same order. The {term}`control` is a residual layer
# of 10 hidden channels and a ReLU at each position alone, with its own $\gamma$ from zero: 321 parameters, as many as
# the attention.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels of points, agreement and distance, a row for each layer. No layer is lowest in agreement; residual and attention overlap widely."}, "figure": {"caption": "Agreement and Fréchet distance of every recorded generator: a point for each seed, a bar at the mean.", "name": "sagan-seeds"}} tags=["hide-input"]
table = measurements("shapes-gan")
runs = pd.DataFrame(table.rows)
runs["agreement"] *= 100
end = runs[runs.step == table.settings["steps"]]
end = end.set_index(["layer", "seed"]).sort_index()
figure, axes = plots.panels(2, height=1.9)
LOOK = {"none": "none", "residual": "constant", "attention": "sagan"}
for axis, what in zip(axes, ("agreement", "distance"), strict=True):
    for row, (name, look) in enumerate(LOOK.items()):
        values = end.loc[name, what]
        style = plots.look(look).points(ls="")
        axis.plot(values, [row] * len(values), **style)
        axis.vlines(values.mean(), row - 0.3, row + 0.3, plots.INK)
    axis.set_yticks(range(3), LOOK)
    axis.set_ylim(2.6, -0.6)
axes[0].set_xlabel("images taken for the class asked for (%)")
axes[1].set_xlabel("Fréchet distance from real images")
paired = end["agreement"].unstack("layer")
against = lambda a, b: paired[a] - paired[b]
gain, over = (against("attention", n) for n in ("none", "residual"))
control, ends = against("residual", "none"), lambda v: student(v.tolist())
means = (paired[n].mean() for n in ("attention", "none", "residual"))
finding(
    "agrees with 51.3 % of the images with attention, 46.1 % without a layer and 49.9 % with",
    *means,
)
finding("gains +5.2 points over no layer", gain.mean())
finding("on six of six seeds", sum(gain > 0) == 6, len(gain) == 6)
finding("1.1 to 9.4, does not hold zero", *ends(gain), ends(gain)[0] > 0)
finding("gains +3.8 points, 1.4 to 6.2", control.mean(), *ends(control))
m, low, high = over.mean(), *ends(over)
finding("+1.4 points (-2.4 to 5.2)", m, low, high, low < 0)
far = end["distance"].groupby("layer").mean()
finding("20.6, 25.7 and 22.8", *far[["attention", "none", "residual"]])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over six seeds the classifier agrees with 51.3 % of the images with attention, 46.1 % without a layer and 49.9 % with
# the control. Attention gains +5.2 points over no layer, on six of six seeds; the 95 % interval, 1.1 to 9.4, does not
# hold zero. But the control gains +3.8 points, 1.4 to 6.2, and over it attention gains +1.4 points (-2.4 to 5.2). The
# distances, 20.6, 25.7 and 22.8, have the same order. A layer in that place helps; that it helps by looking at other
# positions, these runs do not show.
# :::
#
# ## Look inside
#
# ### What they paint, and where they look

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four rows of ten small black and white images, one column a class: real outlines, then those of the generators without a layer, with the residual layer and with attention. Circles and rings are clear in all; bars, stars and angles are often not."}, "figure": {"caption": "Real outlines, and those of the three recorded generators of seed 0 from the same noise: a column for each class, none chosen.", "name": "sagan-images"}} tags=["hide-input"]
fresh, kinds = shapes_gan.outlines(100, seed=4)
first = [int((kinds == label).nonzero()[0]) for label in range(10)]
painted, z, c = {"real": fresh[first]}, jury.noise[:10], jury.asked[:10]
with torch.no_grad():
    painted |= {name: networks[name](z, c) for name in LOOK}
figure, axes = plt.subplots(4, 10, figsize=(plots.COLUMN, 2.3))
for row, (words, those) in zip(axes, painted.items(), strict=True):
    for axis, image in zip(row, those, strict=True):
        axis.imshow(image[0], cmap="gray", vmin=-1, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    row[0].set_ylabel(words, rotation=0, ha="right", va="center", size=9.5)
plt.show()

# %% [markdown]
# Here are the weights of the recorded generator for two positions of its map of 8 by 8: one that becomes part of the
# object, and the upper left corner. There are 16 keys, since they are pooled. The object is that of the finished image.

# %%
attention = networks["attention"]
made, A = shapes_gan.looks(attention, jury.noise, jury.asked)
mask = ((made + 1) / 2).clamp(0, 1)
at_queries = F.avg_pool2d(mask, 2).flatten(1)
at_keys = F.avg_pool2d(mask, 4).flatten(1)
share = 100 * (A * at_keys[:, None]).sum(2)  # of a query's weights
from_object, from_ground = share[at_queries > 0.5], share[at_queries < 0.1]

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Generated images, and the weights of two positions of the map, each marked by a circle, over the 16 pooled keys.", "name": "sagan-looks"}, "image": {"alt": "Four generated images in rows. Beside each, the weights that a position of the object and the upper left corner give to 4 by 4 keys. Both give more than the mean to the keys in the middle, the position of the object the most."}, "code_prompt_show": "Draw the figure"}
chosen = [0, 1, 3, 5]  # a circle, a ring, a frame, a cross
inside = at_queries[chosen].argmax(1)
asking = (A[chosen][range(4), place] for place in (inside, [0] * 4))
weights = [16 * each.view(4, 4, 4) for each in asking]
pictures = (255 * mask[chosen]).byte().expand(-1, 3, -1, -1)
pictures = pictures.permute(0, 2, 3, 1).numpy()
titles, label = ["object asks", "corner asks"], "times the plain mean"
figure = plots.show_maps(pictures, weights, titles, (0, 4), label)
for n, query in enumerate(inside.tolist()):
    for panel, place in enumerate((query, 0), start=3 * n + 1):
        row, column = divmod(place, 8)
        spot = column / 2 - 0.25, row / 2 - 0.25
        figure.axes[panel].plot(*spot, "o", mfc="none", mec="w")
finding("gives 44.9 % of its weight", from_object.mean())
finding("covers 20.0 %", 100 * at_keys.mean())
finding("gives it 28.0 %", from_ground.mean())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A position that becomes part of the object gives 44.9 % of its weight to the object, which covers 20.0 % of the image;
# a position of the ground gives it 28.0 %.
# :::
#
# ### What it does with it
#
# Exchange the weights in the recorded generator of seed 0, as for [non-local](non_local.ipynb), and ask both judges: the weights of another image of the same class; for each query the *average* weights of its image, so that who
# asks no longer matters; *equal* weights; and the layer left out.

# %%
changes = {
    "its own": lambda A: A,
    "same class": lambda A: A.roll(10, 0),  # classes come in turn
    "average": lambda A: A.mean(1, keepdim=True).expand_as(A),
    "equal": lambda A: torch.full_like(A, 1 / 16),
    "left out": None,
}
rows = []
for what, change in changes.items():
    with shapes_gan.middle_changed(attention, change):
        rows.append((what, *jury(attention)))
names = ["weights", "agreement (%)", "distance"]
lost = pd.DataFrame(rows, columns=names)
plots.table(lost, "One generator with exchanged weights", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
own, same, average, equal, out = lost["distance"]
points = (lost.iloc[0, 1] - lost["agreement (%)"]).tolist()
finding("from 21 to 183", own, out)
finding("less than 7 points of agreement", 4 < points[4] < 7)
finding("less than 4 points", points[2] < 4)
finding("leave the distance below 24", average < 24)
finding("more than double the distance", equal > 2 * own)
of = end.loc["attention"]
cost = [of["agreement"] - 100 * of[k] for k in ("without", "equal")]
finding(
    "7.9 points left out and 5.4 with equal", *(c.mean() for c in cost)
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Left out, the layer costs less than 7 points of agreement, but the distance rises from 21 to 183: the images can be
# named, and do not look like real ones. Equal weights more than double the distance. Average weights cost less than 4
# points and leave the distance below 24: that the layer looks matters, who asks hardly does. So one set of weights for the
# whole image, which needs no queries, would nearly do here. In the mean of all six seeds the agreement falls by 7.9 points
# left out and 5.4 with equal weights.
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does the recorded generator paint when $\gamma$ is turned to its negative, or doubled? Say first which of the two
# hurts more, by which judge; then run, and put 2 in place of $-1$.
# :::

# %%
factor, gamma = -1, attention.middle.gamma
gamma.mul_(factor)
right, distance = jury(attention)
gamma.div_(factor)
print(f"agreement {right:.0f} %, distance {distance:.0f}")

# %% [markdown]
# ## What holds
#
# Claims of the paper, the unkind verdicts first; all are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """best-fid parameters-released discriminator-parameters
    residual-blocks score-map-width first-step spectral-estimate"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
those = "values first-version beta2 headline power-iteration".split()
rows = [(d.id, d.text) for d in paper.differences if d.id in those]
differing = pd.DataFrame(rows, columns=["where", "what differs"])
plots.table(differing, "Paper and released code")

# %% [markdown]
# ## Quiz
#
# ```{quiz} The layer is fresh, with $\gamma = 0$. What moves in the first step of training?
# - [ ] Nothing: the layer is the identity.
#
#   It is, but the output changes as soon as the scalar does, so the scalar has a gradient.
# - [x] The scalar alone.
#
#   The matrices get their gradient through the branch, multiplied by a zero.
# - [ ] The scalar and the output matrix $W_o$, which stands right behind it.
#
#   $W_o$ stands inside the branch, too: its gradient is multiplied by the scalar like that of the others.
# ```
#
# ```{quiz} After the first step $\gamma$ is 0.0001. How fast do the matrices move in the second, under Adam?
# - [ ] A ten-thousandth as fast as other weights.
#
#   Their gradients are as small as that. But Adam divides by the size of past gradients.
# - [x] At least as fast as other weights.
#
#   Their gradient and the root of its mean square shrink together. The correction even makes it 1.38 learning rates.
# - [ ] Not at all: they wait until $\gamma$ is large.
#
#   They wait for one step. From the second on $\gamma$ is not zero, and Adam does not ask how small it is.
# ```
#
# ```{quiz} Why can the code's layer not be reached by giving the text's layer other matrices?
# - [ ] It has more queries.
#
#   Both ask at every position.
# - [x] It pools neighbours, and what it adds has a higher rank.
#
#   The text's layer does not know which positions are neighbours, and its values have an eighth of the channels.
# - [ ] It has more parameters, and more parameters always mean more functions.
#
#   Not always: two matrices in a row have more than their product, and the same functions. What counts is what they do.
# ```
#
# ```{quiz} All weights of a discriminator have spectral norm one. What is its Lipschitz constant?
# - [ ] One: the norms multiply.
#
#   Only if each layer is the matrix that was normalised. Attention is none.
# - [x] Without attention at most a product of the windows' factors; with attention there is none.
#
#   A 3 by 3 window gives at most 3. How much attention stretches grows with the square of what its input holds.
# - [ ] At most one: ReLUs and the softmax only make things smaller.
#
#   A ReLU does not stretch. But the weights of a softmax multiply values, and both depend on the input.
# ```
#
# ```{quiz} Attention is better than a residual block with as many parameters. What follows?
# - [ ] Attention is better than no layer.
#
#   In the paper's own table the residual block is worse than no layer at three of four sides.
# - [ ] The gain comes from looking far.
#
#   That is one difference of the two. Others are the softmax, and weights that depend on the image.
# - [x] What is gained over the block does not come from the number of parameters.
#
#   This is what such a control can tell. The comparison with no layer is another one.
# ```
#
# ## Exercises
#
# ````{exercise} A wider window
# :label: sagan-exercise-window
#
# *Easy, 5 minutes.* A convolution of one channel has a window of 5 by 5 with equal weights. It is normalised as SAGAN
# does it. By which factor does it multiply a constant image?
#
# :::{dropdown} Hint
# The norm of $n$ equal numbers $t$ is $t \sqrt n$.
# :::
# ````

# %%
exercises.answer("sagan-exercise-window", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sagan-exercise-window
# :class: dropdown
# ````
#
# Twenty-five weights of a fifth each. A window of $k$ by $k$ gives $k$, and no window gives more.

# %%
wide = torch.ones(1, 1, 5, 5)
wide /= torch.linalg.matrix_norm(wide.flatten(1), 2)
factor = round(wide.sum().item())

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sagan-exercise-window", right=factor, wrong=[3, 25, 1]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Where both cost the same
# :label: sagan-exercise-even
#
# *Easy, 10 minutes.* On small maps the text's layer takes fewer multiply-adds, on large ones the code's. For $C = 256$,
# at how many positions $P$ do they take the same?
#
# :::{dropdown} Hint
# Put both forms into {eq}`sagan-macs` and divide by $C P$.
# :::
# ````

# %%
exercises.answer("sagan-exercise-even", ...)  # positions

# %% [markdown]
# ````{solution-start} sagan-exercise-even
# :class: dropdown
# ````
#
# The projections differ by $\tfrac34 C^2 P$, the pairs by $\tfrac{3}{32} C P^2$: the same at $P = 8 C$. For the
# discriminator's 128 channels that is 32 by 32, where the table has the same number twice.

# %%
positions = 8 * 256
print(f"{positions:,} positions, a map of {positions**0.5:.0f} a side")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sagan-exercise-even", right=positions, wrong=[1024, 6144, 45]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The third step
# :label: sagan-exercise-third
#
# *Medium, 15 minutes.* In the second step each matrix moves by $\sqrt{1 + \beta_2}$ learning rates. By how many does it
# move in the third? $\beta_2$ is 0.9; the matrices are as good as unchanged, and $\gamma$ moved by one learning rate
# each time. Give two decimals.
#
# :::{dropdown} Hint
# The gradient is proportional to $\gamma$. Go on as in {eq}`sagan-adam` with the squares $0$, $g^2$ and another one.
# :::
# ````

# %%
exercises.answer("sagan-exercise-third", ...)  # learning rates

# %% [markdown]
# ````{solution-start} sagan-exercise-third
# :class: dropdown
# ````
#
# $\gamma$ has doubled, and so has the gradient. The mean of $0$, $g^2$ and $4 g^2$ has the weights $(1 - \beta_2)$
# times $\beta_2^2$, $\beta_2$ and $1$, and is divided by $1 - \beta_2^3$. The table above has the same number.

# %%
mean_square = (1 - 0.9) * (0.9 * 1 + 4) / (1 - 0.9**3)
third = 2 / math.sqrt(mean_square)
check("as measured", matrices.loc[3].mean(), third, atol=0.01)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sagan-exercise-third", right=third, wrong=[1.38, 1.19, 1.0]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} In one network alone
# :label: sagan-exercise-alone
#
# *Research, 60 minutes.* The paper puts the layer into both networks. Which of the two needs it? Train pairs with
# attention in the generator alone, in the discriminator alone, and in both, five seeds each, and compare them paired by
# seed. Does an interval leave zero out? To begin with: how many parameters does a pair lose when one of its two layers
# goes?
#
# :::{dropdown} Hint
# `shapes_gan.play` takes the layer's name for both; copy its twenty lines and give each network its own.
# :::
# ````

# %%
exercises.answer("sagan-exercise-alone", ...)  # parameters

# %% [markdown]
# ````{solution-start} sagan-exercise-alone
# :class: dropdown
# ````
#
# $\tfrac54 \cdot 16^2 + 1$. The rest is an experiment, and yours: say the seeds, the mean of the paired differences and
# its interval, whatever comes out.

# %%
size = sum(p.numel() for p in attnlib.create("sagan", 16).parameters())
print(f"{size} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sagan-exercise-alone", right=size, wrong=[642, 129, 320]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SAGAN's layer adds, at every position, a mixture of what all positions hold, times one scalar that starts at zero.
# 2. Under Adam that zero holds the matrices back for one step; then they move as fast as any other weight.
# 3. Text and code have two layers. The code's has 2.5 times the parameters and a quarter of the weights.
# 4. Spectral normalisation bounds matrices. How much attention stretches has no bound.
# 5. In small generators attention gains over no layer; six seeds do not tell it from a control of its size.
# :::
#
# **Further reading:** [SAGAN, deeper](sagan_deeper.ipynb): power iteration, what it does not bound, and the paper's own control.
