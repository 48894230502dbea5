# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Normalization-based attention (NAM)
#
# **Paper.** NAM: Normalization-based Attention Module {cite}`nam`. **Module.** `attnlib.create("nam", channels)`.
#
# :::{admonition} What you will be able to do
# :class: tip
# * build the module from one batch norm, for channels and for positions, and prove that it is right;
# * bound how far its gate can be from one half, and say why a constant gate is the control it has to beat;
# * derive the gradient of its scales, with and without the stop-gradient of the released code;
# * predict how far the sparsity penalty can push a scale, and see why the released penalty pushes none;
# * prune a network by its scales, recount the multiply-adds, and say what a small scale does not mean.
# :::
#
# Symbols are those of the [notation page](../../book/notation.md).

# %% tags=["hide-input"]
import copy
from dataclasses import replace
from math import exp, sqrt

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import plots
from attnlib.data import load
from attnlib.networks import attach, attention_modules, create, detach
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.scale_attention.nam import NAM, sparsity_penalty
from attnlib.training import Recipe, chapter_recipe, lane, linear_accuracy, train
from attnlib.training.schedule import learning_rate

plots.use()
paper = attnlib.paper("nam")

# %% [markdown]
# ## The idea
#
# A batch norm learns one scale per channel. A channel whose scale is large varies a lot after the norm, and the layers
# behind it see it clearly; a channel whose scale is small is nearly flat. *Network slimming* {cite}`slimming` reads
# the scales as importance and deletes the channels at the bottom of the list. NAM makes a gate of the same reading: it
# puts one more batch norm at the end of a residual branch, divides each scale by the sum of all of them, and
# multiplies the normalised map by this share before a sigmoid. No bottleneck, no pooling, no weight besides those of
# the norm.
#
# What comes out is not one number per channel, as in [SE](se.ipynb), but one gate per value of the map: a value far
# above its channel's mean is let through a little more, one far below a little less, and *how much* "a little" is
# depends on the channel's share. The picture shows it for one image, six channels and scales set unequal on purpose,
# so that there is something to see. With equal scales there would be almost nothing; that is the subject of a section
# below.

# %% mystnb={"image": {"alt": "Four columns for one image. Six grey maps; a bar for each channel's share of the scales, two of them long; six maps of gates, strongly coloured where the share is long, faintly or not at all elsewhere; the six gated maps."}} tags=["hide-input"]
shapes = load("shapes", "test")
picture = torch.tensor(shapes.images[7:8]).permute(0, 3, 1, 2) / 127.5 - 1

torch.manual_seed(3)
x = nn.Conv2d(3, 6, 5, padding=2)(picture).detach()
block = attnlib.create("nam", 6)
with torch.no_grad():
    block.channel_norm.weight.copy_(torch.tensor([0.3, 2.5, 0.2, 0.9, 0.1, 1.9]))
    share = block.scale_weights(block.channel_norm.weight)
    gate = block.gate(x)[0]

figure = plt.figure(figsize=(7, 2.9))
left, middle, gates, right = figure.subfigures(1, 4, width_ratios=(1, 0.9, 1.1, 1))
axis = middle.subplots()
axis.barh(range(1, 7), share, color=plots.colour("nam"))
axis.invert_yaxis()
axis.set(
    title="share $w_c$ of all scales",
    ylabel="channel $c$",
    yticks=range(1, 7),
    xlim=(0, 0.5),
)
look = {"cmap": "coolwarm", "vmin": 0.2, "vmax": 0.8}
grey = {"cmap": "gray", "vmin": x.min(), "vmax": x.max()}
for side, maps, title, drawing in (
    (left, x[0], "map $x$", grey),
    (gates, gate, "gate $g$", look),
    (right, gate * x[0], "output $y = x\\,g$", grey),
):
    side.suptitle(title)
    grid = side.subplots(3, 2)
    for number, (axis, one) in enumerate(zip(grid.flat, maps, strict=True), start=1):
        shown = axis.imshow(one, **drawing)
        axis.set_title(number, fontsize="x-small", pad=2)
        axis.set_axis_off()
    if side is gates:
        side.colorbar(shown, ax=grid, fraction=0.05)
plt.show()

