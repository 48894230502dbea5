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
# :::{admonition} What do rotations see?
# :class: question
#
# QUESTION
# :::
#
# :::{mechanism}
# :name: triplet-mechanism
#
# ![Where triplet attention sits in a residual block](../../book/figures/triplet-block.svg)
# ![Three gates over three pairs of axes, and their mean, for three channels](../../book/figures/triplet-steps.svg)
#
# Where triplet attention sits in a residual block, and what it does to three channels of one image (drawn with kernels
# of 3 by 3).
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`triplet`; known second-hand, through the authors' README, slides and an overview page. The
# released code was read.
# **You need:** [CBAM](cbam.ipynb), [ECA](eca.ipynb), batch norm. **Time:** half an hour.
#
# Afterwards you can write the module in twenty lines; say what each of its three gates cannot see, and what all three
# together cannot; say why the order of channels matters and why no order is better; and tell a module of few parameters
# from a cheap one. Symbols are those of the [notation page](../../book/notation.md).
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
from attnlib.data.looking import share_inside
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
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
# channels. The paper calls this {term}`cross-dimension interaction`: a gate depends on a channel and a place together.
#
# The three gates are averaged. Nothing grows with the width: 300 parameters in a layer of 16 channels, and in one of 2048.
# But a kernel that slides over rows meets neighbours that belong together, and one that slides over channels meets those
# that happen to be stored side by side. What does a turned kernel see, what can it not see, and what is it worth?
#
# ## Derivation
#
# Let $x$ be the map behind the last batch norm of a residual branch, with $C$ channels of $H \times W$ pixels.
#
# **Pool over one axis.** The paper calls the pair of maximum and mean a {term}`Z-pool`. For channels and columns it goes
# over the rows:
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
# The kernel slides along channels *and* columns: a gate hears seven of each, and zeros beyond the first and the last. It
# has the same value in all rows.
#
# **Twice more.** The second branch pools over the columns and gives $g^{HC}_{ic}$; the third pools over the channels and
# gives $g^{HW}_{ij}$, CBAM's spatial half on the map as it comes. Each branch has a kernel and a norm of its own.
#
# **Average.**
#
# $$\begin{aligned} y_c(i, j) = \tfrac13 \bigl( & g^{CW}_{cj} + g^{HC}_{ic} \\ & {} + g^{HW}_{ij} \bigr)\, x_c(i, j). \end{aligned}$$ (triplet-mean)
#
# A mean is not a product. In CBAM a gate near zero closes a pixel, whatever the other gate says. Here each branch has one
# vote in three: if one gate is 0 and the others are $\tfrac12$, a third of the value still passes.
#
# **"Rotations".** The paper turns the tensor by 90 degrees, the released code exchanges two axes. The two differ by the
# direction of one axis, and a learned kernel can be learned either way round (a verdict below).
#
# **Parameters.** Three times $2 k^2$ weights and two of a norm; with $k = 7$,
#
# $$P = 3 \cdot (2 \cdot 49 + 2) = 300.$$ (triplet-parameters)
#
# ### At the start
#
# A fresh norm has $\beta = 0$. In the released ResNets $\gamma$ starts at 0 in the H–W branch and at 1 in the two others. The
# H–W branch is therefore *flat*: each gate is exactly one half, as in CBAM, and its kernel gets no gradient in the first
# step. The turned branches are wide awake: by {eq}`triplet-logits` their logits have mean 0 and variance 1 over the batch,
# *whatever the kernel's size*. Multiply $w$ by ten, and $\nu$ grows a hundredfold. So the scale of these kernels cannot
# matter at the start but for $\varepsilon$; what is opened and what closed is up to the random kernel. All gates are near
# one half in the mean: a constant of one half is the control, as for SE.
#
# And at any time in training, the logits of a branch have the mean $\beta$ over the batch, all channels, rows and columns
# together. What a branch closes in one place it opens in another.
#
# ### The order of the channels
#
# Of the seven rows of a turned kernel one hears the gate's own channel, and six hear channels stored beside it. What is
# *beside* worth? ECA slides a kernel over channels, too, and its chapter has the answer for the time before training:
# {prf:ref}`eca-theorem`. The proof uses of a gate only that the same channels stand in its window when rows and columns of
# the dense layers around it are renamed. So it holds for the turned branches as it stands, and the H–W branch hears no
# order at all: over all seeds, the stored order is as good as any other, and no better. What it is worth *after* training
# is measured below.
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
# In double precision, on maps of 5 channels and 9 by 7 pixels so that no axis can stand in for another, in evaluation mode
# with random statistics. The loops know nothing of tensors.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def gate_at(lines, kernel, factor, shift, u, v):
    """lines[u][v]: the values pooled for place (u, v) of the plane."""
    n = 0.0
    for k, m in itertools.product(range(7), range(7)):
        i, j = u + k - 3, v + m - 3
        if 0 <= i < len(lines) and 0 <= j < len(lines[0]):
            line = lines[i][j]
            n += kernel[0][k][m] * max(line)
            n += kernel[1][k][m] * sum(line) / len(line)
    return 1 / (1 + math.exp(-factor * n - shift))


