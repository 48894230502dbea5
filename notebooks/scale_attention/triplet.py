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
# # Triplet attention (TAM)
#
# :::{admonition} What does a module see that looks at a map from three sides?
# :class: question
#
# Triplet attention looks along the rows, along the columns and along the channels, as if it turned the map.
#
# **It sees shadows.** From each side it is given the maximum and the mean along one axis, and cannot know where on that
# axis anything is. Two maps that differ at every place of a small cube look alike to it; CBAM tells them apart.
#
# **Early in the network, what is not the object.** In the first block 0.13 % of what the two turned gates let through
# above their mean lies on the object, where chance would give 5.62 %; in the last block it is 42.11 %, by chance 32.34.
#
# **Here the turned branches do better by themselves.** On this book's shapes, leaving out the branch that is *not*
# turned gains 10.6 points in the mean of four seeds. Held at one half it costs as much: not what it learns does harm,
# but its vote, which leaves the others two thirds of their swing. And the module is slow: it has 300 parameters, and a
# training step of ResNet-20 takes 85.0 % longer.
# :::
#
# :::{mechanism}
# :name: triplet-mechanism
#
# ![Where triplet attention sits in a residual block](../../book/figures/triplet-block.svg)
# ![Three gates over three pairs of axes, and their mean, for three channels](../../book/figures/triplet-steps.svg)
#
# Where triplet attention sits in a residual block, and what it does to three channels (drawn with kernels of 3 by 3).
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`triplet`; known second-hand, through the authors' README and slides. The released code was read.
# **You need:** [CBAM](cbam.ipynb), [ECA](eca.ipynb), batch norm. **Time:** half an hour.
#
# Afterwards you can write the module; say what each of its three gates cannot see, and what all together cannot; why the
# order of channels matters and no order is better. Symbols are those of the [notation page](../../book/notation.md).
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
import itertools
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.results import costs, measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("triplet")

# %% [markdown]
# ## The idea
#
# The spatial half of [CBAM](cbam.ipynb) keeps, for each pixel, the maximum and the mean over the channels, and slides a
# 7 by 7 kernel over these two maps. It knows *where* something strong is, and not *in which channel*. Triplet attention
# keeps this half, and turns it. A map has three axes: channels, rows, columns. Lay another axis where the channels lay,
# apply the same small module, and turn the result back: the gates now stand over channels and columns, or over rows and
# channels. The authors call this {term}`cross-dimension interaction`: a gate depends on a channel and a place together.
#
# The three gates are averaged. A module has 300 parameters at any width. But a kernel that slides over rows meets
# neighbours that belong together, and one that slides over channels meets those that happen to be stored side by side.
#
# ## Derivation
#
# Let $x$ be the map behind the last batch norm of a residual branch, with $C$ channels of $H \times W$ pixels.
#
# **Pool over one axis.** Maximum and mean, side by side, are a {term}`Z-pool`; for channels and columns, over the rows:
#
# $$p_{cj} = \max_i\, x_c(i, j),$$ (triplet-peak)
#
# $$a_{cj} = \frac{1}{H} \sum_i x_c(i, j).$$ (triplet-average)
#
# Each channel is left as the *shadow* that it throws on its lower border: column by column, no longer row by row.
#
# **Convolve,** with 49 weights for each plane and no bias, then a batch norm of one channel, as in CBAM:
#
# $$n = w_1 \ast p + w_2 \ast a,$$ (triplet-convolve)
#
# $$t_{cj} = \gamma\, \frac{n_{cj} - \mu}{\sqrt{\nu + \varepsilon}} + \beta,$$ (triplet-logits)
#
# $$g^{CW}_{cj} = \sigma(t_{cj}).$$ (triplet-gate)
#
# The kernel slides along channels *and* columns: a gate hears seven of each, and zeros beyond. All rows share it.
#
# **Twice more.** The second branch pools over the columns and gives $g^{HC}_{ic}$; the third pools over the channels
# and gives $g^{HW}_{ij}$, CBAM's spatial half on the map as it comes. Each has its own kernel and norm. **Average:**
#
# $$\begin{aligned} y_c(i, j) = {} & \tfrac13 \bigl( g^{CW}_{cj} + g^{HC}_{ic} \\ & {} + g^{HW}_{ij} \bigr)\, x_c(i, j). \end{aligned}$$ (triplet-mean)
#
# A mean is not a product. In CBAM a gate near zero closes a pixel, whatever the other gate says. Here each branch has
# one vote in three: if one gate is 0 and the others are $\tfrac12$, a third of the value still passes.
#
# **Parameters.** With $k = 7$,
#
# $$P = 3 \cdot (2 \cdot 49 + 2) = 300.$$ (triplet-parameters)
#
# ### At the start
#
# A fresh norm has $\beta = 0$. In the released ResNets $\gamma$ starts at 0 in the H–W branch and at 1 in the two
# others. The H–W branch is therefore *flat*: each gate is exactly one half, as in CBAM, and its kernel gets no gradient
# in the first step. The turned branches are wide awake: by {eq}`triplet-logits` their logits have mean 0 and variance 1
# over the batch, *whatever the kernel's size*. Multiply $w$ by ten, and $\nu$ grows a hundredfold. So the scale of
# these kernels cannot matter at the start but for $\varepsilon$; what is opened and what closed is up to the random
# kernel. All gates are near one half in the mean: a constant of one half is the control, as for SE. And at any time in
# training, the logits of a branch have the mean $\beta$ over the batch, all channels, rows and columns together. What a
# branch closes in one place it opens in another.
#
# ### The order of the channels
#
# Of the seven rows of a turned kernel one hears the gate's own channel, and six hear channels stored beside it. What is
# *beside* worth? ECA slides a kernel over channels, too, and its chapter has the answer for the time before training:
# {prf:ref}`eca-theorem`. The proof uses of a gate only that the same channels stand in its window when rows and columns
# of the dense layers around it are renamed. So it holds for the turned branches as it stands, and the H–W branch hears
# no order: over all seeds, any order is as good as the stored one. What it is worth after training, see below.
#
# ## The module from scratch