# %% [markdown]
# **What to see.** The longer its bar, the more a channel's gates follow the picture; where the bar is short, the gate
# is almost exactly one half, wherever you look. A short bar does not switch a channel off: it leaves it at half its
# size.
#
# ## From the equations
#
# **Channel part.** Let $x$ be the map at the end of a residual branch. A batch norm {cite}`batch_norm` subtracts from
# each channel its mean over the batch and all positions, divides by the standard deviation, and applies a learned
# scale and shift:
#
# $$z_{nchw} = \gamma_c\,\hat x_{nchw} + \beta_c, \qquad
# \hat x_{nchw} = \frac{x_{nchw} - \mu_c}{\sqrt{\nu_c + \varepsilon}}.$$ (nam-norm)
#
# Each channel has a share of all scales,
#
# $$w_c = \frac{|\gamma_c|}{\sum_{j=1}^{C} |\gamma_j|}, \qquad \sum_c w_c = 1,$$ (nam-share)
#
# and the gate is the sigmoid of the normalised map, weighted by the share:
#
# $$y = x \odot g, \qquad g_{nchw} = \sigma(s_{nchw}), \qquad s_{nchw} = w_c\, z_{nchw}.$$ (nam-gate)
#
# The paper writes the share without absolute values, and it stops at the sigmoid; absolute values and the product with
# $x$ are read in the released code.
#
# **Spatial part.** The paper applies the same three equations a second time with the roles of channels and positions
# exchanged: $i = (h, w)$ takes the place of $c$, the statistics run over the batch and all *channels*, and each
# position has a scale $\lambda_i$ and a shift $\kappa_i$ of its own:
#
# $$y'_{nci} = y_{nci}\;\sigma\!\left(\frac{|\lambda_i|}{\sum_{j=1}^{HW} |\lambda_j|}
# \left(\lambda_i\,\frac{y_{nci} - \mu_i}{\sqrt{\nu_i + \varepsilon}} + \kappa_i\right)\right).$$ (nam-spatial)
#
# It works on the output of the channel part. Since there is one scale per position, it is tied to one size of map.
#
# **Parameters.** Scales and shifts of one or two norms, no more:
#
# $$P = 2C \;\bigl[\, + 2HW \,\bigr].$$ (nam-parameters)
#
# **The gate begins as one half.** All scales start at 1 and all shifts at 0, so that every share is $1/C$ and every
# logit is $\hat x / C$. The slope of the sigmoid is nowhere more than $1/4$, and $\sigma(0) = 1/2$; by the mean value
# theorem
#
# $$\Bigl| g_{nchw} - \tfrac12 \Bigr| \le \frac{|s_{nchw}|}{4} = \frac{w_c\,|z_{nchw}|}{4}
# \;\;\overset{\text{at the start}}{=}\;\; \frac{|z_{nchw}|}{4C}.$$ (nam-bound)
#
# A normalised value is seldom beyond 4 or 5, and $C$ is 64 at the very least in an ImageNet ResNet: NAM starts as
# multiplication by one half, give or take a hundredth or two. Training can change single shares, but not all of them,
# because they sum to one. Add {eq}`nam-bound` over the channels of one position, and whatever the scales are,
#
# $$\frac1C \sum_{c=1}^{C} \Bigl| g_{nchw} - \tfrac12 \Bigr| \le \frac{1}{4C}\,\max_c |z_{nchw}|.$$ (nam-mean-bound)
#
# For the average gate to leave one half, $z$ itself must become large: the norm's scales and shifts have to grow to
# the order of $C$. This is why we compare NAM with a *constant gate of one half*, which has no parameters and looks at
# nothing. What both have in common is not attention.
#
# **Gradients.** Write $\bar y = \partial L / \partial y$, and $a = \bar y \odot x \odot g \odot (1 - g)$ for the
# gradient that arrives at the logits. If the share is taken as a constant, as the released code does, scale and shift
# of channel $c$ receive
#
# $$\frac{\partial L}{\partial \gamma_c}\bigg|_{w} = w_c \sum_{nhw} a_{nchw}\,\hat x_{nchw}, \qquad
# \frac{\partial L}{\partial \beta_c} = w_c \sum_{nhw} a_{nchw}.$$ (nam-gradient-detached)
#
# The paper's formula has no such stop. With $S = \sum_j |\gamma_j|$ the share has the derivative
# $\partial w_k / \partial \gamma_c = \operatorname{sign}(\gamma_c)\,([k = c] - w_k) / S$, where $[\cdot]$ is one if its
# condition holds and else zero, and with $A_k = \sum_{nhw} a_{nkhw}\, z_{nkhw}$ the gradient becomes
#
# $$\frac{\partial L}{\partial \gamma_c} = \frac{\partial L}{\partial \gamma_c}\bigg|_{w}
# + \frac{\operatorname{sign}(\gamma_c)}{S} \Bigl( A_c - \sum_{k=1}^{C} w_k A_k \Bigr).$$ (nam-gradient-full)
#
# How large is the second term? At the start $\gamma = 1$, $\beta = 0$, hence $z = \hat x$, and both terms are made of
# the same sums: the first is $A_c / C$, the second $(A_c - \bar A) / C$ with $\bar A$ the mean over channels. *Letting
# the gradient through doubles what sets a channel apart from the others and leaves the common part as it was*:
# $(2 A_c - \bar A) / C$. For any scales, the sum of the second term with weights $\gamma_c$ is zero, for shares do not
# notice when all scales grow together.
#
# The map itself receives the gradient through the product and through the norm, which sees each value directly, in the
# mean and in the variance. With $b = \partial L / \partial z = w_c\, a$ and $\langle\cdot\rangle$ the mean over
# $n, h, w$,
#
# $$\frac{\partial L}{\partial x} = g \odot \bar y + \frac{\gamma_c}{\sqrt{\nu_c + \varepsilon}}
# \bigl( b - \langle b \rangle - \hat x\, \langle b \odot \hat x \rangle \bigr).$$ (nam-gradient-map)
#
# **The penalty.** The paper adds the sizes of all scales to the loss, with a strength $p$:
#
# $$L = \sum \ell + p \sum_c |\gamma_c| + p \sum_i |\lambda_i|, \qquad
# \frac{\partial}{\partial \gamma_c}\, p\,|\gamma_c| = p\,\operatorname{sign}(\gamma_c).$$ (nam-penalty)
#
# A constant pull towards zero, whatever the size of the scale. Under gradient descent with momentum $m$ and learning
# rates $\eta_t$, a constant gradient $p$ ends as a velocity of $p / (1 - m)$, so that a scale that the data do not
# hold back travels
#
# $$\Delta\gamma \approx -\,\frac{p}{1 - m} \sum_t \eta_t.$$ (nam-reach)
#
# This *reach* of the penalty can be read off a recipe before anything is trained, and we will.
#
# ## The module from scratch
#
# Channel and spatial part are the same equations over other axes, so they are one class. Each line has its equation
# above it. It normalises with the statistics of the batch; keeping running averages for evaluation is what
# `nn.BatchNorm2d` adds.


# %%
class NormalizationAttention(nn.Module):
    def __init__(self, shape, axes, detach=True):
        """`shape` of the scales, (1, C, 1, 1) or (1, 1, H, W); `axes` that the statistics run over, the other ones."""
        super().__init__()
        self.axes, self.detach = axes, detach
        self.scale = nn.Parameter(torch.ones(shape))  # gamma or lambda
        self.shift = nn.Parameter(torch.zeros(shape))  # beta or kappa

    def forward(self, x):
        # x^ = (x - mean) / sqrt(variance + eps)
        mean = x.mean(self.axes, keepdim=True)
        variance = x.var(self.axes, correction=0, keepdim=True)
        normalised = (x - mean) / torch.sqrt(variance + 1e-5)
        # z = gamma x^ + beta
        z = self.scale * normalised + self.shift
        # w = |gamma| / sum |gamma|, a constant for back-propagation in the released code
        size = (self.scale.detach() if self.detach else self.scale).abs()
        w = size / size.sum()
        # y = x sigmoid(w z)
        return x * torch.sigmoid(w * z)


def channel_part(channels, **options):
    return NormalizationAttention((1, channels, 1, 1), axes=(0, 2, 3), **options)


def spatial_part(height, width, **options):
    return NormalizationAttention((1, 1, height, width), axes=(0, 1), **options)


# %% [markdown]
# ## Shapes, and five checks
#
# A map of 32 channels with sides that differ, on its way through both parts. Scales are drawn at random and some are
# negative: with all scales at 1 most mistakes would stay invisible.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
channel, spatial = channel_part(32).double(), spatial_part(9, 7).double()
with torch.no_grad():
    for parameter in (*channel.parameters(), *spatial.parameters()):
        parameter.normal_()

