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
# # Efficient channel attention (ECA)
#
# :::{admonition} Do neighbouring channels mean anything?
# :class: question
#
# **Before training, nothing.** A gate of ECA hears its own channel and those stored beside it. Let it look along any
# other order of the channels, and the network is the same but for names: a theorem, proven and tried below.
#
# **After training, only what the network made of them.** Give the gates of a small trained network a random order, and
# it loses less than 7 points of accuracy in the mean, less than with the gates of another image.
#
# **What the short kernel saves is parameters, not time,** and it is not shown to beat a constant: 86 parameters in
# ResNet-50 in place of SE's 2,530,992, a training step nearly as long, and 53.66 % in this book's short runs on
# CIFAR-10, where gates of one half have 53.65 %.
# :::
#
# :::{mechanism}
# :name: eca-mechanism
#
# ![Where ECA sits in a residual block](../../book/figures/eca-block.svg)
# ![Squeeze, slide one kernel, scale, for six channels](../../book/figures/eca-steps.svg)
#
# Where ECA sits in a residual block, and what it does to six channels.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`eca`; read, the CVPR text in a text conversion, with the released code. **You need:** [SE](se.ipynb), the
# idea of a permutation. **Time:** half an hour.
#
# Afterwards you can write the module in ten lines; say which kernel its rule gives for a width, and which ones the released
# networks have; prove that the order of channels means nothing at the start; and say what a short kernel cannot see. [Symbols](../../book/notation.md).
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
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.networks.renaming import reorder_channels, stage_layers
from attnlib.results import costs, measurements, records, store
from attnlib.scale_attention.eca import adaptive_kernel_size
from attnlib.training import Recipe, chapter_recipe, lane, train
from attnlib.training.steps import sgd_steps

plots.use()
paper = attnlib.paper("eca")

# %% [markdown]
# ## The idea
#
# [SE](se.ipynb) computes each gate from the means of all channels. All means to all gates would take $C^2$ weights, so SE sends
# them through a **bottleneck** of $C / r$ hidden units. The authors of ECA hold two things against it: the bottleneck throws
# information away before a gate has seen it, and a gate need not hear of all channels. Efficient channel attention keeps every
# mean, and makes the {term}`cross-channel interaction` a short one: a gate hears its own channel and its **neighbours** in the
# order in which the channels are stored. One kernel of $k$ weights slides along the channels, the same for all of them.
#
# So a block has three weights, or five, or seven. But what is a neighbour? In a picture, near pixels show the same thing.
# Channels 7 and 8 are stored side by side, and no more is known of them. This chapter asks what that is worth: by a theorem
# before training, and by an experiment after it.
#
# ## Derivation
#
# **Squeeze,** as in SE. One number stands for the map of a channel, its mean:
#
# $$z_c = \frac{1}{HW} \sum_{i,j} x_c(i, j).$$ (eca-squeeze)
#
# **Slide.** Let $m = (k - 1) / 2$ be the reach of a kernel of $k$ weights, $k$ odd so that the channel itself can stand in the
# middle. The logit of channel $c$ is a weighted sum over $k$ means:
#
# $$s_c = \sum_{j=1}^{k} w_j\, z_{c + j - 1 - m}.$$ (eca-slide)
#
# Beyond the first and the last channel there is nothing, and $z$ counts as 0 there. There is no bias and no hidden layer.
#
# **Gate and scale.**
#
# $$g_c = \sigma(s_c),$$ (eca-gate)
#
# $$y_c(i, j) = g_c\, x_c(i, j).$$ (eca-scale)
#
# **How long a kernel?** The authors argue that wide layers need a long one, and that widths are mostly powers of two. So they let
# the width be an exponential of the kernel,
#
# $$C = 2^{\gamma k - b},$$ (eca-width)
#
# and solve it for $k$, with $\gamma = 2$ and $b = 1$:
#
# $$k = \left| \frac{\log_2 C + b}{\gamma} \right|_{\text{odd}},$$ (eca-kernel)
#
# the *nearest odd number*. The paper's listing takes the integer part $t$, then $t$ where it is odd and $t + 1$ where it is even.
# An even $t$ covers all from $t$ up to $t + 1$, and $t + 1$ is the nearest odd number to all of these, but for $t$ itself: 4 is
# as near to 3 as to 5. The listing goes up.
#
# **Parameters.** One kernel for all channels has $P = k$ weights, whatever the width. The form without sharing, ECA-NS in the
# paper, has a kernel for every channel:
#
# $$P_{\text{NS}} = k\, C.$$ (eca-parameters)
#
# **At the start** the kernel keeps PyTorch's random weights between $-1/\sqrt{k}$ and $1/\sqrt{k}$, and there is no bias: over a
# batch every logit is zero in the mean, and the gates scatter about one half. A constant gate of one half is the control, as for
# SE. [ECA, deeper](eca_deeper.ipynb) derives this mean, and the gradients: backwards, the same kernel slides the other way.
#
# ## The module from scratch


