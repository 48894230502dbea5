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
# # Spatial group-wise enhancement (SGE)
#
# :::{admonition} Does the similarity find the object?
# :class: question
#
# SGE opens its gates where a pixel is similar to the mean of its map.
#
# **Before training that finds the object.** In the first block of a fresh network a pixel of the object is more similar
# to the mean than a pixel beside it in 76 % of all pairs; chance is 50 %. But the mere length of its vector tells in
# 90 %.
#
# **After training it finds large objects and misses small ones.** In the first block it is right in 64 % of the pairs
# where the object is large, in 28 % where it is small. Where a group has learned to answer to objects, the norm in
# front takes the average answer away, and the mean that is left only tells the object's size. The distance from that
# same mean is right in 96 %.
#
# **In short runs on CIFAR-10 SGE is worse than no module** on each of three seeds, by 2.32 points in the mean, and
# worse than the constant gate that it starts as, by 4.24.
# :::
#
# :::{mechanism}
# :name: sge-mechanism
#
# ![Where SGE sits in a residual block](../../book/figures/sge-block.svg)
# ![Average a group, compare every pixel with the average, gate](../../book/figures/sge-steps.svg)
#
# Where SGE sits in a residual block, and what it does to two groups of two channels each.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`sge`; its body was not read. What stands here is from the authors' README, code and training logs;
# formulas that these do not give are recalled. **You need:** [SE](se.ipynb), inner products, batch norm. **Time:**
# half an hour.
#
# Afterwards you can write the module in ten lines; say when an object resembles the mean of its map, and test it
# against a mask. Symbols are those of the [notation page](../../book/notation.md); pixels have one index $i$ here.
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
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.agreement import agreement
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.results import costs, measurements, records, store
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("sge")

