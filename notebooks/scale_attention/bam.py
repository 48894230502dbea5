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
# # Bottleneck attention (BAM)
#
# :::{admonition} Add or multiply?
# :class: question
#
# BAM makes a number for each channel and one for each pixel, and one gate out of both.
#
# **The paper adds the two, the released code multiplies them,** and no published number tells which is better. On this
# book's shapes the sum is better on each of three seeds, by 1.60 to 2.85 points; but two runs that differ by rounding
# alone are up to 2.65 points apart.
#
# **They are two kinds of gate.** Of the sixteen ways in which two channels can be open or closed at two places, the sum
# reaches 14 and the product 8. Of what gates that multiply learn, 44 to 79 % is beyond any sum; without this part their
# network loses 19.0 points.
#
# **That its gates lie above one means little.** The next batch norm undoes a constant gate of 1.5 to five digits. What
# counts is the ratio of two gates, and BAM keeps it below 2.
# :::
#
# :::{mechanism}
# :name: bam-mechanism
#
# ![Where BAM sits in a ResNet](../../book/figures/bam-block.svg)
# ![A logit for each channel and one for each pixel, added or multiplied](../../book/figures/bam-steps.svg)
#
# Where BAM sits, and what it does to three channels of one image; the output is that of the product.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`bam`; its body was not read. What stands here is from the abstract, the released code, which was
# read and run, and what issues and other papers quote; its tables are recalled. **You need:** [SE](se.ipynb),
# convolution, batch norm. **Time:** half an hour.
#
# Afterwards you can write the module in twenty lines, say what a sum and a product of logits can and cannot do, and
# when a constant factor does nothing at all. Symbols are those of the [notation page](../../book/notation.md).
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
from attnlib import check, exercises, finding, networks, plots
from attnlib.results import costs, measurements, records, store
from attnlib.training import chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("bam")