def loops(x, branches):
    """One image as nested lists [C][H][W]; kernel, factor and shift of
    the branches C-W, H-C and H-W."""
    C, H, W = range(len(x)), range(len(x[0])), range(len(x[0][0]))
    planes = (
        [[[x[c][i][j] for i in H] for j in W] for c in C],
        [[[x[c][i][j] for j in W] for c in C] for i in H],
        [[[x[c][i][j] for c in C] for j in W] for i in H],
    )
    y = [[[0.0 for _ in W] for _ in H] for _ in C]
    for c, i, j in itertools.product(C, H, W):
        for lines, branch, at in zip(
            planes, branches, ((c, j), (i, c), (i, j))
        ):
            y[c][i][j] += gate_at(lines, *branch, *at) * x[c][i][j] / 3
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 5, 9, 7, dtype=torch.float64)
scratch = Triplet().double().eval()
library = attnlib.create("triplet", 5).double().eval()
branches = []
for conv, norm, branch in zip(
    scratch.convs, scratch.norms, library.branches.values()
):
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
# The start: the H–W gate of a network's fresh module is one half, and kernels that are ten times as large change no gate.
# `branch_gates` reads the three gates out of a module of `attnlib`; the chapter needs it again.


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
# In a fresh module the gates of both turned branches scatter by more than 0.15 about one half (a standard deviation), while
# the third branch is flat. What they open and close then is up to a random kernel.
# :::
#
# ### What three shadows cannot tell apart
#
# Take a cube of two channels, two rows and two columns. In one map the value is 1 where $c + i + j$ is even, and 0
# elsewhere; in another where the sum is odd. The two maps differ at all eight places. But look along any axis: each line
# of two holds a 1 and a 0, with the maximum 1 and the mean $\tfrac12$. All three branches are given the same planes.


# %% tags=["nbval-check-output"]
def cube(odd):
    """A map of zeros with the cube in its middle."""
    c, i, j = torch.meshgrid(*[torch.arange(2)] * 3, indexing="ij")
    x = torch.zeros(1, 8, 8, 8, dtype=torch.float64)
    x[0, 3:5, 3:5, 3:5] = ((c + i + j) % 2 == odd).double()
    return x


def gates_of_cubes(key, **arguments):
    """The gates of a random module for the even and the odd cube."""
    torch.manual_seed(0)
    module = attnlib.create(key, 8, **arguments).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.gate(cube(0)), module.gate(cube(1))


