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
# # Convolutional block attention (CBAM)
#
# :::{admonition} What does the spatial half add?
# :class: question
#
# **In print, 0.14 points,** which is 70 of ImageNet's 50,000 validation images, from one run each. The maximum, pooled
# beside the mean in the channel half, is printed with 0.34 points.
#
# **On this book's shapes, after three epochs, it costs 8.66 points** against the channel half alone, in the mean of
# four seeds. But with it a branch starts at a quarter of its size, not at one half, and this alone can account for the
# loss: a constant quarter is 13.46 points worse than a constant half.
#
# **It does not look at the object there.** Of what the spatial gate of the first block lets through above its mean,
# 4.5 % lies on the object, in the mean of four seeds, where chance would give 14.3 %; yet the maxima that it is made
# from show the object.
# :::
#
# :::{mechanism}
# :name: cbam-mechanism
#
# ![Where CBAM sits in a residual block](../../book/figures/cbam-block.svg)
# ![A gate for each of three channels, then a gate for each pixel](../../book/figures/cbam-steps.svg)
#
# Where CBAM sits in a residual block, and what it does to three channels of one image.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`cbam`; read in its arXiv version 2 (1807.06521), with the released code.
# **You need:** [SE](se.ipynb), convolution, batch norm. **Time:** half an hour.
#
# Afterwards you can write both halves in twenty lines, say what each cannot see and why their order matters, and judge a
# difference of 0.14 points. Symbols are those of the [notation page](../../book/notation.md).
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
import itertools
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.looking import share_inside
from attnlib.data.shapes import generate
from attnlib.results import costs, measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("cbam")