# %% [markdown]
# ## The idea
#
# [SE](se.ipynb) puts a small gate into every block. BAM puts a larger one where it is about to matter most: behind the
# first three stages of a network, just before height and width are halved. It has a gate for each channel *and* each
# pixel. A **channel branch** gives each channel a number, a **spatial branch** gives each pixel one, and the two are
# combined under one sigmoid.
#
# How? To add two logits and to multiply them look like two spellings of "both count". They are not. A sum can say *red
# counts, and so does the middle*; a product can say *red counts in the middle, and blue outside*.
#
# ## Derivation
#
# Let $x$ be the map behind the sum and the ReLU of a stage's last block. $N$ stands for a batch norm, $\delta$ for the
# ReLU, and $h = \lfloor C / r \rfloor$ for the hidden width; $r = 16$. This section follows the released code.
#
# **Channels.** The means of the channels pass through two layers, as in SE, with a batch norm between them:
#
# $$z_c = \frac{1}{HW} \sum_{i,j} x_c(i, j),$$ (bam-mean)
#
# $$s = W_2\, \delta N (W_1 z + b_1) + b_2.$$ (bam-channel)
#
# **Pixels.** Four convolutions with biases: to $h$ channels, two of 3 by 3 with gaps of $d = 4$, and to one number a
# pixel:
#
# $$\begin{aligned} u &= \delta N (f_1 \ast x), \\ v &= \delta N (f_2 \ast u), \\ w &= \delta N (f_3 \ast v), \\ t &= f_4 \ast w. \end{aligned}$$ (bam-spatial)
#
# How far does $t$ see? Two steps of $-d$, 0 or $d$ end at five places along each side: a window of 17 by 17 pixels, of
# which 25 count. Larger gaps only spread them. Behind the third stage of ResNet-50, on 14 by 14 pixels, no gate sees
# more than 16 pixels; the [deeper page](bam_deeper.ipynb) draws them, and shows that all others may change.
#
# **Combine.** The paper adds the two logits, the released code multiplies them:
#
# $$g_c(i, j) = 1 + \sigma(s_c + t_{ij}),$$ (bam-sum)
#
# $$g_c(i, j) = 1 + \sigma(s_c\, t_{ij}).$$ (bam-product)
#
# In the sum a channel that is more open than another is so at *every* pixel: the difference of their logits is $s_c -
# s_k$, wherever one looks. In the product it is $(s_c - s_k)\, t_{ij}$, which changes sign with $t$: where $t$ is
# negative, the order of the channels is turned over. The product asks whether channel and pixel *agree* in sign.
#
# **Backwards.** With a bar for the gradient, $\bar \ell_c(i, j)$ at the logit, the sum passes it on as it is:
#
# $$\begin{aligned} \bar s_c &= \sum_{i,j} \bar \ell_c(i, j), \\ \bar t_{ij} &= \sum_c \bar \ell_c(i, j). \end{aligned}$$ (bam-back-sum)
#
# In the product each is weighted by the other one:
#
# $$\begin{aligned} \bar s_c &= \sum_{i,j} t_{ij}\, \bar \ell_c(i, j), \\ \bar t_{ij} &= \sum_c s_c\, \bar \ell_c(i, j). \end{aligned}$$ (bam-back-product)
#
# A branch that is silent keeps the other one from learning; where both are zero neither gets any gradient (all four lines
# are tried on the [deeper page](bam_deeper.ipynb)).
#
# **Scale.** The output is $y = g \odot x$, with gates in $(1, 2)$. A value can be doubled and never made smaller; zero
# logits give 1.5. Is that a network without suppression? Look at what reads $y$: convolutions, each with a batch norm
# behind it. For any constant $k > 0$, but for the $\varepsilon$ under the root,
#
# $$N(W\,(k\, y)) = N(W\, y),$$ (bam-invariance)
#
# because mean and deviation grow with the factor and are taken out again. So gates $1 + \sigma$ act just as gates $(1 +
# \sigma) / 2$ would, which lie between one half and one. Only **ratios** of gates reach the network, and with the "1 +"
# any two have a ratio below two; without it the ratio has no bound. [Residual attention](residual_attention.ipynb) has
# the same range, on a trunk of its own. [SE](se.ipynb) and [CBAM](cbam.ipynb) sit on a branch, and the shortcut beside
# it is not scaled. There a constant counts: a half in a fresh SE, a quarter in a fresh CBAM.
#
# **Parameters and multiply-adds** of one module:
#
# $$\begin{aligned} P = {} & 3\,C\,h + C \\ & {} + 18\,h^2 + 13\,h + 1, \end{aligned}$$ (bam-parameters)
#
# $$\begin{aligned} M = {} & HW\,(C + 18\,h + 1)\,h \\ & {} + 2\,C\,h. \end{aligned}$$ (bam-macs)
#
# ## The module from scratch


# %%
class BAM(nn.Module):
    def __init__(self, channels: int, reduction: int = 16, d: int = 4):
        super().__init__()
        h = channels // reduction
        norm = lambda: (nn.BatchNorm2d(h), nn.ReLU())
        gaps = lambda: nn.Conv2d(h, h, 3, padding=d, dilation=d)
        first, last = nn.Linear(channels, h), nn.Linear(h, channels)
        one = nn.BatchNorm1d(h), nn.ReLU()
        self.channel = nn.Sequential(first, *one, last)
        first, last = nn.Conv2d(channels, h, 1), nn.Conv2d(h, 1, 1)
        wide = gaps(), *norm(), gaps(), *norm()
        self.spatial = nn.Sequential(first, *norm(), *wide, last)

    def forward(self, x):
        # s = W_2 relu(N(W_1 z + b_1)) + b_2,  z_c = mean of x_c
        s = self.channel(x.mean((2, 3)))[:, :, None, None]
        # t = f_4 * w,  w = relu(N(f_3 * v)),  v = relu(N(f_2 * u)), ...
        t = self.spatial(x)
        # y_c(i, j) = g_c(i, j) x_c(i, j),  g = 1 + sigmoid(s_c t_ij)
        return (1 + torch.sigmoid(s * t)) * x