check("SE", *gates_of_cubes("se", reduction=2), atol=1e-12)
check("triplet attention", *gates_of_cubes("triplet"), atol=1e-12)
even, odd = gates_of_cubes("cbam", reduction=2)
finding("more than 0.001", (even - odd).abs().max() > 0.001)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Triplet attention has the same gates for the even and the odd cube, whatever its weights. CBAM, with random weights, has
# gates that differ by more than 0.001: its spatial half looks after its channel half has made the two channels unequal.
# :::
#
# So three shadows see less than two looks one after the other. How much less? An exercise counts what the means alone do
# not see: in a map of 16 channels and 32 by 32 pixels it is most of it.
#
# ### Ties
#
# Where two values of a line are equal, which is the maximum? For the output it does not matter, for the gradient it does:
# the released code calls `max`, which sends the gradient to one of them; `amax`, as from scratch, gives each a share.
# `attnlib` does what the released code does.

# %% tags=["nbval-check-output"]
line = torch.tensor([2.0, 5.0, 5.0, 1.0], requires_grad=True)
for largest in (line.max(0)[0], line.amax(0)):
    print(torch.autograd.grad(largest, line)[0].tolist())

# %% [markdown]
# Ties are rare behind a batch norm, where the module sits. Behind a ReLU a line of negative values becomes one of zeros;
# the trained network below has the numbers.
#
# ## What it costs
#
# What triplet attention adds to ResNet-50, beside [SE](se.ipynb) and CBAM. *One by one* counts the work that multiplies no
# matrix, as in SE's chapter. The step is one of training ResNet-20 on two CPU cores.

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
finding("28,672 places", *{C * side for C, side, _ in stages})
check("multiply-adds by the formula", in_all / 1e6, triplet[1], atol=1e-9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Triplet attention has 4,800 parameters where SE has 2,530,992, and 46.32 million multiply-adds where SE has 2.51. It does
# 4.6 times as much work one by one as SE: the map is pooled six times. A training step takes 85.0 % longer, with CBAM 38.7 %
# and with SE 13.8 %. The module with the fewest parameters of the three is the slowest.
#
# And 97 % of the multiply-adds are in the turned branches. They slide over $C \cdot W$ places, which are 28,672 places in
# each of ResNet-50's stages, since channels double where columns halve. The H–W branch slides over 3,136 pixels in the
# first stage, and 49 in the last.
# :::
#
# :::{admonition} Try it
# :class: try-it
# How many multiply-adds has one module in a layer of 64 channels and 8 by 8 pixels, and in how many of them is the kernel of
# the H–W branch? Estimate the share first; then change the line.
# :::

# %%
C, side = 256, 56
planes = {"C-W": C * side, "H-C": C * side, "H-W": side * side}
print({name: f"{98 * places:,}" for name, places in planes.items()})

# %% [markdown]
# ## Does it train, does it help?
#
# ### As published
#
# The README of the released code has three networks, each with kernels of 3 and of 7. Each is one run on ImageNet.

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
printed = paper.table("readme").pivot(
    index="model", columns="k", values="top1_err"
)
printed.columns = ["k = 3", "k = 7"]
printed["better by"] = printed["k = 3"] - printed["k = 7"]
better = printed["better by"]
finding("1.36 points better in ResNet-50", better["ResNet-50"])
finding("0.76 in ResNet-18", better["ResNet-18"])
finding("0.63 points worse in MobileNetV2", -better["MobileNetV2"])
slide = paper.table("slides-imagenet").set_index("method")["top1_err"]
ours, theirs = slide[["Triplet attention", "CBAM"]]
finding("22.52 % against CBAM's 22.66 %: 0.14 points", ours, theirs, theirs - ours)
finding("70 of 50,000 images", 500 * (theirs - ours), 50000)
plots.table(printed.reset_index(), "Printed top-1 error (%)", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The larger kernel is 1.36 points better in ResNet-50 and 0.76 in ResNet-18, and 0.63 points worse in MobileNetV2. On a
# slide of the authors ResNet-50 has 22.52 % against CBAM's 22.66 %: 0.14 points, which is 70 of 50,000 images, from one run each.
# [CBAM's chapter](cbam.ipynb) has the same difference, and what to think of it.
# :::
#
# ### Live, on generated shapes
#
# The cell trains a small ResNet with triplet attention on generated shapes, for three epochs. With `ATTNLIB_LANE=full` it
# trains ResNet-20 on CIFAR-10 for thirty, and writes the record.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, over three epochs."}, "figure": {"caption": "The live network by epoch.", "name": "triplet-live"}}
trained = train(chapter_recipe("triplet", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 25 %", trained.record.final.accuracy > 0.25)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 25 % of the held-out images; chance is a tenth: the code trains.
# :::
#
# ### A branch less, over seeds
#
# The same network, trained without each of the branches in turn, on four seeds, and tested on 2,000 fresh images
# (`benchmarks/triplet_branches.py`). The controls are no module, the constant of one half, and all three branches with
# norms whose scales all start at 0, so that every gate starts at one half.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "ALT"}, "figure": {"caption": "Accuracy on shapes after three epochs: a point for each of four seeds, a bar at the mean.", "name": "triplet-branches"}} tags=["hide-input"]
table = pd.DataFrame(measurements("triplet-branches").rows)
by = 100 * table.pivot(index="variant", columns="seed", values="accuracy")
by = by.loc[by.mean(axis=1).sort_values().index]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
for name, runs in by.iterrows():
    key = {"none": "none", "constant 1/2": "constant"}.get(name, "triplet")
    axis.plot(runs, [name] * len(runs), **plots.look(key).points(ls=""))
    axis.plot(runs.mean(), [name], "|", color=plots.INK, ms=14)
axis.set_xlabel("accuracy after three epochs (%)")
FINDINGS_BY
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# BRANCHES
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test images.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row: no module lowest; SE next; CBAM, the constant gate of one half and triplet attention highest and on one level."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean.", "name": "triplet-cifar"}} tags=["hide-input"]
keys = ("none", "se", "constant", "cbam", "triplet")
runs = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "triplet")}
runs = [run for run in runs if run.seed in seeds]  # those of all five
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="triplet")
row = {row.label: row for row in compared.rows}
above = {
    key: (-row[key].difference, *sorted(-end for end in row[key].student))
    for key in ("none", "constant")
}
means = [row[key].mean for key in ("triplet", "constant", "cbam")]
finding("three seeds of each", len(seeds) == 3)
finding("53.59 % with triplet attention, 53.65 % with", *means[:2])
finding("53.60 % with CBAM", means[2])
finding("-3.80 to 3.66", *above["constant"][1:])
finding("3.55 points above no module", above["none"][0])
finding("on each seed (-2.97 to 10.07)", *above["none"][1:])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each, the means are 53.59 % with triplet attention, 53.65 % with the constant and 53.60 % with CBAM; the
# 95 % interval of the difference to the constant is -3.80 to 3.66. Triplet attention is 3.55 points above no module, and
# above it on each seed (-2.97 to 10.07). What it gains, gates that know nothing gain as well.
# :::
#
# ## Look inside
#
# ### What the gates look at
#
# A thousand fresh images go through the live network. {numref}`triplet-gates` shows, for four of them, the mean of the two
# turned gates, averaged over the channels: a pattern of rows plus a pattern of columns. A single object cannot be drawn
# with it; a cross through the object can.