# %% [markdown]
# ## The idea
#
# Suppose that a group of channels has learned one part of an object: a wheel, say. At every pixel the group gives a
# vector, and where a wheel is, the vectors should point one way. But there is noise, and a wheel-like vector may turn
# up where no wheel is. Spatial group-wise enhancement cleans up without being told where to look. It averages the
# group's vectors over the map, takes the average for a picture of the part, and compares every pixel with it. Where a
# pixel resembles the average, the group is let through; where it does not, the group is dimmed. All that is learned
# is two numbers a group.
#
# So the module rests on a guess: *the mean of a map looks like the object in it*. But most pixels of a map are not
# object. Why should their mean look like the object, and not like the ground? With a mask for every image this can be
# measured, and one can say when it is so.
#
# ## Derivation
#
# The $C$ channels are cut into $G$ groups of neighbouring channels; each group goes its own way. So take one group.
# At pixel $i$ of the $HW$ pixels its channels are a vector $x_i$ with $C/G$ entries.
#
# **Average.** One vector has to stand for the map. The mean is [SE's squeeze](se.ipynb), channel by channel:
#
# $$\mu = \frac{1}{HW} \sum_i x_i.$$ (sge-mean)
#
# **Compare.** An inner product is large where a vector is long and points the same way:
#
# $$c_i = \mu^{\top} x_i.$$ (sge-similarity)
#
# **Standardise.** Between one image and another, $c$ may differ by orders of magnitude, as the square of the
# contrast. So its mean over the pixels goes, which is $\mu^{\top}\mu$, and its deviation $d$ is divided out, with a
# small $\varepsilon$ beside it:
#
# $$c_i - \mu^{\top}\mu = \mu^{\top} (x_i - \mu),$$ (sge-centred)
#
# $$d^2 = \frac{\sum_i (c_i - \mu^{\top}\mu)^2}{HW - 1},$$ (sge-deviation)
#
# $$z_i = \frac{\mu^{\top} (x_i - \mu)}{d + \varepsilon}.$$ (sge-standardised)
#
# Now look at what is left. A mean of twice the length gives twice the $d$ and the same $z$: of $\mu$ only the
# *direction* counts. Along it, $z_i$ says how far the pixel is from the mean of its own map, in deviations.
#
# **Gate.** A scale and a shift for each group, and a sigmoid. All channels of the group get the same gate:
#
# $$g_i = \sigma(\gamma z_i + \beta),$$ (sge-gate)
#
# $$y_i = g_i\, x_i.$$ (sge-output)
#
# Where $\gamma > 0$, what resembles the mean is let through; where $\gamma < 0$, what does not. In all, $P = 2G$.
#
# **At the start** $\gamma = 0$ and $\beta = 1$. The similarity does not count yet, and every gate is the same
# constant,
#
# $$g_i = \sigma(1) = 0.731,$$ (sge-start)
#
# so that the similarity has no part in the output, nor in the gradient of the map. But $\gamma$ has a gradient of its
# own, and leaves zero in the first step.
#
# **What SGE cannot say.** Over the pixels of any image, $z$ has the mean 0 and the deviation 1. So the logits $\gamma
# z + \beta$ have the mean $\beta$ and the deviation $|\gamma|$ in every image. SGE can say *where*; it cannot turn a
# group down in one image and up in another. SE does just this, and cannot say where. So SGE, although it squeezes
# groups, is not "groups plus SE": the two gates are equal only where both are constants.
#
# **One channel a group.** Then $c_i = \mu x_i$ with plain numbers, and $\mu$ cancels in {eq}`sge-standardised` but
# for its sign:
#
# $$z_i = \operatorname{sign}(\mu)\, \frac{x_i - \mu}{d' + \varepsilon'},$$ (sge-one)
#
# where $d'$ is the channel's own deviation and $\varepsilon' = \varepsilon / |\mu|$: the brightness, standardised,
# and turned over where the mean is negative. The last stage of ResNet-20 is like this: 64 channels, 64 groups.
#
# ### When is the object what resembles the mean?
#
# Let an object cover the share $p$ of the map, with the mean vector $o$ on its pixels and $b$ on the ground's. Then
#
# $$\mu = p\, o + (1 - p)\, b.$$ (sge-mixture)
#
# How much higher is the similarity on the object than beside it, in the mean? By $\mu^{\top}(o - b)$, which is
#
# $$\begin{gathered} p\, o^{\top} o - (1 - p)\, b^{\top} b \\ {} + (1 - 2p)\, o^{\top} b. \end{gathered}$$ (sge-contrast)
#
# The object pulls with its share and the square of its length, the ground with its own. As objects are smaller than
# their grounds, they have to be *strong*: if $o$ and $b$ are orthogonal, longer by the factor $\sqrt{(1 - p)/p}$,
# which is 2 for a fifth of the map.
#
# The batch norm in front decides who is strong, as it takes away the mean over all images and pixels. (Take its shift
# to be zero.) Two cases lie at the ends:
#
# * **Each object has a vector of its own**, and over many images they cancel around that of the ground. Then it is
#   the ground's vector that the norm takes away, $b = 0$, and {eq}`sge-contrast` is $p\, o^{\top} o > 0$: every
#   object is found.
# * **All objects have the same vector**, as when the group has learned to tell object from ground. The norm makes
#   $\bar p\, o + (1 - \bar p)\, b = 0$, with the average share $\bar p$. Put $b = -\bar p\, o / (1 - \bar p)$ into
#   {eq}`sge-mixture`:
#
# $$\mu = \frac{p - \bar p}{1 - \bar p}\; o,$$ (sge-size)
#
# $$\mu^{\top} (o - b) = \frac{p - \bar p}{(1 - \bar p)^2}\; o^{\top} o.$$ (sge-size-contrast)
#
# The mean points to the object where the object is *larger than average*, and away from it where it is smaller. What
# the group has learned to see well, the similarity cannot find: it finds out the size of the object instead.
#
# ## The module from scratch