# %% [markdown]
# ## It is right
#
# In double precision, in evaluation mode with batch norms of random statistics, on maps of 9 by 7 pixels with gaps of
# 2, so that some taps fall inside the map and some outside.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def layer(part, values, norm=None):
    found = []
    for k, row in enumerate(part.weight.flatten(1).tolist()):
        v = part.bias[k].item() + sum(map(float.__mul__, row, values))
        if norm is not None:
            v = (v - norm.running_mean[k].item()) * norm.weight[k].item()
            v /= math.sqrt(norm.running_var[k] + norm.eps)
            v = max(v + norm.bias[k].item(), 0.0)
        found.append(v)
    return found


def loops(bam, image, d):
    """One image as nested lists [C][H][W], and the layers of a BAM."""
    C, H, W = len(image), len(image[0]), len(image[0][0])
    places = list(itertools.product(range(H), range(W)))
    first, norm, _, last = bam.channel
    z = [sum(map(sum, channel)) / (H * W) for channel in image]
    s = layer(last, layer(first, z, norm))
    maps = {(i, j): [plane[i][j] for plane in image] for i, j in places}
    for n in (0, 3, 6, 9):
        part, norm = bam.spatial[n], bam.spatial[n + 1] if n < 9 else None
        steps = (0,) if part.kernel_size == (1, 1) else (-d, 0, d)
        taps = list(itertools.product(steps, repeat=2))
        zeros, old, maps = [0.0] * part.in_channels, maps, {}
        for i, j in places:
            seen = [old.get((i + a, j + b), zeros) for a, b in taps]
            maps[i, j] = layer(part, sum(zip(*seen), ()), norm)
    y = [[[0.0] * W for _ in range(H)] for _ in range(C)]
    for c, (i, j) in itertools.product(range(C), places):
        gate = 1 + 1 / (1 + math.exp(-s[c] * maps[i, j][0]))
        y[c][i][j] = gate * image[c][i][j]
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = BAM(32, reduction=8, d=2).double().eval()
for part in scratch.modules():
    if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
        for values in (part.weight, part.bias, part.running_mean):
            nn.init.normal_(values)
library = attnlib.create("bam", 32, reduction=8, dilation=2)
library.double().eval()
library.channel_branch.load_state_dict(scratch.channel.state_dict())
library.spatial_branch.load_state_dict(scratch.spatial.state_dict())
with torch.no_grad():
    by_loops = [loops(scratch, image, 2) for image in x.tolist()]
    check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
    check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# ### What a sum can say, and what a product can
#
# Take two channels and two places. A gate of each channel at each place makes four, and each may be open ($\sigma$ near
# one) or closed (near zero): sixteen patterns. Which can be reached, as near as one likes? Beside sum and product stand
# the larger of the two logits, the third way in the paper's ablation, and a product of two *gates*, which is that of
# [CBAM](cbam.ipynb).


# %%
sigmoid = lambda value: 1 / (1 + math.exp(-value))
ways = {
    "sum": lambda s, t: sigmoid(s + t),
    "product": lambda s, t: sigmoid(s * t),
    "larger": lambda s, t: sigmoid(max(s, t)),
    "of gates": lambda s, t: sigmoid(s) * sigmoid(t),
}


def reached(way, levels=(-12, -4, 4, 12)):
    """Patterns of two channels at two places, to a thousandth."""
    found = set()
    for a, b, c, d in itertools.product(levels, repeat=4):
        gates = [way(s, t) for s in (a, b) for t in (c, d)]
        if all(abs(gate - round(gate)) < 1e-3 for gate in gates):
            found.add(tuple(map(round, gates)))
    return found


# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Count the patterns"}
found = {name: reached(way) for name, way in ways.items()}
asked = {
    "one channel, both places": (1, 1, 0, 0),
    "both channels, one place": (1, 0, 1, 0),
    "one channel at one place": (1, 0, 0, 0),
    "all but one at one place": (1, 1, 1, 0),
    "each channel at its own place": (1, 0, 0, 1),
}
says = lambda p: ["yes" if p in found[way] else "no" for way in ways]
rows = [[what, *says(p)] for what, p in asked.items()]
rows.append(["of all sixteen", *map(len, found.values())])
finding("14 of the sixteen patterns, the product 8", *rows[-1][1:3])
finding("larger of the two 10, a product of gates 10", *rows[-1][3:])
own, alone = says((1, 0, 0, 1)), says((1, 0, 0, 0))
finding("Only the product can open each", own.index("yes") == 1)
finding("only those two", own.count("yes") == 1, alone.count("yes") == 2)
columns = ["open", "s + t", "s t", "max", "σ(s) σ(t)"]
rows = pd.DataFrame(rows, columns=columns)
plots.table(rows, "What each combination can open")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The sum reaches 14 of the sixteen patterns, the product 8, the larger of the two 10, a product of gates 10. Only the
# product can open each channel at its own place. The sum and the product of gates can open one channel at one place and
# nothing else, and only those two.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Let `levels` hold a zero as well. Which of the four counts change? Say first; then run the two cells again.
# :::
#
# Larger logits do not help. *Sum:* were each channel open at its own place, $s_1 + t_1$ and $s_2 + t_2$ would be
# positive, $s_1 + t_2$ and $s_2 + t_1$ negative; both pairs have the same sum. *Product:* $(s_1 t_1)(s_2 t_2) = (s_1
# t_2)(s_2 t_1)$, so that an even number of the four is negative. *Of gates:* $g_{11}\, g_{22} = g_{12}\, g_{21}$, which
# forbids both diagonals and three of four.
#
# ### A constant at a bottleneck does nothing
#
# The equality {eq}`bam-invariance`, in a whole network: the same weights, once without a module, once with all gates
# 1.5 behind the stages (where BAM sits), once on the branches of the blocks (where SE sits).

# %% tags=["nbval-check-output"]
batch = torch.randn(8, 3, 32, 32, dtype=torch.float64)


def logits(attention, **chosen):
    torch.manual_seed(0)
    model = networks.create("resnet20", 10, attention, **chosen)
    with torch.no_grad():
        return model.double().train()(batch)


