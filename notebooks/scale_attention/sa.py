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
# # Shuffle attention (SA)
#
# :::{admonition} 300 parameters or 708, and what is the shuffle for?
# :class: question
#
# **708.** The abstract says that SA adds 300 parameters to ResNet-50. The released module adds 708, in six vectors of
# 118, and no choice among them gives 300.
#
# **In such a network the shuffle is for nothing.** It gives the channels other names; every layer that reads them can read
# them under these names. Networks with and without it have the same distribution of accuracies: a theorem, proven and tried
# below. Where a grouped layer reads the shuffled channels, the shuffle carries information, and is needed.
#
# **So here is a comparison whose answer is known: no difference.** Three seeds of each say that the network *without* the
# shuffle is better by 1.64 points: each run without it beats each run with it. With eight seeds the interval of the
# difference is -0.29 to 1.96: what looked like a finding was the seeds.
# :::
#
# :::{mechanism}
# :name: sa-mechanism
#
# ![Where SA sits in a residual block](../../book/figures/sa-block.svg)
# ![Split, gate each half in its own way, shuffle, for eight channels](../../book/figures/sa-steps.svg)
#
# Where SA sits in a residual block, and what it does to eight channels in two groups.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`sa`; known second-hand. Its abstract and a summary were read, the released code was read and run; the
# table of ImageNet results is recalled. **You need:** [SE](se.ipynb), group norm, the idea of a confidence interval.
# **Time:** half an hour.
#
# Afterwards you can write the module from six vectors, and say what each of its gates can see and what not; prove for which
# networks a shuffle of channels matters; and say what three seeds can show and what they cannot. Symbols are those of the
# [notation page](../../book/notation.md). Channels, groups and pixels are counted from 0, as in the code.
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
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.results import costs, measurements, records, store
from attnlib.results.intervals import student, t_quantile
from attnlib.scale_attention.sa import shuffle_channels
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("sa")

# %% [markdown]
# ## The idea
#
# A gate can answer two questions: *which channel* matters in this image, and *where* in the channel. [SE](se.ipynb) pays two
# matrices for the first question alone. Shuffle attention asks both, and shares the work out: it cuts the channels into $G$
# groups and each group into two halves. The first half is asked only *which*: each of its channels gets one gate, from its
# own mean. The second half is asked only *where*: each of its pixels gets a gate, from its own value after the channel has
# been normalised.
#
# There is no matrix in the module. A gate is the sigmoid of one number times a weight plus a bias, and all groups use the
# same few weights and biases. The price: no channel hears of another one. At the end the channels are **shuffled**: the first
# and the second half of *all* channels are interleaved, so that the next layer finds them in another order.
#
# ## Derivation
#
# **Split.** The map $x$ has $C$ channels, a multiple of $2G$. Each group has two halves of $m = C / 2G$ channels:
#
# $$x = [x_0, \dots, x_{G-1}],$$ (sa-groups)
#
# $$x_k = [x_{k1},\; x_{k2}].$$ (sa-split)
#
# **Channel half.** As in SE, a channel is squeezed to its mean, which gives every pixel the same say. But where SE mixes the
# means of all channels, here each gate has its own alone:
#
# $$z_{k1} = \frac{1}{HW} \sum_{i,j} x_{k1}(i, j),$$ (sa-mean)
#
# $$g_{k1} = \sigma(W_1 \odot z_{k1} + b_1).$$ (sa-channel)
#
# **Spatial half.** To say where a channel is strong, one has to know what is strong *for this channel*. So each channel is
# normalised over its own pixels, with their mean $\mu$ and variance $\nu$ in this image:
#
# $$z_{k2} = \gamma \odot \frac{x_{k2} - \mu_{k2}}{\sqrt{\nu_{k2} + \varepsilon}} + \beta,$$ (sa-norm)
#
# $$g_{k2} = \sigma(W_2 \odot z_{k2} + b_2).$$ (sa-spatial)
#
# The paper calls $z_{k2}$ a group norm {cite:p}`group_norm`; in the released code that norm has as many groups as channels,
# hence {eq}`sa-norm`.
#
# **Concatenate and shuffle.** The gated halves go back to their places,
#
# $$x'_k = [\,g_{k1} \odot x_{k1},\; g_{k2} \odot x_{k2}\,].$$ (sa-concatenate)
#
# Now count the channels of $x'$ through all groups. For $0 \le i < C/2$ and $j = 0, 1$,
#
# $$y_{2i + j} = x'_{i + jC/2}.$$ (sa-shuffle-order)
#
# **Parameters.** $W_1, b_1, W_2, b_2, \gamma, \beta$ are vectors of length $m$, shared by all groups. So a module has
#
# $$P = 6 \cdot \frac{C}{2G} = \frac{3C}{G}.$$ (sa-parameters)
#
# **At the start** $W_1 = W_2 = 0$ and $b_1 = b_2 = 1$. Every gate is the same constant, whatever the image:
#
# $$y_{2i + j} = \sigma(1)\, x_{i + jC/2}.$$ (sa-start)
#
# So $\sigma(1) = 0.731$ is the constant that SA has to beat, as one half was for SE.
#
# **What a spatial gate sees.** Put {eq}`sa-norm` into {eq}`sa-spatial`. Besides weights, which are the same for every image,
# only three things are in it: the pixel's own value, and the mean and the variance of its channel. Through these two every
# pixel hears every other pixel. But a mean does not know who its terms were: if two other pixels change places, the gate
# stays. So *where* means *at which brightness*: pixels brighter than the channel's mean are turned up and the darker ones
# down, or the reverse, wherever they are. And if contrast and brightness are turned up, $x$ becomes $5x + 2$ for example, the
# fraction stays: what SA knows of how strong a channel is, it knows in the channel half. [SA, deeper](sa_deeper.ipynb) tries
# all of this.
#
# **Two vectors too many.** The logit is $W_2 \gamma\, \hat x + W_2 \beta + b_2$, with $\hat x$ for the fraction in
# {eq}`sa-norm`: four vectors say what two could say. [SA, deeper](sa_deeper.ipynb) has more of it, and all gradients.
#
# ## The module from scratch