# %%
class SGE(nn.Module):
    def __init__(self, channels: int, groups: int = 64):
        super().__init__()
        self.groups = groups
        self.gamma = nn.Parameter(torch.zeros(groups, 1, 1))
        self.beta = nn.Parameter(torch.ones(groups, 1, 1))

    def forward(self, x):
        x = x.unflatten(1, (self.groups, -1))  # x_i of each group
        # mu = 1 / (H W) sum_i x_i
        mu = x.mean((3, 4), keepdim=True)
        # c_i = mu . x_i
        c = (mu * x).sum(2)
        # z_i = (c_i - mean of c) / (d + eps), d over H W - 1
        d = c.std((2, 3), keepdim=True)
        z = (c - c.mean((2, 3), keepdim=True)) / (d + 1e-5)
        # g_i = sigmoid(gamma z_i + beta)
        gate = torch.sigmoid(self.gamma * z + self.beta)
        # y_i = g_i x_i
        return (gate[:, :, None] * x).flatten(1, 2)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 12 channels in 3 groups and 9 by 7 pixels, with random scales and shifts.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def gated(group, gamma, beta):
    """One group of an image: a list of pixels, each a list of channels."""
    mean = [sum(channel) / len(group) for channel in zip(*group)]
    c = [sum(m * v for m, v in zip(mean, x)) for x in group]
    centre = sum(c) / len(c)
    d = math.sqrt(sum((v - centre) ** 2 for v in c) / (len(c) - 1))
    z = [(value - centre) / (d + 1e-5) for value in c]
    gates = [1 / (1 + math.exp(-gamma * value - beta)) for value in z]
    return [[g * v for v in x] for g, x in zip(gates, group)]


def loops(x, gammas, betas):
    """Maps (N, C, H, W); back come lists [N][G][pixels][C / G]."""
    images = x.unflatten(1, (len(gammas), -1)).flatten(3).mT.tolist()
    return [list(map(gated, image, gammas, betas)) for image in images]


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
scratch = SGE(12, groups=3).double()
for parameter in scratch.parameters():
    nn.init.normal_(parameter)
library = attnlib.create("sge", 12, groups=3).double()
library.weight.data = scratch.gamma.data.flatten()
library.bias.data = scratch.beta.data.flatten()
by_pixel = lambda y: y.unflatten(1, (3, -1)).flatten(3).mT
by_loops = loops(x, library.weight.tolist(), library.bias.tolist())
check("from scratch = loops", by_pixel(scratch(x)), by_loops, atol=1e-12)
check("attnlib = loops", by_pixel(library(x)), by_loops, atol=1e-12)

# %% [markdown]
# Then what was derived: the start {eq}`sge-start`; mean and deviation of the logits; {eq}`sge-one`.

# %% tags=["nbval-check-output"]
fresh = SGE(12, groups=3).double()
fresh(x).sum().backward()
start = torch.ones(1).double().sigmoid()
check("start = 0.731 x", fresh(x), start * x)
check("gamma has a gradient", fresh.gamma.grad.count_nonzero(), 3)
logits = lambda module, x: torch.logit(module.gate(x).detach())
s = logits(library, x)[:, ::4]  # of one channel in each group
zero = torch.zeros(2, 3, dtype=torch.float64)
check("mean logit = beta", s.mean((2, 3)), zero + library.bias, atol=1e-9)
size = zero + library.weight.abs()
check("deviation = |gamma|", s.std((2, 3)), size, atol=1e-3)
one = attnlib.create("sge", 12, groups=12).double()
nn.init.ones_(one.weight)
nn.init.zeros_(one.bias)
mean, deviation = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
brightness = mean.sign() * (x - mean) / (deviation + 1e-5 / mean.abs())
check("one channel = brightness", logits(one, x), brightness, atol=1e-9)

# %% [markdown]
# The last check holds the two cases behind a batch norm against each other. The maps are made of the masks of
# `shapes`: the pixels of an object get its vector, all others zero. How often is a pixel of the object more similar
# to the mean than a pixel beside it? This share of pairs is called {term}`agreement` below: 1 if the object always
# wins, 0 if it always loses, and 0.5 for a score that knows nothing, however large the object is.

# %% tags=["nbval-check-output"]
images, _, masks = generate(1000, seed=7)
masks = torch.tensor(masks)
share = masks.double().mean((1, 2))  # p of each image
large = share > share.mean()


