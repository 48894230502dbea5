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
# # Stand-alone self-attention (SASA)
#
# :::{admonition} Can attention replace convolution, and where must it not?
# :class: question
#
# **In print it can.** A ResNet-50 that is attention throughout has 29 % fewer parameters and 12 % fewer operations than the
# convolutional one (texts on it swap the two), and 77.6 % accuracy on ImageNet instead of 76.9 %. In this book's short runs on
# CIFAR-10, one attention layer in each block of the last stage is *worse* than convolution, by 3.68 points over 3 seeds.
#
# **Not early.** As printed, attention in the last two stages alone gains 1.2 points, in the first two alone 0.1. A stem of plain
# attention loses 1.2.
#
# **Not twice in a row.** Two attention layers in each block of the last stage hardly learn: before the first step the gradient of
# the first convolution is 269 times as large as with convolutions.
# :::
#
# :::{mechanism}
# :name: sasa-mechanism
# :symbols: S:statistic
#
# ![Where SASA stands in a bottleneck block](../../book/figures/sasa-block.svg)
# ![What one query does with its window](../../book/figures/sasa-window.svg)
#
# Where SASA stands in a bottleneck block, and what one query does with its window.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`sasa`; the whole text was read in a Japanese translation. The authors published no code. **You need:** [what
# attention is](dot_product.ipynb), convolution, batch norm, the chain rule. **Time:** half an hour.
#
# Afterwards you can write attention in windows with relative positions; say when a window costs less than a convolution; explain
# by its gradients why one layer in a block trains and two hardly do; and test whether a trained layer is a convolution in
# disguise. Symbols: [notation](../../book/notation.md); the side of the window, the paper's $k$, is $s$, since $k$ is a key.
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

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
import copy
import itertools
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.results import measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("sasa")

# %% [markdown]
# ## The idea
#
# A {term}`convolution` looks at a small window, and the weight of a neighbour depends on where it lies: one matrix for "one up,
# one left", another for "one down". What the neighbour shows does not matter. {term}`Self-attention` weighs by what is there, and
# where it lies does not matter. Attention modules had been added to convolutions until then. This paper asks for more: take the
# convolutions out, and let attention be the only layer that looks around.
#
# Two things are needed. All pixels against all pixels would cost too much at the size of early maps, so a query looks at a window
# around it alone: {term}`local attention`. And in an image it does matter whether an edge lies above or below, so each key is
# compared together with its offset from the query: {term}`relative position encoding`. What comes out is an average of the window
# whose weights know what *and* where.
#
# ## Derivation
#
# Let $x$ be a map with $C$ channels. A convolution with a window of side $s$ gives the pixel $(i, j)$ a sum over its window, with
# one matrix for each offset:
#
# $$y_{ij} = \sum_{a, b} W_{a - i,\, b - j}\; x_{ab}.$$ (sasa-convolution)
#
# **Projections.** Attention has three matrices and no offset yet. Each pixel asks, is found, and gives: a query $q_{ij} = W_Q\,
# x_{ij}$, a key $k_{ab} = W_K\, x_{ab}$, a value $v_{ab} = W_V\, x_{ab}$.
#
# **Content alone.** The logits are $q_{ij} \cdot k_{ab}$ for the pixels $(a, b)$ of the window around $(i, j)$. Let them change
# places: the logits change places with them, and a sum does not care about its order. Such a layer cannot tell an edge above from
# one below.
#
# **Positions.** So a learned vector $r$ for the offset joins the key:
#
# $$S_{ab} = q_{ij} \cdot k_{ab} + q_{ij} \cdot r_{a - i,\, b - j}.$$ (sasa-logits)
#
# Because $r$ knows the *offset* and not the place, the layer does the same everywhere, as a convolution does: it is translation
# equivariant. One vector for each of the $s^2$ offsets would be many; the paper takes one for each row, one for each column, each
# half as wide, and puts them together:
#
# $$r_{a - i,\, b - j} = [\,\rho_{a - i};\ \kappa_{b - j}\,].$$ (sasa-relative)
#
# **Weights and output.** A softmax over the window, and the weighted sum:
#
# $$A_{ab} = \frac{e^{S_{ab}}}{\sum_{a', b'} e^{S_{a'b'}}},$$ (sasa-weights)
#
# $$y_{ij} = \sum_{a, b} A_{ab}\, v_{ab}.$$ (sasa-output)
#
# **Heads.** The $C$ channels of $q$, $k$, $v$ and $y$ are cut into $M = 8$ heads of width $d = C / M$. Each has its own softmax
# and its own $\rho$ and $\kappa$. The logits are *not* divided by $\sqrt d$, and no projection follows the heads.
#
# **Border and stride.** Where the window reaches beyond the map, the paper does not say what is there. Two public ports (codes
# that others wrote from the paper) pad with zeros: such a key has $k = v = 0$, but its $r$ remains. It gives nothing and takes its share of the softmax. With stride 2,
# attention runs at all pixels, and means of $2 \times 2$ pixels follow.
#
# **Parameters.** Three matrices, and $s$ vectors for rows and for columns in every head, in all
#
# $$3\,C^2 + s\,C \;\text{ for }\; s^2 C^2.$$ (sasa-parameters)
#
# For a $3 \times 3$ convolution that is a third, and a larger window costs next to nothing. This is for projections from all
# channels to all, the *dense* ones. The text describes heads otherwise: each projects its own $d$ of the channels. These are
# *grouped* projections, with $3\,C^2 / M$ weights. The printed sizes need the dense ones: [SASA, deeper](sasa_deeper.ipynb).
#
# **Multiply-adds.** For each pixel three products with matrices, and three window sums: $q \cdot k$, $q \cdot r$ and $A\,v$:
#
# $$3\,C^2 + 3\,s^2 C \;\text{ for }\; 9\,C^2.$$ (sasa-macs)
#
# Attention is cheaper than a $3 \times 3$ convolution where $s^2 < 2\,C$: in wide layers, and not in narrow ones.
#
# ## The module from scratch
#
# Two small helpers first: the pixels of all windows, and the vectors of all offsets.


