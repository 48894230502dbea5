# ---
# jupyter:
#   attention_book:
#     kind: overview
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
# # One equation, twelve modules
#
# :::{admonition} What can a gate tell apart?
# :class: question
#
# Twelve modules have twelve names and twelve papers. This page puts them side by side.
#
# **They are one equation.** Squeeze, transform, gate, scale: each module is a few lines of code here, and the lines
# equal the package's module to twelve digits.
#
# **Some are one gate under two names.** In training on a single image NAM standardises as the spatial half of SA does.
# SGE with one channel a group does it, too, but for a factor of 0.992 and a sign. But SGE is not, as one may read, SE
# in groups.
#
# **What a gate can see is decided before anything is learned.** Five of the twelve see only the means: move all pixels
# of a map, in each channel in another way, and not one gate changes. For two more, NAM and SA, a gate goes where its
# pixel goes. If *where* matters for your task, no training makes these seven see it.
# :::
#
# :::{mechanism}
# :name: one-equation-mechanism
#
# ![Squeeze, transform, gate, scale, and what stands there](../../book/figures/one_equation-steps.svg)
#
# The four places of the equation, and what the twelve modules put there.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **You need:** [SE](se.ipynb), and as many chapters of this part as you like: each module has its lines here and its
# own page there. **Time:** twenty minutes.
#
# Afterwards you can write any of the twelve from memory, say which of two are the same, and build two maps that a given
# gate cannot tell apart. Symbols are those of the [notation page](../../book/notation.md).
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

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

import attnlib
from attnlib import check, exercises, finding, plots

plots.use()

# %% [markdown]
# ## The equation
#
# Every module of this part multiplies a map $x$ by gates that it computes from the map:
#
# $$z = S(x),$$ (one-squeeze)
#
# $$g = a(T(z)),$$ (one-gate)
#
# $$y = g \odot x.$$ (one-scale)
#
# $S$ **squeezes**: it keeps of the map what the gates may know. $T$ **transforms**; nearly all parameters are here. $a$
# makes **gates**, most often by a sigmoid. What the squeeze loses no transform brings back: *two maps with the same
# $S(x)$ have the same gates*, whatever the weights. So what a gate can tell apart is decided in the first place, before
# anything is learned.
#
# ## Twelve lines
#
# `m` is a module of the package, which lends its weights. First the five whose $S$ is the mean of a channel. They
# differ in which means a gate may mix: none but its own ([GE](ge.ipynb), here without parameters and with the whole map
# as its extent, and [IEBN](iebn.ipynb)), those of neighbours ([ECA](eca.ipynb)), or all ([SE](se.ipynb)).


# %%
sigmoid, relu = torch.sigmoid, torch.relu
mean = lambda x: x.mean((2, 3), keepdim=True)
column = lambda v: v.view(-1, 1, 1)  # a number for each channel


# %%
def ge(m, x):
    return sigmoid(mean(x))


def iebn(m, x):
    return sigmoid(column(m.gate_scale) * mean(x) + column(m.gate_shift))


def eca(m, x):
    z = mean(x)[:, None, :, 0, 0]
    s = F.conv1d(z, m.conv.weight, padding="same")
    return sigmoid(s).mT[..., None]


def se(m, x):
    return sigmoid(m.expand(relu(m.reduce(mean(x)))))


# %% [markdown]
# [SEM](sem.ipynb), switchable excitation, asks the last three, IEBN, ECA and SE, for a {term}`logit` each, weighs each
# by a number $w$ that it computes from this image, and multiplies three sigmoids:


# %%
def sem(m, x):
    z = mean(x)[..., 0, 0]
    w = sigmoid(m.decide(z))
    parts = enumerate(m.operators.values())
    gates = [sigmoid(w[:, [k]] * part(z)) for k, part in parts]
    return math.prod(gates)[..., None, None]


# %% [markdown]
# Next, three that keep a number for each pixel. [NAM](nam.ipynb) standardises the value itself over a batch,
# [SA](sa.ipynb) over an image; its first half is IEBN's line. [SGE](sge.ipynb) standardises the similarity of a pixel
# to its group's mean.


# %%
def nam(m, x):
    norm, scales = m.channel_norm, m.channel_norm.weight.abs()
    return sigmoid(column(scales / scales.sum()) * norm(x))