y = channel(x)
for name, value in (
    ("map x", x),
    ("mean, variance", x.mean((0, 2, 3))),
    ("scales gamma", channel.scale),
    ("output y", y),
    ("mean, variance", y.mean((0, 1))),
    ("scales lambda", spatial.scale),
    ("output y'", spatial(y)),
):
    print(f"{name:<15}{tuple(value.shape)}")

# %% [markdown]
# **Check 1: equations {eq}`nam-norm` to {eq}`nam-spatial`, in loops.** All values that share a scale are one list;
# what happens to a list is scalar arithmetic.


# %% tags=["nbval-check-output"]
def gated(values, scale, shift, share):
    """The values of one channel (or of one position), gated."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    result = []
    for value in values:
        z = scale * (value - mean) / sqrt(variance + 1e-5) + shift
        result.append(value / (1 + exp(-share * z)))
    return result


def loops(lists, scales, shifts):
    total = sum(abs(scale) for scale in scales)
    return [
        gated(values, scale, shift, abs(scale) / total)
        for values, scale, shift in zip(lists, scales, shifts, strict=True)
    ]


def one_list_per_channel(x):
    return x.transpose(0, 1).flatten(1).tolist()


def one_list_per_position(x):
    return x.flatten(2).permute(2, 0, 1).flatten(1).tolist()


def parameters(part):
    return part.scale.flatten().tolist(), part.shift.flatten().tolist()


by_loops = loops(one_list_per_channel(x), *parameters(channel))
by_loops = torch.tensor(by_loops, dtype=torch.float64).view(32, 2, 9, 7).transpose(0, 1)
both_by_loops = loops(one_list_per_position(by_loops), *parameters(spatial))
both_by_loops = (
    torch.tensor(both_by_loops, dtype=torch.float64)
    .view(9, 7, 2, 32)
    .permute(2, 3, 0, 1)
)

library = attnlib.create("nam", 32, spatial=True, size=(9, 7)).double()
with torch.no_grad():
    for norm, part in (
        (library.channel_norm, channel),
        (library.spatial_norm, spatial),
    ):
        norm.weight.copy_(part.scale.flatten())
        norm.bias.copy_(part.shift.flatten())

close = {"rtol": 0, "atol": 1e-12}
print(
    "channel part, scratch = loops to 1e-12:",
    torch.allclose(channel(x), by_loops, **close),
)
print(
    "both parts, scratch = loops to 1e-12:  ",
    torch.allclose(spatial(channel(x)), both_by_loops, **close),
)
print(
    "both parts, attnlib = loops to 1e-12:  ",
    torch.allclose(library(x), both_by_loops, **close),
)
print(
    "the other order gives the same:        ",
    torch.allclose(channel(spatial(x)), both_by_loops, atol=1e-3),
)

# %% [markdown]
# **Check 2: the gradients {eq}`nam-gradient-detached`, {eq}`nam-gradient-full` and {eq}`nam-gradient-map`.** Written
# out by hand, against automatic differentiation of `attnlib`'s module, with the share detached and not.

# %% tags=["nbval-check-output"]
upstream = torch.randn_like(x)  # dL / dy
gamma, beta = channel.scale.detach().flatten(), channel.shift.detach().flatten()


def per_channel(values):
    return values[None, :, None, None]


spread = torch.sqrt(x.var((0, 2, 3), correction=0) + 1e-5)
normalised = (x - per_channel(x.mean((0, 2, 3)))) / per_channel(spread)
z = per_channel(gamma) * normalised + per_channel(beta)
total = gamma.abs().sum()
w = gamma.abs() / total
g = torch.sigmoid(per_channel(w) * z)
a = upstream * x * g * (1 - g)

shift_by_hand = w * a.sum((0, 2, 3))
detached_by_hand = w * (a * normalised).sum((0, 2, 3))
moment = (a * z).sum((0, 2, 3))  # A_c
redistribution = gamma.sign() / total * (moment - (w * moment).sum())
b = per_channel(w) * a
mean_b, mean_bx = (per_channel(value.mean((0, 2, 3))) for value in (b, b * normalised))
map_by_hand = g * upstream + per_channel(gamma / spread) * (
    b - mean_b - normalised * mean_bx
)

for detached in (True, False):
    module = NAM(32, detach_scale=detached).double()
    module.channel_norm.load_state_dict({"weight": gamma, "bias": beta}, strict=False)
    leaf = x.clone().requires_grad_(True)
    wanted = (module.channel_norm.weight, module.channel_norm.bias, leaf)
    automatic = torch.autograd.grad((upstream * module(leaf)).sum(), wanted)
    by_hand = (
        detached_by_hand + (0 if detached else redistribution),
        shift_by_hand,
        map_by_hand,
    )
    agree = [
        torch.allclose(*pair, **close) for pair in zip(automatic, by_hand, strict=True)
    ]
    print(
        f"detach_scale={detached!s:<6} scale, shift and map by hand = automatic to 1e-12:",
        *agree,
    )
print(
    "the dropped term, weighted by gamma, sums to 0:",
    abs((gamma * redistribution).sum().item()) < 1e-12,
)
print(
    "its size over the size of the rest:",
    f"{redistribution.norm() / detached_by_hand.norm():.1f}",
)

# %% [markdown]
# For these random scales the dropped term is not small beside the one that is kept. And at the start, where all scales
# are 1, the two gradients are $A_c / C$ and $(2 A_c - \bar A) / C$, as derived:

# %% tags=["nbval-check-output"]
fresh = {}
for detached in (True, False):
    module = NAM(32, detach_scale=detached).double()
    (fresh[detached],) = torch.autograd.grad(
        (upstream * module(x)).sum(), module.channel_norm.weight
    )
moment = 32 * fresh[True]  # A_c, from the detached gradient
print(
    "let through = (2 A_c - mean A) / C:",
    torch.allclose(fresh[False], (2 * moment - moment.mean()) / 32, **close),
)
print(
    "spread over channels, let through / detached:",
    f"{(fresh[False].std() / fresh[True].std()):.3f}",
)

# %% [markdown]
# **Check 3: the bounds {eq}`nam-bound` and {eq}`nam-mean-bound`,** on normally distributed maps. The first table
# answers how far from one half NAM starts, from the narrowest width of a CIFAR ResNet to the widest of an ImageNet one;
# the second bound must hold for any scales, so it is tried on wild ones.

# %% tags=["nbval-check-output"]
rows = []
for channels in (16, 64, 256, 512, 1024, 2048):
    torch.manual_seed(0)
    values = torch.randn(4, channels, 14, 14, dtype=torch.float64)
    module = NAM(channels).double()
    gate = module.gate(values).detach()
    largest = F.batch_norm(values, None, None, training=True).abs().max().item()
    assert (gate - 0.5).abs().max() <= largest / (4 * channels)
    rows.append(
        {
            "channels C": channels,
            "lowest gate": gate.min().item(),
            "highest gate": gate.max().item(),
            "largest |z|": largest,
            "bound |z| / (4 C)": largest / (4 * channels),
        }
    )
interval = pd.DataFrame(rows)
plots.table(
    interval, "The gate at initialisation on a normally distributed map", digits=4
)

# %% tags=["nbval-check-output"]
torch.manual_seed(1)
module = NAM(256).double()
with torch.no_grad():
    module.channel_norm.weight.cauchy_()
    module.channel_norm.bias.cauchy_()
values = torch.randn(4, 256, 7, 7, dtype=torch.float64)
norm = module.channel_norm
z = F.batch_norm(values, None, None, norm.weight, norm.bias, training=True).detach()
distance = (module.gate(values).detach() - 0.5).abs()
print(
    "every position within the bound:",
    bool((distance.mean(1) <= z.abs().amax(1) / (4 * 256)).all()),
)

# %% mystnb={"image": {"alt": "Left: the lowest and highest gate at initialisation against the number of channels from 16 to 2048; the band closes in on the line of one half. Right: its distance from one half on logarithmic axes falls as a straight line, just under the dashed bound."}} tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
width = interval["channels C"]
left.fill_between(
    width,
    interval["lowest gate"],
    interval["highest gate"],
    color=plots.colour("nam"),
    alpha=0.3,
)
left.axhline(0.5, color=plots.colour("constant"), ls="--", label="constant gate")
left.set(
    xscale="log", xlabel="channels C", ylabel="gate", title="all gates lie in the band"
)
left.legend(frameon=False)
distance = (interval[["lowest gate", "highest gate"]] - 0.5).abs().max(axis=1)
right.plot(width, distance, "o", color=plots.colour("nam"), label="measured")
right.plot(
    width,
    interval["bound |z| / (4 C)"],
    "--",
    color="black",
    lw=1,
    label="$|z| / (4C)$",
)
right.set(
    xscale="log",
    yscale="log",
    xlabel="channels C",
    ylabel="largest distance from 0.5",
    title="its width",
)
right.legend(frameon=False)
for axis in (left, right):
    axis.set_xticks(width[[0, 1, 2, 4]], width[[0, 1, 2, 4]])
    axis.minorticks_off()
plt.show()

# %% [markdown]
# **What to see.** The band of all gates closes on one half as $1/C$. The bound is almost reached: near zero the
# sigmoid is a straight line of slope 1/4, so nothing is lost in the estimate.
#
# **Check 4: the parameters {eq}`nam-parameters`,** counted in every module of a ResNet-50 made for 32 x 32 images.

# %% tags=["nbval-check-output"]
network = create("resnet50_cifar", 100, "nam", {"spatial": True})
blocks = attention_modules(network).values()
for module in blocks:
    height, width = module.size
    assert (
        sum(p.numel() for p in module.parameters())
        == 2 * module.channels + 2 * height * width
    )
print(
    f"{len(blocks)} modules, channel part: {sum(2 * m.channels for m in blocks):,} parameters"
)
print(
    f"{len(blocks)} modules, spatial part: {sum(2 * m.size[0] * m.size[1] for m in blocks):,} parameters"
)

# %% [markdown]
# **Check 5: the penalty {eq}`nam-penalty` and its reach {eq}`nam-reach`.** First the gradient of `sparsity_penalty`;
# then one lonely scale under the penalty alone, with the optimiser, the momentum and the learning rates of this book's
# smallest recipe, beside the formula.


# %% tags=["nbval-check-output"]
def reach(recipe, images, strength):
    """How far the penalty alone moves a scale: p / (1 - m) times the sum of all learning rates."""
    steps = -(-images // recipe.batch_size)
    rates = [
        learning_rate(recipe, step, steps) for step in range(recipe.epochs * steps)
    ]
    return strength / (1 - recipe.momentum) * sum(rates)


(gradient,) = torch.autograd.grad(
    sparsity_penalty(library, 0.01), library.channel_norm.weight
)
print(
    "gradient = p sign(gamma):", torch.allclose(gradient, 0.01 * gamma.sign(), **close)
)

recipe, images, strength = Recipe.named("smoke"), 1800, 0.01
lonely = nn.Parameter(
    torch.full((1,), 10, dtype=torch.float64)
)  # far from zero, where the pull would turn
optimiser = torch.optim.SGD(
    [lonely], lr=1, momentum=recipe.momentum, nesterov=recipe.nesterov
)
steps = -(-images // recipe.batch_size)
for step in range(recipe.epochs * steps):
    optimiser.param_groups[0]["lr"] = learning_rate(recipe, step, steps)
    optimiser.zero_grad()
    (strength * lonely.abs().sum()).backward()
    optimiser.step()
print(
    f"a lonely scale moved by {10 - lonely.item():.2f}, the formula says {reach(recipe, images, strength):.2f}"
)

# %% [markdown]
# ## What it costs
#
# What is known of the published costs, for NAM and the modules listed beside it, and the same figures recomputed:

# %% tags=["nbval-check-output"]
plots.costs(
    paper.costs(),
    "Published costs of NAM and its neighbours, and the same figures recomputed",
)

# %% [markdown]
# Where a row does not agree, compare it with the plain network's: the total printed for NAM is the one without it.
#
# Parameters are next to none, and multiply-adds, as this book counts them, exactly none: a norm, a sigmoid and a
# product entry by entry are neither convolutions nor products of matrices. But the gate has the size of the map and has
# to be made, read and multiplied. `profile` counts this element-wise work apart:

# %% tags=["nbval-check-output"]
rows = []
for label, module in (
    ("SE", attnlib.create("se", 256)),
    ("NAM, channel", NAM(256)),
    ("NAM, channel and spatial", NAM(256, spatial=True, size=(56, 56))),
):
    cost = profile(module, 56, in_channels=256)
    gate = tuple(module.gate(torch.zeros(1, 256, 56, 56)).shape)
    rows.append(
        {
            "module": label,
            "parameters": cost.parameters,
            "MACs": cost.macs,
            "element-wise operations": cost.elementwise,
            "gate": str(gate),
        }
    )
plots.table(pd.DataFrame(rows), "One module of 256 channels on a 56 x 56 map")

# %% [markdown]
# SE has the parameters, NAM has the traffic: one more pass over the whole map for its norm, and in training a gate as
# large as the map is kept for the backward pass. "Light-weight" is true of what is stored on disk.
#
# ## Negative scales
#
# While all scales are positive it makes no difference whether the share {eq}`nam-share` has absolute values. The
# formula as the paper writes it, $w_c = \gamma_c / \sum_j \gamma_j$, is `signed=True`. Its logit is
# $\gamma_c^2\,\hat x / \sum_j \gamma_j$ for $\beta = 0$: the sign of a scale is squared away, and all gates hang on
# the sign of the sum. With absolute values the logit is $\gamma_c |\gamma_c|\,\hat x / \sum_j |\gamma_j|$, and a
# channel with a negative scale has its gate the other way round.

# %% tags=["nbval-check-output"]
for scales in (
    [1.0, 0.5, 0.5],
    [1.0, -0.5, 0.5],
    [1.0, -0.5, -0.49],
    [-1.0, 0.5, 0.25],
):
    shares = [
        NAM(3, signed=signed).scale_weights(torch.tensor(scales)).tolist()
        for signed in (False, True)
    ]
    absolute, signed = (
        " ".join(f"{share:8.2f}" for share in values) for values in shares
    )
    print(f"scales {scales!s:<19} absolute {absolute}   signed {signed}")

# %% mystnb={"image": {"alt": "Two panels, gate against the normalised value for a channel of scale 1 and one of scale minus one half. With absolute values one curve rises and the other falls; signed, both rise, and more steeply."}} tags=["hide-input"]
scales = torch.tensor([1.0, -0.5])
value = torch.linspace(-4, 4, 81)
figure, axes = plt.subplots(1, 2, figsize=(6.5, 2.6), sharey=True)
for axis, signed in zip(axes, (False, True), strict=True):
    share = NAM(2, signed=signed).scale_weights(scales)
    for scale, weight, style in zip(scales, share, ("-", "--"), strict=True):
        label = f"$\\gamma = {scale:g}$, share {weight:.2f}"
        axis.plot(
            value,
            torch.sigmoid(weight * scale * value),
            style,
            color=plots.colour("nam"),
            label=label,
        )
    axis.set(
        title="as written: signed" if signed else "as released: absolute",
        xlabel="normalised value $\\hat x$",
    )
    axis.legend(frameon=False, fontsize="small", loc="lower right")
axes[0].set_ylabel("gate $g$")
plt.show()

# %% [markdown]
# **What to see.** On the left, the channel with the negative scale gates the other way: what lies above its mean is
# turned down. On the right the sign is gone, and because the sum is smaller than its parts the curves are steeper. In
# the table above, where the sum is nearly zero, signed shares explode; at zero they are undefined. The released
# absolute values are the sound choice.
#
# ## Training
#
# NAM has no random initialisation of its own, and one seed gives every network below the same initial weights, the
# same batches in the same order, and the same augmentation. Between `constant` and `nam` the *only* difference is the
# gate. The third run adds the penalty of {eq}`nam-penalty` for later. How strong? Its reach {eq}`nam-reach` decides.
# Here it is for the recipe of the released script, at the strength the paper gives for CIFAR, and for the small recipe
# of this page at the same strength:

# %% tags=["nbval-check-output"]
released = Recipe(
    name="released-script",
    data="cifar100",
    backbone="resnet50_cifar",
    attention="nam",
    protocol="paper",
    epochs=200,
    batch_size=128,
    learning_rate=0.1,
    nesterov=False,
    schedule="steps",
    milestones=(60, 120, 160),
    step_factor=0.2,
    sparsity=1e-4,
)
print("strength, as published:", paper.hyperparameters["penalty"])
print(f"reach, released recipe: {reach(released, 50_000, released.sparsity):.2f}")
print(
    f"reach, small recipe:    {reach(Recipe.named('smoke'), 1800, released.sparsity):.3f}"
)

# %% [markdown]
# Scales start at 1. In the long run of the released script the penalty would have carried to zero every scale that the
# data do not hold; in a few hundred steps it moves next to nothing. To make its effect visible here, the strength is
# chosen by its reach, 0.6 of the way from a scale of 1 to zero; a short run needs a much larger strength than the
# paper's for that.

# %%
wanted_reach = 0.6
recipes = {"constant": chapter_recipe("constant"), "nam": chapter_recipe("nam")}
data = recipes["nam"].data
images = len(load(data, "train")) * 9 // 10  # the rest is held out for validation
strength = wanted_reach / reach(recipes["nam"], images, strength=1)
recipes["nam, penalty"] = chapter_recipe("nam", sparsity=strength)
runs = {name: train(recipe) for name, recipe in recipes.items()}
for name, run in runs.items():
    if lane() == "full":
        store(run.record)
    run.model.cpu()  # what follows is small
    print(f"{name:<14}{run.record.final.accuracy:.3f}")
print(f"strength of the penalty: {strength:.1e}")

# %% mystnb={"image": {"alt": "Accuracy against epoch for the network with NAM and the one with a constant gate of one half, held-out solid and training dotted, with the dashed level of a linear model."}} tags=["hide-input"]
floor = linear_accuracy(load("shapes", "train"), shapes) if data == "shapes" else None
figure, axis = plt.subplots(figsize=(5.5, 2.6))
plots.learning_curves(
    [runs["constant"].record, runs["nam"].record], floor=floor, ax=axis
)
plt.show()

# %% [markdown]
# **What to see.** Compare the two colours before you compare either with the dashed line. How far they lie apart is
# what the gate of NAM did beyond halving the branch, in a run far too small to rank anything. Then ask how far apart
# they would lie with another seed.
#
# A sharper question can be put to the trained network itself. Take its gates out, put the constant in, train nothing:
# how many of its decisions change?

# %%
tested = load(data, "test").images[:250]
swapped = copy.deepcopy(runs["nam"].model)
detach(swapped)
attach(swapped, "constant")
before = runs["nam"].predict(tested).argmax(1)
after = replace(runs["nam"], model=swapped).predict(tested).argmax(1)
print(f"decisions that change: {(before != after).sum()} of {len(tested)}")

# %% [markdown]
# ### CIFAR-10, recorded
#
# Real images, and within a figure one recipe for all: no attention, the constant gate, and NAM.

# %% mystnb={"image": {"alt": "Test accuracy on CIFAR-10 of every recorded run as a point, one row each for no attention, a constant gate of one half, and NAM, with a bar at each mean."}} tags=["hide-input"]
recorded = {
    recipe: [run for key in ("none", "constant", "nam") for run in records(recipe, key)]
    for recipe in ("cifar10-slice", "equal-budget")
}
for runs_of_recipe in recorded.values():
    plots.accuracies(runs_of_recipe)
    plt.show()

# %% tags=["nbval-check-output", "hide-input"]
plots.accuracy_table(recorded["cifar10-slice"], "CIFAR-10, 5,000 images, 4 epochs")

# %% [markdown]
# **What to see.** Each point is one seed, each bar a mean; a recipe without records is not drawn. The distance between
# NAM and the constant is the part that attention can claim; the distance between both and no attention is what halving
# the branch does.
#
# Beside it, what was published for CIFAR-100 and a ResNet-50 of full width. There is no row for the constant gate in
# it:

# %% tags=["nbval-check-output", "hide-input"]
published_table = paper.table("cifar100")
plots.table(
    published_table,
    f"{published_table.attrs['about']}; {published_table.attrs['confidence']}",
    digits=2,
)

# %% [markdown]
# ## Looking inside
#
# ### Scales, layer by layer
#
# Where did training take the scales, without the penalty and with it?

# %% mystnb={"image": {"alt": "For each of the layers with NAM a row of points, the sizes of its scales after training, in two colours: without the penalty and with it. Vertical lines mark the start at 1 and the place where the penalty alone would have put them."}} tags=["hide-input"]
rows = []
for name in ("nam", "nam, penalty"):
    for path, module in attention_modules(runs[name].model).items():
        sizes = module.channel_norm.weight.detach().abs().tolist()
        rows += [
            {"layer": path.rsplit(".", 1)[0], "run": name, "size": size}
            for size in sizes
        ]
figure, axis = plt.subplots(figsize=(7, 3))
sns.stripplot(
    pd.DataFrame(rows),
    x="size",
    y="layer",
    hue="run",
    dodge=True,
    jitter=0.25,
    size=4,
    alpha=0.7,
    palette=[plots.colour("nam"), plots.colour("se")],
    ax=axis,
)
axis.axvline(1, color="black", lw=1, label="start")
axis.axvline(1 - wanted_reach, color="black", lw=1, ls="--", label="start less reach")
axis.set(xlabel="size of the scale $|\\gamma|$", ylabel="", xlim=(0, None))
axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **What to see.** The dashed line is where the penalty alone would have put every scale. Points in a tight cluster
# near that line went where the penalty alone would take them: the data did not hold them. Points that lie apart from
# their cluster are the ones training had an opinion about. Only *those* carry information: shares are ratios, and if
# all scales shrink together, no share changes at all. (Weight decay pulls on the scales too, so neither cluster need
# sit exactly on its line.)
#
# ### Gates, layer by layer


# %% mystnb={"image": {"alt": "One panel for each layer with NAM: histograms of the gate less one half over images, channels and positions, before training, after training, and after training with the penalty."}} tags=["hide-input"]
def gates_of(model, inputs):
    with (
        torch.no_grad(),
        plots.captured(model, lambda module, x: module.gate(x)) as found,
    ):
        model(inputs)
    return found


inputs = runs["nam"].inputs(tested[:64])
untrained = create(
    recipes["nam"].backbone, 10, "nam"
).train()  # in train mode its norms use this batch's statistics
versions = {"before training": gates_of(untrained, inputs)}
versions |= {
    name: gates_of(runs[name].model, inputs) for name in ("nam", "nam, penalty")
}
shown = list(versions["nam"])[:: max(1, len(versions["nam"]) // 3)][-3:]
figure, axes = plt.subplots(1, len(shown), figsize=(8.5, 2.6))
for axis, path in zip(axes, shown, strict=True):
    distances = {
        name: (gates[path] - 0.5).flatten().numpy() for name, gates in versions.items()
    }
    limit = max(np.quantile(abs(values), 0.995) for values in distances.values())
    drawing = {
        "range": (-limit, limit),
        "bins": 60,
        "density": True,
        "histtype": "step",
        "lw": 1.5,
    }
    for (name, values), key in zip(
        distances.items(), ("none", "nam", "se"), strict=True
    ):
        axis.hist(values, color=plots.colour(key), label=name, **drawing)
    axis.locator_params(axis="x", nbins=5)
    axis.set(
        title=f"{path.rsplit('.', 1)[0]}, C = {versions['nam'][path].shape[1]}",
        xlabel="gate less 0.5",
        yticks=[],
    )
axes[-1].legend(
    frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1)
)
plt.show()

# %% [markdown]
# **What to see.** Read the axes first: they say how small the range is, and how it shrinks with the number of
# channels. A histogram narrower than the dark grey one belongs to gates that training has brought *closer* to the
# constant. A penalty tends to do that, since $z$ shrinks with the scales while the shares stay. (The outermost values,
# at most one in two hundred, are cut off.)
#
# ### Gates on images
#
# The two largest shares of the first layer, on two images. The colours are stretched to whatever range there is:

# %% mystnb={"image": {"alt": "Two images and beside each the gates of the two channels with the largest shares in the first layer, as maps of the gate less one half, on one colour scale with its bar."}} tags=["hide-input"]
first = next(iter(attention_modules(runs["nam"].model)))
module = attention_modules(runs["nam"].model)[first]
order = module.channel_norm.weight.detach().abs().argsort(descending=True)
maps = [versions["nam"][first][:2, channel] - 0.5 for channel in order[:2]]
limit = max(m.abs().max().item() for m in maps)
titles = ["largest share", "2nd"]
plots.show_maps(tested[:2], maps, titles, limits=(-limit, limit), label="gate less 0.5")
plt.show()

# %% [markdown]
# **What to see.** The gate does follow the picture: it is the channel itself, normalised and squashed. But look at the
# numbers beside the colours. A picture of a gate whose colours fill their range says nothing about the size of what it
# shows; always draw the bar.
#
# ## Pruning by scale
#
# If a small scale means an unimportant channel, the filters of the block's last convolution with the smallest scales
# can go. Below, that convolution is replaced by a narrower one whose maps are put back at their places in the branch,
# with zeros elsewhere, so that the shortcut still fits.


# %%
class Narrow(nn.Module):
    """The filters `kept` of a convolution, their maps at the old places among zeros."""

    def __init__(self, convolution, kept):
        super().__init__()
        self.convolution = copy.deepcopy(convolution)
        self.convolution.weight = nn.Parameter(convolution.weight.detach()[kept])
        self.convolution.out_channels = len(kept)
        source = torch.full(
            (convolution.out_channels,), len(kept)
        )  # a channel of zeros, put after the last one
        source[kept] = torch.arange(len(kept))
        self.register_buffer("source", source)

    def forward(self, x):
        with_zeros = F.pad(self.convolution(x), (0, 0, 0, 0, 0, 1))
        return with_zeros.index_select(1, self.source)


def smallest_last(scales):
    return scales.abs().argsort(descending=True)


def pruned(model, share, order_of=smallest_last):
    """A copy of `model` without a share of the filters in each block's last convolution: those last in order."""
    model = copy.deepcopy(model)
    for path, module in attention_modules(model).items():
        block = model.get_submodule(path.rpartition(".")[0])
        order = order_of(module.channel_norm.weight.detach())
        kept, gone = order.tensor_split([round((1 - share) * len(order))])
        block.conv2 = Narrow(block.conv2, kept.sort().values)
        with torch.no_grad():  # a zero must stay a zero in the branch's own norm
            block.bn2.layer.weight[gone] = 0
            block.bn2.layer.bias[gone] = 0
    return model