# %%
class EfficientChannelAttention(nn.Module):
    def __init__(self, kernel_size: int = 3):
        super().__init__()
        m = kernel_size // 2
        # w
        self.slide = nn.Conv1d(1, 1, kernel_size, padding=m, bias=False)

    def forward(self, x):
        # z_c = 1 / (H W) sum_ij x_c(i, j)
        z = x.mean((2, 3))
        # s_c = sum_j w_j z_(c + j - 1 - m)
        s = self.slide(z[:, None, :])[:, 0, :]
        # g = sigmoid(s)
        gate = torch.sigmoid(s)
        # y_c(i, j) = g_c x_c(i, j)
        return gate[:, :, None, None] * x


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 9 by 7 pixels so that no axis can stand in for another.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def loops(image, w):
    """One image as nested lists [C][H][W]; the kernel as a list."""
    reach, z, output = len(w) // 2, [], []
    for channel in image:
        pixels = [value for row in channel for value in row]
        z.append(sum(pixels) / len(pixels))
    for c, channel in enumerate(image):
        logit = 0.0
        for j, weight in enumerate(w):
            neighbour = c + j - reach
            if 0 <= neighbour < len(z):
                logit += weight * z[neighbour]
        gate = 1 / (1 + math.exp(-logit))
        output.append([[gate * v for v in row] for row in channel])
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = EfficientChannelAttention(5).double()
library = attnlib.create("eca", 32, kernel_size=5).double()
library.conv.weight.data = scratch.slide.weight.data.clone()