# %% [markdown]
# ## The idea
#
# [SE](se.ipynb) asks *which channels* matter ({term}`channel attention`), and gives all pixels of a channel one gate.
# But an object fills a part of the image, so one may ask *which pixels* ({term}`spatial attention`). CBAM asks both.
# Its **channel half** is SE with a second pooling: beside the mean of each channel, its maximum. Its **spatial half**
# turns the same idea by a right angle: it pools over the channels, keeps a mean and a maximum for each pixel, and lets
# one convolution make each pixel's gate.
#
# The spatial half is cheap: 100 parameters in a layer of any width. That makes it a good question. What can 100 numbers
# add that SE does not have? This chapter takes the two halves apart: what each cannot see, and what it costs.
#
# ## Derivation
#
# Let $x$ be the map behind the last batch norm of a residual branch, as in SE.
#
# **Pool, twice.** For each channel the mean and the maximum over the pixels:
#
# $$z_c = \frac{1}{HW} \sum_{i,j} x_c(i, j),$$ (cbam-mean)
#
# $$m_c = \max_{i,j}\, x_c(i, j).$$ (cbam-maximum)
#
# **The same layers, twice.** SE's two layers answer to the means, and then *the same* two layers answer to the maxima.
# The answers are added. In this book's letters, with biases as in the released code,
#
# $$f(v) = W_2\, \delta(W_1 v + b_1) + b_2,$$ (cbam-shared)
#
# $$\begin{aligned} s &= f(z) + f(m), \\ g_c &= \sigma(s_c). \end{aligned}$$ (cbam-channel-gate)
#
# Sharing keeps the number of parameters at SE's, and has two consequences that the paper does not mention.
#
# *The output's bias counts twice.* It stands in $f(z)$ and in $f(m)$, so that the logits hold $2\, b_2$. With $\bar s$
# for the gradient at the logits, the gradient at $b_2$ is $2\, \bar s$, and what a step adds to $b_2$ is added to the
# logits twice. One step moves the logits four times as far as SE's bias would.
#
# *The sum forgets.* Suppose that the same hidden units are on for $z$ and for $m$. On these units the layers are
# linear, so with a tilde over the part of the weights that belongs to them
#
# $$\begin{aligned} s = {} & \tilde W_2 \bigl( \tilde W_1 (z + m) + 2\, \tilde b_1 \bigr) \\ & {} + 2\, b_2. \end{aligned}$$ (cbam-sum)
#
# Only $z + m$ counts: what is in the mean and what is in the maximum can no longer be told apart. The maximum has a say
# of its own only through units that are on for the one and off for the other.
#
# **Scale the channels.** The spatial half sees the map only after this step:
#
# $$u_c(i, j) = g_c\, x_c(i, j).$$ (cbam-gated)
#
# **Pool over the channels,** for each pixel:
#
# $$p_{ij} = \max_c\, u_c(i, j),$$ (cbam-peak)
#
# $$a_{ij} = \frac{1}{C} \sum_c u_c(i, j).$$ (cbam-average)
#
# **Convolve.** One kernel $w$ of 7 by 7 weights for each of the two maps makes one number for each pixel. A batch norm with
# one scale $\gamma$ and one shift $\beta$ follows; the released code has it, the paper's equation has not:
#
# $$n = w_1 \ast p + w_2 \ast a,$$ (cbam-convolve)
#
# $$t_{ij} = \gamma\, \frac{n_{ij} - \mu}{\sqrt{\nu + \varepsilon}} + \beta,$$ (cbam-spatial-logits)
#
# $$g_{ij} = \sigma(t_{ij}).$$ (cbam-spatial-gate)
#
# **Scale the pixels:**
#
# $$y_c(i, j) = g_{ij}\, u_c(i, j).$$ (cbam-scale)
#
# **At the start** the released network sets $\gamma$, $\beta$ and the biases to zero. So $t = 0$, and every spatial gate is
# exactly one half. The channel gates scatter about one half, more than in SE, since a maximum, unlike a mean, is far from
# zero. A fresh CBAM therefore divides its branch by about *four*: the constant that it has to beat is $\tfrac14$. By
# {eq}`cbam-spatial-logits` the gradient of the kernel has the factor $\gamma = 0$, so the first step moves $\gamma$ and
# $\beta$ alone. The kernel moves from the second step on.
#
# **In parallel** both halves see $x$ and share one sigmoid, $\sigma(s_c + t_{ij})$, which starts at one half, not a quarter.
# So the paper's comparison of orders (its Table 3) also compares two strengths of the branch.
#
# **Parameters.** SE's, and $2 \cdot 49 + 2$ of the spatial half:
#
# $$\begin{aligned} P = {} & \frac{2\,C^2}{r} + C \\ & {} + \frac{C}{r} + 100. \end{aligned}$$ (cbam-parameters)
#
# ## The module from scratch


# %%
class CBAM(nn.Module):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = channels // reduction
        self.reduce = nn.Linear(channels, hidden)  # W_1, b_1
        self.expand = nn.Linear(hidden, channels)  # W_2, b_2
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)  # w
        self.norm = nn.BatchNorm2d(1, momentum=0.01)  # gamma, beta

    def forward(self, x):
        # s = f(z) + f(m),  f(v) = W_2 relu(W_1 v + b_1) + b_2
        f = lambda v: self.expand(torch.relu(self.reduce(v)))
        s = f(x.mean((2, 3))) + f(x.amax((2, 3)))
        # u_c(i, j) = sigmoid(s_c) x_c(i, j)
        u = torch.sigmoid(s)[:, :, None, None] * x
        # t = gamma (n - mu) / sqrt(nu + eps) + beta,  n = w * [p, a]
        pooled = torch.cat([u.amax(1, True), u.mean(1, True)], 1)
        t = self.norm(self.conv(pooled))
        # y_c(i, j) = sigmoid(t_ij) u_c(i, j)
        return torch.sigmoid(t) * u


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 9 by 7 pixels so that no axis can stand in for another, with a batch norm of random
# statistics in evaluation mode. The [deeper page](cbam_deeper.ipynb) tries the doubled bias and the start.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def product(matrix, vector, shift):
    pairs = zip(matrix, shift, strict=True)
    return [sum(map(float.__mul__, row, vector)) + b for row, b in pairs]


sigmoid = lambda value: 1 / (1 + math.exp(-value))