# %%
images, classes, masks = generate(1000, seed=7)
labels, masks = torch.tensor(classes), torch.tensor(masks)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="triplet"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
with torch.no_grad(), plots.captured(model, lambda _, x: x) as maps:
    own = 100 * (model(inputs).argmax(1) == labels).double().mean()
modules = attention_modules(model)
with torch.no_grad():
    gates = [branch_gates(modules[path], x) for path, x in maps.items()]
turned = [(cw.mean(1) + hc.mean(1)) / 2 for cw, hc, _ in gates]

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four images of shapes, each with the mean of the two turned gates in blocks 1, 2 and 3: patterns of rows and columns, in block 1 dark where the object is."}, "figure": {"caption": "Four images and the mean of their two turned gates in the three blocks, averaged over channels.", "name": "triplet-gates"}} tags=["hide-input"]
titles = ("block 1", "block 2", "block 3")
plots.show_maps(images[:4], [t[:4] for t in turned], titles, label="gate")
shares = [share_inside(t, masks) for t in turned]
finding("below chance in block 1, above it in block 3", SHARES)
lines = [
    (name, (x == x.amax(axis, True)).sum(axis) > 1)
    for m in maps.values()
    for name, x in (("norm", m), ("ReLU", m.relu()))
    for axis in (2, 3)
]
tied = lambda of: [t.double().mean().item() for n, t in lines if n == of]
finding("less than 1 % of the lines", max(tied("norm")) < 0.01)
finding("more than 8 % of them", min(tied("ReLU")) > 0.08)
plt.show()

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
four = table.set_index("variant").loc["all three"]
looks = 100 * pd.DataFrame(four["looks"].tolist())
rows = []
for kind, block in itertools.product(("turned", "spatial"), (1, 2, 3)):
    share, chance = looks[f"{kind}_{block}"], looks[f"{kind}_{block}_chance"]
    below = f"{(share < chance).sum()} of {len(share)}"
    rows.append([f"{kind}, {block}", share.mean(), chance.mean(), below])