# %%
class ShuffleAttention(nn.Module):
    def __init__(self, channels: int, groups: int = 64):
        super().__init__()
        m, self.groups = channels // (2 * groups), groups
        self.weight = nn.Parameter(torch.zeros(2, m, 1, 1))  # W_1, W_2
        self.bias = nn.Parameter(torch.ones(2, m, 1, 1))  # b_1, b_2
        self.norm = nn.GroupNorm(m, m)  # gamma, beta

    def forward(self, x):
        N, _, H, W = x.shape
        # x_k = [x_k1, x_k2]; the groups k become images
        x_1, x_2 = x.reshape(N * self.groups, -1, H, W).chunk(2, 1)
        # z_k1: the means of x_k1; z_k2: x_k2, normalised
        z_1, z_2 = x_1.mean((2, 3), keepdim=True), self.norm(x_2)
        # g = sigmoid(W z + b), in each half
        g_1 = torch.sigmoid(self.weight[0] * z_1 + self.bias[0])
        g_2 = torch.sigmoid(self.weight[1] * z_2 + self.bias[1])
        # x'_k = [g_k1 x_k1, g_k2 x_k2]; y_{2i + j} = x'_{i + j C/2}
        gated = torch.cat([g_1 * x_1, g_2 * x_2], 1).view(N, 2, -1, H, W)
        return gated.transpose(1, 2).reshape(x.shape)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 24 channels in 3 groups and 9 by 7 pixels, so that no axis can stand in for another. All
# parameters are drawn at random first: at their initial values most mistakes would not show. The loops take one channel after
# the other and know nothing of tensors.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def gated(channel, place, m, w_1, b_1, w_2, b_2, gamma, beta):
    """One channel as rows of pixels; `place` counts it in its group."""
    pixels = [value for row in channel for value in row]
    mean = sum(pixels) / len(pixels)
    variance = sum((v - mean) ** 2 for v in pixels) / len(pixels)
    i = place % m  # inside its half

    def gate(value):
        if place < m:
            return 1 / (1 + math.exp(-w_1[i] * mean - b_1[i]))
        z = (
            gamma[i] * (value - mean) / math.sqrt(variance + 1e-5)
            + beta[i]
        )
        return 1 / (1 + math.exp(-w_2[i] * z - b_2[i]))

    return [[gate(value) * value for value in row] for row in channel]