def sge(m, x):
    x = x.unflatten(1, (m.groups, -1))
    z = (x * x.mean((3, 4), True)).sum(2)  # similarity
    z = (z - mean(z)) / (z.std((2, 3), keepdim=True) + 1e-5)
    g = sigmoid(column(m.weight) * z + column(m.bias))
    return g.repeat_interleave(x.shape[2], 1)


def sa(m, x):
    pair = x.unflatten(1, (m.groups, 2, -1)).transpose(1, 2)
    first, second = (v.flatten(0, 1) for v in pair.unbind(1))
    s = column(m.channel_weight) * mean(first) + column(m.channel_bias)
    z = F.group_norm(second, len(s[0]), m.norm_weight, m.norm_bias)
    t = column(m.spatial_weight) * z + column(m.spatial_bias)
    return sigmoid(torch.cat([s.expand_as(t), t], 1)).view_as(x)


# %% [markdown]
# Last, four that convolve. [CBAM](cbam.ipynb) and [Triplet](triplet.ipynb) pool along an axis, to a maximum and a mean;
# [BAM](bam.ipynb) has a branch of convolutions, and [residual attention](residual_attention.ipynb) a small network, its
# mask, whose gates scale its trunk. The last of these lines leaves the work to the package: a mask has dozens of
# layers.


# %%
def pooled(x, axis):
    return torch.cat([x.amax(axis, True), x.mean(axis, True)], axis)


def cbam(m, x):
    f = lambda v: m.channel_gate.expand(relu(m.channel_gate.reduce(v)))
    s = f(x.mean((2, 3))) + f(x.amax((2, 3)))
    g = sigmoid(s)[..., None, None]
    return g * sigmoid(m.spatial_gate(pooled(g * x, 1)))


def bam(m, x):
    s = m.channel_branch(x.mean((2, 3)))[..., None, None]
    return 1 + sigmoid(s * m.spatial_branch(x))


# %%
def triplet(m, x):
    axes = {"channel_width": 2, "channel_height": 3, "spatial": 1}
    gates = [
        sigmoid(m.branches[name](pooled(x, a).transpose(1, a)))
        for name, a in axes.items()
    ]
    turned = zip(gates, axes.values(), strict=True)
    return sum(gate.transpose(1, a) for gate, a in turned) / 3


def residual_attention(m, x):
    trunk, mask = m.branches(x)  # the gates are the trunk's
    return 1 + mask


# %% [markdown]
# Each line against the module, with random weights and statistics, in double precision:


# %% tags=["hide-input"] mystnb={"code_prompt_show": "A module with random weights"}
def make(key, channels=16, **arguments):
    """A module all of whose parameters and statistics are random."""
    module = attnlib.create(key, channels, **arguments).double()
    generator = torch.Generator().manual_seed(0)
    draw = lambda v: torch.randn(v.shape, generator=generator).to(v)
    for p in module.parameters():
        p.data = draw(p)
    for name, b in module.named_buffers():
        if b.is_floating_point():
            b.copy_(draw(b).abs() + 0.5 if "var" in name else draw(b))
    return module.eval().requires_grad_(False)


# %% tags=["nbval-check-output"]
lines = {f.__name__: f for f in (ge, iebn, eca, se, sem, nam, sge, sa)}
lines |= {f.__name__: f for f in (cbam, bam, triplet, residual_attention)}
four, narrow = {"groups": 4}, {"reduction": 4}
chosen = {"sge": four, "sa": four, "eca": {"kernel_size": 3}}
chosen |= dict.fromkeys(("se", "sem", "cbam", "bam"), narrow)
modules = {key: make(key, **chosen.get(key, {})) for key in lines}
torch.manual_seed(1)
x = torch.randn(2, 16, 9, 7, dtype=torch.float64)
for key, line in lines.items():
    check(key, line(modules[key], x), modules[key].gate(x), atol=1e-12)

# %% [markdown]
# ### Where it is applied
#
# The gates scale different maps, and this is not a detail. Nine of the twelve scale a residual branch, behind its last
# norm. IEBN scales the standardised map inside a batch norm and leaves the norm's shift alone. BAM scales what is
# behind a whole stage, where a common factor is undone by the next norm (see [its chapter](bam.ipynb)). Residual
# attention scales its own trunk.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Hold the number against the package"}
rules = [attnlib.info(key).rule for key in lines]
check("modules on a residual branch", rules.count("block-end"), 9)