def loops(image, w_1, b_1, w_2, b_2, kernel, factor, shift):
    """One image as nested lists [C][H][W]; kernel [2][7][7]."""
    C, H, W = len(image), len(image[0]), len(image[0][0])
    logits = [0.0] * C
    for pool in (lambda v: sum(v) / (H * W), max):
        v = [
            pool([v for row in channel for v in row]) for channel in image
        ]
        hidden = [max(h, 0.0) for h in product(w_1, v, b_1)]
        logits = [s + f for s, f in zip(logits, product(w_2, hidden, b_2))]
    pixel = lambda c, i, j: sigmoid(logits[c]) * image[c][i][j]
    y = [[[0.0] * W for _ in range(H)] for _ in range(C)]
    for i, j in itertools.product(range(H), range(W)):
        n = 0.0
        for k, m in itertools.product(
            range(i - 3, i + 4), range(j - 3, j + 4)
        ):
            if 0 <= k < H and 0 <= m < W:
                u = [pixel(c, k, m) for c in range(C)]
                n += kernel[0][k - i + 3][m - j + 3] * max(u)
                n += kernel[1][k - i + 3][m - j + 3] * sum(u) / C
        for c in range(C):
            y[c][i][j] = sigmoid(factor * n + shift) * pixel(c, i, j)
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = CBAM(32, reduction=8).double().eval()
norm = scratch.norm
for values in (norm.weight, norm.bias, norm.running_mean):
    nn.init.normal_(values)
library = attnlib.create("cbam", 32, reduction=8).double().eval()
library.channel_gate.reduce.load_state_dict(scratch.reduce.state_dict())
library.channel_gate.expand.load_state_dict(scratch.expand.state_dict())
library.spatial_gate.conv.load_state_dict(scratch.conv.state_dict())
library.spatial_gate.norm.load_state_dict(norm.state_dict())