value = {"attention_args": {"value": 1.5}}
plain = logits("none")
behind = logits("constant", placement="stage-end", **value)
inside = logits("constant", placement="block-end", **value)
check("1.5 behind the stages = no module", behind, plain, atol=1e-5)
far, near = (inside - plain).abs().max(), (behind - plain).abs().max()
finding("1.5 behind the stages", near < 1e-5)
finding("by less than 0.00001, gates of 1.5", near < 1e-5 and far > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Gates of 1.5 behind the stages change the logits of ResNet-20 by less than 0.00001, gates of 1.5 on the branches by
# more than a tenth. So for BAM the constant is no control: it *is* the plain network. What BAM does, it does by
# differences between its gates.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Does the check hold with gates of 0.001, too? Say first; then change `value`, and run.
# :::
#
# ## What it costs
#
# Three modules in ResNet-50, as released, and sixteen, one behind each block. MACs are multiply-adds.
# {eq}`bam-parameters` and {eq}`bam-macs` are held against a traced network.

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet50'").set_index("module")
added = counted[["parameters", "macs"]].T
added = added[["bam", "se"]].sub(added["none"], axis=0)
C, side = torch.tensor([(256, 56), (512, 28), (1024, 14), (2048, 7)]).T
h = C // 16
M = side**2 * (C * h + 18 * h**2 + h) + 2 * C * h
both = torch.stack([3 * C * h + C + 18 * h**2 + 13 * h + 1, M])
check("three BAMs", both[:, :3].sum(1), added["bam"].to_numpy())
added["sixteen"] = both @ torch.tensor([3, 4, 6, 3])

# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Make the table"}
plain = counted.loc["none", ["parameters", "macs"]]
share = 100 * added.div(plain, axis=0)
finding("1.40 % of parameters and 2.01 %", *share["bam"])
finding("20.40 % and 10.75 %", *share["sixteen"])
finding("adds 9.90 % and 0.06 %", *share["se"])
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
finding("15.8 % longer here, with SE 13.8 %", longer["bam"], longer["se"])
share.columns = ["three BAMs", "sixteen SEs", "sixteen BAMs"]
share = share.reset_index(names="added (%)")
plots.table(share, "What is added to ResNet-50", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At three bottlenecks BAM adds 1.40 % of parameters and 2.01 % of multiply-adds to ResNet-50; at sixteen blocks it
# would add 20.40 % and 10.75 %. SE at sixteen blocks adds 9.90 % and 0.06 %: BAM saves parameters by being rare, and
# spends multiply-adds on pixels. A training step of ResNet-20 takes 15.8 % longer here, with SE 13.8 %.
# :::
#
# The paper's own costs are recomputed on the [deeper page](bam_deeper.ipynb).
#
# ## Does it train, does it help?
#
# ### As published
#
# ResNet-50 on CIFAR-100, single runs: the paper, as an issue quotes it; two users there; another project.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Make the table"}
quoted = paper.table("issue-16").set_index("what")["accuracy"]
(claim,) = paper.verdicts("accuracy-cifar100-resnet50")
(other,) = claim.evidence[1].numbers.values()
names = ("the paper, no module", "the paper, BAM", "two users, BAM")
runs = dict(zip(names, quoted)) | {"OpenMMLab, no module": other}
plain_of, bam_of, users = quoted
finding("from 78.51 to 80.00 %", plain_of, bam_of)
finding("78.9 %, 0.39 points above", users, users - plain_of)
finding("1.1 below its BAM", bam_of - users)
finding("plain network has 79.90 %", other)
runs = pd.DataFrame(runs.items(), columns=["run", "accuracy (%)"])
plots.table(runs, "ResNet-50 on CIFAR-100", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The paper goes from 78.51 to 80.00 %. Two users get 78.9 %, 0.39 points above the paper's plain network and 1.1 below
# its BAM; what their own plain network has they do not say. By OpenMMLab's recipe the plain network has 79.90 %: the
# recipe alone is worth as much as the module.
# :::
#
# That the sum beats product and maximum is the paper's ablation, known from issues that ask why the code multiplies.
#
# ### Live, on generated shapes
#
# A small ResNet with BAM as released; with `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10, for thirty epochs.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}, "figure": {"caption": "The live network by epoch. Three epochs are a beginning.", "name": "bam-live"}}
trained = train(chapter_recipe("bam", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 35 %", trained.record.final.accuracy > 0.35)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 35 % of the held-out images, three times chance: the code trains.
# :::
#
# ### Add or multiply, over seeds
#
# Three seeds of each form in the small network, with $r = 4$ (sixteen and 32 channels are too few for $r = 16$), tested
# on 2,000 fresh images (`benchmarks/bam_forms.py`). All forms of a seed begin with the same weights.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Accuracy on shapes, three points a row. In the order of their means, from below: constant 1.5; product without 1 +; none; channel half alone; product; sum, norms; product of gates; sum; spatial half alone."}, "figure": {"caption": "Accuracy on shapes by form of the module: a point for each of three seeds, a bar at the mean. The spatial half alone stands where the whole sum does.", "name": "bam-forms"}}
forms = pd.DataFrame(measurements("bam-forms").rows)
by = 100 * forms.pivot(index="variant", columns="seed", values="accuracy")
by = by.loc[by.mean(axis=1).sort_values().index]
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.3))
for name, runs in by.iterrows():
    look = plots.look(name if name == "none" else "bam")
    axis.plot(runs, [name] * len(runs), **look.points(ls=""))
    axis.plot(runs.mean(), [name], "|", color=plots.INK, ms=14)
axis.set_xlabel("accuracy after three epochs (%)")
less = lambda one, other: (by.loc[one] - by.loc[other]).tolist()
mean = by.mean(axis=1)
finding("by 2.85, 2.70 and 1.60 points", *less("sum", "product"))
above = less("sum, norms", "product")
finding("it is -1.50, 0.25 and 2.20 points above it", *above)
finding("one by -2.05, 1.30 and -2.65", *less("constant 1.5", "none"))
gains = mean[["product", "sum"]] - mean["none"]
finding("gain 4.03 and 6.42 points in the mean", *gains)
three = mean[["spatial half alone", "sum", "product"]]
finding("68.9 %, the sum 68.9, the product 66.5", *three)
two = mean[["channel half alone", "none"]]
finding("the channel half alone 64.2, no module 62.5", *two)
finding("the product has 61.6", mean["product without 1 +"])
finding("product of gates 67.5 %", mean["product of gates"])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The sum is better than the product on each of three seeds, by 2.85, 2.70 and 1.60 points. With norms at its ends, as
# in the paper, it is -1.50, 0.25 and 2.20 points above it. But the constant is no module, and still these runs differ
# from those without one by -2.05, 1.30 and -2.65 points: so much do rounding and $\varepsilon$ move so short a run.
# Product and sum gain 4.03 and 6.42 points in the mean over no module. The spatial half alone has 68.9 %, the sum 68.9,
# the product 66.5, the channel half alone 64.2, no module 62.5: here BAM is its spatial half. Without the "1 +" the
# product has 61.6, and a product of gates 67.5 %.
# :::
#
# ### On CIFAR-10, recorded
#
# ResNet-20, four epochs on 4,500 real images, three seeds of each. BAM stands at two bottlenecks, with $r = 16$, as
# released; the constant has gates of one half on the branch of every block.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row: no module and BAM on one level, SE above them, the constant of one half on the branches highest."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. BAM stands where no module does.", "name": "bam-cifar"}}
keys = ("none", "bam", "se", "constant")
runs = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "bam")}
runs = [run for run in runs if run.seed in seeds]  # those of all four
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="bam")
row = {row.label: row for row in compared.rows}
finding("three seeds of each", len(seeds) == 3)
finding("49.95 % with BAM and 50.04 %", row["bam"].mean, row["none"].mean)
finding("-5.03 to 4.86", *sorted(-end for end in row["none"].student))
finding("by 3.47, 2.38 and 5.26 points", *row["constant"].differences)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each, the means are 49.95 % with BAM and 50.04 % without a module; the confidence interval of the
# difference is -5.03 to 4.86. A constant of one half on the branches, which no norm undoes, is better than BAM on each
# seed, by 3.47, 2.38 and 5.26 points. At a bottleneck there is no branch that could be made weaker.
# :::
#
# ## Look inside
#
# Any table of gates, a row for each channel and a column for each place, splits in one way into a mean, a part of the
# channel, a part of the place, and a rest that belongs to neither: the {term}`interaction`. In logits a sum has none.
# Through the sigmoid a little appears. How much of the variance of trained gates, within an image, is interaction?

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Share of interaction for four forms: near zero for the sum, the sum with norms and the product of gates; between four and eight tenths for the product."}, "figure": {"caption": "Share of interaction in the gates' variance within an image: a point for each seed, filled in block 1, hollow in block 2. Only the product's points lie far from zero.", "name": "bam-interaction"}}
whole = ["sum", "sum, norms", "product of gates", "product"]
two = forms[forms["variant"].isin(whole)].set_index("variant")
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
for name in whole:
    for block, face in ((1, None), (2, "none")):
        style = plots.look("bam").points(ls="")
        style |= {} if face is None else {"mfc": face}
        values = two.loc[[name], f"interaction_{block}"]
        axis.plot(values, [name] * len(values), **style)