columns = ["gates, block", "on the object (%)", "by chance (%)", "seeds below chance"]
rows = pd.DataFrame(rows, columns=columns)
FINDINGS_LOOKS
plots.table(rows, "Where the gates look", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# LOOKS
#
# In the live network ties are rare behind the norm, in less than 1 % of the lines of rows and columns. Behind a ReLU more
# than 8 % of them would have several largest values, zeros nearly all.
# :::
#
# ### Other gates, after training
#
# What does the trained network use? On each of the four seeds, close one branch (its gate becomes one half everywhere),
# close all, give every image the *average* gates or the gates of *another* image, or let the turned kernels slide along a
# *random order* of the channels.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "ALT3"}, "figure": {"caption": "Points of accuracy that trained networks lose with other gates: four seeds, two random orders for each.", "name": "triplet-exchange"}} tags=["hide-input"]
lost = pd.DataFrame(four["lost"].tolist())
rows = {name: lost[[name]] for name in lost if "order" not in name}
rows["random order"] = lost.filter(like="order")
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
style = plots.look("triplet").points(ls="", alpha=0.7)
for name, points in rows.items():
    axis.plot(points.to_numpy().ravel(), [name] * points.size, **style)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.invert_yaxis()
axis.set_xlabel("points of accuracy lost")
FINDINGS_LOST
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# LOST
# :::
#
# :::{admonition} Try it
# :class: try-it
# Which single branch does the live network miss most when it is closed? Say which; then change `closed` (0 is C–W, 1 is
# H–C, 2 is H–W), and run the cell three times.
# :::


# %%
def scale(module, args, _):
    gates = branch_gates(module, args[0])
    gates[closed] = torch.full_like(gates[closed], 0.5)
    return args[0] * sum(gates) / 3


closed = 0
hooks = [m.register_forward_hook(scale) for m in modules.values()]
with torch.no_grad():
    right = (model(inputs).argmax(1) == labels).double().mean()
for hook in hooks:
    hook.remove()
print(f"{own:.1f} % with all, {100 * right:.1f} % with one closed")

# %% [markdown]
# ## What holds
#
# Code judges what is claimed of triplet attention: the claims that matter most, the unkind ones first. All others are in
# [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """table-1-formulas gflops-k7 mobilenet-k3 gain-over-cbam
    initial-spatial first-step rotation"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ
#
# What is said of the code was read there; what is said of the paper's text is recalled, as its head says.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
wanted = "rotation norms two-files unused mobilenet-kernel history".split()
chosen = [d for d in paper.differences if d.id in wanted]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} An object moves down by ten rows, far from every border. What does the gate of the C–W branch do?
# - [ ] It moves down with the object.
#
#   It has no rows to move along: it has one value for each channel and column.
# - [x] It stays the same.
#
#   Maximum and mean over the rows are the same, wherever in a column the object is.
# - [ ] It depends on the kernel.
#
#   The kernel is given the same two planes before and after.
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
#   In parameters. A weight that slides over 28,672 places is used as often.
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
# *Easy, 5 minutes.* In the last stage of ResNet-20 a block has 64 channels of 8 by 8 pixels. Which share of the module's
# multiply-adds is in its two turned branches, in per cent, to one decimal? Count the kernels alone.
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
# With zeros beyond the border a kernel is applied at every place of its plane: 512, 512 and 64 of them.