# %% [markdown]
# ## What is the same as what
#
# Two formulas are passed on in this field; where they come from could not be read. They are *SGE = Group + SE* and *SA
# = Group + Cat(SPA, CA)*, with CA for a {term}`channel attention`, SPA for a {term}`spatial attention`, and Cat for one
# behind the other; a third of the kind would be *BAM = SPA + CA*. With lines in hand, such sentences can be tried.
# First, those that hold exactly, with the same weights on both sides:


# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Lend the weights, and compare"}
def lend(target, source):
    """Weights of one module to another, in the order of definition."""
    pairs = zip(target.parameters(), source.parameters(), strict=True)
    for ours, theirs in pairs:
        ours.data = theirs.data.reshape(ours.shape).clone()


def same(name, ours, theirs):
    check(name, ours, theirs.expand_as(ours), atol=1e-9)


half = make("cbam", spatial=False, channel_pools=("avg",), **narrow)
plain = make("se", **narrow)
lend(plain, half)
same(
    "CBAM's channel half, of means alone = SE", half.gate(x), plain.gate(x)
)
one = make("sem", operators=("fc",), **narrow)
one.decide.weight.zero_()
one.decide.bias.fill_(50)  # decided
lend(plain, one.operators["fc"])
same(
    "SEM, decided for its first operator = SE", one.gate(x), plain.gate(x)
)
branch = make("triplet", channel_width=False, channel_height=False)
half = make("cbam", channel=False)
half.spatial_gate.load_state_dict(branch.branches["spatial"].state_dict())
same(
    "Triplet's H-W branch = CBAM's spatial half",
    branch.gate(x),
    half.gate(x),
)
narrowest, own = make("eca", kernel_size=1), make("iebn")
own.gate_scale.fill_(narrowest.conv.weight.item())
own.gate_shift.zero_()
same("ECA, k = 1 = IEBN, one scale", narrowest.gate(x), own.gate(x))
own.gate_scale.fill_(1)
same("GE = IEBN, scale 1, shift 0", modules["ge"].gate(x), own.gate(x))
first, second = x.unflatten(1, (8, 2)).unbind(2)
pairs, own = make("sa", groups=8), make("iebn", 8)
own.gate_scale.fill_(pairs.channel_weight.item())
own.gate_shift.fill_(pairs.channel_bias.item())
in_pairs = pairs.gate(x).unflatten(1, (8, 2))
same("SA's first half = IEBN", in_pairs[:, :, 0], own.gate(first))
adds = make("bam", combine="sum", **narrow)
s = adds.channel_branch(x.mean((2, 3)))[..., None, None]
t = adds.spatial_branch(x)
logits = torch.logit(sigmoid(s)) + torch.logit(sigmoid(t))
same(
    "BAM that adds = SPA + CA, in logits",
    adds.gate(x) - 1,
    sigmoid(logits),
)