def compared(vectors):
    """Agreement of the similarity; `vectors` (N, 4) of the objects."""
    x = masks[:, None] * vectors[:, :, None, None]
    x = nn.BatchNorm2d(4).double()(x).detach()
    mu = x.mean((2, 3), keepdim=True)
    return agreement((mu * x).sum(1, keepdim=True), masks)[:, 0]


torch.manual_seed(0)
of_its_own = torch.randn(1000, 4, dtype=torch.float64)
alike = of_its_own[:1].expand(1000, 4)
check("alike: found where large", compared(alike), large.double())
ones = torch.ones(1000).double()
check("of its own: all found", compared(of_its_own), ones, atol=0.01)

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# Between the two cases: let the objects' vectors be partly alike. At which `common` does the similarity begin to miss
# small objects? Say a number between 0 and 1, then change it.
# :::

# %%
common = 0.5
mixed = common * alike + (1 - common) * of_its_own
found = compared(mixed)
print(f"large {found[large].mean():.2f}, small {found[~large].mean():.2f}")

# %% [markdown]
# On small, constant and faint maps standardising does odd things: see [SGE, deeper](sge_deeper.ipynb).
#
# ## What it costs
#
# SGE sits where SE does, at the end of every residual branch. Counted in ResNet-20 on CIFAR-10 and ResNet-50 on
# ImageNet (*one by one* as in [SE's chapter](se.ipynb)), and timed on two CPU cores:

# %% mystnb={"code_prompt_show": "Read what was counted and measured"} tags=["nbval-check-output", "hide-input"]
counted = costs().set_index(["network", "module"]).sort_index()
rows = []
for network in ("resnet20", "resnet50"):
    of_it = counted.loc[network, ["parameters", "elementwise"]]
    for key in ("se", "sge"):
        number, work = of_it.loc[key] - of_it.loc["none"]
        rows.append([f"{key} to {network}", int(number), work / 1e6])