# %% [markdown]
# Before counting, a check that this computes what it should: the pruned branch must equal the old branch with the
# pruned channels set to zero *after* NAM. Then the multiply-adds, recounted by `profile` and by the rule that every
# block saves the pruned share of its second convolution.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
network = create("resnet20", 10, "nam").double().eval()
for module in attention_modules(network).values():
    nn.init.uniform_(module.channel_norm.weight, 0.1, 1)
narrow, path = pruned(network, 0.5), "layer2.1.bn2"
branch = torch.randn(2, 32, 8, 8, dtype=torch.float64)
old, new = (model.get_submodule("layer2.1") for model in (network, narrow))
old, new = (block.bn2(block.conv2(branch)) for block in (old, new))
scales = attention_modules(network)[path].channel_norm.weight
old = old * (scales > scales.median())[None, :, None, None]
print(
    "pruned branch = old branch with channels set to zero:",
    torch.allclose(new, old, **close),
)

whole = profile(network, 32).macs
second = 3 * 9 * (16 * 16 * 32**2 + 32 * 32 * 16**2 + 64 * 64 * 8**2)
rows = []
for share in (0.0, 0.25, 0.5, 0.75):
    cost = profile(pruned(network, share), 32)
    assert cost.macs == whole - share * second
    saved = f"{1 - cost.macs / whole:.1%}"
    rows.append(
        {"filters pruned": f"{share:.0%}", "MACs (M)": cost.macs / 1e6, "saved": saved}
    )
