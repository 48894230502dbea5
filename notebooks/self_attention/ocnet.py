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
# # Object context (OCNet)
#
# :::{admonition} Is the object context the object?
# :class: question
#
# @@ANSWER
# :::
#
# :::{mechanism}
# :name: ocnet-mechanism
# :symbols: S:statistic
#
# ![Base-OC: a pixel beside its context](../../book/figures/ocnet-block.svg)
# ![What one pixel takes, and from whom](../../book/figures/ocnet-look.svg)
#
# Base-OC, the first of OCNet's three heads, and what one pixel takes from two objects that are equal.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`ocnet`; read in part: tables and equations of the first arXiv version (1809.00916), and the released code.
# **You need:** [dot-product attention](dot_product.ipynb), batch norm. **Time:** half an hour.
#
# Afterwards you can write Base-OC and say what Pyramid-OC and ASP-OC change; show why one transform for queries and keys
# makes the scores symmetric and leaves the weights asymmetric; and measure how much of a pixel's attention falls on its
# own object, beside what equal weights would put there. Symbols are those of the [notation page](../../book/notation.md),
# with $p$ for the pixel that asks and $i$ for the one that answers, as in the paper.
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
from torch.nn.functional import one_hot

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.scenes import CLASSES, scenes
from attnlib.networks.scene_segmenter import (
    SceneSegmenter,
    at_the_map,
    mean_iou,
)
from attnlib.profiling import profile
from attnlib.results import measurements
from attnlib.self_attention.object_context import conv_abn
from attnlib.training import fit

plots.use()
paper = attnlib.paper("ocnet")

# %% [markdown]
# ## The idea
#
# {term}`Semantic segmentation` names the class of every pixel. The middle of a car's door may be nothing but grey: to name
# it, one has to look at the rest of the car. The pixels of the same class are what the paper calls the
# {term}`object context` of a pixel, and a pixel is to be described by its own features beside the mean of those. But which
# they are is just what the network has to find out. So the paper takes a stand-in: pixels that *resemble* this one, by
# attention over all pixels.
#
# That is the step this chapter asks about. Similar features need not be one object: a second car has the same features, a
# grey wall may have nearly the same. Where the masks of the objects are known, one can count how much of a pixel's weight
# falls on its own object, and what a network gains whose context really is the object.
#
# ## Derivation
#
# Let a map have $P$ pixels, and $x_p$ the $C$ numbers of pixel $p$; in the paper $C = 512$, on an eighth of the image's side.
#
# **One transform.** The paper's formula has one transform for queries and another for keys. In the released code they are one
# layer $f$, a 1 x 1 convolution to $K = C / 2$ channels and what is called ABN, a batch norm with a leaky ReLU behind it:
#
# $$q_p = f(x_p).$$ (ocnet-query)
#
# **Scores.** How much two pixels resemble each other is the product of their vectors, divided by a constant that keeps it from
# growing with their width:
#
# $$S_{pi} = \frac{q_p \cdot q_i}{\sqrt K}.$$ (ocnet-scores)
#
# A product of two vectors does not know which comes first, so that $S_{pi} = S_{ip}$: the scores are **symmetric**. There is
# more: by the inequality of Cauchy and Schwarz
#
# $$S_{pi} \le \sqrt{S_{pp}\, S_{ii}}.$$ (ocnet-cauchy)
#
# No score in the matrix is larger than the largest one on its diagonal. With two transforms a pixel could look for what is
# *unlike* itself; with one it looks for its like.
#
# **Weights.** A softmax over $i$ turns the scores of a pixel into weights that sum to one:
#
# $$A_{pi} = \frac{e^{S_{pi}}}{Z_p},$$ (ocnet-weights)
#
# $$Z_p = \sum_{i} e^{S_{pi}}.$$ (ocnet-sums)
#
# Each row is divided by its own $Z_p$. So the weights are **not symmetric**: what is the same in both directions is $e^{S_{pi}}$,
#
# $$Z_p\, A_{pi} = Z_i\, A_{ip}.$$ (ocnet-balance)
#
# A pixel with many that resemble it has a large $Z_p$ and gives each of them little; a lone pixel gives them more than it
# gets back.
#
# **Context.** Values $v_i = W_v\, x_i + b_v$ are mixed and brought back to $C$ channels:
#
# $$c_p = W_c \sum_{i} A_{pi}\, v_i + b_c.$$ (ocnet-context)
#
# $W_c$ and $b_c$ start at zero, and with them the context.
#
# **Beside, not added.** In a non-local block the result is added to $x$. Here the two stand beside each other, and a 1 x 1
# convolution with ABN mixes them:
#
# $$y_p = \operatorname{ABN}\big(W_y\,[c_p;\, x_p]\big).$$ (ocnet-output)
#
# **Two equal objects.** No position enters {eq}`ocnet-scores`: a weight depends on what two pixels hold and on nothing else.
# Let an object occur $m$ times in a picture, with the same features each time. Then a pixel of one of them has the same scores
# in all of them, so that of its weight an $m$-th part at most falls on its own:
#
# $$\sum_{i\, \in\, \text{own}} A_{pi} \le \frac1m.$$ (ocnet-twins)
#
# That holds however the network is trained. For the paper's purpose it need not be a fault, since its context is the *class*:
# a second car may well help to see that this is a car. What is a fault is weight that falls on something of another class.
#
# **Pyramid-OC** keeps it near by force. It cuts the map into $s \times s$ cells, for $s$ 1, 2, 3 and 6, and inside a cell pixels
# attend to each other alone. A partition has $1 / s^2$ of the pairs; each has an attention of its own, and all four contexts
# stand beside a widened $x$.
#
# **ASP-OC** makes the attention one of five branches, beside a 1 x 1 convolution and three
# {term}`dilated convolutions <dilated convolution>`, whose windows have holes and reach far. In the code the attention's map is
# first pooled 2 x 2, so that it has a sixteenth of the pairs.
#
# ## The module from scratch
#
# Base-OC. `conv_abn` is a convolution and ABN, and comes from the package.