factor = norm.weight / (norm.running_var + norm.eps).sqrt()
shift = norm.bias - factor * norm.running_mean
weights = [p.tolist() for p in scratch.parameters()][:4]
weights += scratch.conv.weight[0].tolist(), factor.item(), shift.item()
by_loops = [loops(image, *weights) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# ### What each half cannot see
#
# **The channel half does not know where.** Means and maxima stay the same when the pixels change places. **The spatial
# half does not know what.** Its means and maxima stay the same when at any pixel the channels change places, at each
# pixel in another way. Both are exact:


# %% tags=["nbval-check-output"]
def shuffled(x, dim):
    return x.gather(dim, torch.rand_like(x).argsort(dim))


moved = shuffled(x.flatten(2), 2).view_as(x)  # pixels
module = attnlib.create("cbam", 32, spatial=False).double().eval()
check("pixels moved", module.gate(moved), module.gate(x), atol=1e-12)
moved = shuffled(x, 1)  # channels, at each pixel in another way
module = attnlib.create("cbam", 32, channel=False).double().eval()
check("channels moved", module.gate(moved), module.gate(x), atol=1e-12)

# %% [markdown]
# So by itself the spatial half sees how strong a pixel is, and not what it shows. But in CBAM it sees the map *after* the
# channel half, and that half can turn a channel down. This is what the order is about. Take a map with two equal bright
# spots, one in channel 1 and one in channel 2. Which orders can tell them apart?

# %% tags=["nbval-check-output"]
spots = torch.zeros(1, 32, 20, 20, dtype=torch.float64)
spots[0, 0, 10, 5] = spots[0, 1, 10, 14] = 8.0  # far apart, off the border


def apart(order):
    """How far the gates of the two spots differ, over all channels."""
    torch.manual_seed(0)
    module = attnlib.create("cbam", 32, reduction=8, order=order)
    gate = module.double().eval().gate(spots)[0]
    return (gate[:, 10, 5] - gate[:, 10, 14]).abs().max()


for order in ("spatial-first", "parallel"):
    check(f"{order}: gates apart by", apart(order), 0.0, atol=1e-12)
finding("more than 0.001", apart("channel-first") > 1e-3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the spatial half first, and with both in parallel, the gates at the two spots are equal, whatever the weights:
# the spatial half does not know the channel. With the channel half first they differ, here by more than 0.001 at random
# weights. Only this order lets the pixels' gates depend on *what* is there.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Move the second spot to the border, from column 14 to 18, in the map and in `apart`. Are the gates in parallel still equal?
# Say first; then run the cell again.
# :::
#
# When does a maximum tell more than a mean? Below 3 % of a map of 32 by 32: see [CBAM, deeper](cbam_deeper.ipynb).

# %% [markdown]
# ## What it costs
#
# What CBAM adds to ResNet-50, beside SE. *One by one* counts the work that multiplies no matrix, as in
# [SE's chapter](se.ipynb). The step is one of training ResNet-20 on two CPU cores.

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet50'").set_index("module")
fields = ["parameters", "macs", "elementwise"]
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
rows = []
for key in ("se", "cbam"):
    extra = counted.loc[key, fields] - counted.loc["none", fields]
    rows.append([key.upper(), *(extra / [1, 1e6, 1e6]), longer[key]])
columns = ["added by", "parameters", "MACs (M)", "one by one (M)"]
added = pd.DataFrame(rows, columns=[*columns, "step (%)"])
added["parameters"] = added["parameters"].astype(int)
by_se, by_cbam = added.iloc[:, 1:].to_numpy()
finding("1,600 parameters more than SE", by_cbam[0] - by_se[0])
finding("3.5 times as much work one by one", by_cbam[2] / by_se[2])
finding("38.7 % longer, with SE 13.8 %", by_cbam[3], by_se[3])
plots.table(added, "What SE and CBAM add", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# CBAM has 1,600 parameters more than SE in all of ResNet-50, and 3.5 times as much work one by one: the map is pooled
# four times and scaled twice. A training step takes 38.7 % longer, with SE 13.8 %. The spatial half and the maximum are
# cheap in parameters and dear in time.
# :::
#
# The costs in the paper's Table 1 are those of another module, BAM: see the [deeper page](cbam_deeper.ipynb).
#
# ## Does it train, does it help?
#
# ### As published
#
# What the channel half pools (the paper's Table 1), what the spatial half sees (Table 2), and the order (Table 3), for
# ResNet-50 on ImageNet. Every row is one run, tested on 50,000 images.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Printed top-1 error of nine networks, one a row. Channel half from means 23.14, from maxima 23.20, from both 22.80. With a spatial half: learned pooling 22.96 and 22.90, maximum and mean 22.68 and 22.66, spatial first 22.78, parallel 22.95. A line at 22.80 parts three of the six from the other three."}, "figure": {"caption": "Printed top-1 error of ResNet-50. The line is the channel half alone; open marks lack a spatial half.", "name": "cbam-printed"}}
tables = [paper.table(f"table-{n}") for n in (1, 2, 3)]
printed = pd.concat(t.set_index("variant")["top1_err"] for t in tables)
names = {
    "means (SE)": "AvgPool (SE)",
    "maxima": "MaxPool",
    "means and maxima": "AvgPool & MaxPool",
    "1 x 1, k = 3": "channel + spatial (1x1 conv, k=3)",
    "1 x 1, k = 7": "channel + spatial (1x1 conv, k=7)",
    "max, mean, k = 3": "channel + spatial (avg&max, k=3)",
    "max, mean, k = 7": "channel then spatial",
    "spatial first": "spatial then channel",
    "parallel": "parallel",
}
errors = printed[names.values()].to_numpy()
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.3))
style = plots.look("cbam").points(ls="")
axis.plot(errors[:3], list(names)[:3], **style | {"mfc": "none"})
axis.plot(errors[3:], list(names)[3:], **style)
axis.axvline(errors[2], color=plots.FAINT, lw=1)
axis.invert_yaxis()
axis.set_xlabel("top-1 error, printed (%)")
loss = errors[3:] - errors[2]  # a spatial half against none
finding("from 22.80 to 22.66 %, by 0.14", errors[2], errors[6], -loss[3])
finding("70 images of 50,000", -500 * loss[3], 50000)
finding("0.34 points", errors[0] - errors[2])
finding("three of the six", sum(loss > 0) == 3, len(loss) == 6)
finding("by 0.16 points and in parallel by 0.15", loss[0], loss[5])
released = paper.table("readme")["top1"][0] - 100 + errors[6]
finding("0.28 points better", released)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The spatial half takes the error from 22.80 to 22.66 %, by 0.14 points: 70 images of 50,000. The maximum in the
# channel half is worth 0.34 points. And three of the six printed ways to add a spatial half are *worse* than none: with
# a learned 1 by 1 convolution in place of the maximum and the mean by 0.16 points and in parallel by 0.15.
#
# The paper has no second seed. How far do runs differ? The authors' released network of the same kind, trained for 100
# epochs instead of 90, is 0.28 points better than printed: twice what is to be measured.
# :::
#
# ### Live, on generated shapes
#
# A small ResNet with CBAM. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10, for thirty epochs and the record.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}, "figure": {"caption": "The live network by epoch. Three epochs are a beginning.", "name": "cbam-live"}}
trained = train(chapter_recipe("cbam", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 30 %", trained.record.final.accuracy > 0.3)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 30 % of the held-out images, three times chance: the code trains.
# :::
#
# ### The halves, over seeds
#
# Four seeds of each form of the module in the small network, tested on 2,000 fresh images (`benchmarks/cbam_halves.py`). A
# fresh CBAM divides its branch by about four, one half alone or both in parallel by two: the constants are the controls.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Accuracy on shapes, four points a row: a constant quarter lowest; then the spatial half first, a constant of one half, the spatial half alone and the whole, close together; both in parallel; the channel half alone highest."}, "figure": {"caption": "Accuracy on shapes by form of the module: a point for each of four seeds, a bar at the mean. The channel half alone stands highest, the constant quarter lowest.", "name": "cbam-halves"}}
halves = pd.DataFrame(measurements("cbam-halves").rows)
by = 100 * halves.pivot(index="variant", columns="seed", values="accuracy")
by = by.loc[by.mean(axis=1).sort_values().index]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
for name, runs in by.iterrows():
    look = plots.look("constant" if "constant" in name else "cbam")
    axis.plot(runs, [name] * len(runs), **look.points(ls=""))
    axis.plot(runs.mean(), [name], "|", color=plots.INK, ms=14)
axis.set_xlabel("accuracy after three epochs (%)")
loss = (by.loc["channel alone"] - by.loc["whole"]).tolist()
finding("by 13.75, 12.00, 0.15 and 8.75 points", *loss)
finding("8.66 in the mean", sum(loss) / 4)
worse = by.loc["whole"] - by.loc["spatial first"]
finding("5.00 points worse", worse.mean(), worse.min() > 0)
better = by.loc["parallel"] - by.loc["whole"]
finding("6.55 points better", better.mean(), better.min() > 0)
start = by.loc["constant 1/2"] - by.loc["constant 1/4"]
finding(
    "13.46 points better than a quarter", start.mean(), start.min() > 0
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# On each of four seeds the network is better with the channel half alone than with the whole CBAM, by 13.75, 12.00, 0.15
# and 8.75 points, 8.66 in the mean. With the spatial half first it is 5.00 points worse than the whole, and with both in
# parallel 6.55 points better, on each seed. But a constant of one half, too, is 13.46 points better than a quarter: in so
# short a run, the weaker start can account for the loss.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, three seeds of each network. The
# control has gates of one half for every channel, pixel and image.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row: no module lowest, SE next, the constant gate of one half and CBAM highest and on one level."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. CBAM and the constant share their mean.", "name": "cbam-cifar"}}
keys = ("none", "se", "constant", "cbam")
runs = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "cbam")}
runs = [run for run in runs if run.seed in seeds]  # those of all four
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="cbam")
row = {row.label: row for row in compared.rows}
finding("three seeds of each", len(seeds) == 3)
finding(
    "53.60 % with CBAM, 53.65 %", row["cbam"].mean, row["constant"].mean
)
finding("and 52.31 % with SE", row["se"].mean)
by_se, by_constant = row["se"], row["constant"]
finding("-2.63 to 2.52", *sorted(-end for end in by_constant.student))
finding("by 1.29 points", -by_se.difference)
finding("-4.64 to 7.22", *sorted(-end for end in by_se.student))
finding("no module on each seed", max(row["none"].differences) < 0)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each, the means are 53.60 % with CBAM, 53.65 % with the constant and 52.31 % with SE. CBAM is
# above no module on each seed. It is above SE by 1.29 points in the mean, but the 95 % interval is -4.64 to 7.22, and
# against the constant -2.63 to 2.52. Three seeds cannot find a tenth of a point, nor a whole one: what CBAM gains here,
# gates that know nothing gain as well.
# :::
#
# ## Look inside
#
# ### Where does the spatial gate look?
#
# On `shapes` a mask says where the object is. Take what a gate lets through *above its own mean*: which share of it
# lies on the object? A gate that is high in the middle of every image would do well, too, as objects stand there. So
# *chance* is the same gate held against the masks of all images. The same is asked of the maxima $p$.


# %%
def looked(cbam, x):
    """The maxima p that the spatial half sees, and its gates."""
    s = cbam.channel_gate(x.mean((2, 3)), x.amax((2, 3)))
    u = torch.sigmoid(s) * x
    p, a = u.amax(1), u.mean(1)
    t = cbam.spatial_gate(torch.stack([p, a], 1))
    return p, torch.sigmoid(t)[:, 0]


images, _, masks = generate(1000, seed=7)
masks = torch.tensor(masks)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="cbam"))
model = trained.model.cpu().eval()
with torch.no_grad(), plots.captured(model, looked) as seen:
    model(trained.inputs(images))

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four images of shapes, each with its map of maxima in block 1, in which the object stands out, and the spatial gates of the three blocks, in which it does not."}, "figure": {"caption": "Four images, the maxima p of block 1 (scaled to 0 to 1), and the spatial gates of the three blocks. The object stands out in p, and not in the gates.", "name": "cbam-gates"}}
peaks, *_ = (p[:4] for p, _ in seen.values())
gates = [gate[:4] for _, gate in seen.values()]
low = peaks.amin((1, 2), keepdim=True)
peaks = (peaks - low) / (peaks.amax((1, 2), keepdim=True) - low)
titles = ("p, block 1", "block 1", "block 2", "block 3")
plots.show_maps(images[:4], [peaks, *gates], titles, (0, 1), "gate")
plt.show()

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "For the three blocks, the share on the object of the maxima and of the spatial gate, beside chance. In block 1 the maxima are far above chance and the gate below it; in block 3 both are a little above chance."}, "figure": {"caption": "Share on the object of what lies above the mean: a point, and a line to the share by chance. Left of the bar means: away from the object.", "name": "cbam-looks"}}
shares = {}
for n, (p, gate) in enumerate(seen.values(), start=1):
    shares[f"maxima, block {n}"] = share_inside(p, masks)
    shares[f"gate, block {n}"] = share_inside(gate, masks)
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
for row_of, (name, (own, chance)) in enumerate(shares.items()):
    kind = plots.GATE if name.startswith("gate") else plots.STATISTIC
    axis.plot([chance, own], [row_of] * 2, "|-", color=plots.INK, lw=1)
    axis.plot(own, row_of, "o", color=kind)