w = scratch.slide.weight.flatten().tolist()
by_loops = [loops(image, w) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

# %% [markdown]
# ### What no kernel can do
#
# Three things follow from {eq}`eca-slide`, whatever the weights; [ECA, deeper](eca_deeper.ipynb) tries them.
#
# 1. **It does not hear far channels:** where means agree in the $k$ channels around $c$, so does the gate $g_c$.
# 2. **It does not know which channel it gates:** equal windows have equal gates. SE has a bias for every channel.
# 3. **It is linear:** turn all signs of $z$ around, and $g$ becomes $1 - g$. It cannot react to strong *or* weak means.
#
# ## What it costs
#
# ### Which kernel, and where the 80 parameters come from
#
# The abstract says that ECA adds 80 parameters to ResNet-50. The table has the widths of its four stages, the rule in two
# readings of *nearest odd*, and the kernels of the released network, which its README lists.

# %% tags=["nbval-check-output"]
BLOCKS = {256: 3, 512: 4, 1024: 6, 2048: 3}  # width: blocks in ResNet-50


def nearest_odd_down(C):
    """The nearest odd number; of two that are as near, the smaller."""
    exact = (math.log2(C) + 1) / 2
    return min(range(1, 15, 2), key=lambda odd: (abs(odd - exact), odd))


released = paper.table("readme").set_index("model")["kernels"]
kernels = pd.DataFrame({"width C": list(BLOCKS)})
kernels["before rounding"] = [(math.log2(C) + 1) / 2 for C in BLOCKS]
kernels["listing"] = [adaptive_kernel_size(C) for C in BLOCKS]
kernels["ties go down"] = [nearest_odd_down(C) for C in BLOCKS]
kernels["released"] = [int(k) for k in released["ECA-Net50"]]
plots.table(kernels, "Kernels of ECA in ResNet-50", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Count the parameters"}
totals = kernels.iloc[:, 2:].mul(list(BLOCKS.values()), axis=0).sum()
finding("86 by the listing", totals["listing"])
finding("80 as released", totals["released"])
finding("also 80", totals["ties go down"])
rule = [adaptive_kernel_size(2**n) for n in range(4, 12)]
bands = [3] * 3 + [5] * 4 + [7]  # 16, 32, 64; 128 to 1024; 2048
finding("3 up to 64, 5 from 128 to 1024 and 7 at 2048", rule == bands)
stages = released[released.index.str.contains("Net.*[0-9]$")].str.len()
other = paper.verdicts("kernels-all")[0].measured
finding("9 of 20 stages", other, stages[:5].sum())

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# For widths from 16 to 2048 the rule gives 3 up to 64, 5 from 128 to 1024 and 7 at 2048: three kernels for all ResNets of this
# book. ResNet-50 has 86 by the listing, 80 as released, with kernels set by hand for each stage, and also 80 when ties go down.
# So the abstract's number does not say which of the last two is meant. In the released ResNets from 18 to 152 layers, 9 of 20
# stages have another kernel than the listing gives.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Which kernel has a layer of 256 channels with $\gamma = 1$? Say it first, from {eq}`eca-kernel`; then change the line.
# :::

# %%
print(adaptive_kernel_size(256, gamma=2, b=1))

# %% [markdown]
# ### Parameters, work and time
#
# The whole network, by the listing, beside SE; *one by one* as in [SE's chapter](se.ipynb).

# %% tags=["nbval-check-output"]
counted = costs().query("network == 'resnet50'").set_index("module")
fields = ["parameters", "macs", "elementwise"]
rows = []
for key in ("se", "eca"):
    extra = counted.loc[key, fields] - counted.loc["none", fields]
    rows.append([key, *(extra / [1, 1e6, 1e6])])
columns = ["added by", "parameters", "MACs (M)", "one by one (M)"]
added = pd.DataFrame(rows, columns=columns)
added["parameters"] = added["parameters"].astype(int)
plots.table(added, "What SE and ECA add to ResNet-50", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the findings against the data"}
by_se, by_eca = added.iloc[:, 1:].to_numpy()
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
finding("86 parameters in place of 2,530,992", by_eca[0], by_se[0])
alike = abs(by_se[2] - by_eca[2]) < 0.005
finding("11.05 million operations one by one", by_eca[2], alike)
finding("12.2 % longer with ECA, 13.8 %", longer["eca"], longer["se"])
speed = paper.verdicts("gflops-added")[0].evidence[0].numbers
left = {who: 100 * each / speed["plain"] for who, each in speed.items()}
finding("11 % fewer images", 100 - left["with ECA"])
finding("and 13 % with SE", 100 - left["with SE"])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# ECA adds 86 parameters in place of 2,530,992. But the time of SE was never in its parameters: both read the whole map for the
# means and write it again scaled, 11.05 million operations one by one. Here, a training step of ResNet-20 takes 12.2 % longer
# with ECA, 13.8 % with SE; on a GPU a public benchmark has 11 % fewer images a second with ECA and 13 % with SE.
# :::
#
# What do the saved parameters buy? With the same 64 weights a gate hears either 4 channels, of which nothing is lost, or all 16
# through two numbers: [ECA, deeper](eca_deeper.ipynb) holds ECA against groups, a bottleneck and a full matrix.
#
# ## What the order of channels means
#
# A dense layer writes its output channels one by one, each with a row of weights of its own, and fresh rows are all drawn alike.
# Nothing makes row 7 more akin to row 8 than to row 30. And a dense layer that reads them has a column for each. So reorder the
# channels, rows and columns alike, and nothing has changed but their names. SE is no exception: its layers are dense. But ECA
# looks at the order itself. Let us give its gates another one.
#
# Let $\pi$ be an order of the $C$ channels of a stage. A gate that *looks along* $\pi$ takes as its neighbours those that stand
# beside it in $\pi$: sort the means by $\pi$, slide the kernel, sort the gates back.
#
# ```{prf:theorem} Before training, every order is as good
# :label: eca-theorem
#
# Take a ResNet with ECA at the end of every residual branch, in which the shortcut of each stage starts with a dense layer (the
# stem's convolution or a projection) and is read by dense layers only. Choose an order $\pi$ for each stage, and let all gates of
# the stage look along it. Reorder by $\pi$ the rows of the weights and norms that write the shortcut's start or the end of a
# branch, and the columns of the weights that read the shortcut. The new network, whose gates look along the stored order,
# computes the same function.
# ```
#
# ```{prf:proof}
# In the new network every map of the stage behind the last convolution of a branch, and on the shortcut, has channel $\pi(c)$ of
# the old one at place $c$. This is so where the rows were reordered: a dense layer and its norm treat each row by itself. It
# stays so in ECA: the stored order of the new map is the order $\pi$ of the old one, so that each gate has the same $k$ means in
# its window, and the ends of the order are the same, too. It stays so in the addition, as branch and shortcut have one order, and
# in the ReLU. Who reads the map follows with its columns.
# ```
#
# The theorem speaks of a function. For training it takes three more steps. Renamed weights have renamed gradients, so that after
# each step of SGD the two networks are still one but for names. Fresh rows and columns are drawn independently and alike, so that
# a renamed network is as likely as the first. And the order of the images is drawn apart from the weights. Hence **over all
# seeds, training along any order has the same distribution of results as training along the stored one.** The check gives all
# gates of a ResNet-20 random orders, renames, and trains both networks by five steps.


# %%
def along(order, eca, x):
    """ECA's gates, looking along an order of the channels."""
    return eca.gate(x[:, order])[:, order.argsort()]


# %%
torch.manual_seed(0)
orders = {width: torch.randperm(width) for width in (16, 32, 64)}
rows, columns = stage_layers(list(orders.values()))
first = create("resnet20", 10, "eca").double()
for parameter in first.parameters():
    if parameter.dim() in (1, 3):  # the norms and the kernels
        nn.init.normal_(parameter, parameter.dim() == 1, 0.5)
twin = create("resnet20", 10, "eca").double()
twin.load_state_dict(first.state_dict())
for eca in attention_modules(first).values():
    eca.register_forward_hook(
        lambda eca, args, _: (
            args[0] * along(orders[eca.channels], eca, args[0])
        )
    )
pictures = torch.randn(5, 4, 3, 16, 16, dtype=torch.float64)
classes = torch.randint(10, (5, 4))
apart = (first(pictures[0]) - twin(pictures[0])).abs().max()

# %% tags=["nbval-check-output"]
renamed = reorder_channels(first.state_dict(), rows, columns)
twin.load_state_dict(renamed)
check("outputs", first(pictures[0]), twin(pictures[0]), atol=1e-9)
states = [sgd_steps(n, pictures, classes) for n in (first, twin)]
after = reorder_channels(states[0], rows, columns)
check("after training", after, dict(states[1]), atol=1e-8)
finding("not renamed, its outputs differ", apart > 0.01)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Renamed, the twin whose gates look along the stored order gives the same outputs as the network whose gates look along random
# ones, and after five steps of training all its weights are still the same, renamed. With the same weights, not renamed, its
# outputs differ: the check can fail.
# :::
#
# So a paper that finds neighbours useful has not found something about the order. It has found that a gate may hear a
# few other channels, whichever they are, and do well. Which channels share a group is as arbitrary, by the same proof.
#
# ## Does it train, does it help?
#
# ### As published
#
# The paper's Table 2 puts its question to ResNet-50 on ImageNet: a gate that hears its own channel alone, its neighbours, a
# group, all channels through a bottleneck, or all of them; [ECA, deeper](eca_deeper.ipynb) draws it.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Hold the finding against the data"}
printed = paper.table("table-2").set_index("method")["top1"]
full, three = printed["SE-Var3 sigma(W y)"], printed["ECA"]
finding("77.43 %, with 65,536 weights 77.42 %", three, 256**2, full)
groups = printed[printed.index.str.contains("GC")]
finding("between 76.95 and 76.98 %", groups.min(), groups.max())
finding("one scale each 77.07 %", printed["SE-Var2 sigma(w * y)"])
finding("0.80 points", printed["SE-Var1 sigma(y)"] - printed["Vanilla"])
theirs = attnlib.paper("se").table("table-2").set_index("model")
same = 100 - theirs.loc["ResNet-50", "se_top1_err"] - printed["SE"]
finding("76.71 % for SE", printed["SE"], abs(same) < 1e-9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three weights a block the paper prints 77.43 %, with 65,536 weights 77.42 %. Groups of any size lie between 76.95
# and 76.98 %; one scale each 77.07 %, without a word from any other channel. A gate with no weight at all already gains
# 0.80 points. And the 76.71 % for SE are those of the SE paper, which trained by another recipe, so that the step from
# SE to the others is a step of recipes, too. Each number is a single run; what others found is on the [deeper
# page](eca_deeper.ipynb).
# :::
#
# ### Live, on generated shapes
#
# A small ResNet with ECA, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10 for thirty.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}, "figure": {"caption": "The live network by epoch. Three epochs are a beginning.", "name": "eca-live"}}
trained = train(chapter_recipe("eca", seed=0))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 35 %", trained.record.final.accuracy > 0.35)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 35 % of the held-out images, more than three times as many as chance: the code
# trains. Whether ECA helps, one short run cannot say.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test images. The
# control has gates of one half for every channel and image.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point, three seeds a row: no module lowest, SE next, the constant gate of one half and ECA highest and on one level."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. ECA and the constant share their mean.", "name": "eca-cifar"}}
keys = ("none", "se", "constant", "eca")
runs = [run for key in keys for run in records("cifar10-slice", key)]
seeds = {run.seed for run in records("cifar10-slice", "eca")}
runs = [run for run in runs if run.seed in seeds]  # those of all four
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="eca")
row = {row.label: row for row in compared.rows}
against = {
    label: (-r.difference, *sorted(-end for end in r.student))
    for label, r in row.items()
    if label != "eca"
}
finding("three seeds of each", len(row["eca"].seeds) == len(seeds) == 3)
finding("53.66 % with ECA", row["eca"].mean)
finding("53.65 % with the constant", row["constant"].mean)
finding("-1.18 to 1.19", *against["constant"][1:])
finding("3.62 points", against["none"][0])
finding("no module on each seed", max(row["none"].differences) < 0)
finding("1.35 points", against["se"][0])
finding("-0.91 to 8.16", *against["none"][1:])
finding("-3.14 to 5.84", *against["se"][1:])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With three seeds of each, the means are 53.66 % with ECA and 53.65 % with the constant; the 95 % interval of the difference is
# -1.18 to 1.19. ECA is above no module on each seed, by 3.62 points in the mean, and above SE by 1.35 points, but both intervals
# hold zero (-0.91 to 8.16 and -3.14 to 5.84). What ECA gains here a constant gains as well, and three seeds rank nothing more.
# :::
#
# ## Look inside
#
# ### Another order, after training
#
# Before training any order is as good; the trained network has learned with one. So take it away. In all blocks of the live
# network let the gates look along a random order of their channels; for comparison give every image the average gates of its
# block, the gates of another image, or one half.


# %%
def accuracy(exchange):
    """Images named right, in per cent, with exchanged gates."""
    hooks = [
        eca.register_forward_hook(
            lambda eca, args, _: args[0] * exchange(eca, args[0])
        )
        for eca in attention_modules(model).values()
    ]
    with torch.no_grad():
        right = model(inputs).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


def random_order(seed):
    draw = torch.Generator().manual_seed(seed)
    shuffled = lambda eca: torch.randperm(eca.channels, generator=draw)
    return lambda eca, x: along(shuffled(eca), eca, x)


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The images, and what is exchanged"}
images, classes, _ = generate(1000, seed=7)
labels = torch.tensor(classes)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="eca"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)

own = accuracy(lambda eca, x: eca.gate(x))
exchanges = {
    "a random order": list(map(random_order, range(8))),
    "average gates": [lambda eca, x: eca.gate(x).mean(0, keepdim=True)],
    "one half": [lambda eca, x: torch.full_like(eca.gate(x), 0.5)],
    "another image's gates": [lambda eca, x: eca.gate(x).roll(1, 0)],
}
lost = {
    what: [own - accuracy(exchange) for exchange in each]
    for what, each in exchanges.items()
}

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Points of accuracy lost by the live network: eight random orders scatter from next to none to a few points; average gates, gates of one half and the gates of another image stand below, a point each, to the right of most of them."}, "figure": {"caption": "What the live network loses with other gates; a point for each of eight random orders. In the mean an order costs less than the gates of another image.", "name": "eca-orders"}}
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
style = plots.look("eca").points(ls="", alpha=0.7)
for what, points in lost.items():
    axis.plot(points, [what] * len(points), **style)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.margins(y=0.2)
axis.invert_yaxis()
axis.set_xlabel("points of accuracy lost")
cost = sum(lost["a random order"]) / 8
finding("less than 7 points in the mean", cost < 7)
finding("another image do", cost < lost["another image's gates"][0])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Eight random orders cost the live network less than 7 points in the mean, less than the gates of another image do.
# Whatever the order is worth by now, the network has put there: from the start with another order, it would have
# learned around that. [ECA, deeper](eca_deeper.ipynb) looks at the kernels: in the last block a gate opens where its
# own channel is strong, and this part of it is the same in any order.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Reverse the order: every channel keeps both its neighbours, but the one before is now the one behind. Does the network lose more
# or less than with a random order? Say first; then write `stored(eca).flip(0)` for `stored(eca)`.
# :::

# %%
stored = lambda eca: torch.arange(eca.channels)
reverse = lambda eca, x: along(stored(eca), eca, x)
print(f"{own - accuracy(reverse):.1f} points lost")

# %% [markdown]
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the code
# that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
most = "parameters-by-rule kernels-all gflops-added accuracy-reduction "
most += "accuracy-coco accuracy-resnet50 gain-over-full-matrix"
plots.verdicts(paper.verdicts(most.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
wanted = ("kernels", "ties", "listing", "units", "recipes", "digits")
chosen = [d for d in paper.differences if d.id in wanted]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} A network has ECA with k = 3. What does the gate of channel 20 depend on?
# - [ ] On the pixels around the one that it multiplies.
#
#   The kernel slides along the channels. One gate serves all pixels of its channel.
# - [x] On the means of channels 19, 20 and 21.
#
#   Each mean is of a whole map, and the kernel reaches one channel to each side.
# - [ ] On the means of all channels.
#
#   That is SE. Here a change in channel 23 does not reach it.
# ```
#
# ```{quiz} Before training, you shuffle the order along which all gates of a stage look. What changes?
# - [ ] The network becomes worse, since neighbours no longer belong together.
#
#   Fresh channels are drawn independently: no two of them belong together.
# - [ ] Nothing at all: each weight computes what it did.
#
#   With the same weights the outputs differ. It takes a renaming to find the network that computes the same.
# - [x] The function, but not its distribution over seeds.
#
#   The renamed network is as likely as the first, and training renames along.
# ```
#
# ```{quiz} All means of an image are equal. What can SE do that ECA cannot?
# - [x] Open channel 3 and close channel 5.
#
#   SE has weights and a bias for each channel. For ECA the two windows are the same, and so are the gates.
# - [ ] Give gates other than one half.
#
#   ECA does so, too, unless the means or the sum of its weights are zero.
# - [ ] Nothing.
#
#   ECA's kernel does not know where it stands.
# ```
#
# ```{quiz} ECA adds 86 parameters to ResNet-50 and SE 2.5 million. Which is the faster in training?
# - [ ] ECA, by far: it computes next to nothing.
#
#   Both compute next to nothing; what takes time is to read and write the maps.
# - [x] They are near each other: a step takes 12 % and 14 % longer.
#
#   The mean and the scaling read the whole map in both.
# - [ ] SE, since its layers are dense and dense layers are fast.
#
#   Its two layers have a mean for each channel to work on; they are no part of the time worth naming.
# ```
#
# ```{quiz} Table 2 prints 77.43 % with three neighbours and 77.07 % with one scale each. What follows?
# - [ ] Neighbouring channels carry related information.
#
#   Which channels are neighbours is arbitrary at the start, by the theorem.
# - [ ] Nothing can follow from ImageNet runs.
#
#   Over several seeds they could show whether hearing two other channels helps.
# - [x] Perhaps that hearing two other channels helps, whichever they are; a single run of each does not tell.
#
#   The order is arbitrary, and 0.36 points between single runs may be seeds.
# ```
#
# ## Exercises
#
# ````{exercise} When is the kernel 9?
# :label: eca-exercise-nine
#
# *Easy, 10 minutes.* By the paper's listing, which is the smallest number of channels whose kernel has nine weights?
#
# :::{dropdown} Hint
# An even integer part goes up to the next odd number. From which number of channels on is $(\log_2 C + 1) / 2$ at least 8?
# :::
# ````

# %%
exercises.answer("eca-exercise-nine", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} eca-exercise-nine
# :class: dropdown
# ````
#
# At least 8 means $\log_2 C \ge 15$. {eq}`eca-width` gives $2^{17}$, where the value before rounding is 9 exactly.

# %%
nine = 2 ** (2 * 8 - 1)
check("from there on", adaptive_kernel_size(nine), 9)
check("and not before", adaptive_kernel_size(nine - 1), 7)
print(f"{nine:,}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "eca-exercise-nine", right=nine, wrong=[2**17, 2**16, 2**14]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} In millions
# :label: eca-exercise-millions
#
# *Easy, 5 minutes.* The paper's Table 3 has 47.01 M parameters for ResNet-101 with SE. How many million are that, to
# two decimals?
#
# :::{dropdown} Hint
# M is no million here: the network of Table 3 with 24.37 M parameters has 25.56 million ([ECA, deeper](eca_deeper.ipynb)).
# :::
# ````

# %%
exercises.answer("eca-exercise-millions", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} eca-exercise-millions
# :class: dropdown
# ````
#
# Its M is $2^{20} = 1{,}048{,}576$. Whoever compares tables of several papers has to ask this of each.

# %%
millions = 47.01 * 2**20 / 1e6
print(f"{millions:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "eca-exercise-millions", right=millions, wrong=[47.01, 44.83]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A kernel for every channel
# :label: eca-exercise-unshared
#
# *Easy, 5 minutes.* How many parameters does ECA-NS add to ResNet-50, with the released kernels 3, 5, 5 and 7 for 3, 4, 6 and 3
# blocks of 256, 512, 1024 and 2048 channels?
#
# :::{dropdown} Hint
# {eq}`eca-parameters`, for each stage times its blocks.
# :::
# ````

# %%
exercises.answer("eca-exercise-unshared", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} eca-exercise-unshared
# :class: dropdown
# ````
#
# It is also the number of multiply-adds that the shared kernels take for an image, since a shared weight is used once at every
# channel; the abstract's 0.00047 billion operations are more than five times as many.

# %%
unshared = sum(
    n * k * C for (C, n), k in zip(BLOCKS.items(), (3, 5, 5, 7))
)
print(f"{unshared:,}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "eca-exercise-unshared", right=unshared, wrong=[80, 23_808]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} An order for every block
# :label: eca-exercise-blocks
#
# *Research, 60 minutes.* The theorem needs one order for all blocks of a stage, whose channels the shortcut ties together. Train
# the recipe `smoke` with ECA from eight seeds, and again with a hook on every block that makes its gates look along a random
# order of *its own*, fixed before training. Does the interval of the paired differences leave zero out? To begin with: of the 63
# pairs of neighbours among 64 channels, how many are neighbours again in a random order, in the mean? To two decimals.
#
# :::{dropdown} Hint
# A random order has 63 places for a pair, out of $64 \cdot 63 / 2$ pairs. How likely is a given pair at one of them?
# :::
# ````

# %%
exercises.answer("eca-exercise-blocks", ...)  # pairs, in the mean

# %% [markdown]
# ````{solution-start} eca-exercise-blocks
# :class: dropdown
# ````
#
# A given pair is side by side with the probability $63 / (64 \cdot 63 / 2) = 1 / 32$, and 63 pairs have it: a random
# order keeps two of 63. The rest is yours: say seeds, differences and interval, whatever comes out.

# %%
kept = 63 * 63 / math.comb(64, 2)
print(f"{kept:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("eca-exercise-blocks", right=kept, wrong=[0.98, 1, 2])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. ECA's gate is a sigmoid of a weighted sum over the means of three, five or seven neighbouring channels, without
#    bias.
# 2. The order of channels means nothing before training: any order gives the same networks, under other names.
# 3. It keeps every mean, where SE's bottleneck keeps a few combinations; but it does not hear far channels, and does not
#    know which channel it gates.
# 4. The 80 parameters are of kernels set by hand, or of the rule with ties rounded down; the listing gives 86.
# 5. It has 0.003 % of SE's parameters in ResNet-50, and nearly all of SE's time. A constant gate of one half did as well.
# :::
#
# ## Further reading
#
# * [SE](se.ipynb), whose bottleneck ECA leaves out, and [SA](sa.ipynb), where a shuffle does nothing by the same argument.
# * The paper {cite}`eca`: its Table 2 is worth reading row by row; Figure 3 has the listing without its sigmoid.