# %%
def windows(t, s, M):
    """(N, C, H, W) -> (N, M, d, s * s, H * W), zeros beyond the border."""
    around = F.unfold(t, s, padding=s // 2)
    return around.unflatten(1, (M, -1, s * s))


def relative(rho, kappa):
    """Vectors (M, d / 2, s) of rows and columns -> (M, d, s * s, 1)."""
    s = rho.shape[-1]
    # r = [rho_(a - i); kappa_(b - j)]
    rows = rho[..., None].expand(-1, -1, -1, s)
    columns = kappa[:, :, None].expand(-1, -1, s, -1)
    return torch.cat([rows, columns], 1).flatten(2)[..., None]


# %%
class StandAloneAttention(nn.Module):
    def __init__(self, C, s=7, M=8):
        super().__init__()
        W = [nn.Conv2d(C, C, 1, bias=False) for _ in range(3)]
        self.query, self.key, self.value = W  # W_Q, W_K, W_V
        self.rho = nn.Parameter(torch.randn(M, C // M // 2, s))
        self.kappa = nn.Parameter(torch.randn(M, C // M // 2, s))

    def forward(self, x):
        M, _, s = self.rho.shape
        q = windows(self.query(x), 1, M)
        k = windows(self.key(x), s, M)
        v = windows(self.value(x), s, M)
        # S = q . (k + r)
        S = (q * (k + relative(self.rho, self.kappa))).sum(2)
        # A = softmax(S) over the window
        A = S.softmax(2)
        # y = sum over the window of A v
        return (A[:, :, None] * v).sum(3).reshape(x.shape)


# %% [markdown]
# ## It is right
#
# All checks are in double precision; one that fails stops the notebook. The first two hold both modules against the equations in
# plain loops, which know nothing of tensors. attnlib has two fast forms (the [deeper page](sasa_deeper.ipynb) derives them): a
# map of 3 by 5 pixels runs in one of them, 9 by 7 in the other.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def loops(image, w_q, w_k, w_v, rho, kappa):
    """One image [C][H][W]; matrices [C][C]; rho, kappa [M][d / 2][s]."""

    def project(matrix, a, b):
        pixel = [plane[a][b] for plane in image]
        return [dot(row, pixel) for row in matrix]

    H, W, C, M = len(image[0]), len(image[0][0]), len(image), len(rho)
    d, s = C // M, len(rho[0][0])
    y = [[[0.0] * W for _ in range(H)] for _ in range(C)]
    for i, j, m in itertools.product(range(H), range(W), range(M)):
        own = slice(m * d, m * d + d)
        q, terms = project(w_q[own], i, j), []
        for row, column in itertools.product(range(s), repeat=2):
            r = [line[row] for line in rho[m]]
            r += [line[column] for line in kappa[m]]
            logit, v = dot(q, r), [0.0] * d
            a, b = i + row - s // 2, j + column - s // 2
            if 0 <= a < H and 0 <= b < W:
                logit += dot(q, project(w_k[own], a, b))
                v = project(w_v[own], a, b)
            terms.append((math.exp(logit), v))
        total = sum(share for share, _ in terms)
        for c in range(d):
            mixed = sum(share * v[c] for share, v in terms)
            y[m * d + c][i][j] = mixed / total
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
scratch = StandAloneAttention(8, s=3, M=2).double()
library = attnlib.create("sasa", 8, kernel_size=3, heads=2).double()
names = ("query", "key", "value", "row", "column")
for name, ours in zip(names, scratch.children(), strict=False):
    getattr(library, name).weight.data = ours.weight.data.clone()
library.row.data = scratch.rho.data.clone()
library.column.data = scratch.kappa.data.clone()

matrices = [W.weight[:, :, 0, 0].tolist() for W in scratch.children()]
vectors = [scratch.rho.tolist(), scratch.kappa.tolist()]
for size in ((3, 5), (9, 7)):
    x = torch.randn(1, 8, *size, dtype=torch.float64)
    by_loops = [loops(x[0].tolist(), *matrices, *vectors)]
    check(
        f"from scratch = loops, {size}", scratch(x), by_loops, atol=1e-12
    )
    check(f"attnlib = loops, {size}", library(x), by_loops, atol=1e-12)

# %% [markdown]
# ## What it costs
#
# Attention in the place of every $3 \times 3$ convolution and of the stem, counted by the package on the networks of the paper's
# Table 1. The paper counts two operations for a multiply-add.

# %% tags=["nbval-check-output"]
counted = paper.costs("Table 1").set_index("row")
rows = []
for depth in (26, 38, 50):
    plain = counted.loc[f"ResNet-{depth} Baseline"].set_index("column")
    full = counted.loc[f"ResNet-{depth} Full Attention"]
    share = full.set_index("column")["measured"] / plain["measured"]
    saved = 100 * (1 - share[["params_M", "flops_B"]])
    rows.append((f"ResNet-{depth}", *saved))
saved = pd.DataFrame(rows)
saved.columns = ["network", "parameters", "operations"]
plots.table(saved, "Saved by attention throughout (%)", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In ResNet-50 attention throughout saves 29.4 % of the parameters and 12.2 % of the operations. These are the two numbers of the
# abstract; a text on the field has them the other way round. The caption of Table 1 claims them for all depths, but in
# ResNet-26 it is 24.5 % of the parameters and no operations at all: 0.3 % more.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
small, _, large = saved.itertuples()
finding("29.4 % of the parameters", large.parameters)
finding("12.2 % of the operations", large.operations)
finding("24.5 % of the parameters", small.parameters)
finding("0.3 % more", -small.operations)

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# From which window on does attention cost more than a $3 \times 3$ convolution, at 128 channels? Say a side first; then run,
# and try `C = 16`, the first stage of ResNet-20.
# :::

# %%
C = 128
for s in (3, 7, 11, 15, 19):
    ratio = (3 * C**2 + 3 * s**2 * C) / (9 * C**2)
    print(f"window {s:2}: {ratio:.2f} times the convolution")

# %% [markdown]
# ## Does it train, does it help?
#
# ### As published: where it must not be
#
# The paper replaces the four stages of ResNet-50 one after the other, from the last and from the first (its Table 3); the stem is
# in its Tables 1 and 7. The accuracy is that on training images that were held out.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Printed accuracy by the number of stages with attention. With attention in the last stages the line rises from 79.5 to 80.7 at two and three stages and falls to 80.2 at four. With attention in the first stages it stays below 80 until all four."}, "figure": {"caption": "Printed accuracy of ResNet-50 by the number of stages that are attention, counted from the last and from the first.", "name": "sasa-stages"}} tags=["hide-input"]
printed = paper.table("table-3").set_index("attention")["top1_heldout"]
places = {
    "last stages": ["none", "4", "3, 4", "2, 3, 4", "1, 2, 3, 4"],
    "first stages": ["none", "1", "1, 2", "1, 2, 3", "1, 2, 3, 4"],
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
faces = plots.colour("sasa"), "none"
for (name, stages), face in zip(places.items(), faces):
    style = plots.look("sasa").points(mfc=face, label=f"in the {name}")
    axis.plot(range(5), printed[stages], **style)
axis.set(xlabel="stages with attention", ylabel="accuracy (%)")
axis.set_xticks(range(5))
axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
finding("80.7 %", printed["3, 4"])
finding("1.2 points above convolution", printed["3, 4"] - printed["none"])
finding("more than attention everywhere, 80.2 %", printed["1, 2, 3, 4"])
finding("0.1 above convolution", printed["1, 2"] - printed["none"])
alone, _, aware = paper.table("table-7")["top1"]
_, conv_stem, _ = paper.table("table-1")["top1"][-3:]
finding("from 77.4 to 76.2 %", conv_stem, alone)
finding("to 77.6 %", aware)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Where stands more than how much. With attention in the last two stages the network has 80.7 %, 1.2 points above convolution, and
# more than attention everywhere, 80.2 %. The same number of stages at the front gives 0.1 above convolution. In the stem, plain
# attention takes the network from 77.4 to 76.2 %; values that know their place in a block bring it to 77.6 %. Each number is a
# single run of the authors.
# :::
#
# Why not early? A likely reason: pixels of an early map are little more than colours, so that queries and keys have next to
# nothing to compare. What helps there is an edge filter, with weights for *places*, and attention sends all neighbours through
# the same $W_V$. The attention stem that works has value matrices for each place: see the [deeper page](sasa_deeper.ipynb).
#
# ### Live, on generated shapes
#
# The cell below trains a ResNet-8 for three epochs; in the one block of its last stage, on maps of 8 by 8 pixels, attention
# stands for the second convolution. With `ATTNLIB_LANE=full` it trains ResNet-20 on CIFAR-10 for thirty, and writes the record.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}, "figure": {"caption": "The live network by epoch.", "name": "sasa-live"}}
place = "layer3.*.conv2"
trained = train(chapter_recipe("sasa", seed=0, placement=place))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 65 %", trained.record.final.accuracy > 0.65)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 65 % of the held-out images, and chance is a tenth: the code trains. Whether
# attention helps, one short run cannot say.
# :::
#
# ### On CIFAR-10, recorded: one a block, two a block
#
# 5,000 images of CIFAR-10, ResNet-20, four epochs, attention in the last of three stages. The paper has bottleneck blocks with a
# single layer that looks around. A basic block has two, and "every $3 \times 3$ convolution" is both.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point. Convolution near 50 per cent, attention once a block near 46, attention twice a block between 16 and 27."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10, eight seeds of convolution and three of attention: a point for each seed, a bar at the mean.", "name": "sasa-cifar"}} tags=["hide-input"]
once, twice = (f"sasa(placement=layer3.*.conv{n})" for n in "2?")
of = [records("cifar10-slice", label) for label in ("none", once, twice)]
runs = sum(of, [])
axis = plots.accuracies(runs)
axis.set_yticks(range(3), ["convolution", "SASA once", "SASA twice"])
row = {r.label: r for r in attnlib.report(runs, baseline="none").rows}
finding("over 3 seeds", len(row[once].paired_seeds))
finding("worse than convolution on each", max(row[once].differences) < 0)
finding("by 3.68 points", -row[once].difference)
finding("1.43 to 5.93", *sorted(-end for end in row[once].student))
fewer = 100 * (1 - row[once].parameters / row["none"].parameters)
finding("26.6 % fewer parameters", fewer)
finding("16.7, 19.1 and 26.2 %", *sorted(row[twice].accuracies))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Once a block, attention is worse than convolution on each of the seeds: over 3 seeds by 3.68 points in the mean (95 % interval
# 1.43 to 5.93), with 26.6 % fewer parameters. Twice a block it hardly learns: 16.7, 19.1 and 26.2 %, where chance is 10. Four
# epochs on 5,000 images say nothing about 130 epochs on ImageNet; but here convolution is not replaced without a loss.
# :::
#
# ### Why two in a row do not train
#
# ResNet-20 before its first step, with none, three (one a block) and six (two a block) attention layers: how large is the
# gradient of the loss at each layer of the last stage, and at the network's first convolution?

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Size of the gradient at the six layers of the last stage, from the last layer backwards, on a logarithmic axis. With convolutions it stays near 0.01, with one attention layer a block it grows tenfold, with two it grows several hundredfold; with two and the gradient through the values alone it stays near that of convolutions."}, "figure": {"caption": "The gradient on its way back through the last stage, before the first step.", "name": "sasa-gradients"}} tags=["hide-input"]
table = pd.DataFrame(measurements("sasa-gradients").rows)
table = table.set_index(["replaced", "form", "layer"])["gradient"]
table = table.sort_index()
asis, values = "as it is", "gradient through values alone"
layers = [f"layer3.{b}.conv{n}" for b in (2, 1, 0) for n in (2, 1)]
plain, sasa = plots.look("none"), plots.look("sasa")
drawn = {
    "convolutions": (0, asis, plain.points()),
    "SASA, one a block": (1, asis, sasa.points()),
    "SASA, two a block": (2, asis, sasa.points(mfc="none", ls="--")),
    "two, values alone": (2, values, {"color": plots.MAP, "ls": ":"}),
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.4))
for name, (replaced, form, style) in drawn.items():
    axis.semilogy(table[replaced, form][layers], label=name, **style)
axis.set_xticks(range(6), [path[len("layer3.") :] for path in layers])
axis.tick_params(axis="x", labelrotation=30)
axis.set(xlabel="layer, from the last backwards", ylabel="gradient")
axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
first = table.xs("conv1", level="layer")
conv = first[0, asis]
finding("269 times", first[2, asis] / conv)
finding("14 times", first[1, asis] / conv)
per_layer = (table[2, asis][layers[-1]] / table[2, asis][layers[0]]) ** 0.2
finding("3.1 in each layer", per_layer)
finding("alone, two a block give 2.2 times", first[2, values] / conv)
shares = first[2, "gradient through shares alone"]
finding("through the weights alone 163 times", shares / conv)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With two attention layers a block the gradient grows on its way back by a factor of 3.1 in each layer (the geometric mean), and
# at the network's first convolution it is 269 times that of the plain network; with one a block it is 14 times. Through the
# values alone, two a block give 2.2 times; through the weights alone 163 times. It is one network of each kind, seed 0.
# :::
#
# It is not the batch norm behind each layer: the norms still stand where the gradient goes through the values alone, and the
# growth is gone. It comes through queries and keys: there the gradient is multiplied by the *sizes* of keys, queries and values,
# and nothing in the layer divides by those. The [deeper page](sasa_deeper.ipynb) derives it and changes one thing at a time;
# dividing the logits by $\sqrt d$ does not cure it. Why does one a block train? Between two attention layers stands a
# convolution, through which the gradient hardly grows, and the shortcut passes it on unchanged: three layers that multiply
# instead of six.
#
# ## Look inside
#
# ### A convolution in disguise?
#
# If the weights of a trained layer depended on the offset alone, they would be the same for every query and image, and the layer
# would be a convolution. So look at the weights of the live network, on three hundred fresh images; draw what each head takes
# from each offset *on average*; and put exactly that convolution in the layer's place.

# %%
images, classes, _ = generate(300, seed=7)
labels = torch.tensor(classes)
if lane() == "full":  # a network that knows shapes
    smoke = Recipe.named("smoke", attention="sasa", placement=place)
    trained = train(smoke)
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
with (
    torch.no_grad(),
    plots.captured(model, lambda sasa, x: (sasa.weights(x),)) as seen,
):
    model(inputs)
((A,),) = seen.values()  # (images, heads, queries, 7 * 7)
average = A.mean((0, 2)).view(8, 7, 7)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Eight tiles of 7 by 7 offsets, one for each head, showing the mean weight. Some heads look to one side, some are nearly even. Below, the same head for one query of one image: a few offsets take nearly everything."}, "figure": {"caption": "Upper rows: the mean weight of every offset in the eight heads of the live layer. Lower rows: the weights of one query in the middle of one image. Each tile has a scale of its own.", "name": "sasa-heads"}} tags=["hide-input"]
figure, axes = plt.subplots(4, 4, figsize=(plots.COLUMN, 5.4))
tiles = [*average, *A[0, :, 36].view(8, 7, 7)]
for number, (axis, tile) in enumerate(zip(axes.flat, tiles)):
    axis.imshow(tile, vmin=0, vmax=tile.max())
    axis.set_title(f"head {number % 8 + 1}", fontsize=9.5)
    axis.set_axis_off()
finding("more than 35 % of its weight", A.amax(-1).mean() > 0.35)
finding("no offset has more than 30 %", average.max() < 0.3)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A query gives its heaviest offset more than 35 % of its weight, in the mean over queries, heads and images. But it is another
# offset each time: averaged, no offset has more than 30 % in any head.
# :::


# %%
def accuracy(change=lambda sasa: None, instead=None):
    """Images named right, in per cent, with the layer changed."""
    altered = copy.deepcopy(model)
    (sasa,) = attention_modules(altered).values()
    with torch.no_grad():
        change(sasa)
        if instead is not None:
            sasa.register_forward_hook(instead)
        right = altered(inputs).argmax(1) == labels
    return 100 * right.double().mean().item()


def convolution(sasa, args, output):
    """Every value's head has one kernel, the same everywhere."""
    v = sasa.value(args[0])
    kernel = average.repeat_interleave(v.shape[1] // 8, 0)[:, None]
    return F.conv2d(v, kernel, padding=3, groups=v.shape[1])


# %%
whole = accuracy()
lost = [
    ("a convolution with the mean weights", accuracy(instead=convolution)),
    ("no q . k", accuracy(lambda sasa: sasa.key.weight.zero_())),
    ("no q . r", accuracy(lambda s: (s.row.zero_(), s.column.zero_()))),
]
lost = pd.DataFrame(lost, columns=["instead of the layer", "lost"])
lost["lost"] = whole - lost["lost"]
plots.table(lost, "Points of accuracy lost", digits=0)

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
fixed, content, positions = lost["lost"]
finding("more than 35 points", fixed > 35)
finding("just as much, more than 35", content > 35)
finding("less than 20", positions < 20)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It is no convolution in disguise: the convolution with the layer's own mean weights costs more than 35 points of accuracy. To
# leave $q \cdot k$ out costs just as much, more than 35 points; to leave $q \cdot r$ out less than 20. This layer looks at *what*
# is there; where it lies it hardly asks.
# :::
#
# :::{admonition} Try it
# :class: try-it
# On a map of 8 by 8 pixels many keys lie beyond the border. With `border = "mask"` the softmax leaves them out, in a network that
# learned with them. Say first whether it loses 1, 10 or 50 points.
# :::

# %%
masked = accuracy(lambda sasa: setattr(sasa, "border", "mask"))
print(f"lost: {whole - masked:.0f} points")

# %% [markdown]
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the code
# that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """shares-swapped parameters-grouped flops-every-depth
    stem-convolution gain same-cost-19 parameters-window
    early-convolution"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper's text, its numbers and the ports differ
#
# The authors published no code. These differences change the layer or its size; the [deeper page](sasa_deeper.ipynb) has all.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
chosen = "no-code projections border embeddings port-softmax port-stride"
differences = [d for d in paper.differences if d.id in chosen.split()]
plots.differences(SimpleNamespace(differences=differences))

# %% [markdown]
# ## Quiz
#
# ```{quiz} Without positions, the neighbours in a window change places. What happens to the output of their query?
# - [ ] It changes, since every neighbour has a weight of its own.
#
#   The weight goes with the neighbour: it depends on what it shows, not on where it lies.
# - [x] Nothing.
#
#   Logits, weights and values change places together, and a sum does not care about its order.
# - [ ] The same neighbours change places in the output.
#
#   That is what happens to the outputs of *all* queries under global attention; here one query is asked for.
# ```
#
# ```{quiz} The window grows from 3 x 3 to 11 x 11. What happens to the parameters of a layer with C channels?
# - [ ] They grow with the area of the window, as those of a convolution do.
#
#   A convolution has a matrix for each offset; attention has three matrices for all.
# - [x] They grow by 8 C.
#
#   Each head gets eight more vectors of rows and eight of columns, each half as wide as the head.
# - [ ] Nothing at all.
#
#   The three matrices stay as they are; but there is a vector for each row and column of the window.
# ```
#
# ```{quiz} A key beyond the border is padded with zeros. How much weight does it get?
# - [ ] None: its logit is zero.
#
#   A logit of zero is not a weight of zero; and its logit is not even zero.
# - [ ] That of a logit of zero.
#
#   q . k is zero there, but the offset has its vector, and q . r remains.
# - [x] That of the logit q . r; and it gives nothing.
#
#   So the weights on the map sum to less than one near the border.
# ```
#
# ```{quiz} Two attention layers a block do not train here. What does the measurement say about the reason?
# - [ ] The batch norms behind the averages blow the gradient up.
#
#   With equal weights the averages are strongest, and the gradient is 3 times the plain one, not 269 times.
# - [ ] The logits are not divided by the root of the head's width.
#
#   With the division it is still 163 times the plain gradient.
# - [x] The gradient multiplies on its way through queries and keys, layer after layer.
#
#   It grows with the sizes of keys, queries and values, and each of six layers in a row multiplies it.
# ```
#
# ```{quiz} The convolution with the layer's mean weights costs most of the accuracy. What follows?
# - [ ] A convolution cannot solve this task.
#
#   It was not trained. A network with convolutions in all places was not part of the comparison.
# - [x] The trained layer depends on its weights being different from query to query.
#
#   Their mean by offset is all that a convolution could keep of them, and it is not enough.
# - [ ] Attention is better than convolution.
#
#   Nothing is compared here but a trained layer with a part of itself.
# ```
#
# ## Exercises
#
# ````{exercise} What one layer saves
# :label: sasa-exercise-saved
#
# *Easy, 5 minutes.* The last stage of ResNet-50 has layers of 512 channels. How many per cent of the parameters of a $3 \times 3$
# convolution does attention with a window of 7 save there, to one decimal?
#
# :::{dropdown} Hint
# {eq}`sasa-parameters` beside $9\,C^2$.
# :::
# ````

# %%
exercises.answer("sasa-exercise-saved", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sasa-exercise-saved
# :class: dropdown
# ````
#
# Nearly two thirds. ResNet-50 as a whole saves 29 %, since most of its parameters are in $1 \times 1$ convolutions.

# %%
C, s = 512, 7
answer = 100 * (1 - (3 * C**2 + s * C) / (9 * C**2))
print(f"{answer:.1f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sasa-exercise-saved", right=answer, wrong=[33.5, 66.7, 29.4]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The window for the money
# :label: sasa-exercise-window
#
# *Medium, 10 minutes.* Which is the largest window (an odd side) whose attention takes no more multiply-adds than a $3 \times 3$
# convolution, at 256 channels, with dense projections?
#
# :::{dropdown} Hint
# Set the two sides of {eq}`sasa-macs` equal.
# :::
# ````

# %%
exercises.answer("sasa-exercise-window", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sasa-exercise-window
# :class: dropdown
# ````
#
# $s^2 \le 2 C = 512$, so that $s \le 22.6$.

# %%
answer = max(s for s in range(1, 99, 2) if s**2 <= 2 * 256)
print(answer)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sasa-exercise-window", right=answer, wrong=[22, 15])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Positions for less
# :label: sasa-exercise-split
#
# *Medium, 15 minutes.* $q \cdot r$ takes $s^2$ products of width $d$ for each query. But $r$ is put together from two halves.
# Write a function `split(q, rho, kappa)` that returns all $q \cdot r$, (P, s, s), from only $2 s$ products of width $d / 2$; q is
# (P, d), rho and kappa are (d / 2, s).
#
# :::{dropdown} Hint
# The first half of $q$ meets $\rho$ alone. Then add what belongs to a row to what belongs to a column.
# :::
# ````

# %%
exercises.answer("sasa-exercise-split", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} sasa-exercise-split
# :class: dropdown
# ````
#
# This is what the fast kernel does first, {eq}`sasa-split` on the [deeper page](sasa_deeper.ipynb).


# %%
def split(q, rho, kappa):
    first, second = q.chunk(2, 1)
    rows, columns = first @ rho, second @ kappa
    return rows[:, :, None] + columns[:, None]


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda q, rho, kappa: split(q, rho, kappa).mT,  # rows for columns
    lambda q, rho, kappa: split(q, kappa, rho),
]
exercises.try_judge("sasa-exercise-split", right=split, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Stage by stage
# :label: sasa-exercise-stages
#
# *Research, 60 minutes.* Does the paper's order of stages hold on shapes? Train the recipe `smoke` with attention in one place at
# a time, `conv1`, `layer1.*.conv2`, `layer2.*.conv2` and `layer3.*.conv2`, with a window of 3, so that only the kind of layer
# changes and not its reach; five seeds each, and the plain network. To begin with: how many parameters does ResNet-8 lose by
# attention in `layer1.0.conv2` (16 channels, window 3)?
#
# :::{dropdown} Hint
# `train(Recipe.named("smoke", attention="sasa", attention_args={"kernel_size": 3}, placement=..., seed=seed))`; pair the runs by
# their seeds with `attnlib.report`.
# :::
# ````

# %%
exercises.answer("sasa-exercise-stages", ...)  # parameters lost

# %% [markdown]
# ````{solution-start} sasa-exercise-stages
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: say seeds, paired differences and their intervals, whatever comes out.

# %%
layer = attnlib.create("sasa", 16, kernel_size=3)
answer = 9 * 16**2 - sum(weights.numel() for weights in layer.parameters())
print(f"{answer:,} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sasa-exercise-stages", right=answer, wrong=[1536, 1424]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SASA is a weighted sum over a window whose weights know what is there, $q \cdot k$, and where it lies, $q \cdot r$.
# 2. Its size hardly depends on the window. In ResNet-50 it saves 29 % of the parameters and 12 % of the operations, with dense projections.
# 3. Late stages are the place for it, by the paper's own tables: in the last two it gains 1.2 points, in the first two 0.1, and plain attention in the stem loses 1.2.
# 4. Two in a row multiply the gradient through queries and keys: six layers in a row make it 269 times as large, and hardly learn.
# 5. A trained layer is no convolution in disguise: fix its weights to their mean, and most of the accuracy is gone.
# :::
#
# ## Further reading
#
# * [SASA, deeper](sasa_deeper.ipynb): the fast kernel and its cost curve, the attention stem, each path of the gradient, windows, positions.
# * [Non-local blocks](non_local.ipynb) add a far look to convolutions; this chapter took the near look away from them.