# %%
class Triplet(nn.Module):
    def __init__(self, k: int = 7):
        super().__init__()
        conv = lambda: nn.Conv2d(2, 1, k, padding=k // 2, bias=False)
        self.convs = nn.ModuleList(conv() for _ in range(3))  # w
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(1, momentum=0.01) for _ in range(3)
        )

    def forward(self, x):
        gates = 0
        # H, W or C itself takes the channels' place and is pooled
        for axis, conv, norm in zip((2, 3, 1), self.convs, self.norms):
            turned = x.transpose(1, axis)
            # p, a: maximum and mean over this axis
            z = torch.cat([turned.amax(1, True), turned.mean(1, True)], 1)
            # g = sigmoid(gamma (w * z - mu) / sqrt(nu + eps) + beta)
            gates = gates + norm(conv(z)).sigmoid().transpose(1, axis)
        # y = (g_CW + g_HC + g_HW) / 3  x
        return gates / 3 * x


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 5 channels and 9 by 7 pixels, in evaluation mode with random statistics.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def loops(x, branches):
    """One image as nested lists [C][H][W]; of each branch (C-W, H-C,
    H-W) the kernel, the factor and the shift of its norm."""
    C, H, W = map(range, (len(x), len(x[0]), len(x[0][0])))
    planes = (
        {(c, j): [x[c][i][j] for i in H] for c in C for j in W},
        {(i, c): [x[c][i][j] for j in W] for i in H for c in C},
        {(i, j): [x[c][i][j] for c in C] for i in H for j in W},
    )
    y = [[[0.0 for _ in W] for _ in H] for _ in C]
    for c, i, j in itertools.product(C, H, W):
        places = ((c, j), (i, c), (i, j))
        for plane, branch, (u, v) in zip(planes, branches, places):
            kernel, factor, n = *branch[:2], 0.0
            for k, m in itertools.product(range(7), range(7)):
                if line := plane.get((u + k - 3, v + m - 3)):
                    n += kernel[0][k][m] * max(line)
                    n += kernel[1][k][m] * sum(line) / len(line)
            gate = 1 / (1 + math.exp(-factor * n - branch[2]))
            y[c][i][j] += gate * x[c][i][j] / 3
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 5, 9, 7, dtype=torch.float64)
scratch = Triplet().double().eval()
library = attnlib.create("triplet", 5).double().eval()
branches = []
layers = zip(scratch.convs, scratch.norms, library.branches.values())
for conv, norm, branch in layers:
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    branch.conv.load_state_dict(conv.state_dict())
    branch.norm.load_state_dict(norm.state_dict())
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - factor * norm.running_mean
    branches.append((conv.weight[0].tolist(), factor.item(), shift.item()))