axis.set_yticks(range(6), list(shares))
axis.invert_yaxis()
axis.set(xlim=(0, 1), xlabel="share on the object; bars: by chance")
(of_maxima, _), (of_gate, _) = list(shares.values())[:2]
finding("more than 80 %", of_maxima > 0.8)
finding("less than 40 %", of_gate < 0.4)
ends = 100 * halves.set_index("variant")[["own_1", "chance_1"]]
finding("4.5 %, where chance would give 14.3 %", *ends.loc["whole"].mean())
low = ends["own_1"] < ends["chance_1"]
finding("below chance on each", low["whole"].all())
finding("on one of four", low["parallel"].sum() == 1)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the first block more than 80 % of what stands out in the maxima lies on the object, and less than 40 % of what the gate
# lets through above its mean. On the four seeds of the whole module above it is 4.5 %, where chance would give 14.3 %, and
# below chance on each: the gate is *lower* on the object. In parallel it is so on one of four.
# :::
#
# So this spatial half is no searchlight: in the first block it takes down what is strong, as a normalisation does. Before
# training it looked nowhere, with gates of one half at each pixel. After training its kernels are still close to those
# that the seed drew; the [deeper page](cbam_deeper.ipynb) shows them.
#
# :::{admonition} Try it
# :class: try-it
# If the gate of block 1 is lower on the object, does its opposite look at the object? Say by how much it should beat
# chance; then write `-gate` for `gate` in the second line, and run.
# :::