axis.set(xlim=(0, 1), xlabel="share of interaction")
inside = 100 * two[["interaction_1", "interaction_2"]]
own = inside.loc["product"].to_numpy()
finding("44 to 79 %", own.min(), own.max())
finding("at most 6.6 %", inside.drop("product").max(axis=None))
places = two.drop("product")[["place_1", "place_2"]]
finding("than half", places.min(axis=None) > 0.5)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the product's gates 44 to 79 % of the variance is interaction, in those of the three other forms at most 6.6 %.
# More than half of *their* variance lies between places.
# :::
#
# **Does the network use it?** Exchange the gates of both modules of a trained network: for their best fit by a sum of
# channel and place, image by image, which removes the interaction alone; for the mean over all images at each channel
# and place; and for one number, their mean.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Make the table"}
kept = two[["additive", "fixed", "constant"]]
lost = 100 * kept.rsub(two["accuracy"], axis=0)
lost = lost.groupby("variant").mean().loc[whole].reset_index()
lost.columns = "trained as,fit by a sum,mean of images,one number".split(
    ","
)
sums, means = lost["fit by a sum"].tolist(), lost["mean of images"]
finding("the product loses 19.0 points", sums[-1])
finding("the other forms lose 0.3 at most", max(sums[:-1]))
finding("all four lose more than 10", means.min() > 10)
plots.table(lost, "Points lost with exchanged gates, mean of the seeds", 1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without its interaction the product loses 19.0 points in the mean; the other forms lose 0.3 at most. With the same
# gates for all images all four lose more than 10: unlike in [SE's last block](se.ipynb), it matters whose gates they
# are.
# :::
#
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with
# the code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
most_of = "pooling-wide gflops-reduction-4 gain-elsewhere-resnet101 "
most_of += "accuracy-of-users paper-form reduction-released gate-range"
plots.verdicts(paper.verdicts(most_of.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
wanted = "combination output-norms relu pooling name-error weights".split()
chosen = [d for d in paper.differences if d.id in wanted]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} Channel 1 has s = 2, channel 2 has s = -2. At a pixel with t = -1 the two are multiplied. Which channel is more open there?
# - [ ] Channel 1.
#
#   Where t is positive. Here its logit is -2.
# - [x] Channel 2.
#
#   Its logit is (-2)(-1) = 2: the two agree in sign.
# - [ ] Both alike.
#
#   They would be where t is zero.
# ```
#
# ```{quiz} All gates of a BAM are 1.5, in a ResNet in training. What is different from the network without it?
# - [ ] The later stages get stronger maps, so that they count more.
#
#   Every convolution that reads them has a batch norm behind it.
# - [x] Nothing but what the small ε under the root lets through.
#
#   Mean and deviation grow with the factor, and the norm takes it out again.
# - [ ] It depends on the weights of the next stage.
#
#   The factor passes through any linear layer and is taken out behind it.
# ```
#
# ```{quiz} Both branches put out zeros everywhere. Which form can learn?
# - [x] The sum.
#
#   The gradient at a logit reaches both branches as it is.
# - [ ] The product.
#
#   Each branch's gradient is multiplied by the other branch, which is zero.
# - [ ] Both: at zero the sigmoid is steepest.
#
#   The gradient at the logit is large, and then it is multiplied by zero.
# ```
#
# ```{quiz} A 3 by 3 convolution with gaps of 4 follows another one. A pixel sees a window of 17 by 17. How many of its 289 pixels count?
# - [ ] 289.
#
#   The window has gaps, and the second convolution does not fill them.
# - [x] 25.
#
#   Two steps of -4, 0 or 4 make five places along each side.
# - [ ] 81.
#
#   Nine times nine are the ways. Many of them end at the same pixel.
# ```
#
# ```{quiz} The gates of BAM lie between 1 and 2. Which is true?
# - [ ] BAM cannot make one pixel weaker beside another.
#
#   It leaves the one at 1 and doubles the other.
# - [x] Behind the next norm it acts as gates between one half and one would.
#
#   A common factor of two is all that sets them apart.
# - [ ] After three modules a map is up to eight times as strong at the output.
#
#   Between the modules are norms.
# ```
#
# ## Exercises
#
# ````{exercise} What a gate sees
# :label: bam-exercise-reach
#
# *Easy, 5 minutes.* A map has 14 by 14 pixels, and $d = 4$. How many pixels does the spatial logit see that sees most?
#
# :::{dropdown} Hint
# Along one side: which of the places 0 to 13 differ from $i$ by 0, 4 or 8?
# :::
# ````

# %%
exercises.answer("bam-exercise-reach", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} bam-exercise-reach
# :class: dropdown
# ````
#
# From row 5 one sees rows 1, 5, 9 and 13. From row 6 only three: 2, 6 and 10.

# %%
along = [len({*range(14)} & {*range(i - 8, i + 9, 4)}) for i in range(14)]
n = max(along) ** 2
print(f"{n} of {14**2}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("bam-exercise-reach", right=n, wrong=[25, 9])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Three in a row
# :label: bam-exercise-ratio
#
# *Easy, 3 minutes.* Two values pass three BAMs. Below which factor does the change of their ratio stay?
#
# :::{dropdown} Hint
# What is the largest ratio of two gates of one module?
# :::
# ````

# %%
exercises.answer("bam-exercise-ratio", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} bam-exercise-ratio
# :class: dropdown
# ````
#
# It stays below $2 \cdot 2 \cdot 2$, less than two each time. The gates of SE have no such bound.

# %%
print(factor := 2**3)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("bam-exercise-ratio", right=factor, wrong=[2, 6])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} One number more
# :label: bam-exercise-bias
#
# *Medium, 10 minutes.* Give the released product one number $b$ of its own, the same for all channels and pixels:
# $\sigma(s_c\, t_{ij} + b)$. How many of the sixteen patterns can it reach, if $b$ may be chosen for each pattern?
#
# :::{dropdown} Hint
# For one channel at one place let $s = t = (a, 0)$, and choose $b$ between.
# :::
# ````

# %%
exercises.answer("bam-exercise-bias", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} bam-exercise-bias
# :class: dropdown
# ````
#
# All of them, more than the sum. The released module is one number short.

# %%
shifted = [lambda s, t, b=b: sigmoid(s * t + b) for b in (-50, 0, 50)]
patterns = [reached(way, (-10, 0, 10)) for way in shifted]
n = len(set().union(*patterns))
print(f"{n} of 16")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("bam-exercise-bias", right=n, wrong=[8, 14])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A silent start
# :label: bam-exercise-zero
#
# *Research, 60 minutes.* Let both branches begin silent: $W_2$, $f_4$ and their biases are zero. Does the product ever
# learn, and what does the sum gain or lose? Train both from four seeds. To begin with: of a BAM with $C = 64$ and $r =
# 16$ that adds, how many parameters get a gradient at the first step, if all hidden units are on for some image?
#
# :::{dropdown} Hint
# What is in front of $W_2$ is reached only through $W_2$.
# :::
# ````

# %%
exercises.answer("bam-exercise-zero", ...)  # parameters

# %% [markdown]
# ````{solution-start} bam-exercise-zero
# :class: dropdown
# ````
#
# Those of $W_2$ and $f_4$: $4 \cdot 64 + 64 + 4 + 1$. In the product none, and that stays so. The rest is yours.

# %%
torch.manual_seed(0)
bam = attnlib.create("bam", 64, combine="sum")
for last in (bam.channel_branch[-1], bam.spatial_branch[-1]):
    last.load_state_dict({k: 0 * v for k, v in last.state_dict().items()})
x = torch.randn(8, 64, 6, 6)
bam(x).square().sum().backward()
print(n := sum(int((p.grad != 0).sum()) for p in bam.parameters()))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("bam-exercise-zero", right=n, wrong=[0, 324, 320])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. BAM gives each channel and each pixel a {term}`logit`. The paper adds the two, the released code multiplies them.
# 2. A sum keeps the order of the channels at every pixel; a product turns it over where the pixel's logit is negative.
# 3. At a bottleneck a constant does nothing, since the next norm undoes it. Only ratios of gates count, and they stay below 2.
# 4. Gaps widen the window and not the number of pixels seen: 25 at most, and 4 of 64 on a map of 8 by 8.
# 5. The paper's sum needs its two last norms: without them fresh gates stand at the ends of the sigmoid.
# :::
#
# ## Further reading
#
# * [BAM, deeper](bam_deeper.ipynb): fresh modules, what the gaps see, all costs of the paper's tables, one more exercise.
# * The paper {cite}`bam`; the authors' next module is [CBAM](cbam.ipynb), which multiplies two *gates*, in every block.
# * [IEBN](iebn.ipynb), for what a batch norm takes out and what it leaves.