by_loops = [loops(image, branches) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# The start: fresh H–W gates are one half, and kernels ten times as large change no gate. `branch_gates` reads the gates.


# %%
def branch_gates(module, x):
    """The gates C-W, H-C and H-W, each of length 1 on its axis."""
    gates = []
    for branch, axis in zip(module.branches.values(), (2, 3, 1)):
        z = torch.cat([x.amax(axis, True), x.mean(axis, True)], axis)
        t = branch(z.transpose(1, axis)).transpose(1, axis)
        gates.append(torch.sigmoid(t))
    return gates


# %% tags=["nbval-check-output"]
fresh = attnlib.create("triplet", 16).double().train()
fresh.network_init_()
x = torch.randn(8, 16, 9, 7, dtype=torch.float64)
before = [gate.detach() for gate in branch_gates(fresh, x)]
half = torch.full_like(before[2], 0.5)
check("H-W gates = 1/2", before[2], half)
for branch in fresh.branches.values():
    branch.conv.weight.data *= 10
check("kernels ten times as large", branch_gates(fresh, x), before, 1e-5)
spread = [gate.std().item() for gate in before]
finding("more than 0.15", min(spread[:2]) > 0.15)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In a fresh module the gates of both turned branches have a deviation of more than 0.15; the third branch is flat.
# :::
#
# ### What three shadows cannot tell apart
#
# Take a cube of two channels, two rows and two columns. In one map the value is 1 where $c + i + j$ is even, and 0
# elsewhere; in another where the sum is odd. The two maps differ at all eight places. But look along any axis: each line
# of two holds a 1 and a 0, with the maximum 1 and the mean $\tfrac12$. All three branches are given the same planes.


# %% tags=["nbval-check-output"]
def cube(odd):
    c, i, j = torch.meshgrid(*[torch.arange(2)] * 3, indexing="ij")
    x = torch.zeros(1, 8, 8, 8, dtype=torch.float64)
    x[0, 3:5, 3:5, 3:5] = ((c + i + j) % 2 == odd).double()
    return x


def gates_of_cubes(key, **arguments):
    torch.manual_seed(0)
    module = attnlib.create(key, 8, **arguments).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.gate(cube(0)), module.gate(cube(1))


check("triplet attention", *gates_of_cubes("triplet"), atol=1e-12)
even, odd = gates_of_cubes("cbam", reduction=2)
apart = (even - odd).abs().max()
print(f"gates differ by up to {apart:.2f}")
finding("more than 0.001", apart > 0.001)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Triplet attention has the same gates for both cubes, whatever its weights. CBAM, with random weights, has gates that
# differ by more than 0.001: its spatial half looks after its channel half has made the two channels unequal.
# :::
#
# :::{admonition} Try it
# :class: try-it
# `bam` has a logit for each channel and for each pixel. Are its gates equal? Say first; then write `"bam"` for `"cbam"`.
# :::
#
# ### Ties
#
# Where two values of a line are equal, which of them is the maximum, and gets the gradient? The released code and
# `attnlib` call `max`, which takes one of them; `amax`, as in the module from scratch, gives each a share.
#
# :::{admonition} Try it
# :class: try-it
# Which gradients does a line of four zeros get, as a ReLU leaves it? Say first; then change `line`.
# :::

# %% tags=["nbval-check-output"]
line = torch.tensor([2.0, 5.0, 5.0, 1.0], requires_grad=True)
for largest in (line.max(0)[0], line.amax(0)):
    print(torch.autograd.grad(largest, line)[0].tolist())

# %% [markdown]
# ## What it costs
#
# What triplet attention adds to ResNet-50, beside [SE](se.ipynb) and CBAM. *One by one* counts the work that multiplies
# no matrix, as in SE's chapter. The step is one of training ResNet-20 on two CPU cores.

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet50'").set_index("module")
fields = ["parameters", "macs", "elementwise"]
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
rows = []
for key in ("se", "cbam", "triplet"):
    extra = counted.loc[key, fields] - counted.loc["none", fields]
    rows.append([key, *(extra / [1, 1e6, 1e6]), longer[key]])
columns = ["added by", "parameters", "MACs (M)", "one by one (M)"]
added = pd.DataFrame(rows, columns=[*columns, "step (%)"])
added["parameters"] = added["parameters"].astype(int)
plots.table(added, "What three modules add", digits=2)

# %% mystnb={"code_prompt_show": "Hold the findings against the data"} tags=["hide-input"]
se, cbam, triplet = added.iloc[:, 1:].to_numpy()
finding("4,800 parameters where SE has 2,530,992", triplet[0], se[0])
finding("46.32 million multiply-adds where SE has 2.51", triplet[1], se[1])
finding("4.6 times as much work one by one as SE", triplet[2] / se[2])
finding("85.0 % longer, with CBAM 38.7 %", triplet[3], cbam[3])
finding("and with SE 13.8 %", se[3])
stages = [(256, 56, 3), (512, 28, 4), (1024, 14, 6), (2048, 7, 3)]
turned = sum(n * 98 * 2 * C * side for C, side, n in stages)
in_all = turned + sum(n * 98 * side * side for _, side, n in stages)
finding("97 % of the multiply-adds", 100 * turned / in_all)
finding("14,336 places", *{C * side for C, side, _ in stages})
check("multiply-adds by the formula", in_all / 1e6, triplet[1], atol=1e-9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Triplet attention has 4,800 parameters where SE has 2,530,992, and 46.32 million multiply-adds where SE has 2.51. It
# does 4.6 times as much work one by one as SE: the map is pooled six times. A training step takes 85.0 % longer, with
# CBAM 38.7 % and with SE 13.8 %. The module with the fewest parameters of the three is the slowest.
#
# And 97 % of the multiply-adds are in the turned branches. Each slides over $C \cdot W$ places, the same 14,336 places
# in all stages of ResNet-50, as channels double where columns halve; the H–W branch over 3,136 pixels and at last 49.
# :::
#
# ## Does it train, does it help?
#
# ### As published
#
# The README of the released code has three networks, each with kernels of 3 and of 7; each is one run on ImageNet.

# %% mystnb={"code_prompt_show": "Read the printed errors"} tags=["nbval-check-output", "hide-input"]
printed = paper.table("readme").pivot(
    index="model", columns="k", values="top1_err"
)
better = printed[3] - printed[7]
finding("1.36 points better in ResNet-50", better["ResNet-50"])
finding("0.76 in ResNet-18", better["ResNet-18"])
finding("0.63 points worse in MobileNetV2", -better["MobileNetV2"])
slide = paper.table("slides-imagenet").set_index("method")["top1_err"]
ours, theirs = slide[["Triplet attention", "CBAM"]]
finding("22.52 % against CBAM's 22.66 %", ours, theirs)
finding("70 of 50,000 images", 500 * (theirs - ours), 50000)
printed.columns = ["k = 3", "k = 7"]
plots.table(printed.reset_index(), "Printed top-1 error (%)", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The larger kernel is 1.36 points better in ResNet-50 and 0.76 in ResNet-18, and 0.63 points worse in MobileNetV2. On a
# slide of the authors ResNet-50 has 22.52 % against CBAM's 22.66 %. That is 70 of 50,000 images, one run each;
# [CBAM's chapter](cbam.ipynb) has the same difference, and what to think of it.
# :::
#
# ### Live, on generated shapes
#
# A small ResNet with triplet attention, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10, for thirty.

# %%
trained = train(chapter_recipe("triplet", seed=0))
if lane() == "full":
    store(trained.record)

# %% [markdown]
# ### A branch less, over seeds
#
# The same network without each branch in turn, on four seeds, on 2,000 fresh images (`benchmarks/triplet_branches.py`).
# Three more rows look for a reason. *Does it do harm by what it learns?* Then hold the H–W gate at one half, where it
# starts. *Is its vote in the way?* In a mean of three the turned gates swing two thirds as far as in a mean of two:
# stretch the mean of three about one half by 3/2. *Do the norms lag?* Their statistics move 1 % a step: take them anew.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Accuracy on shapes, four points a row, from low to high in the mean: a constant of one half, the H–W gate held at one half, all three starting there, all three branches, without H–C, without C–W, all three with the swing of two, no module, and without the H–W branch."}, "figure": {"caption": "Accuracy on shapes after three epochs: a point for each of four seeds, a bar at the mean. Without the H–W branch the network is best in the mean.", "name": "triplet-branches"}} tags=["hide-input"]
table = pd.DataFrame(measurements("triplet-branches").rows)
by = 100 * table.pivot(index="variant", columns="seed", values="accuracy")
by = by.loc[by.mean(axis=1).sort_values().index]
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.3))
for name, runs in by.iterrows():
    key = {"none": "none", "constant 1/2": "constant"}.get(name, "triplet")
    axis.plot(runs, [name] * len(runs), **plots.look(key).points(ls=""))
    axis.plot(runs.mean(), [name], "|", color=plots.INK, ms=14)
axis.set_xlabel("accuracy after three epochs (%)")
gain = by - by.loc["all three"]
mean, low, high = gain.mean(axis=1), gain.min(axis=1), gain.max(axis=1)
either = [*((low < 0) & (high > 0))[["without C-W", "without H-C"]]]
last = gain.loc["without H-W"]
finding("by 28.80, 2.05, 9.40 and 2.25 points, 10.6", *last, last.mean())
finding("7.85 points below no module", mean["none"], low["none"] > 0)
finding("1.90 points and", mean["without C-W"], *either)
finding("without H–C 1.54 points", mean["without H-C"])
held = last - gain.loc["H-W stays at 1/2"]
wide = gain.loc["all three, swing of two"]
finding("it costs 12.45 points", held.mean(), held.min() > 0)
finding("regain 7.41 points, on each", wide.mean(), wide.min() > 0)
rest = last - wide
finding("3.21 points with two seeds", rest.mean(), (rest < 0).sum() == 2)
new = 100 * table.groupby("variant")["fresh"].mean()
finding("still 11.96 points apart", new["without H-W"] - new["all three"])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without the H–W branch the network is better than with all three on each of four seeds, by 28.80, 2.05, 9.40 and 2.25
# points, 10.6 in the mean. Without C–W it gains 1.90 points and without H–C 1.54 points in the mean, and loses on some
# seeds. With all three it is 7.85 points below no module, on each seed.
#
# **It is the vote.** What H–W learns does no harm: held at one half, where it neither learns nor sees, it costs 12.45
# points. Let the turned gates swing as far as alone, and all three regain 7.41 points, on each seed some. What is left,
# 3.21 points with two seeds below zero, four seeds cannot tell from nothing. It is not the norms: with fresh statistics
# the networks with and without H–W are still 11.96 points apart.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test images.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row: no module lowest; SE next; CBAM, the constant gate of one half and triplet attention highest and on one level."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. Triplet attention, CBAM and the constant share their mean.", "name": "triplet-cifar"}} tags=["hide-input"]
keys = ("none", "se", "constant", "cbam", "triplet")
runs = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "triplet")}
runs = [run for run in runs if run.seed in seeds]  # those of all five
plots.accuracies(runs)
rows = attnlib.report(runs, baseline="triplet").rows
row = {row.label: row for row in rows}
plain, constant = row["none"], row["constant"]
means = [row[key].mean for key in ("triplet", "constant", "cbam")]
finding("three seeds of each", len(seeds) == 3)
finding("53.59 % with triplet attention, 53.65 % with", *means[:2])
finding("53.60 % with CBAM", means[2])
finding("-3.80 to 3.66", *sorted(-end for end in constant.student))
finding("3.55 points above no module", -plain.difference)
finding("above it on each seed", max(plain.differences) < 0)
finding("(-2.97 to 10.07)", *sorted(-end for end in plain.student))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each, the means are 53.59 % with triplet attention, 53.65 % with the constant (95 % interval of
# the difference -3.80 to 3.66) and 53.60 % with CBAM. Triplet attention is 3.55 points above no module (-2.97 to
# 10.07), and above it on each seed. Gates that know nothing [gain as much](../accuracy.ipynb).
# :::
#
# ## Look inside
#
# ### What the gates look at
#
# {numref}`triplet-gates` has, for four images in the live network, the mean of the turned gates over the channels: rows
# plus columns, with which no object can be drawn, but a cross can. In the table below *spatial* is the H–W gate.

# %%
images, _, _ = generate(500, seed=7)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="triplet"))
model = trained.model.cpu().eval()
look = lambda module, x: (x, branch_gates(module, x))
with torch.no_grad(), plots.captured(model, look) as found:
    model(trained.inputs(images))