# %%
_, gate = seen["layer1.0.bn2"]
print("own {:.2f}, by chance {:.2f}".format(*share_inside(gate, masks)))

# %% [markdown]
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with
# the code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
most = "negligible table-1-size gflops-of-channel-rows coco-resnet101 "
most += "gain-elsewhere-resnet101 accuracy-order spatial-gate bias"
plots.verdicts(paper.verdicts(most.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
wanted = ("norm", "bias", "concatenation", "stride", "weights", "ports")
chosen = [d for d in paper.differences if d.id in wanted]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} A fresh CBAM of the released network stands in a residual branch. What does it do to the branch?
# - [ ] It halves it, as SE does.
#
#   That is one of its two gates.
# - [x] It divides it by about four.
#
#   Channel gates about one half, times spatial gates of exactly one half.
# - [ ] Nothing: its batch norm starts with a scale of zero.
#
#   A scale of zero makes the logits zero, and the sigmoid of zero is one half.
# ```
#
# ```{quiz} All hidden units are on, for the means and for the maxima. The means grow by 0.3, the maxima shrink by 0.3. What do the channel gates do?
# - [x] They stay as they are.
#
#   On units that are on for both, the logits depend on the sum of mean and maximum alone.
# - [ ] They grow: the means are what SE listens to.
#
#   Both vectors pass through the same weights.
# - [ ] It depends on the weights.
#
#   No weight sees the means without seeing the maxima.
# ```
#
# ```{quiz} In a map, exchange the channels at one pixel: red becomes green there. Which half alone would notice?
# - [x] The channel half.
#
#   The means of the two channels have changed, and perhaps their maxima.
# - [ ] The spatial half.
#
#   The maximum and the mean over the channels are the same in any order of the channels.
# - [ ] Neither: the map still holds the same numbers.
#
#   It does. But a channel's mean asks which of them stand in this channel.
# ```
#
# ```{quiz} Which order can open the pixels of one channel's spot and close those of another's?
# - [x] The channel half first.
#
#   Once it has turned one channel down, the spots are no longer equal when the spatial half looks.
# - [ ] The spatial half first.
#
#   It looks at the map as it came, and there the two spots are equal.
# - [ ] Both in parallel.
#
#   A sum of two logits gives both spots the same spatial logit.
# ```
#
# ```{quiz} A paper prints 22.80 % error without a part and 22.66 % with it, one run each. What follows?
# - [ ] The part lowers the error by 0.14 points.
#
#   It did so once. Another seed of either network may differ by as much.
# - [ ] The part is useless.
#
#   That a difference cannot be told from noise does not make it zero.
# - [x] That the part helps is not shown, and not refuted either.
#
#   70 images of 50,000 are a small sum of many wins and losses. It takes more seeds to know.
# ```
#
# ## Exercises
#
# ````{exercise} The spatial half's share
# :label: cbam-exercise-share
#
# *Easy, 5 minutes.* In ResNet-50 the spatial halves have 0.06 % of CBAM's parameters. Which share has the spatial half
# in a block of 16 channels, with $r = 16$, in per cent, to one decimal?
#
# :::{dropdown} Hint
# {eq}`cbam-parameters`, with one hidden unit.
# :::
# ````

# %%
exercises.answer("cbam-exercise-share", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} cbam-exercise-share
# :class: dropdown
# ````
#
# Two thirds: the channel half grows with the square of the width, the spatial half not at all.

# %%
C, hidden = 16, 1
s = 100 * 100 / (2 * C * hidden + C + hidden + 100)
print(f"{s:.1f} %")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("cbam-exercise-share", right=s, wrong=[75.8, 66.7])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} At the corner
# :label: cbam-exercise-corner
#
# *Easy, 5 minutes.* The kernel has 98 weights. For the gate of the pixel in a corner of a large map, how many of them
# multiply a value of the map, and not the zeros beyond its border?
#
# :::{dropdown} Hint
# A window of 7 by 7 pixels stands with its middle on the corner; there are two maps.
# :::
# ````