# %%
places = [64 * 8, 8 * 64, 8 * 8]
share = 100 * sum(places[:2]) / sum(places)
print(f"{share:.1f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "triplet-exercise-share", right=share, wrong=[66.7, 47.1]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The branch of rows and channels
# :label: triplet-exercise-branch
#
# *Medium, 15 minutes.* Write a function `gate(x, kernel)` that returns the gates of the H–C branch without its norm, for a map
# `x` (N, C, H, W) and a kernel (2, 7, 7), whose first plane is for the maxima. As in the released code the kernel's first axis
# runs over the rows, its second over the channels. The result has the shape (N, C, H, 1).
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
#
# After the exchange the map is (N, W, H, C): the columns lie where the channels lay.


# %%
def rows_and_channels(x, kernel):
    turned = x.transpose(1, 3)
    z = torch.cat([turned.amax(1, True), turned.mean(1, True)], 1)
    logits = nn.functional.conv2d(z, kernel[None], padding=3)
    return torch.sigmoid(logits).transpose(1, 3)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda x, kernel: rows_and_channels(x, kernel.transpose(1, 2)),
    lambda x, kernel: rows_and_channels(x, kernel.flip(0)),
]
exercises.try_judge(
    "triplet-exercise-branch", right=rows_and_channels, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} What three means do not see
# :label: triplet-exercise-unseen
#
# *Hard, 20 minutes.* Leave the maxima out. The means over rows, over columns and over channels are linear in the map. How
# many dimensions has the space of maps of 16 channels and 32 by 32 pixels for which all these means are zero?
#
# :::{dropdown} Hint
# Along the channels, how many dimensions have the vectors of 16 numbers whose sum is zero? Such a vector times one of the
# rows times one of the columns is a map with all means zero.
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
# $CHW - CH - CW - HW$, as the means have means in common: the mean of a channel can be had from its rows and from its
# columns. Here is the count for a small map, by the rank of the matrix that takes a map to its means.

# %%
C, H, W = 3, 4, 5
basis = torch.eye(C * H * W, dtype=torch.float64).view(-1, C, H, W)
means = [basis.mean(axis).flatten(1) for axis in (1, 2, 3)]
rank = torch.linalg.matrix_rank(torch.cat(means, 1)).item()
check("unseen dimensions", C * H * W - rank, (C - 1) * (H - 1) * (W - 1))
unseen = 15 * 31 * 31
print(f"{unseen:,} of {16 * 32 * 32:,}")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "triplet-exercise-unseen", right=unseen, wrong=[14336, 2048]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} An order without ends
# :label: triplet-exercise-ends
#
# *Research, 60 minutes.* An order has two ends, and beyond them a kernel finds zeros: a gate may learn where its channel
# stands. Close the order to a circle (pad the planes circularly along the channels), train four seeds with the recipe
# `smoke`, and compare. To begin with: in a block of 64 channels, which share of the channels has a window of seven that
# reaches beyond an end, in per cent, to one decimal?
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
# Six of 64. In the first block, with 16 channels, it is six of 16. The rest is an experiment, and yours: pair the runs by
# their seeds, and say the interval, whatever comes out.

# %%
share = 100 * 6 / 64
print(f"{share:.1f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("triplet-exercise-ends", right=share, wrong=[4.7, 10.9])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# TAKE
# :::
#
# ## Further reading
#
# * [CBAM](cbam.ipynb): the spatial half that is turned here. [ECA](eca.ipynb): the order of channels, with its proof.
# * The paper {cite}`triplet`, for its tables and for pictures by Grad-CAM.