plots.table(
    pd.DataFrame(rows),
    "ResNet-20 with the last convolution of each block pruned",
    digits=2,
)

# %% [markdown]
# The arithmetic saved is real. What about the meaning? In network slimming the scale multiplies the channel: at zero,
# the channel is a constant, which the next layer can absorb, and deleting it costs nothing. In NAM the scale sits
# inside the gate. Set one to zero, and see what is left of its channel:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
module = NAM(8).eval()
with torch.no_grad():
    module.channel_norm.weight[3] = 0
    values = torch.randn(2, 8, 5, 5)
    print(
        "gate of the channel with scale 0:", module.gate(values)[:, 3].unique().tolist()
    )
    print(
        "its output is half its input:",
        torch.equal(module(values)[:, 3], values[:, 3] / 2),
    )

# %% [markdown]
# Not nothing: half of it. A scale of zero says that the *gate* of this channel does nothing. That the *channel* does
# nothing does not follow, and pruning it takes something away. The order of the scales can still be a good order, if
# training made scales large where the channel mattered; that is a question for an experiment. On the network trained
# above with the penalty: smallest scales first and, as controls, in random order and largest first.


# %% mystnb={"image": {"alt": "Accuracy on test images against the share of filters pruned, from none to one half, in three lines: filters with the smallest scales first, in random order, and with the largest first."}} tags=["hide-input"]
def largest_last(scales):
    return scales.abs().argsort()