# %%
class BaseOC(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.f = conv_abn(C, C // 2)
        self.W_v = nn.Conv2d(C, C // 2, 1)
        self.W_c = nn.Conv2d(C // 2, C, 1)
        nn.init.zeros_(self.W_c.weight)
        nn.init.zeros_(self.W_c.bias)
        self.W_y = conv_abn(2 * C, C)

    def forward(self, x):
        # q_p = f(x_p)
        q = self.f(x).flatten(2)
        # S = q_p . q_i / sqrt(K), A = softmax(S) over i
        A = (q.mT @ q / math.sqrt(q.shape[1])).softmax(-1)
        # c_p = W_c sum_i A_pi v_i
        v = self.W_v(x).flatten(2)
        c = self.W_c((v @ A.mT).unflatten(2, x.shape[2:]))
        # y_p = ABN(W_y [c_p; x_p])
        return self.W_y(torch.cat([c, x], 1))


# %% [markdown]
# ## It is right
#
# All checks are in double precision; one that fails stops the notebook. First: both modules against the equations in plain
# loops, with norms as a trained network has them and nothing at zero.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def affine(layer, vector):
    return [dot(row, vector) + b for row, b in zip(*layer, strict=True)]


def abn(layer, vector):
    """Convolution, a norm by the running statistics, |gamma|, ReLU."""
    matrix, bias, gamma, beta, mean, variance = layer
    out = []
    for n, value in enumerate(affine((matrix, bias), vector)):
        value = (value - mean[n]) / math.sqrt(variance[n] + 1e-5)
        value = value * (abs(gamma[n]) + 1e-5) + beta[n]
        out.append(value if value > 0 else 0.01 * value)
    return out


def loops(pixels, f, w_v, w_c, w_y):
    """The pixels of one image as [P][C]; layers as nested lists."""
    q = [abn(f, x) for x in pixels]
    v = [affine(w_v, x) for x in pixels]
    out = []
    for q_p, x_p in zip(q, pixels, strict=True):
        e = [math.exp(dot(q_p, q_i) / math.sqrt(len(q_p))) for q_i in q]
        mean = [dot(e, column) / sum(e) for column in zip(*v, strict=True)]
        out.append(abn(w_y, affine(w_c, mean) + x_p))
    return out


def lists(block):
    """A convolution, or one with ABN, as nested lists."""
    if isinstance(block, nn.Conv2d):
        return block.weight.flatten(1).tolist(), block.bias.tolist()
    convolution, norm, scale, _ = block
    scales = scale.weight, scale.bias, norm.running_mean, norm.running_var
    return *lists(convolution), *(values.tolist() for values in scales)


def lively(module):
    """Nothing at zero, and running statistics that are not 0 and 1."""
    torch.manual_seed(0)
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return module.double().eval()


# %% tags=["nbval-check-output"]
scratch = lively(BaseOC(8))
library = attnlib.create("base_oc", 8).double().eval()
inside = library.context.query, library.context.value, library.context.out
for ours, theirs in zip(
    scratch.children(), (*inside, library.fuse), strict=True
):
    theirs.load_state_dict(ours.state_dict())
x = torch.randn(2, 8, 5, 3, dtype=torch.float64)
layers = [lists(block) for block in scratch.children()]
by_loops = [loops(image, *layers) for image in x.flatten(2).mT.tolist()]
by_loops = torch.tensor(by_loops, dtype=x.dtype).mT.reshape(x.shape)
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# Now the two halves of the symmetry. The scores equal their transpose. The weights do not, and are told apart by
# {eq}`ocnet-balance` alone; with two transforms not even the scores are symmetric.

# %% tags=["nbval-check-output"]
q = scratch.f(x).flatten(2)
S = q.mT @ q / math.sqrt(q.shape[1])
A = library.weights(x)[:, 0]
Z = S.exp().sum(-1, keepdim=True)
check("S is symmetric", S, S.mT, atol=1e-12)
check("Z_p A_pi = Z_i A_ip", Z * A, (Z * A).mT, atol=1e-9)
largest = S.diagonal(dim1=1, dim2=2).max()
check("largest score on the diagonal", S.max(), largest, atol=1e-12)
check("A is symmetric", bool((A - A.mT).abs().max() < 0.1), False)

two = lively(attnlib.create("base_oc", 8, shared=False)).weights(x).log()
balanced = two - two.mT
balanced = balanced - balanced[..., :1] + balanced[..., :1].mT
symmetric = bool(balanced.abs().max() < 1e-3)
check("symmetric with two transforms", symmetric, False)

# %% [markdown]
# And {eq}`ocnet-twins`: put a map beside its own copy, so that every object is there twice. Each pixel then gives exactly half
# of its weight to its own half of the picture, in an untrained head as in this one. Pyramid-OC's cells tell the halves apart.

# %% tags=["nbval-check-output"]
twice = torch.cat([x, x], 3)
left = (torch.arange(5 * 6) % 6 < 3).double()
own = library.weights(twice)[:, 0] @ left
check("on the left half", own, torch.full_like(own, 0.5), atol=1e-12)

cells = attnlib.create("pyramid_oc", 8, scales=(2,)).double().eval()
sizes = [tuple(w.shape[2:]) for w in cells.weights(twice)]
print("pixels that attend to each other, cell by cell:", sizes)

# %% [markdown]
# ## What it costs
#
# The three heads on the map of a crop of 769 x 769 pixels of Cityscapes: 97 x 97 pixels, 512 channels. A *MAC* is one
# multiply-add, and *pairs* are the weights of one image, one number each. The first line is the 3 x 3 convolution from 2048 to
# 512 channels that stands in front of every head.

# %% tags=["nbval-check-output"]
side, C = 97, 512
front = profile(conv_abn(2048, C, kernel_size=3), side, in_channels=2048)
rows = [("3 x 3 in front", front.parameters / 1e6, front.macs / 1e9, 0)]
names = {"base_oc": "Base-OC", "pyramid_oc": "Pyramid-OC"}
names["asp_oc"] = "ASP-OC"
for key, name in names.items():
    head = profile(attnlib.create(key, C), side, in_channels=C)
    with torch.device("meta"):  # shapes alone, no numbers
        narrow = attnlib.create(key, 8).eval()
        weights = narrow.weights(torch.empty(1, 8, side, side))
    matrices = weights if isinstance(weights, list) else [weights]
    pairs = sum(matrix.numel() for matrix in matrices)
    counts = head.parameters / 1e6, head.macs / 1e9, pairs / 1e6
    rows.append((name, *counts))
columns = ["layer", "parameters (M)", "MACs (G)", "pairs (M)"]
prices = pd.DataFrame(rows, columns=columns)
plots.table(prices, "Three heads on a map of 97 x 97", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@COST
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
priced = prices.set_index("layer")
macs, pairs = priced["MACs (G)"], priced["pairs (M)"]
P = side**2
products = 2 * P**2 * (C // 2) / 1e9
print(products / macs["Base-OC"], macs["Pyramid-OC"] / macs["Base-OC"], macs["ASP-OC"]/macs["Base-OC"], pairs)
print(pairs["Base-OC"] * 4e6 / 2**20)

# %% [markdown]
# ## Does it train, does it help?
#
# ### As published
#
# Seven heads on one backbone, from the paper's first version: mean {term}`intersection over union <mean intersection over union (mIoU)>` (mIoU), the share of pixels in the
# overlap of a class as it is and as it is said to be, averaged over the classes.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Printed mIoU of seven heads on two data sets.", "name": "ocnet-printed"}, "image": {"alt": "Two panels of points. Cityscapes: none 75.69, global pooling 77.60, pyramid pooling 77.84, ASPP 78.65, Pyramid-OC 78.78, Base-OC 78.80, ASP-OC 79.58. ADE20K: none 34.35, Base-OC 40.66, global pooling 41.17, pyramid pooling 41.34, Pyramid-OC 42.28, ASPP 42.53, ASP-OC 42.63."}, "code_prompt_show": "Draw the figure"}
KEYS = {name: key for key, name in names.items()} | {"none": "none"}
city = paper.table("table-6").set_index("method")["val"]
ade = paper.table("table-7").set_index("method")["miou"]
_, axes = plots.panels(2, height=2.6)
for axis, (title, values) in zip(
    axes, (("Cityscapes", city), ("ADE20K", ade)), strict=True
):
    for row, (name, value) in enumerate(values.items()):
        plain = {"color": plots.INK, "marker": "o", "mfc": "none"}
        key = KEYS.get(name)
        style = plots.look(key).points(ls="") if key else plain
        axis.plot(value, row, **style)
        axis.annotate(f"{value:.2f}", (value, row), (8, -4), textcoords="offset points", fontsize=9.5)
    axis.set_yticks(range(len(values)), [n.partition(" (")[0] for n in values.index])
    axis.set(title=title, ylim=(6.6, -0.6))
    axis.margins(x=0.15)
axes[1].set(xlabel="mIoU (%)")
print(city - city["none"], ade - ade["Base-OC"])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@PRINTED
# :::
#
# ### Two objects in a picture
#
# What would the *true* object context bring? That can only be known where the objects are known. `attnlib.data.scenes` draws
# pictures of two objects each, of four classes, in any colours. A small network names every position of a map of 16 x 16: three
# convolutions, each position of which sees 15 x 15 of the 64 x 64 pixels, less than an object has, then one of the heads, then a
# linear layer. So a position in the middle of an object needs the rest of it.


# %%
def pictures(count, seed, **pair):
    """Inputs of the network; classes and objects, by position."""
    drawn = scenes(count, seed, **pair)
    images, labels, objects = map(torch.from_numpy, drawn)
    four = [images.permute(0, 3, 1, 2), objects[:, None].byte()]
    return torch.cat(four, 1), at_the_map(labels), at_the_map(objects)


def draw():
    chosen = torch.randint(2000, (16,), generator=generator)
    return seen[0][chosen], seen[1][chosen]


torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
seen = pictures(2000, seed=0)
network = SceneSegmenter("base", len(CLASSES))  # with Base-OC
network = fit(network, draw, steps=600, learning_rate=1e-2)

# %% [markdown]
# The same was recorded for nine heads from three seeds each (`benchmarks/object_context.py`). *Mean* takes equal weights for all
# positions, which is what global pooling is. *Own object* and *own class* are oracles: they are told which positions belong
# together, and take the plain mean of those. Own class is the object context as the paper defines it.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "mIoU on 500 fresh pictures, a point for each of three seeds; the bar is the mean.", "name": "ocnet-heads"}, "image": {"alt": "@@ALT"}, "code_prompt_show": "Draw the figure"}
table = pd.DataFrame(measurements("object-context").rows)
table["miou"] *= 100
short = table[(table.steps == 600) & (table["pair"] == "any")]
by = short.set_index("head").miou
shown = {
    "none": "none",
    "mean": "mean",
    "base": "Base-OC",
    "base, two transforms": "two transforms",
    "pyramid": "Pyramid-OC",
    "asp": "ASP-OC",
    "asp without context": "no context",
    "own object": "own object",
    "own class": "own class",
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.6))
for row, head in enumerate(shown):
    key = KEYS.get(shown[head]) or {4: "asp_oc"}.get(row)
    key = {"base, two transforms": "base_oc", "asp without context": "asp_oc"}.get(head, key)
    style = {"color": plots.INK, "marker": "o"} if key is None else plots.look(key).points(ls="")
    if head in ("mean", "base, two transforms", "asp without context"):
        style = style | {"mfc": "none"}
    axis.plot(by[head], [row] * len(by[head]), **(style | {"ls": ""}))
    axis.plot([by[head].mean()] * 2, [row - 0.3, row + 0.3], color=plots.INK)
axis.set_yticks(range(len(shown)), shown.values())
axis.set(ylim=(8.6, -0.6), xlabel="mIoU (%)")
mean = by.groupby(level=0).mean()
print(mean)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@HEADS
# :::
#
# ## Look inside
#
# ### How much falls on the own object
#
# Two hundred fresh pictures of each of four kinds go through the live network: the two objects are of one class or of two, and
# have colours of their own or the same. For the positions on objects: which share of the weight falls on the own object, on the
# other object and on the ground? Equal weights for all positions would put there what these cover, the *area*.


# %%
def shares(A, objects):
    """Weight, and area, of own object, other object, ground (%)."""
    where = one_hot(objects.flatten(1), 3).float()  # ground, 1, 2
    falls, covers = A @ where, where.mean(1, keepdim=True)
    first, second = (objects.flatten(1) == number for number in (1, 2))
    found = []
    for of in (falls, covers.expand_as(falls)):
        at = torch.cat([of[first], of[second][:, [0, 2, 1]]])
        ground, own, other = (100 * at.mean(0)).tolist()
        found.append((own, other, ground))
    return found


KINDS = {
    "one class": {"same_class": True},
    "one class, one look": {"same_class": True, "same_colours": True},
    "two classes": {"same_class": False},
    "two classes, one look": {"same_class": False, "same_colours": True},
}
fresh = {kind: pictures(200, 7, **pair) for kind, pair in KINDS.items()}

# %%
head, maps, weights, fallen = network.head, {}, {}, {}
with torch.no_grad():
    for kind, (inputs, _, objects) in fresh.items():
        maps[kind] = network.map_of(inputs)
        weights[kind] = head.weights(maps[kind])[:, 0]
        fallen[kind], area = shares(weights[kind], objects)
columns = ["own object", "other object", "ground"]
measured = pd.DataFrame({**fallen, "area": area}, index=columns).T
plots.table(
    measured.reset_index(names="the two objects"),
    "Where the weights of an object's positions fall (%)",
    digits=1,
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Pictures of two objects, and the weights of the circled position. Above, one class and one look; below, two classes and one look.", "name": "ocnet-looks"}, "image": {"alt": "Four pictures, two with equal objects and two with objects of one colour and two classes. Beside each, the weights of a position on the first object: they lie on both objects."}, "code_prompt_show": "Draw the figure"}
chosen = [("one class, one look", 0), ("one class, one look", 1), ("two classes, one look", 0), ("two classes, one look", 1)]
shown_images, shown_weights, asked = [], [], []
for kind, n in chosen:
    inside = fresh[kind][2][n] == 1
    row, column = torch.nonzero(inside).float().mean(0).round().int().tolist()
    shown_images.append(fresh[kind][0][n, :3].permute(1, 2, 0).numpy())
    shown_weights.append(weights[kind][n, 16 * row + column].view(16, 16))
    asked.append((row, column))
stacked = [256 * torch.stack(shown_weights)]
figure = plots.show_maps(shown_images, stacked, ["weights"], (0, 15), "times the plain mean")
for n, (row, column) in enumerate(asked):
    figure.axes[2 * n].plot(4 * column + 2, 4 * row + 2, "o", mfc="none", mec="w")
    figure.axes[2 * n + 1].plot(column, row, "o", mfc="none", mec="w")
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@LOOKS
# :::
#
# ### What it costs to look at the wrong one
#
# The trained network can be asked again with other weights in the same head: *own object alone* sets to zero what falls anywhere
# else and lets the rest sum to one again; *other object alone* does so with what falls on the other object (a position on the
# ground keeps the ground); *equal* weights; and the weights of *another* picture.


# %%
def exchanged(kind, A):
    """mIoU of the live network with these weights (%)."""
    x, (_, labels, _) = maps[kind], fresh[kind]
    with torch.no_grad():
        v = head.context.value(x).flatten(2)
        c = head.context.out((v @ A.mT).unflatten(2, x.shape[2:]))
        scores = network.classifier(head.fuse(torch.cat([c, x], 1)))
    return 100 * mean_iou(scores.argmax(1), labels, len(CLASSES))


def alone(A, allowed):
    """What falls on allowed positions, summing to one again."""
    A = A * allowed
    return A / A.sum(-1, keepdim=True)


# %%
rows = []
for kind, (_, _, objects) in fresh.items():
    A, o = weights[kind], objects.flatten(1)
    own = o[:, :, None] == o[:, None, :]
    wrong = torch.where(o > 0, 3 - o, 0)[:, :, None] == o[:, None, :]
    ways = A, alone(A, own), alone(A, wrong)
    ways = *ways, torch.full_like(A, 1 / 256), A.roll(1, 0)
    rows.append((kind, *(exchanged(kind, each) for each in ways)))
columns = ["the two objects", "as it is", "own alone"]
columns += ["other alone", "equal", "another"]
answers = pd.DataFrame(rows, columns=columns)
plots.table(answers, "mIoU with exchanged weights (%)", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the findings against the data"}
print(measured, answers)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@EXCHANGE
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does the network say where *both* objects get equal weights, and the ground none? Say first for which kinds of pictures this
# is worse than its own weights. Then change `own` to `other` in the cell.
# :::

# %%
kind = "two classes"
o = fresh[kind][2].flatten(1)
own = (o[:, :, None] == o[:, None, :]).float()
other = ((o[:, :, None] > 0) == (o[:, None, :] > 0)).float()
print(f"{kind}: {exchanged(kind, alone(own, own)):.0f} % mIoU")

# %% [markdown]
# ### The doubt, recorded
#
# The recorded networks say the same from three seeds: Base-OC, by the kind of pair.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Base-OC, three recorded seeds: mIoU, and the weight that positions on objects give to the other object, by kind of pair.", "name": "ocnet-pairs"}, "image": {"alt": "@@ALT2"}, "code_prompt_show": "Draw the figure"}
base = table[(table.steps == 600) & (table["head"] == "base")]
base = base[base["pair"] != "any"]
_, axes = plots.panels(2, sharex=False, height=2.1)
for axis, (what, scale, label) in zip(
    axes, (("other_share", 100, "weight on the other object (%)"), ("miou", 1, "mIoU (%)")), strict=True
):
    for row, kind in enumerate(KINDS):
        values = scale * base[base["pair"] == kind][what]
        axis.plot(values, [row] * len(values), **plots.look("base_oc").points(ls=""))
        axis.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=plots.INK)
    axis.set_yticks(range(len(KINDS)), KINDS)
    axis.set(ylim=(3.6, -0.6), xlabel=label)
pairs = base.groupby("pair")[["other_share", "own_share", "miou"]].mean()
print(pairs)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# @@PAIRS
# :::
#
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the
# code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """base-twice affinity-pooled order-cityscapes position-test
    symmetric-scores zero-context no-positions cells-apart"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
those = "shared scale twice position asp spread".split()
rows = [(d.id, d.text) for d in paper.differences if d.id in those]
differing = pd.DataFrame(rows, columns=["where", "what differs"])
plots.table(differing, "Paper and released code")

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} Queries and keys come from one transform. What is symmetric?
# - [x] The scores, but not the weights.
#
#   A product does not know which factor comes first; but each row is divided by a sum of its own.
# - [ ] The scores and the weights.
#
#   The weights would be symmetric if all rows had the same sum $Z_p$.
# - [ ] Neither: a softmax has been applied.
#
#   The softmax acts on the scores. These are symmetric before it.
# ```
#
# ```{quiz} A picture shows two objects with the same features, of the same size. Which share of its weight can a position of one give to its own object?
# - [ ] All of it, after enough training.
#
#   No training can tell apart what has equal features: a weight depends on nothing else.
# - [x] At most one half.
#
#   Both objects get the same weight, and the ground gets the rest.
# - [ ] As much as the object's area.
#
#   That is what equal weights for the whole map would give.
# ```
#
# ```{quiz} Positions on an object give 78 % of their weight to their own object, which covers 7 % of the map. What has been shown?
# - [ ] That the context is the object.
#
#   Most of the rest may lie on an object of another class, and the network may be misled by it.
# - [x] That the weights prefer the object far beyond its area.
#
#   The area is what equal weights would give. What the remaining 22 % do is another question.
# - [ ] Nothing, because 78 % is a mean.
#
#   A mean over thousands of positions is something, if it is compared with what chance would give.
# ```
#
# ```{quiz} ASP-OC is the best of seven heads in print, and attention is one of its five branches. What would show that the attention is the reason?
# - [ ] That Base-OC, which is attention alone, is better than no head.
#
#   Then attention helps when it is alone. The other branches may bring the same without it.
# - [ ] That its attention falls on the object.
#
#   What a branch looks at does not say what the network would lose without it.
# - [x] The same head without that branch, trained in the same way.
#
#   The control differs in one thing only. ASPP is nearly this, with a global pooling in place of the attention.
# ```
#
# ```{quiz} What does Pyramid-OC's partition into 6 x 6 cells save?
# - [ ] Parameters: each cell has fewer.
#
#   The cells of a partition share one attention; each partition brings a further one.
# - [x] Pairs: nearly 36 times fewer than on the whole map.
#
#   A pixel attends to a 36th of the map. Where the side does not divide by 6, the last cells are larger.
# - [ ] The head as a whole: it is the cheapest of the three.
#
#   Its first partition is the whole map, and four attentions are computed: it is the dearest.
# ```
#
# ## Exercises
#
# ````{exercise} By how much must it be alike?
# :label: ocnet-exercise-share
#
# *Easy, 5 minutes.* On a map of 256 positions two objects with the same features cover 17 and 16 positions. A position on
# the first gives each position of both objects 40 times the weight of one on the ground. Which share of its weight falls on its
# own object, in per cent, to one decimal?
#
# :::{dropdown} Hint
# Take the weight of one position on the ground as 1, and add up.
# :::
# ````

# %%
exercises.answer("ocnet-exercise-share", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} ocnet-exercise-share
# :class: dropdown
# ````
#
# However large the factor, the share stays below 17 of 33.

# %%
ground = 256 - 17 - 16
share = 100 * 17 * 40 / (33 * 40 + ground)
print(f"{share:.1f} %")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [100 * 17 / 33, 100 * 17 / 256, 75.3]
exercises.try_judge("ocnet-exercise-share", right=share, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The pairs of a partition
# :label: ocnet-exercise-cells
#
# *Easy, 10 minutes.* Pyramid-OC cuts 97 x 97 pixels into 6 x 6 cells. Five rows and columns of cells have a side of 16; the last takes what
# is left. How many weights does this partition have in all?
#
# :::{dropdown} Hint
# A cell of $h \times w$ pixels has $(h\, w)^2$ weights. The sum over all cells is the square of another sum.
# :::
# ````

# %%
exercises.answer("ocnet-exercise-cells", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} ocnet-exercise-cells
# :class: dropdown
# ````
#
# $\sum_{h, w} h^2 w^2 = \big(\sum_h h^2\big)^2$. It is a little more than a 36th of $97^4$: unequal parts have more pairs.

# %%
total = (5 * 16**2 + 17**2) ** 2
print(f"{total:,} weights")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [36 * 16**4, 97**4, round(97**4 / 36)]
exercises.try_judge("ocnet-exercise-cells", right=total, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Where a wanderer stays
# :label: ocnet-exercise-wander
#
# *Medium, 20 minutes.* A wanderer on the map goes from position $p$ to position $i$ with probability $A_{pi}$, again and again. With one transform for queries and
# keys, {eq}`ocnet-balance` tells which share $\pi_p$ of its time it spends at each position in the long run. Write a function `stays(S)`
# that returns $\pi$, (N, P), for symmetric scores $S$, (N, P, P), without taking a single step.
#
# :::{dropdown} Hint
# If $\pi_p A_{pi} = \pi_i A_{ip}$ for all pairs, then $\sum_p \pi_p A_{pi} = \pi_i$. Compare with {eq}`ocnet-balance`.
# :::
# ````

# %%
exercises.answer("ocnet-exercise-wander", ...)  # your function

# %% [markdown]
# ````{solution-start} ocnet-exercise-wander
# :class: dropdown
# ````
#
# $\pi_p$ is $Z_p$ over the sum of all $Z$: the wanderer stays where many are alike. The sums of a row may be taken as
# logarithms, so that nothing overflows.


# %%
def stays(S):
    return S.logsumexp(-1).softmax(-1)


S = torch.randn(1, 6, 6, dtype=torch.float64)
S = S + S.mT
after = stays(S)[:, None] @ S.softmax(-1)
check("stays = after one more step", after[:, 0], stays(S), atol=1e-12)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [
    lambda S: S.softmax(-1).mean(1),  # after one step from anywhere
    lambda S: S.sum(-1).softmax(-1),
]
exercises.try_judge("ocnet-exercise-wander", right=stays, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Where am I?
# :label: ocnet-exercise-positions
#
# *Research, 60 minutes.* Two equal objects lie in two places. Give the transform $f$ two more input channels, the row and the column
# of each position, and train the chapter's network with it, from three seeds. Does the weight on the own object pass one half where
# the two look alike? Does the mIoU follow? To begin with: how many parameters does this add to the head, whose map has 32 channels and
# whose queries have 16?
#
# :::{dropdown} Hint
# Only the matrix of $f$ grows. A model of the experiment is a subclass of the head that puts the two channels behind $x$.
# :::
# ````

# %%
exercises.answer("ocnet-exercise-positions", ...)  # parameters

# %% [markdown]
# ````{solution-start} ocnet-exercise-positions
# :class: dropdown
# ````
#
# The rest is an experiment, and yours. The paper's first version tried a position feature on Cityscapes: +0.15 points on the
# validation set, -0.73 on the test set, single numbers.

# %%
more = 2 * 16
print(f"{more} parameters")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("ocnet-exercise-positions", more, [64, 2, 34])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# @@TAKE
# :::
#
# ## Further reading
#
# * [Non-local blocks](non_local.ipynb) add what they find to the map; here it stands beside the map, and the next layer mixes both.
# * [Stand-alone attention](sasa.ipynb) brings positions in, which tell two equal objects apart.
# * [The ledger](../../book/ledger.md) has every claim of the paper with its verdict, and what of its tables was not found.