# %% [markdown]
# *SA = Group + Cat(SPA, CA)* is the line `sa` itself: within each group the gates of a channel half and of a spatial
# half, one behind the other. It holds exactly, for the gates; the output's channels are then shuffled.
#
# Next, those that hold up to a factor. Standardise each channel of an image, as SA's second half does. NAM standardises
# over the batch; on a batch of one image that is the same. SGE with one channel a group compares each value with the
# channel's mean $\mu$, which is $\mu x_i$; standardised, $\mu$ drops out, all but its sign.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"code_prompt_show": "Compare"}
image = second[:1]
variance, mu = torch.var_mean(image, (2, 3), correction=0, keepdim=True)
z = (image - mu) / (variance + 1e-5).sqrt()
half = pairs.spatial_weight * (pairs.norm_weight * z + pairs.norm_bias)
half = sigmoid(half + pairs.spatial_bias)
same("SA's second half = standardised", in_pairs[:1, :, 1], half)
alone = make("nam", 8).train()
norm, share = alone.channel_norm, alone.channel_norm.weight.abs()
share = share / share.sum()
theirs = column(share) * (column(norm.weight) * z + column(norm.bias))
same("NAM on one image = standardised", alone.gate(image), sigmoid(theirs))
groups = make("sge", 8, groups=8)
back = torch.logit(groups.gate(image)) - column(groups.bias)
ratio = back / column(groups.weight) / z
far = z.abs() > 0.1
finding("a factor of 0.992", ratio.abs()[far].median())
finding(
    "and the sign of the channel's mean",
    (ratio.sign() == mu.sign())[far].all(),
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SGE with one channel a group is SA's second half but for a factor of 0.992 and the sign of the channel's mean. On a
# map of 63 pixels the factor is $\sqrt{62 / 63}$: SGE's deviation divides by one less than SA's.
# :::
#
# The sign matters: where a channel's mean is negative, SGE opens for what SA closes for.
#
# So the two are alike, and yet not exchangeable. And what does not hold at all:

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Measure"}
gate = modules["sge"].gate(x)
spans = gate.amax((2, 3)) - gate.amin((2, 3))
flat = 10 * mean(x).expand_as(x).contiguous()
grouped = make("se", 4, reduction=1).gate(flat.view(8, 4, 9, 7))
deaf = modules["sge"].gate(flat)
finding("more than 0.1 of the range on every map", spans.min() > 0.1)
finding(
    "by less than 0.000001 between images",
    (deaf[0] - deaf[1]).abs().max() < 1e-6,
)
apart = (grouped.view(2, 16)[0] - grouped.view(2, 16)[1]).abs().max()
finding("by more than 0.1", apart > 0.1)
released = modules["bam"]
s = released.channel_branch(x.mean((2, 3)))[..., None, None]
t = released.spatial_branch(x)
far = (released.gate(x) - 1 - sigmoid(s + t)).abs().max()
finding("by more than 0.9", far > 0.9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# *SGE = Group + SE*: the gates of SE in a group are one number for all pixels, those of SGE span more than 0.1 of the
# range on every map here. On maps that are constant in each channel it is the other way round. SGE's gates differ there
# by less than 0.000001 between images, those of SE in groups by more than 0.1. SE sees nothing but means; SGE sees
# nothing where there is nothing but means. So the formula names two modules that answer to opposite things.
#
# *BAM = SPA + CA* as released: its gates differ from those of the sum by more than 0.9, since it multiplies.
# :::
#
# ## What a gate can tell apart
#
# Change a map in a way that has a name, and look at the gates. There are three answers. A gate can be **deaf**: it
# stays as it is. It can **follow**: it makes the same move as the map, and looks at nothing else. Or it **hears** the
# change.


# %%
generator = torch.Generator().manual_seed(2)
draw = lambda *shape: torch.rand(shape, generator=generator)
pixels, channels = draw(63).argsort(), draw(16).argsort()
by_channel = draw(1, 16, 63).argsort(2).expand(2, -1, -1)
by_pixel = draw(1, 16, 9, 7).argsort(1).expand(2, -1, -1, -1)
noise = draw(2, 16, 9, 7).double()
flat = lambda move: lambda v: move(v.flatten(2)).view_as(v)
changes = {
    "pixels moved": flat(lambda v: v[..., pixels]),
    "by channel": flat(lambda v: v.gather(2, by_channel)),
    "mirrored": lambda v: v.flip(3),
    "channels moved": lambda v: v[:, channels],
    "by pixel": lambda v: v.gather(1, by_pixel),
}


# %%
def answer(gate, change):
    before, after = gate(x).expand_as(x), gate(change(x)).expand_as(x)
    if (after - before).abs().max() < 1e-3:
        return "deaf"
    follows = (after - change(before)).abs().max() < 1e-3
    return "follows" if follows else "hears"


def row(gate):
    found = [answer(gate, change) for change in changes.values()]
    found.append(answer(gate, lambda v: v + noise - mean(noise)))
    return [*found, answer(gate, lambda v: 2 * v)]


halves = {
    "CBAM, channel half": make("cbam", spatial=False, **narrow).gate,
    "CBAM, spatial half": make("cbam", channel=False).gate,
    "SGE, one channel a group": make("sge", groups=16).gate,
}
gates = {attnlib.info(k).name: m.gate for k, m in modules.items()} | halves

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "A table of colours: twelve modules and three halves in rows, seven changes in columns. The five that squeeze to means are deaf to all moves of pixels and to noise; NAM and SA follow moves of pixels; BAM, CBAM, Triplet and residual attention hear everything."}, "figure": {"caption": "What the gates of each module do when the map is changed. The first five rows are deaf to moves of pixels, the last four of the twelve to nothing.", "name": "one-deaf"}}
short = ("GE", "IEBN", "ECA", "SE", "SEM", "NAM", "SGE", "SA", "CBAM")
short += ("BAM", "Triplet", "Residual attention", *halves)
asked = ["pixels moved alike"]
asked += ["pixels moved, by channel", "mirrored"]
asked += ["channels moved alike", "channels moved, by pixel"]
asked += ["noise without mean", "twice as strong"]
answers = pd.DataFrame([row(g) for g in gates.values()], short, asked)
levels = {"deaf": 0.0, "follows": 0.5, "hears": 1.0}
_, axis = plt.subplots(figsize=(plots.COLUMN, 5.2))
colours = plt.get_cmap("viridis", 3)
axis.pcolormesh(
    answers.replace(levels).astype(float), cmap=colours, edgecolor="w"
)
axis.set_xticks(np.arange(7) + 0.5, asked, rotation=55, ha="right")
axis.set_yticks(np.arange(len(short)) + 0.5, short)
axis.invert_yaxis()
axis.grid(False)
keys = [plt.Rectangle((0, 0), 1, 1, color=colours(k)) for k in range(3)]
axis.legend(
    keys,
    levels,
    ncol=3,
    frameon=False,
    bbox_to_anchor=(0.5, 1),
    loc="lower center",
)
five = answers.loc[["GE", "IEBN", "ECA", "SE", "SEM"]]
of_pixels = [*asked[:3], asked[5]]
twelve = answers.iloc[:12]
others = twelve.drop(five.index)[of_pixels]
finding("Five are deaf", (five[of_pixels] == "deaf").all(axis=None))
finding("No other is", not (others == "deaf").any(axis=None))
follow = (twelve[asked[:2]] == "follows").all(axis=1)
finding("NAM and SA follow", list(follow[follow].index) == ["NAM", "SA"])
moves = list(answers.loc["SGE", asked[:2]])
finding("SGE follows only", moves == ["follows", "hears"])
strong = twelve.index[twelve[asked[6]] == "deaf"]
finding("It alone is deaf to the strength", list(strong) == ["SGE"])
spatial = answers.loc["CBAM, spatial half", asked[3:5]]
finding("spatial half is deaf to all moves", (spatial == "deaf").all())
last = twelve.loc[["CBAM", "BAM", "Triplet", "Residual attention"]]
finding("four that convolve hear", (last == "hears").all(axis=None))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Five are deaf to every move of pixels, and to noise that leaves the means: GE, IEBN, ECA, SE and SEM. No other is. NAM
# and SA follow the pixels even when each channel moves in its own way; SGE follows only when all move alike, for it
# compares channels. It alone is deaf to the strength of the map. The four that convolve hear all seven changes. But
# CBAM's spatial half is deaf to all moves of channels, by itself.
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does GE hear if its window is two pixels (`extent=2`) instead of the whole map? Say first; then run.
# :::