columns = ["added by", "parameters", "one by one (M)"]
added = pd.DataFrame(rows, columns=columns)
_, sge_20, se_50, sge_50 = added.iloc[:, 1:].to_numpy()
steps = pd.DataFrame(measurements("cpu-training").rows)
longer = 100 * (steps.set_index("attention")["ratio"] - 1)
macs = counted.loc["resnet50", "macs"]
finding("no multiply-add", macs["sge"] == macs["none"])
finding("456 parameters to ResNet-20 and 2,048", sge_20[0], sge_50[0])
finding("28.29 million", sge_50[1])
finding("11.05 million", se_50[1])
finding("75.7 % longer, with SE 13.8 %", longer["sge"], longer["se"])
plots.table(added, "What SE and SGE add", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SGE adds 456 parameters to ResNet-20 and 2,048 to ResNet-50, and no multiply-add that is counted as one. But it goes
# over the map several times: 28.29 million operations one by one in ResNet-50, where SE does 11.05 million. A
# training step of ResNet-20 takes 75.7 % longer, with SE 13.8 %.
# :::
#
# :::{admonition} Try it
# :class: try-it
# With how many groups has SGE as many parameters as SE in a block of 256 channels, 8,464? Say first whether there is
# such a number; then change `groups`.
# :::

# %%
groups = 64
parameters = attnlib.create("sge", 256, groups=groups).parameters()
print(f"{groups} groups: {sum(p.numel() for p in parameters)} parameters")

# %% [markdown]
# ## Does it train, does it help?
#
# ### Live, on generated shapes
#
# A small ResNet with SGE at the end of its three blocks; groups of four channels in the first two, of one in the
# third. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10, for thirty epochs and the records.

# %%
trained = train(chapter_recipe("sge", seed=0))
if lane() == "full":
    store(trained.record)
else:
    finding("more than 30 %", trained.record.final.accuracy > 0.3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 30 % of the test images, three times chance.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images, recorded beforehand: ResNet-20, four epochs on 4,500 images of CIFAR-10, tested on all 10,000 test
# images. The control is the constant that SGE starts with, $\sigma(1)$ for every pixel.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point: SGE lowest, then no module, the constant gate of 0.731, SE and the constant gate of one half."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. SGE's bar stands left of all others.", "name": "sge-cifar"}} tags=["hide-input"]
start = f"constant(value={1 / (1 + math.exp(-1))})"
labels_of = ("none", "constant", start, "se", "sge")
runs = [r for label in labels_of for r in records("cifar10-slice", label)]
plots.accuracies(runs)
row = {r.label: r for r in attnlib.report(runs, baseline="sge").rows}
sge, plain, same = row["sge"], row["none"], row[start]
least = [min(r.differences) for r in row.values() if r is not sge]
finding("three seeds, 47.72 % with SGE", sge.mean, len(sge.seeds) == 3)
finding("less than every other row", min(least) > 0)
finding("2.32 points below no module", plain.difference)
finding("interval 1.27 to 3.37", *plain.student)
finding("4.24 points below the constant", same.difference)
finding("0.22 to 8.26", *same.student)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# On three seeds, 47.72 % with SGE, on each less than every other row of {numref}`sge-cifar`. In the mean it is 2.32
# points below no module (95 % interval 1.27 to 3.37), and 4.24 points below the constant that it starts as
# (0.22 to 8.26). The constant gains here; what training makes of the gate costs more than that.
# :::
#
# Three seeds show large effects only ([SA's chapter](sa.ipynb) says why). These are four epochs, with one channel a group
# in the last stage. The README has 100 epochs, 4 to 32 channels a group, and a gain of 1.20 points on ImageNet.

# %% [markdown]
# ## Look inside
#
# ### Does the similarity find the object?
#
# Five networks like the live one were trained from five seeds (`benchmarks/sge_agreement.py`), and 500 fresh images
# of `shapes` sent through each, before training and after. {numref}`sge-scores` shows how well the similarity agrees
# with the masks, and beside it scores that are as simple: the inner product with *another* image's *mean*, or with a
# *random* direction, the same for all images; the *length* of the vector $x_i$; its *distance* from the mean $\mu$.
#
# $\gamma$ can turn a score over, for a whole group and for all images alike. So a point is shown as it is, and a
# square as it would be if every group had the better sign.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three panels, one for each block, of the agreement of five scores with the masks. Before training the similarity lies well above one half in the first two blocks; after training it lies near or below one half, and length and distance lie near 0.9."}, "figure": {"caption": "Agreement of scores with the masks, mean over five seeds: hollow before training, filled after it; squares with the better sign for each group. The line is chance.", "name": "sge-scores"}} tags=["hide-input"]
measured = pd.DataFrame(measurements("sge-agreement").rows)
by = measured.groupby(["training", "block", "score"]).mean()
SCORES = ["similarity", "another mean", "random", "length", "distance"]
colour = plots.colour("sge")
_, axes = plots.panels(3, sharex=True, height=1.7)
for block, axis in enumerate(axes, start=1):
    for when, face in (("before", "none"), ("after", colour)):
        rows = by.loc[(when, block)].loc[SCORES]
        style = {"ls": "", "color": colour, "mfc": face}
        axis.plot(rows["either"], range(5), "s", **style, ms=8, alpha=0.5)
        axis.plot(rows["agreement"], range(5), "o", **style, label=when)
    axis.axvline(0.5, color=plots.FAINT, lw=1)
    axis.set_yticks(range(5), SCORES)
    axis.set(ylim=(4.5, -0.5), xlim=(0.2, 1))
    axis.set_title(f"block {block}", loc="left")
axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
axes[-1].set_xlabel("agreement with the masks")
plt.show()


# %% mystnb={"code_prompt_show": "Hold the findings against the data"} tags=["hide-input"]
def of(when, score, column="agreement", blocks=(1, 2)):
    return [by.loc[(when, block, score), column] for block in blocks]


finding("five seeds", measured["seed"].nunique() == 5)
finding("0.76 in the first block and 0.71", *of("before", "similarity"))
finding("is 0.45 with", of("before", "another mean")[0])
finding("gives 0.90 and 0.88", *of("before", "length"))
finding("falls to 0.46 and 0.42", *of("after", "similarity"))
finding("distance gives 0.96 and 0.93", *of("after", "distance"))
finding("sign 0.76 and 0.65", *of("after", "similarity", "either"))
finding("have 0.64 and 0.54", *of("after", "gate"))
finding("direction 0.85 and 0.81", *of("after", "random", "either"))
third = [of("after", k, "either", (3,)) for k in ("brightness", *SCORES)]
finding("gives 0.71, and with that sign 0.63", *third[0], *third[1])
finding("0.68 and 0.64", *of("before", "cosine"))

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# **Before training**, over five seeds, the agreement of the similarity is 0.76 in the first block and 0.71 in the
# second: it does find the object. The mean has to be the image's own: it is 0.45 with another's. But what finds the
# object is its strength. The length of $x_i$, without any mean, gives 0.90 and 0.88, and the cosine, which leaves the
# length out, 0.68 and 0.64.
#
# **After training** it falls to 0.46 and 0.42. The gates, with the signs which training chose, have 0.64 and 0.54.
# The distance gives 0.96 and 0.93. The similarity has with the better sign 0.76 and 0.65, a random direction 0.85 and
# 0.81: what knows nothing, but is the same for all images, finds the object better than the image's own mean.
#
# **In the third block**, with one channel a group, all that the similarity adds to the brightness is the sign of the
# mean, by {eq}`sge-one`. Brightness gives 0.71, and with that sign 0.63: it harms.
# :::
#
# ### It finds the size
#
# The last case of the derivation says what to look for: if training makes a group answer to all objects alike, the
# similarity should find large objects and miss small ones. Here is the agreement in the second block of the live
# network by the size of the object, each point a sixth of 1,000 fresh images, and that of a fresh network beside it.


# %%
def similarity(sge, x):
    x = x.unflatten(1, (sge.groups, -1))
    mu = x.mean((3, 4), keepdim=True)
    return (mu * x).sum(2)


if lane() == "full":  # a network that knows shapes
    trained = train(Recipe.named("smoke", attention="sge"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
torch.manual_seed(0)
fresh = create("resnet8", 10, "sge").train()  # statistics of this batch
found = {}
for when, network in {"before training": fresh, "after": model}.items():
    with torch.no_grad(), plots.captured(network, similarity) as seen:
        network(inputs)
    maps = list(seen.values())[1]  # of the second block
    found[when] = agreement(maps, masks).mean(1)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Agreement against the object's share of the map. Both rise with the size: before training from above one half, after it from below 0.45 for the smallest to above 0.55 for the largest objects."}, "figure": {"caption": "Agreement of the similarity with the masks in the second block, by the size of the object. After training large objects are found and small ones missed.", "name": "sge-size"}} tags=["hide-input"]
sixths = share.argsort().tensor_split(6)
sizes = [100 * share[part].mean() for part in sixths]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
by_size = {}
for when, face in (("before training", "none"), ("after", colour)):
    by_size[when] = [found[when][part].mean().item() for part in sixths]
    style = plots.look("sge").points(mfc=face, label=when)
    axis.plot(sizes, by_size[when], **style)
axis.axhline(0.5, color=plots.FAINT, lw=1)
axis.set(ylim=(0, 1), ylabel="agreement")
axis.set_xlabel("share of the map that is object (%)")
axis.legend(frameon=False, loc="lower right")
before, after = by_size.values()
finding("above one half for every size", min(before) > 0.5)
finding("less than 0.45 for the smallest", after[0] < 0.45)
finding("more than 0.55 for the largest", after[-1] > 0.55)
halves = ("small", "large")
first, second = zip(*(of("after", "similarity", k) for k in halves))
far = [of("after", "distance", k)[0] for k in halves]
finding("0.23 on the smaller half of the objects and 0.60", *second)
finding("0.28 and 0.64 in the first", *first)
finding("distance has 0.98 and 0.93", *far)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Before training the agreement is above one half for every size. After it, it is less than 0.45 for the smallest
# objects and more than 0.55 for the largest. Over the five seeds it is 0.23 on the smaller half of the objects and
# 0.60 on the larger in this block, 0.28 and 0.64 in the first. The distance has 0.98 and 0.93 there: it does not care
# which way the object differs from the mean.
# :::
#
# So what the derivation foresaw happens in three epochs of training. A group with $\gamma < 0$, which lets through
# what is unlike the mean, finds small objects and dims large ones; with $\gamma > 0$ it is the reverse. No sign is
# right for both.
#
# ## What holds
#
# Code judges the claims; these matter most, the unkind first. All others are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """gflops-all-work gflops-detection-se gain-resnet50 best-epoch
    one-pixel saturation parameters-module"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ
#
# These six differences matter most. The other two: how the paper is cited, and that the README's SK is modified.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
most = "deviation one-pixel initial-values best-epoch decay operations"
chosen = [d for d in paper.differences if d.id in most.split()]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# ```{quiz} In one image all vectors of a group are twice as long as in another, else equal. How do the gates differ?
# - [ ] The logits are four times as large, as the similarities are.
#
#   The similarities are, and so is their deviation, which divides them.
# - [ ] The logits are twice as large.
#
#   The mean doubles with the vectors, so that inner products grow fourfold; and then they are standardised.
# - [x] Not at all, but for the small epsilon.
#
#   Standardising takes out the contrast of the map.
# ```
#
# ```{quiz} Can SGE turn a whole group down in an image that has no object for it?
# - [ ] Yes: nothing resembles the mean there, so that all gates are small.
#
#   Similarities are compared with their own mean over the map. Some are above it in every image.
# - [x] No: the logits of a group have the same mean and the same deviation in every image.
#
#   They are beta and the size of gamma. SGE only says where.
# - [ ] Yes, by a small beta.
#
#   Beta is learned, and the same for all images.
# ```
#
# ```{quiz} A group answers to all objects alike. Behind a batch norm, where is its similarity highest?
# - [ ] On the object: the mean is made of what the group answers to.
#
#   The norm has taken the average answer away, so that the ground has a vector, too, and it points the other way.
# - [ ] On the ground: there are more pixels of it.
#
#   That is so in images with a small object. In those with a large one the mean points to the object.
# - [x] It depends on the object's size.
#
#   The mean is a multiple of the object's vector, by its share of the map minus the average share.
# ```
#
# ```{quiz} A group has one channel. What does its similarity say that the channel does not?
# - [x] Nothing but the sign of the channel's mean.
#
#   It is the standardised channel, turned over where its mean is negative.
# - [ ] How much the pixel resembles the object.
#
#   A mean of one number has no direction, only a sign.
# - [ ] How far the pixel is from the mean, either way.
#
#   Above and below the mean have different signs.
# ```
#
# ```{quiz} Before training the agreement of the *gate* with the masks is 0.5, and that of the similarity is not. Why?
# - [ ] The batch norm has no running statistics yet.
#
#   The similarity is computed behind the same norm.
# - [x] The scale of the similarity is zero at the start, so that all gates are equal.
#
#   What the similarity knows does not reach the gate before the first step.
# - [ ] A sigmoid loses what the similarity knows.
#
#   It keeps the order of the values, and agreement asks for the order alone.
# ```
#
# ## Exercises
#
# ````{exercise} The largest similarity
# :label: sge-exercise-largest
#
# *Easy, 5 minutes.* How large can $z$ be on a map of 2 by 2 pixels, with the released deviation? To two decimals.
#
# :::{dropdown} Hint
# Let three similarities be 0 and the fourth 1.
# :::
# ````

# %%
exercises.answer("sge-exercise-largest", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sge-exercise-largest
# :class: dropdown
# ````
#
# The mean is 1/4, so that the fourth is 3/4 above it; the squares sum to 3/4, and $d = \sqrt{(3/4) / 3} = 1/2$.

# %%
similarities = torch.tensor([0.0, 0.0, 0.0, 1.0])
largest = (1 - similarities.mean()) / similarities.std()
print(f"{largest:.2f}")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sge-exercise-largest", right=largest, wrong=[3**0.5, 3.0, 0.75]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} How strong must a small object be?
# :label: sge-exercise-length
#
# *Medium, 10 minutes.* An object covers a tenth of the map. Its vector and that of the ground are orthogonal. How
# many times as long as the ground's must the object's be at least, so that the similarity is not lower on the object
# than beside it?
#
# :::{dropdown} Hint
# Put $o^{\top} b = 0$ into {eq}`sge-contrast`.
# :::
# ````

# %%
exercises.answer("sge-exercise-length", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sge-exercise-length
# :class: dropdown
# ````
#
# $p\,|o|^2 \ge (1 - p)\,|b|^2$, and $\sqrt{0.9 / 0.1} = 3$.

# %%
o, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.0])
mean = 0.1 * o + 0.9 * b
print(f"{mean @ (o - b):+.3f} for three times the length")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sge-exercise-length", right=3, wrong=[9, 10, 1])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Direction alone
# :label: sge-exercise-cosine
#
# *Medium, 15 minutes.* An inner product is large where the vector is long, whatever it is. Put the cosine of the
# angle between $\mu$ and $x_i$ in its place, and standardise as before. Write `gate(x, gamma, beta)` for a single
# group: from a map (N, C, H, W) and two numbers to the gates (N, H, W).
#
# :::{dropdown} Hint
# Divide $c_i$ by the lengths of both vectors. The norm of $x_i$ is `x.norm(dim=1)`.
# :::
# ````

# %%
exercises.answer("sge-exercise-cosine", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} sge-exercise-cosine
# :class: dropdown
# ````
#
# In the fresh networks of {numref}`sge-scores` the cosine agrees less with the masks than the inner product does,
# 0.68 beside 0.76 in the first block: the object is found by its length, too.


# %%
def cosine_gate(x, gamma, beta):
    mean = x.mean((2, 3), keepdim=True)
    cosine = torch.cosine_similarity(x, mean, dim=1)
    d = cosine.std((1, 2), keepdim=True)
    z = (cosine - cosine.mean((1, 2), keepdim=True)) / (d + 1e-5)
    return torch.sigmoid(gamma * z + beta)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda x, gamma, beta: cosine_gate(x, -gamma, beta),
    lambda x, gamma, beta: cosine_gate(x - x.mean(), gamma, beta),
]
exercises.try_judge("sge-exercise-cosine", right=cosine_gate, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A direction that is learned
# :label: sge-exercise-learned
#
# *Research, 60 minutes.* {numref}`sge-scores` says that a fixed direction finds the object better than the image's
# own mean. So let each group learn one: $c_i = w^{\top} x_i$ with a vector $w$ in the place of $\mu$. Train it by the
# recipe `smoke` from five seeds beside SGE and the constant 0.731. Which of the three agrees best with the masks, and
# which names most images? To begin with: how many parameters more than with SGE does ResNet-20 have?
#
# :::{dropdown} Hint
# A group needs $C/G$ numbers. ResNet-20 has three blocks in each stage, of 16, 32 and 64 channels.
# :::
# ````

# %%
exercises.answer("sge-exercise-learned", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} sge-exercise-learned
# :class: dropdown
# ````
#
# $G \cdot C/G = C$ for each module: a 1 by 1 convolution in groups, with an instance norm behind it. The rest is an
# experiment, and yours: pair the runs by their seeds, and say the interval, whatever comes out.

# %%
modules = attention_modules(create("resnet20", 10, "sge")).values()
more = sum(module.channels for module in modules)
print(f"{more} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge("sge-exercise-learned", right=more, wrong=[112, 228])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. SGE compares each pixel of a group with the group's mean, standardises over the map, and gates by two numbers.
# 2. It says where, and never how much: mean and deviation of its logits are the same in every image.
# 3. An object resembles the mean where it is strong and differs from image to image. A group that answers to all
#    objects alike finds only those that are larger than average, since the norm in front takes the average away.
# 4. After training the similarity finds large objects and misses small ones. The distance from the mean finds both.
# 5. To learn what a score knows, hold it against simpler ones: a length, a distance, a direction that is fixed.
# :::
#
# ## Further reading
#
# * [SGE, deeper](sge_deeper.ipynb): small, constant and faint maps; what the network does with its similarities.
# * [SA](sa.ipynb) gates half of its channels by their standardised selves: one channel a group, without the sign.