maps, gates = zip(*found.values())
turned = [(cw.mean(1) + hc.mean(1)) / 2 for cw, hc, _ in gates]

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four images of shapes, each with the mean of the two turned gates in blocks 1, 2 and 3: patterns of rows and columns, in block 1 dark where the object is."}, "figure": {"caption": "Four images and the mean of their two turned gates in the three blocks, averaged over channels.", "name": "triplet-gates"}} tags=["hide-input"]
four = [t[:4] for t in turned]
plots.show_maps(images[:4], four, ("block 1", "block 2", "block 3"))
plt.show()

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
four = table.set_index("variant").loc["all three"]
rows = []
for kind, block in itertools.product(("turned", "spatial"), (1, 2, 3)):
    name = f"{kind}_{block}"
    share, chance = 100 * four[name], 100 * four[f"{name}_chance"]
    above = int((share > chance).sum())
    rows.append([f"{kind}, {block}", share.mean(), chance.mean(), above])
columns = ["gates, block", "share (%)", "by chance (%)", "seeds above"]
one, _, three, *_ = rows
finding("0.13 %, where chance would give 5.62 %", *one[1:3])
finding("42.11 %, where chance would give 32.34 %", *three[1:3])
finding("on each of the four seeds", one[3] == 0, len(four) == 4)
finding("above chance on each", three[3] == 4)
finding("more than 25 %", trained.record.final.accuracy > 0.25)
several = lambda x, axis: (x == x.amax(axis, True)).sum(axis) > 1
tied = lambda x: max(several(x, a).double().mean() for a in (2, 3))
finding("less than 1 % of the lines", max(map(tied, maps)) < 0.01)
finding("more than 8 % of them", min(tied(x.relu()) for x in maps) > 0.08)
rows = pd.DataFrame(rows, columns=columns)
plots.table(rows, "Share of the gates on the object", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the first block the share of the turned gates on the object is 0.13 %, where chance would give 5.62 %: they are
# lower there, on each of the four seeds. In the last it is 42.11 %, where chance would give 32.34 %, above chance on each.
#
# The live network names more than 25 % of the held-out images. In it ties are rare, in less than 1 % of the lines of
# rows and columns; behind a ReLU more than 8 % of them would have several largest values. So how a tie is broken hardly
# matters behind a norm, where the module stands.
# :::
#
# ### Other gates, after training
#
# On each of the four seeds, close one branch (its gate becomes one half) or all; give every image the *average* gates
# or those of *another* image; or let the turned kernels slide along a *random order* of the channels.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Points of accuracy lost, four seeds a row. One closed branch costs between minus six and twenty points, all three closed twelve to thirty-five, average gates five to twenty-seven, another image's gates twelve to thirty-one, a random order between minus seven and nineteen."}, "figure": {"caption": "Points of accuracy that trained networks lose with other gates: four seeds, two random orders for each. To close the H–W branch costs next to nothing in the mean.", "name": "triplet-exchange"}} tags=["hide-input"]
lost = four.filter(like="lost").rename(columns=lambda name: name[6:])
rows = {name: lost[[name]] for name in lost if "order" not in name}
rows["random order"] = lost.filter(like="order")
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
style = plots.look("triplet").points(ls="", alpha=0.7)
for name, points in rows.items():
    axis.plot(points.to_numpy().ravel(), [name] * points.size, **style)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.invert_yaxis()
axis.set_xlabel("points of accuracy lost")
other, order = lost["another image's"], rows["random order"]
finding("6.39 points in the mean", order.to_numpy().mean())
finding("on each seed less than", (order.max(axis=1) < other).all())
finding("21.35 points. Average", other.mean())
finding("cost 16.08 points", lost["average gates"].mean())
finding("6.10, 7.78 and 0.13 points", *lost.iloc[:, :3].mean())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A random order of the channels costs 6.39 points in the mean, on each seed less than another image's gates, which cost
# 21.35 points. Average gates cost 16.08 points: unlike [IEBN](iebn.ipynb)'s, these gates are used image by image.
# Closed alone, the branches C–W, H–C and H–W cost 6.10, 7.78 and 0.13 points in the mean: the networks hardly use the
# branch without which they would have learned more.
# :::
#
# ## What holds
#
# Code judges the claims; here are those that matter most. All are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """table-1-formulas gflops-k7 mobilenet-k3 gain-over-cbam
    initial-spatial first-step rotation"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
wanted = "rotation norms two-files unused mobilenet-kernel history".split()
chosen = [d for d in paper.differences if d.id in wanted]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# ```{quiz} All rows of a map change places, in every channel alike. What do the gates of the C–W branch do?
# - [ ] They change places, too.
#
#   They have no rows: there is one gate for each channel and column.
# - [x] They stay the same.
#
#   Maximum and mean over the rows do not depend on their order.
# - [ ] That depends on the kernel.
#
#   Whatever it is, it is given the same two planes before and after.
# ```
#
# ```{quiz} For a pixel one of the three gates is 0, the two others are one half. How much of the value passes?
# - [ ] Nothing.
#
#   So it would be in a product of gates, as in CBAM.
# - [x] A third.
#
#   The mean of 0, one half and one half.
# - [ ] A half.
#
#   A gate of 0 counts in the mean like the others.
# ```
#
# ```{quiz} In a fresh module of a network, the kernel of the H–C branch is multiplied by ten. What happens to its gates in training mode?
# - [ ] They go to 0 and 1, as the logits are ten times as large.
#
#   The norm behind the convolution divides by the deviation, which is ten times as large, too.
# - [x] Next to nothing.
#
#   The norm divides the factor out again, but for its epsilon.
# - [ ] They become one half.
#
#   That takes a scale of zero in the norm, as the H–W branch has it.
# ```
#
# ```{quiz} Before training, somebody reorders the channels of every stage, for the better as they think. What may they expect?
# - [ ] Better results, if channels that belong together stand side by side.
#
#   Fresh channels are drawn alike. No two belong together more than any other two.
# - [x] The same distribution of results.
#
#   A network along another order is the same network with other names, and as likely.
# - [ ] The same results, run by run.
#
#   The H–W branch does not notice. The turned ones do: with the same seed the run is another one.
# ```
#
# ```{quiz} Triplet attention has 4,800 parameters in ResNet-50 and SE 2.5 million. Which of the two is the cheaper?
# - [ ] Triplet attention, by a factor of 500.
#
#   In parameters. A weight that slides over 14,336 places is used as often.
# - [ ] They cost the same: both are below 2 % of the network's multiply-adds.
#
#   A training step knows the difference, as each reads and writes whole maps, one more often than the other.
# - [x] It depends on what is counted; in time it is SE.
#
#   A step of training ResNet-20 takes 14 % longer with SE, and 85 % longer with triplet attention.
# ```
#
# ## Exercises
#
# ````{exercise} Which part is turned?
# :label: triplet-exercise-share
#
# *Easy, 5 minutes.* In the last stage of ResNet-20 a block has 64 channels of 8 by 8 pixels. Which share of the
# module's multiply-adds is in its two turned branches, in per cent, to one decimal? Count the kernels alone.
#
# :::{dropdown} Hint
# Every kernel has 98 weights; count the places over which each slides.
# :::
# ````

# %%
exercises.answer("triplet-exercise-share", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} triplet-exercise-share
# :class: dropdown
# ````
#
# A kernel is applied at every place of its plane: 512, 512 and 64 of them.

# %%
places = [64 * 8, 8 * 64, 8 * 8]
s = 100 * sum(places[:2]) / sum(places)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("triplet-exercise-share", right=s, wrong=[66.7, 47.1])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The branch of rows and channels
# :label: triplet-exercise-branch
#
# *Medium, 15 minutes.* Write a function of a map (N, C, H, W) and a kernel (2, 7, 7), maxima first, that returns the
# gates of the H–C branch without its norm, (N, C, H, 1). The kernel's first axis runs over rows, its second over channels.
#
# :::{dropdown} Hint
# Exchange axes 1 and 3, pool over axis 1, convolve with `torch.nn.functional.conv2d`, and exchange the axes again.
# :::
# ````

# %%
exercises.answer("triplet-exercise-branch", ...)  # your function

# %% [markdown]
# ````{solution-start} triplet-exercise-branch
# :class: dropdown
# ````


# %%
def rows_and_channels(x, kernel):
    turned = x.transpose(1, 3)
    z = torch.cat([turned.amax(1, True), turned.mean(1, True)], 1)
    logits = nn.functional.conv2d(z, kernel[None], padding=3)
    return torch.sigmoid(logits).transpose(1, 3)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
f = rows_and_channels
wrong = [lambda x, k: f(x, k.mT), lambda x, k: f(x, k.flip(0))]
exercises.try_judge("triplet-exercise-branch", right=f, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} What three means do not see
# :label: triplet-exercise-unseen
#
# *Hard, 20 minutes.* Leave the maxima out. How many dimensions has the space of maps of 16 channels and 32 by 32 pixels
# of which all means over rows, over columns and over channels are zero?
#
# :::{dropdown} Hint
# How many dimensions have the vectors of 16 numbers with the sum zero? Such a vector times one of the rows times one of
# the columns is a map with all means zero.
# :::
# ````

# %%
exercises.answer("triplet-exercise-unseen", ...)  # a whole number

# %% [markdown]
# ````{solution-start} triplet-exercise-unseen
# :class: dropdown
# ````
#
# Such maps are the tensor product of three spaces, of vectors with the sum zero: $(C-1)(H-1)(W-1)$ dimensions. It is not
# $CHW - CH - CW - HW$, as the means have means in common: that of a channel can be had from its rows and its columns.

# %%
n = 15 * 31 * 31  # of 16,384

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("triplet-exercise-unseen", right=n, wrong=[14336, 0])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} An order without ends
# :label: triplet-exercise-ends
#
# *Research, 60 minutes.* An order has two ends, and beyond them a kernel finds zeros: a gate may learn where its channel
# stands. Pad the planes circularly along the channels, train four seeds with the recipe `smoke`, and compare. To begin
# with: of 64 channels, which share has a window of seven that reaches beyond an end, in per cent, to one decimal?
#
# :::{dropdown} Hint
# Seven channels reach three to either side. `torch.nn.functional.pad` has `mode="circular"`.
# :::
# ````

# %%
exercises.answer("triplet-exercise-ends", ...)  # your share for the dots

# %% [markdown]
# ````{solution-start} triplet-exercise-ends
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: pair the runs by their seeds, and say the interval, whatever comes out.

# %%
s = 100 * 6 / 64

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("triplet-exercise-ends", right=s, wrong=[4.7, 10.9])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. Triplet attention multiplies a map by the mean of three gates. Each is blind along one axis: rows, columns, channels.
# 2. Three shadows are not the map: gates of all three are equal for maps that CBAM tells apart.
# 3. The order of channels means nothing before training; after it, another order costs 6.39 points here.
# 4. It has 300 parameters at any width, and takes more time than SE with its millions.
# 5. A mean of more gates is one of weaker gates: without the H–W branch the network was better on each of four seeds.
# :::
#
# ## Further reading
#
# * [CBAM](cbam.ipynb): the spatial half that is turned here. [ECA](eca.ipynb): the order of channels, with its proof.