# %%
near = make("ge", extent=2)
for name, change in changes.items():
    print(f"{name}: {answer(near.gate, change)}")

# %% [markdown]
# The answers come out of the first place of the equation, and no training changes them. A gate that *hears* need not
# listen: what a trained one makes of what it hears is the subject of the chapters.
#
# :::{admonition} Try it
# :class: try-it
# BAM hears a mirror image because of its two wide kernels. And if these are symmetric? Say first; then run.
# :::

# %%
even = make("bam", **narrow)
for part in even.spatial_branch:
    if isinstance(part, torch.nn.Conv2d):
        part.weight.add_(part.weight.flip(3).clone())
print(answer(even.gate, changes["mirrored"]))

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} Two maps have the same mean in each channel. Which of these gates can differ between them?
# - [ ] Those of SE, if its hidden layer is wide enough.
#
#   Whatever the layers are, they start from the same numbers.
# - [ ] Those of SEM, which has three operators.
#
#   All three and the decision see the means alone.
# - [x] Those of SGE.
#
#   It compares the pixels with the mean; the pixels may differ.
# ```
#
# ```{quiz} Where are nearly all parameters of these modules?
# - [ ] In the squeeze.
#
#   A mean, a maximum and a similarity have none.
# - [x] In the transform.
#
#   Layers, kernels, scales and shifts are all there.
# - [ ] In the gate.
#
#   A sigmoid has none.
# ```
#
# ```{quiz} ECA has k = 1. Whose gates can it not have?
# - [ ] Those of GE.
#
#   With the weight 1 it has them.
# - [x] Those of an IEBN with a shift.
#
#   ECA has one weight for all channels and no shift.
# - [ ] Those of a constant one half.
#
#   With the weight 0 it has them.
# ```
#
# ```{quiz} All values of a map are doubled, by an earlier layer. Whose gates stay as they are, but for the small number in the divisor?
# - [ ] SE's: it is trained to be stable.
#
#   Its means double, and its logits change.
# - [x] SGE's: its similarities are standardised.
#
#   They grow fourfold, and so does their deviation.
# - [ ] NAM's: it normalises.
#
#   In evaluation it does so by fixed statistics; the values are doubled and the divisor is not.
# ```
#
# ```{quiz} A gate hears a change of the map. What follows for a trained network?
# - [ ] That it uses what it hears.
#
#   It may have learned weights near zero there.
# - [x] That it can; nothing about whether it does.
#
#   What is deaf by construction can never use a change; what hears it may.
# - [ ] That its accuracy is better.
#
#   In this book's short runs modules that hear little often do as well.
# ```
#
# ## Exercises
#
# ````{exercise} Who cannot tell?
# :label: one-equation-exercise-deaf
#
# *Easy, 5 minutes.* In one channel of an image an object moves from the left half to the right, and nothing else
# changes. How many of the twelve modules have the same gates before and after?
#
# :::{dropdown} Hint
# It is a move of pixels in one channel. {numref}`one-deaf` has it.
# :::
# ````