# %%
exercises.answer("cbam-exercise-corner", ...)  # your answer

# %% [markdown]
# ````{solution-start} cbam-exercise-corner
# :class: dropdown
# ````
#
# A third of them. So a spatial half may know the border, and with it where the middle is: chance is held against this.

# %%
n = 2 * 4 * 4
print(f"{n} of {2 * 7 * 7}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("cbam-exercise-corner", right=n, wrong=[16, 98])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Seventy images
# :label: cbam-exercise-seventy
#
# *Medium, 10 minutes.* Two networks are tested on the same images. On $D$ of them one is right and the other wrong. If
# neither is better, each of these is a coin, and the difference has a standard deviation of $\sqrt{D}$ images. How large
# may $D$ be at most for 70 images to lie beyond 1.96 standard deviations?
#
# :::{dropdown} Hint
# $1.96 \sqrt{D} < 70$, and $D$ is a whole number.
# :::
# ````

# %%
exercises.answer("cbam-exercise-seventy", ...)  # your answer

# %% [markdown]
# ````{solution-start} cbam-exercise-seventy
# :class: dropdown
# ````
#
# That is a fortieth of 50,000 images, and counts the chance of the test set alone, not that of the seeds.

# %%
D = math.ceil((70 / 1.96) ** 2) - 1
print(f"{D:,} images, one in {50000 // D}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("cbam-exercise-seventy", right=D, wrong=[4900, 35])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} How many seeds for 0.14 points?
# :label: cbam-exercise-seeds
#
# *Research, 60 minutes.* Is it the start at one quarter that costs the whole module its accuracy? Let the batch norms of the
# spatial halves begin with $\beta = 5$, so that their gates begin near one, and train four seeds. To begin with: if paired
# differences scatter by one point, how many pairs make $1.96 / \sqrt{n}$ as small as 0.14?
#
# :::{dropdown} Hint
# $n = (1.96 / 0.14)^2$.
# :::
# ````

# %%
exercises.answer("cbam-exercise-seeds", ...)  # pairs of runs

# %% [markdown]
# ````{solution-start} cbam-exercise-seeds
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: say seeds, paired differences and interval, whatever comes out.

# %%
n = round((1.96 / 0.14) ** 2)
print(f"{n} pairs")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("cbam-exercise-seeds", right=n, wrong=[14, 51])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. CBAM gates channels from their means and maxima, then pixels from the maximum and the mean over the gated channels.
# 2. The channel half does not know where, the spatial half does not know what unless the channel half comes first.
# 3. In print the spatial half is worth 0.14 points, 70 images of one run. Three of six printed spatial halves lose.
# 4. It is cheap in parameters and dear in time, and the first table's costs are those of another module.
# 5. Its gate need not be high on the object. In the first block it was lower there, on each of four seeds.
# :::
#
# ## Further reading
#
# * The paper {cite}`cbam`, for its tables and its pictures by Grad-CAM; [SE](se.ipynb) for the channel half from means.
# * [CBAM, deeper](cbam_deeper.ipynb): maximum against mean, the kernels, what a network listens to, the first table.