def random_order(scales):
    return torch.randperm(len(scales), generator=torch.Generator().manual_seed(0))


run, labels = (
    runs["nam, penalty"],
    torch.tensor(load(data, "test").labels[: len(tested)]),
)
shares = (0.0, 0.125, 0.25, 0.5)
figure, axis = plt.subplots(figsize=(7, 3))
for order_of, style, key, label in (
    (smallest_last, "-o", "nam", "smallest scales first"),
    (random_order, ":^", "none", "random order"),
    (largest_last, "--s", "constant", "largest scales first"),
):
    predicted = [
        replace(run, model=pruned(run.model, share, order_of)).predict(tested).argmax(1)
        for share in shares
    ]
    accuracies = [
        (prediction == labels).float().mean().item() for prediction in predicted
    ]
    axis.plot(shares, accuracies, style, color=plots.colour(key), label=label)
axis.set(
    xlabel="share of filters pruned, without fine-tuning",
    ylabel="accuracy",
    ylim=(0, None),
)
axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **What to see.** All lines start at the same network. If small scales mark channels one can do without, the solid
# line stays above the dotted one; if large scales mark channels one cannot, the dashed line falls below it. How far
# the three lines lie apart is how much the order of the scales knows. One small network and one random order decide
# nothing: train again with other seeds before you believe it.
#
# ## What the paper claims, and what holds
#
# Code gives the verdicts, by recomputing what is claimed. The paper's own tables could not be read for this book; its
# CIFAR-100 figures come from another project's page and are marked second-hand. The verdicts are read from a file;
# `attnlib ledger --paper nam --recompute` computes them again, and [the ledger](../../book/ledger.md) shows the code of
# each check.