# %%
exercises.answer("one-equation-exercise-deaf", ...)  # your answer

# %% [markdown]
# ````{solution-start} one-equation-exercise-deaf
# :class: dropdown
# ````
#
# Those that squeeze to the mean. The gates of NAM and SA move with the object, so they are not the same.

# %%
twelve = list(gates.values())[:12]
deaf = [answer(gate, changes["by channel"]) == "deaf" for gate in twelve]
print(sum(deaf))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "one-equation-exercise-deaf", right=sum(deaf), wrong=[7, 4]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A line of your own
# :label: one-equation-exercise-line
#
# *Medium, 15 minutes.* SGE as SE's groups would have it: write a function `gate(x, groups, w, b)` whose squeeze is the
# mean of a whole group, and whose gates are $\sigma(w_k z_k + b_k)$ for group $k$, the same for all channels and pixels
# of it: (N, C, 1, 1).
#
# :::{dropdown} Hint
# `unflatten` makes the groups, `repeat_interleave` gives each channel its group's gate.
# :::
# ````

# %%
exercises.answer("one-equation-exercise-line", ...)  # your function

# %% [markdown]
# ````{solution-start} one-equation-exercise-line
# :class: dropdown
# ````
#
# It is deaf to moves of pixels, and to moves of channels within a group.


# %%
def group_means(x, groups, w, b):
    grouped = x.unflatten(1, (groups, -1))
    g = sigmoid(w * grouped.mean((2, 3, 4)) + b)
    return g.repeat_interleave(grouped.shape[2], 1)[..., None, None]


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [
    lambda x, groups, w, b: group_means(-x, groups, w, b),
    lambda x, groups, w, b: group_means(x, groups, b, w),
]
exercises.try_judge(
    "one-equation-exercise-line", right=group_means, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The same gate in another form
# :label: one-equation-exercise-factor
#
# *Hard, 15 minutes.* SGE with one channel a group is SA's second half but for a factor that depends on the number of
# pixels. What is the factor on a map of 7 by 7 pixels, to four decimals, if $\varepsilon$ is left out?
#
# :::{dropdown} Hint
# One deviation divides by $HW$, the other by $HW - 1$, both under a root.
# :::
# ````

# %%
exercises.answer("one-equation-exercise-factor", ...)  # your answer

# %% [markdown]
# ````{solution-start} one-equation-exercise-factor
# :class: dropdown
# ````
#
# The deviation that divides by $HW - 1$ is the larger one, so that SGE's numbers are smaller.

# %%
factor = math.sqrt(48 / 49)
print(f"{factor:.4f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "one-equation-exercise-factor",
    right=factor,
    wrong=[48 / 49, 1 / factor],
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. All twelve modules squeeze, transform, make gates and scale; each is one line.
# 2. What the squeeze drops no weight brings back: maps with the same squeeze have the same gates.
# 3. Five of twelve see nothing but channel means; NAM and SA add each pixel's own value, SGE its similarity to the
#    mean.
# 4. Some modules hold others: CBAM and SEM hold SE, SA's first half is IEBN, and IEBN with fixed weights is GE. "SGE =
#    Group + SE" is not so.
# 5. A gate that hears a change need not use it; one that is deaf to it can never.
# :::
#
# ## Further reading
#
# * [Two families](../introduction/two_families.ipynb), for the equation that holds self-attention as well.
# * [All modules side by side](../side_by_side.ipynb), for what each listens to, fresh and with its weights moved.