def loops(image, groups, *vectors):
    """One image as nested lists [C][H][W]; vectors of length m."""
    C, y = len(image), [None] * len(image)
    m = C // (2 * groups)
    for c, channel in enumerate(image):
        j, i = divmod(c, C // 2)
        y[2 * i + j] = gated(channel, c % (2 * m), m, *vectors)
    return y


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
G, m = 3, 4
x = torch.randn(2, 2 * G * m, 9, 7, dtype=torch.float64)
scratch = ShuffleAttention(2 * G * m, groups=G).double()
for parameter in scratch.parameters():
    nn.init.normal_(parameter)
library = attnlib.create("sa", 2 * G * m, groups=G).double()
sides = torch.stack([scratch.weight, scratch.bias], 1).flatten(0, 1)
vectors = (*sides, *scratch.norm.parameters())  # W_1, b_1, W_2, b_2 ...
vectors = [vector.detach().flatten() for vector in vectors]
for own, vector in zip(library.parameters(), vectors, strict=True):
    own.data = vector.clone()
lists = [vector.tolist() for vector in vectors]
by_loops = [loops(image, G, *lists) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)
fresh = attnlib.create("sa", 2 * G * m, groups=G).double()
start = shuffle_channels(torch.sigmoid(torch.ones(1).double()) * x)
check("start = shuffled constant", fresh(x), start.detach())

# %% [markdown]
# ## What it costs
#
# SA sits where SE does, in each of ResNet-50's 16 branches, with 64 groups. Its parameters, vector by vector, summed over the
# 16 modules:

# %% tags=["nbval-check-output"]
modules = attention_modules(create("resnet50", 1000, "sa")).values()
sizes = pd.DataFrame(
    {name: vector.numel() for name, vector in module.named_parameters()}
    for module in modules
).sum()
printed = paper.table("table-1-differences").iloc[0]["extra_params"]
finding("708 parameters", sizes.sum(), printed == 300)
finding("118 in each of the six vectors", *set(sizes))
two, three = (number * sizes.iloc[0] for number in (2, 3))
finding("gives 300, the nearest are 236 and 354", printed, two, three)
by_vector = sizes.rename_axis("vector").reset_index(name="parameters")
plots.table(by_vector, "SA in ResNet-50, by vector")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SA has 708 parameters in ResNet-50, 118 in each of the six vectors. Whatever vectors are left out, the rest is a multiple of
# 118: none gives 300, the nearest are 236 and 354.
# :::
#
# Next to the 25 millions of the network, either number is nothing. What else does SA cost, and SE beside it? (*One by one* as
# in [SE's chapter](se.ipynb).)

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Read what was counted and measured"}
counted = costs().set_index(["network", "module"]).sort_index()
fields = ["parameters", "macs", "elementwise"]
rows = []
for network in ("resnet50", "resnet20"):
    plain = counted.loc[(network, "none"), fields]
    for key in ("se", "sa"):
        number, *work = counted.loc[(network, key), fields] - plain
        millions = [operations / 1e6 for operations in work]
        rows.append([f"{key} to {network}", int(number), *millions])
columns = ["added by", "parameters", "MACs (M)", "one by one (M)"]
added = pd.DataFrame(rows, columns=columns)
se_50, sa_50, se_20, sa_20 = added.set_index("added by").to_numpy()
step = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (step.set_index("attention")["ratio"] - 1)
finding("0.03 % of SE's parameters", 100 * sa_50[0] / se_50[0])
finding("4.6 %", 100 * sa_20[0] / se_20[0])
finding("24.88 million", sa_50[2], sa_50[1] == 0)
finding("11.05 million", se_50[2])
finding("43.7 % longer, with SE 13.8 %", longer["sa"], longer["se"])
plots.table(added, "What SE and SA add", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SA has 0.03 % of SE's parameters in ResNet-50, 4.6 % in ResNet-20, and not one multiply-add. Yet it does more work, 24.88
# million operations one by one in ResNet-50 where SE does 11.05 million. On two CPU cores a training step of ResNet-20 takes
# 43.7 % longer, with SE 13.8 %: the module with next to no parameters is the slow one.
# :::
#
# A mean takes a map and gives a number, and all that SE does next is small. SA normalises half of the map, takes a sigmoid at
# each of its pixels, and copies the whole map in another order.
#
# :::{admonition} Try it
# :class: try-it
# Fewer groups share their vectors among fewer channels. With how many groups does SA have as many parameters in one block of
# 256 channels as SE ($r = 16$), which has 8,464? Say first whether there is such a number; then change `groups`.
# :::

# %%
groups = 64
parameters = attnlib.create("sa", 256, groups=groups).parameters()
print(f"{groups} groups: {sum(p.numel() for p in parameters)} parameters")

# %% [markdown]
# (sa-shuffle)=
# ## What the shuffle is for
#
# {term}`Channel shuffle <channel shuffle>` comes from networks of {term}`grouped convolutions <grouped convolution>`
# {cite:p}`shufflenet_v2`: a layer in groups never looks outside its part of the channels, so that somebody has to carry
# information across. SA shuffles for the same reason. In {numref}`sa-mechanism` channels 0 and 4 become neighbours,
# then 1 and 5: groups meet.
#
# A *dense* layer, such as an ordinary convolution, sums over all channels, with a weight for each. Reorder its inputs,
# reorder the columns of its weights likewise, and nothing has changed. In a ResNet the shuffled channels are first added to
# the shortcut, which is not shuffled. But dense layers write the shortcut, and dense layers read it. This is enough:
#
# ```{prf:theorem} In a ResNet the shuffle is a change of names
# :label: sa-theorem
#
# Take a ResNet with SA at the end of every residual branch, in which the shortcut of each stage starts with a dense layer
# (the stem's convolution or a projection) and is read by dense layers only. Leave out all shuffles. Reorder the channels of
# each stage's shortcut in the weights and norms that write its start and in the weights that read it. The new network
# computes the same function.
# ```
#
# ```{prf:proof}
# The shuffle of a stage sends channel $c$ to $\pi(c)$; it is the same $\pi$ in all blocks, as it depends on the width alone.
# Let $t$ be the map on the shortcut. A block adds the gated $x'_c$ to $t_{\pi(c)}$ and applies a ReLU to each channel. Call
# $t_{\pi(c)}$ by the new name $\tilde{t}_c$. Then the block adds $x'_c$ to $\tilde{t}_c$: it is a block without shuffle, and
# $x'_c$, whose gate depends on channel $c$ of the branch alone, is what it was. One renaming serves all blocks of the stage.
# The layers that write the first $t$ follow it by the order of their rows, those that read any $t$ by the order of their
# columns.
# ```
#
# The theorem speaks of a function. From there to training it is the three steps behind {prf:ref}`eca-theorem`: renamed
# weights have renamed gradients, a renamed start is as likely as the first, and the images come in an order of their
# own. Hence **over all seeds, training with and without the shuffle has the same distribution of results** (but for
# rounding, as sums run in another order).
#
# Here is one stage: a dense layer writes the shortcut, two blocks add to it, a dense layer reads it. The check leaves out the
# shuffles and reorders the weights as the theorem says.


# %%
def stage(writer, branches, reader, shuffle):
    t = F.conv2d(pictures, writer)  # the shortcut
    for branch, sa in zip(branches, sas, strict=True):
        x = F.conv2d(t, branch)
        x = sa.gate(x) * x  # x'
        t = torch.relu(t + (shuffle_channels(x) if shuffle else x))
    return F.conv2d(t, reader)


# %% tags=["nbval-check-output"]
C = 16
sas = [attnlib.create("sa", C, groups=4).double() for _ in range(2)]
for vector in (v for sa in sas for v in sa.parameters()):
    nn.init.normal_(vector)
of = (4, 3, 9, 7), (C, 3, 1, 1), (C, C, 1, 1), (C, C, 1, 1), (10, C, 1, 1)
random = (torch.randn(shape, dtype=torch.float64) for shape in of)
pictures, writer, *branches, reader = random
shuffled = stage(writer, branches, reader, shuffle=True)
order = shuffle_channels(torch.arange(C).view(1, C, 1, 1)).flatten()
pi = order.argsort()  # channel c goes to pi[c]
columns = [branch[:, pi] for branch in branches]
twin = stage(writer[pi], columns, reader[:, pi], shuffle=False)
check("the shuffle is a change of names", twin, shuffled, atol=1e-9)
unnamed = stage(writer, branches, reader, shuffle=False)
finding("outputs differ", (unnamed - shuffled).abs().max() > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Renamed, the stage without shuffles gives the same outputs. With the same weights, not renamed, its outputs differ: the
# check can fail. Training keeps whole networks equal, too ([tried](sa_deeper_shuffle.ipynb) on a ResNet-20, for five steps).
# :::
#
# ### Where it is needed
#
# The proof needs that one renaming serves all blocks and that whoever reads the shortcut can follow it. A *grouped* layer
# cannot: it reads its own channels only, whatever their names. Where grouped layers of 8 groups and SA alternate, a group of
# the last layer depends on 1, 2, 4 and 8 groups of the input after 0, 1, 2 and 3 shuffles, and without them always on one: no
# training can make these networks equal. [A page of its own](sa_deeper_shuffle.ipynb) measures this, renames a whole
# ResNet-20, and tries three networks more.
#
# ## Does it train, does it help?
#
# ### Live, on generated shapes
#
# A small ResNet with SA at the end of its three blocks, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10
# for thirty, and the record is written.

# %%
trained = train(chapter_recipe("sa", seed=0))
if lane() == "full":
    store(trained.record)
else:
    finding("more than 30 %", trained.record.final.accuracy > 0.3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 30 % of the test images, three times as many as chance: the code trains. One
# short run says nothing of how good SA is.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test images. The
# control has the gates SA starts with, $\sigma(1)$ for every channel and image, and never learns them.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point: no module lowest, SA next, then SA without its shuffle, the constant gate and SE; all rows overlap."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. The two rows of SA are one network under two names.", "name": "sa-cifar"}}
start = f"constant(value={1 / (1 + math.exp(-1))})"
labels = ("none", "se", start, "sa", "sa(shuffle=False)")
runs = [run for label in labels for run in records("cifar10-slice", label)]
plots.accuracies(runs)
compared = attnlib.report(runs, baseline="sa")
row = {row.label: row for row in compared.rows}
mean = [row[label].mean for label in labels]
both = (np.array(row["sa"].accuracies) + row[labels[-1]].accuracies) / 2
more = {k: both - row[k].accuracies for k in ("none", start)}
finding("eight seeds", all(len(r.seeds) == 8 for r in compared.rows))
finding("49.35 % without a module, 51.77 % with SE, 51.73 %", *mean[:3])
finding("50.59 % with SA and 51.43 % without its shuffle", *mean[3:])
finding("by 1.66 points", more["none"].mean(), more["none"].min() > 0)
finding("interval 0.42 to 2.90", *student(more["none"]))
finding("by 0.72 points", -more[start].mean())
finding("-2.49 to 1.04", *student(more[start]))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over eight seeds the means are 49.35 % without a module, 51.77 % with SE, 51.73 % with the constant, 50.59 % with SA and
# 51.43 % without its shuffle. By {prf:ref}`sa-theorem` the last two are one network, so that their mean counts at each seed.
# It is above no module on every seed, by 1.66 points (95 % interval 0.42 to 2.90), and below the constant by 0.72 points (-2.49 to
# 1.04). What SA gains here, the constant that it starts with gains as well.
# :::
#
# ### What three seeds can show
#
# The last two rows of {numref}`sa-cifar` are one distribution, by {prf:ref}`sa-theorem`. Whatever difference the runs show
# between them is made by seeds alone: this is a comparison whose true answer is known. Let the seeds come in one by one.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Differences between the networks without and with shuffle, seed by seed, as open points; beside each the mean of all so far with its interval, which shrinks as seeds come in and always holds zero."}, "figure": {"caption": "Accuracy without minus with the shuffle: each seed, the mean of all seeds so far, and its 95 % interval (Student's). Every interval holds zero.", "name": "sa-seeds"}}
with_it, without = row["sa"], row["sa(shuffle=False)"]
differences = np.array(without.differences)
ends = [student(differences[:n]) for n in range(2, len(differences) + 1)]
axis = plots.as_seeds_come(differences, "sa")
axis.set(ylabel="difference (points)", ylim=(-6, 8))
apart = min(without.accuracies[:3]) > max(with_it.accuracies[:3])
finding("better by 1.64 points", differences[:3].mean(), apart)
finding("-1.77 to 5.05", *ends[1])
finding("after five", differences[:5].min() > 0 > differences[5])
finding("-0.03 to 2.76", *ends[3])
finding("after eight the mean is 0.83", differences.mean())
finding("-0.29 to 1.96", *ends[-1])
finding("held it each time", all(low < 0 < high for low, high in ends))
spread = differences.std(ddof=1)
half = [t_quantile(n - 1) / n**0.5 for n in (3, 8, 30)]
finding("standard deviation of 1.35 points", spread)
finding("2.48 of these, from eight 0.84, from thirty 0.37", *half)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three seeds the network without shuffle is better by 1.64 points, on every seed, and the two sets do not overlap. Yet
# the interval is -1.77 to 5.05. It is better on every seed after five, too (-0.03 to 2.76). The sixth goes the other way, and
# after eight the mean is 0.83 with an interval of -0.29 to 1.96. The truth is zero. The interval has held it each time; the
# eye, which looks at signs and overlaps, was wrong until the sixth seed.
# :::
#
# How often does chance do this? Six runs of one network can be dealt out as three and three in 20 ways, and in two of these
# the sets do not overlap: one comparison in ten. And how wide is an interval, in deviations of the difference at one seed?
#
# :::{admonition} Finding
# :class: finding
# The difference at one seed has a standard deviation of 1.35 points. Half an interval from three seeds is 2.48 of these, from
# eight 0.84, from thirty 0.37: three seeds cannot tell a point from nothing.
# :::
#
# :::{admonition} Try it
# :class: try-it
# How many seeds make half the interval as short as one point? Say a number first, then change `seeds`.
# :::

# %%
seeds = 3
print(f"{t_quantile(seeds - 1) * spread / seeds**0.5:.2f} points")

# %% [markdown]
# So, of three seeds: *no overlap* is weak evidence, since a table of ten networks holds 45 comparisons. *The same sign on
# every seed* is weaker: three coins fall alike one time in four. What the mean of three can show is a large effect. Ask for
# the interval, ask how many comparisons were made, and where an answer matters, train more seeds: the [page on
# accuracy](../accuracy.ipynb) says how many.
#
# ## Look inside
#
# The live network, on images it has not seen. {numref}`sa-gates` shows, in each half, the channel whose gates vary most.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three images. Beside each the gates of one channel of the channel half, a flat square, and of one channel of the spatial half, which change from pixel to pixel."}, "figure": {"caption": "Gates in the first block of the live network, one channel of each half. One colour over a square is one gate for the whole map.", "name": "sa-gates"}}
images, labels, _ = generate(2000, seed=7)
if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="sa"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
with (
    torch.no_grad(),
    plots.captured(
        model, lambda sa, x: sa.gate(x).unflatten(1, (sa.groups, 2, -1))
    ) as seen,
):
    model(inputs)
chosen = [list(labels).index(k) for k in (0, 4, 6)]
first, _, last = seen.values()
most = first.std((0, 1, 4, 5)).argmax(1)  # the channel that varies most
maps = [first[chosen, 0, half, most[half]] for half in (0, 1)]
plots.show_maps(images[chosen], maps, ("which?", "where?"), label="gate")
which, where = first.std((4, 5)).mean((0, 1, 3)).tolist()  # over a map
finding("flat", which < 1e-6)
finding("more than 0.02 in the first block", where > 0.02)
finding("smaller in the last", last.std((4, 5))[:, :, 1].mean() < where)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A gate of the channel half is flat, one of the spatial half follows the picture. But look deeper into the network, and the
# spatial gates flatten: their standard deviation over a map is more than 0.02 in the first block, and smaller in the last.
# :::
#
# [SA, deeper](sa_deeper.ipynb) looks further: the gates find no object that their channel has not found, and one constant a
# channel in place of all gates costs the trained network less than 4 points of accuracy.
#
# ## What holds
#
# Code judges the claims that are known of the paper. Here are those that matter most, the unkind ones first; all of them,
# each with the code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """parameters-resnet50 gflops-all-work released-weights
    fewest-operations gflops-resnet50 redundant-affine accuracy-resnet50"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ
#
# The six differences that matter most. What is known of the other four is a claim of [the ledger](../../book/ledger.md), but
# for two slips: the builder of ResNet-101 forgets to return its network, and the script's default is 90 epochs, not 100.

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
most = "parameters operations instance-norm shared widths accuracies"
chosen = [d for d in paper.differences if d.id in most.split()]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# ```{quiz} What does the gate of a pixel in the spatial half depend on?
# - [ ] On that pixel alone.
#
#   It is normalised by the mean and the variance of its channel, which all its pixels make.
# - [ ] On the pixel and its eight neighbours.
#
#   Neighbours count no more than any other pixel: deal them out to new places, and the gate stays.
# - [x] On the pixel, and on the mean and the variance of its channel.
#
#   It hears all pixels of the channel, and of none where it is.
# ```
#
# ```{quiz} Contrast and brightness of an image's map are turned up: 5 x + 2. Which gates change?
# - [x] Those of the channel half.
#
#   The mean becomes five times itself plus two, and the gate follows it.
# - [ ] Those of the spatial half.
#
#   Normalisation takes out the mean and divides by the deviation, so that only its small epsilon is left to notice.
# - [ ] Both.
#
#   The spatial half is normalised, and nearly blind to such a change.
# ```
#
# ```{quiz} Why does the renaming leave the channels of the branch where they are?
# - [ ] They could be renamed as well; it is a matter of taste.
#
#   A place in the branch decides which half, and which entry of the shared vectors, a channel gets.
# - [x] Their place decides how they are gated, so that they must keep it.
#
#   The permutation goes into the names of the shortcut, where every channel is treated alike.
# - [ ] Convolutions cannot be renamed.
#
#   Dense ones can, by the order of their rows and columns.
# ```
#
# ```{quiz} Where would you expect that a network without the shuffle is worse?
# - [ ] In a deeper ResNet-152.
#
#   The theorem does not ask how many blocks there are.
# - [ ] In a ResNet that is trained on more images.
#
#   Renamed weights have renamed gradients, for whatever images.
# - [x] In a network whose grouped convolutions read the shuffled channels.
#
#   A group would hear its own group only, for ever.
# ```
#
# ```{quiz} Three runs of A are all better than three runs of B. What follows?
# - [ ] A is better than B.
#
#   Two sets of three from one distribution are apart like this once in ten times.
# - [ ] Nothing at all.
#
#   Where A and B are equal it happens once in ten times; if it happens where A was named beforehand, it is some evidence.
# - [x] A difference is possible; its interval from three seeds is some five standard deviations wide.
#
#   Mean plus or minus 2.48 deviations of the differences: with three seeds only a large effect is told from none.
# ```
#
# ## Exercises
#
# ````{exercise} Can it be 300?
# :label: sa-exercise-300
#
# *Easy, 10 minutes.* Let a module have $v$ vectors of length $C / 2G$, for some $v$ from 1 to 6, in all 16 blocks of
# ResNet-50, with any $G$ that fits all widths. Which number of parameters comes nearest to 300?
#
# :::{dropdown} Hint
# The widths are 256, 512, 1024 and 2048, in 3, 4, 6 and 3 blocks. Their sum is $2^8 \cdot 59$.
# :::
# ````

# %%
exercises.answer("sa-exercise-300", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sa-exercise-300
# :class: dropdown
# ````
#
# The sum over the blocks is $v / 2G$ times $15104 = 2^8 \cdot 59$, and $2G$ has to divide 256: whatever $v$ and $G$, it is a
# multiple of the prime 59. 300 is not; 295 is, with five vectors and 128 groups.

# %%
legal = [groups for groups in range(1, 129) if 256 % (2 * groups) == 0]
choices = [v * 15104 // (2 * g) for v in range(1, 7) for g in legal]
nearest = min(choices, key=lambda count: abs(count - 300))
check("all are multiples of 59", [n % 59 for n in choices], [0] * 48)
print(nearest)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("sa-exercise-300", right=nearest, wrong=[354, 300])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} How many shuffles until nothing has happened?
# :label: sa-exercise-order
#
# *Medium, 15 minutes.* Show from {eq}`sa-shuffle-order` that the shuffle sends channel $c < C - 1$ to $2c \bmod (C - 1)$ and
# leaves channel $C - 1$ where it is. After how many shuffles is every one of 100 channels back?
#
# :::{dropdown} Hint
# After $n$ shuffles channel $c$ is at $2^n c$. When is $2^n = 1$ modulo 99?
# :::
# ````

# %%
exercises.answer("sa-exercise-order", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sa-exercise-order
# :class: dropdown
# ````
#
# A channel $c < C/2$ goes to $2c$; one with $c \ge C/2$ to $2(c - C/2) + 1 = 2c - (C - 1)$. Both are $2c$ modulo $C - 1$. So
# all are back when $2^n = 1$ modulo $C - 1$. For $C = 2^b$ this is $n = b$: each shuffle rotates the $b$ binary digits of
# $c$.

# %%
order = shuffle_channels(torch.arange(100).view(1, -1, 1, 1)).flatten()
back, now = 1, order
while not torch.equal(now, torch.arange(100)):
    back, now = back + 1, now[order]
check("order of 2 modulo 99", pow(2, back, 99), 1)
print(back)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("sa-exercise-order", right=back, wrong=[7, 99, 100])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Apart by chance
# :label: sa-exercise-apart
#
# *Medium, 10 minutes.* Two networks are equal, and no two runs have the same accuracy. With three seeds of each, the sets are
# apart in 10 % of all cases. In how many per cent are they apart with two seeds of each? To one decimal.
#
# :::{dropdown} Hint
# In how many ways can four runs be dealt out as two and two? In how many of them are the sets apart?
# :::
# ````

# %%
exercises.answer("sa-exercise-apart", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sa-exercise-apart
# :class: dropdown
# ````
#
# Six ways, all as likely; in two of them the better two are together. With $n$ seeds it is $2 / \binom{2n}{n}$: eight seeds
# of each are apart by chance once in 6,435 times.

# %%
chance = 100 * 2 / math.comb(4, 2)
print(f"{chance:.1f} %")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("sa-exercise-apart", right=chance, wrong=[16.7, 50])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A network that needs its shuffle
# :label: sa-exercise-reach
#
# *Research, 60 minutes.* Make the 3 by 3 convolutions of a small ResNet grouped, so that they read the shortcut by groups
# (`conv1` of each basic block), and train it with and without SA's shuffle from eight seeds each. Does the difference leave
# its interval? How many shuffles does it take until each of 64 groups can know of every other? Answer that to begin with.
#
# :::{dropdown} Hint
# New group $k$ takes from the groups $\lfloor k/2 \rfloor$ and $\lfloor k/2 \rfloor + 32$. What happens to the binary digits
# of $k$?
# :::
# ````

# %%
exercises.answer("sa-exercise-reach", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sa-exercise-reach
# :class: dropdown
# ````
#
# Each shuffle drops the last binary digit of $k$ and frees one in front: a group knows $2^n$ groups after $n$ shuffles, and
# all 64 after six. The rest is an experiment, and yours: say seeds, differences and interval, whatever comes out.

# %%
heard, shuffles = {0}, 0
while len(heard) < 64:
    heard = {old for k in heard for old in (k // 2, k // 2 + 32)}
    shuffles += 1
print(shuffles)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("sa-exercise-reach", right=shuffles, wrong=[8, 64, 5])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SA gates half of its channels by their means and half of its pixels by their brightness, with six short vectors.
# 2. They are 708 parameters in ResNet-50; the abstract's 300 fit no choice of them. Few parameters are not little time.
# 3. "Where" means "how bright, for this channel": every pixel hears all others, and none knows its neighbours from the rest.
# 4. In a ResNet the shuffle changes names only. It is needed where grouped layers read what it moves.
# 5. Three seeds once showed a difference of 1.64 points between two networks that are one. Ask for the interval.
# :::
#
# ## Further reading
#
# * [SA, deeper](sa_deeper.ipynb): gradients through the norm, widths and groups, what the gates see, all printed costs.
# * [When is a shuffle only a change of names?](sa_deeper_shuffle.ipynb): where the theorem holds and where it ends.
# * Group norm and its limiting cases {cite:p}`group_norm`; ShuffleNet v2 {cite:p}`shufflenet_v2`, where a shuffle
#   carries information.
# * [SE](se.ipynb), whose gates hear all channels, and [NAM](nam.ipynb), where each channel is on its own as here.