# %% tags=["nbval-check-output"]
plots.verdicts(paper.verdicts(most=None))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# The point about the penalty deserves to be seen. The released hook runs after the backward pass and adds
# $p\,\operatorname{sign}(\gamma)$ to gradients, which is {eq}`nam-penalty`. It finds the scales by walking the
# children of the model by name. But the script wraps its model in `DataParallel`, and a wrapper has one child:


# %% tags=["nbval-check-output"]
def hook(model, strength):
    """What the released hook does, in our words; returns how many scales it reached."""
    reached = 0
    for name, child in model.named_children():
        if name in ("layer1", "layer2", "layer3", "layer4"):
            for module in child.modules():
                if isinstance(module, NAM):
                    scale = module.channel_norm.weight
                    scale.grad.add_(strength * scale.detach().sign())
                    reached += scale.numel()
    return reached


for wrap in (nn.Identity(), nn.DataParallel):
    network = create("resnet20", 10, "nam")
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    model = wrap(network)
    children = [name for name, child in model.named_children()]
    print(f"children {children}: scales reached {hook(model, 1e-4)}")

# %% [markdown]
# `attnlib.scale_attention.nam.sparsity_penalty` is a term of the loss. It finds the modules by their type, wherever they
# are, and takes the spatial scales as well as those of the channels. Whether the published numbers were trained with a
# penalty that acted is not known.
#
# ## Exercises
#
# ```{exercise} One bright pixel
# :label: nam-exercise-one-pixel
#
# The bound {eq}`nam-bound` contains $|z|$. How large can a normalised value be? Show that among $K = NHW$ values no
# one can be further than $\sqrt{K - 1}$ standard deviations from the mean, find the map that gets there, and say what
# it means for the gate at initialisation with $C = 256$, one image and a 7 x 7 map.
# ```
#
# ````{solution-start} nam-exercise-one-pixel
# :class: dropdown
# ````
#
# Let $\hat x_1$ be the extreme value. The others sum to $-\hat x_1$, so their mean is $-\hat x_1 / (K - 1)$ and their
# squares sum to at least $\hat x_1^2 / (K - 1)$. All squares together sum to at most $K$ (exactly $K$ for
# $\varepsilon = 0$), hence $\hat x_1^2\,(1 + \frac{1}{K-1}) \le K$, that is $\hat x_1^2 \le K - 1$, with equality for
# $\varepsilon = 0$ if all other values are equal: one bright pixel on a flat ground. With $K = 49$ the gate stays within $\sqrt{48} / 1024$
# of one half.

# %% tags=["nbval-check-output"]
values = torch.zeros(1, 256, 7, 7, dtype=torch.float64)
values[:, :, 3, 3] = 1000  # so bright that epsilon does not matter
largest = (NAM(256).double().gate(values) - 0.5).max().item()
print(f"one bright pixel: gate 0.5 + {largest:.4f}, bound 0.5 + {sqrt(48) / 1024:.4f}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} When the penalty wins
# :label: nam-exercise-fold
#
# Suppose the penalty has brought all scales of a NAM to zero. Which function does the module compute then, whatever
# its shifts? Remove it from a ResNet-20 without changing the network's output.
# ```
#
# ````{solution-start} nam-exercise-fold
# :class: dropdown
# ````
#
# In `attnlib` the share of a scale is 0 where all scales are 0 (the released code divides 0 by 0 there). All logits
# are $0 \cdot \beta = 0$, and the gate is one half. The module halves the branch, and half of the branch's last norm
# is a norm with half its scale and half its shift.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
network = create("resnet20", 10, "nam").double().eval()
with torch.no_grad():
    for module in attention_modules(network).values():
        module.channel_norm.weight.zero_()
        module.channel_norm.bias.normal_()
folded = copy.deepcopy(network)
places = list(attention_modules(folded))
detach(folded)
with torch.no_grad():
    for path in places:
        norm = folded.get_submodule(path)
        norm.weight.mul_(0.5)
        norm.bias.mul_(0.5)
picture = torch.randn(2, 3, 32, 32, dtype=torch.float64)
print(
    "same output without NAM:",
    torch.allclose(network(picture), folded(picture), **close),
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Tied to a size
# :label: nam-exercise-size
#
# Count the parameters that the spatial part adds to an ImageNet ResNet-50 (3, 4, 6 and 3 blocks on maps of 1/4, 1/8,
# 1/16 and 1/32 of the image's side) for images of side 224 and 448. Compare with the channel part. What happens when a
# network built for 32 x 32 images gets an image of 40 x 40?
# ```
#
# ````{solution-start} nam-exercise-size
# :class: dropdown
# ````
#
# By {eq}`nam-parameters` a block on a map of side $k$ adds $2k^2$. The sum grows with the image's area, while the
# channel part stays what it is. A map of another size has no scales, and is refused.

# %% tags=["nbval-check-output"]
for side in (224, 448):
    added = sum(
        2 * blocks * (side // step) ** 2
        for blocks, step in ((3, 4), (4, 8), (6, 16), (3, 32))
    )
    print(f"side {side}: {added:,} parameters in the spatial part")
print(
    f"channel part: {sum(2 * blocks * width for blocks, width in ((3, 256), (4, 512), (6, 1024), (3, 2048))):,}"
)
network = create("resnet20", 10, "nam", {"spatial": True}, image_size=32).eval()
try:
    network(torch.zeros(1, 3, 40, 40))
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Out of the half
# :label: nam-exercise-temperature
#
# Multiply all scales and shifts of a NAM by $k$. What happens to the shares, what to the logits? Use
# {eq}`nam-mean-bound` to say how large $k$ must at least be for the average gate to differ from one half by 0.1 with
# $C = 256$ and $|z| \le 5$ at $k = 1$. What does weight decay make of such a $k$?
# ```
#
# ````{solution-start} nam-exercise-temperature
# :class: dropdown
# ````
#
# Shares are ratios and stay; $z$ and with it every logit is multiplied by $k$. The bound asks for
# $5k / (4 \cdot 256) \ge 0.1$, that is $k \ge 20.48$: scales that started at 1 would have to grow past 20, against a
# weight decay that pulls them to zero.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
values = torch.randn(4, 256, 7, 7, dtype=torch.float64)
for k in (1, 20.48, 100):
    module = NAM(256).double()
    nn.init.constant_(module.channel_norm.weight, k)
    distance = (module.gate(values) - 0.5).abs().mean().item()
    print(f"k = {k:>6}: mean distance of the gate from one half {distance:.4f}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Further reading
#
# * The paper {cite}`nam` is three pages; read it with {eq}`nam-bound` beside it.
# * Network slimming {cite}`slimming` is where scales as importance come from, and where a channel with scale zero
#   really has nothing left to say.
# * Batch normalisation {cite}`batch_norm`, for the statistics in training and in evaluation.
# * [SE](se.ipynb) pays parameters for gates that see the whole image; [SA](sa.ipynb) has fewer parameters still and a
#   spatial half that does not depend on the map's size. CBAM {cite}`cbam`, whose training settings NAM takes over, is
#   where the order "channel, then spatial" comes from.
