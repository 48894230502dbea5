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
# # Shuffle attention (SA)
#
# **Paper.** SA-Net: Shuffle Attention for Deep Convolutional Neural Networks {cite:t}`sa`.
# **Module.** `attnlib.create("sa", channels, groups=64)`.
#
# :::{admonition} What you will be able to do
# :class: tip
# * write the module from its five equations, and reduce all of them to one: a sigmoid of a scale times x plus a shift;
# * derive its gradients, and see from them which parameters the loss cannot move in the first step;
# * say which numbers of channels and groups fit, and what 708 parameters in ResNet-50 consist of;
# * follow every channel through the shuffle, and prove for which networks the shuffle makes a difference at all;
# * tell which of the paper's claims hold, and where the paper and the released code differ.
# :::
#
# Symbols are those of the [notation page](../../book/notation.md). The paper counts groups from 1; here, as in the
# code, everything is counted from 0.

# %% tags=["hide-input"]
import math
import textwrap

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
from attnlib.networks import attention_modules, create
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.scale_attention.sa import shuffle_channels
from attnlib.training import Recipe, chapter_recipe, lane, linear_accuracy, train

plots.use()
paper = attnlib.paper("sa")

# %% [markdown]
# ## The idea
#
# There are two questions that a gate can answer: *which channel* matters in this image, and *where* in a channel.
# Answer both for all channels, one after the other, and each needs weights of its own; [SE](se.ipynb) pays two matrices
# for the first question alone. Shuffle attention shares the work out instead. It cuts the channels into $G$ groups and
# each group into two halves. The first half is asked only *which*: every channel gets one gate, from its own mean. The
# second half is asked only *where*: every pixel gets a gate, from its own value after the channel has been normalised.
#
# Both answers are as cheap as they could be. There is no matrix in the module; a gate is the sigmoid of one number
# times a weight plus a bias, and all groups use the same few weights and biases. The price is that no channel sees
# another one. At the end the halves are put back in their places, and the channels are **shuffled**: the
# first and the second half of *all* channels are interleaved, so that the next layer finds them in another order. The
# picture follows 16 channels in 4 groups.

# %% mystnb={"image": {"alt": "Sixteen tiles in four colours, one colour for each group, in four rows: input, split and gated, concatenated, shuffled. Half the tiles of a group are hatched. Lines lead from the third row to the last: tiles 0 and 8, 1 and 9, 2 and 10 become neighbours."}} tags=["hide-input"]
C, G = 16, 4
half = C // (2 * G)
colours = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
order = shuffle_channels(torch.arange(C).view(1, C, 1, 1)).flatten().tolist()
straight = [c + 0.0 for c in range(C)]
apart = [c + 0.3 * (c // half) + 0.3 * (c // (2 * half)) - 1.5 for c in range(C)]
shuffled = [float(order.index(c)) for c in range(C)]
rows = (
    ("input $x$", straight),
    ("split, gate", apart),
    ("concatenate", straight),
    ("shuffle: output $y$", shuffled),
)

figure, axis = plt.subplots(figsize=(8, 4))
for level, (name, places) in enumerate(rows):
    y = -1.9 * level
    axis.text(-1.9, y + 0.45, name, ha="right", va="center", fontsize="small")
    for c, x in enumerate(places):
        spatial = (c // half) % 2 == 1
        face = plt.Rectangle(
            (x, y),
            0.9,
            0.9,
            color=colours[c // (2 * half)],
            alpha=0.45 if level else 1,
            lw=0,
        )
        axis.add_patch(face)
        if level and spatial:
            axis.add_patch(
                plt.Rectangle(
                    (x, y),
                    0.9,
                    0.9,
                    fill=False,
                    hatch="///",
                    ec=colours[c // (2 * half)],
                    lw=0,
                )
            )
        axis.text(
            x + 0.45,
            y + 0.45,
            c,
            ha="center",
            va="center",
            fontsize="small",
            weight="bold",
        )
        if level:
            start = rows[level - 1][1][c] + 0.45
            axis.plot(
                [start, x + 0.45],
                [y + 1.88, y + 0.92],
                color=colours[c // (2 * half)],
                lw=1.2,
            )
axis.set(xlim=(-6.2, 17.6), ylim=(-5.8, 1.0))
axis.set_axis_off()
plt.show()

# %% [markdown]
# **What to see.** One colour is one group. In each group the plain half gets a gate per channel, the hatched half a
# gate per pixel. Follow the lines of the last step: channels 0 and 8 become neighbours, then 1 and 9, 2 and 10. Blue
# meets green and orange meets pink. Now look at the hatching in the last row: plain tiles sit beside plain ones and
# hatched beside hatched. The shuffle mixes *groups*, not the two *kinds* of attention; why, and whether any layer
# notices, is worked out [below](sa-shuffle).
#
# ## From the equations
#
# **Split.** The map $x$ has $C$ channels, a multiple of $2G$. With $m = C / 2G$,
#
# $$x = [x_0, \dots, x_{G-1}], \qquad x_k = [x_{k1},\, x_{k2}], \qquad x_{k1}, x_{k2} \in \mathbb{R}^{m \times H \times W}.$$ (sa-split)
#
# **Channel half.** Each channel is squeezed to its mean $z_{k1}$ (the paper's $s_k$), and
#
# $$z_{k1} = \frac{1}{HW} \sum_{h,w} x_{k1}(h, w), \qquad g_{k1} = \sigma(W_1 \odot z_{k1} + b_1).$$ (sa-channel)
#
# **Spatial half.** Each channel is normalised over its own pixels, with mean $\mu$ and variance $\nu$ of that channel
# in that image, and every pixel gets its gate:
#
# $$z_{k2} = \gamma \odot \frac{x_{k2} - \mu_{k2}}{\sqrt{\nu_{k2} + \varepsilon}} + \beta, \qquad
# g_{k2} = \sigma(W_2 \odot z_{k2} + b_2).$$ (sa-spatial)
#
# The paper writes $\mathrm{GN}$, group norm {cite:p}`group_norm`, for $z_{k2}$. In the released code that norm has as
# many groups as channels, hence {eq}`sa-spatial`: an instance norm with a scale and a shift.
#
# **Concatenate and shuffle.** With $x'$ the gated map, and then, counting channels instead of groups, for
# $0 \le i < C/2$ and $j \in \{0, 1\}$,
#
# $$x'_k = [\,g_{k1} \odot x_{k1},\; g_{k2} \odot x_{k2}\,], \qquad x' = [x'_0, \dots, x'_{G-1}],$$ (sa-concatenate)
#
# $$y_{2i + j} = x'_{i + jC/2}.$$ (sa-shuffle-order)
#
# $W_1, b_1, W_2, b_2, \gamma, \beta$ are vectors of length $m$. They have no index $k$: all groups share them. The
# released code folds the groups into the batch axis, so that each group is treated as one more image.
#
# **Parameters.** Six vectors of length $C / 2G$, so
#
# $$P = 6 \cdot \frac{C}{2G} = \frac{3C}{G}.$$ (sa-parameters)
#
# **At the start** $W_1 = W_2 = 0$, $b_1 = b_2 = 1$, $\gamma = 1$, $\beta = 0$. Then every gate is $\sigma(1)$, whatever
# the image:
#
# $$y_{2i + j} = \sigma(1)\, x_{i + jC/2}, \qquad \sigma(1) \approx 0.731.$$ (sa-start)
#
# ### One form for both halves
#
# Both gates are sigmoids of something linear in the pixel, $a_c\, x_c(h, w) + d_c$, where $a_c$ and $d_c$ depend only
# on the channel's statistics. For the channel half nothing depends on the pixel; in the spatial half, collect the terms
# of {eq}`sa-spatial`:
#
# $$
# \begin{gathered}
# g_c(h, w) = \sigma\bigl(a_c\, x_c(h, w) + d_c\bigr), \\[6pt]
# \begin{array}{lll}
# \text{channel half:} & a = 0, & d = W_1 \mu + b_1, \\[2pt]
# \text{spatial half:} & a = \dfrac{W_2\, \gamma}{\sqrt{\nu + \varepsilon}}, & d = W_2\, \beta + b_2 - a\,\mu.
# \end{array}
# \end{gathered}
# $$ (sa-folded)
#
# This is how `attnlib` computes it: one pass for the statistics, one that applies them. It also says what the module
# can express. A channel's gate is a function of that channel alone, and, in the spatial half, one that rises or falls
# with the pixel's value: bright pixels up and dark ones down, or the reverse. *Where* means *at which brightness*: no
# pixel sees its neighbours.
#
# **Redundant parameters.** In {eq}`sa-folded` the four vectors of the spatial half occur only as $W_2 \gamma$ and
# $W_2 \beta + b_2$. For every $t \neq 0$,
#
# $$(W_2, b_2, \gamma, \beta) \;\longmapsto\; \bigl(t\,W_2,\; b_2,\; \gamma / t,\; \beta / t\bigr)$$ (sa-family)
#
# leaves the function as it is, and so does adding any $u$ to $\beta$ while subtracting $W_2 u$ from $b_2$. Two of the
# six vectors, the norm's own, add nothing that could be computed.
#
# ### The gradients
#
# The shuffle only moves channels, so its gradient moves them back:
# $r_{i + jC/2} = \bar y_{2i + j}$ is $\partial L / \partial x'$ (no reduction here: SA has none). At each pixel the
# gate's logit $s$ receives
#
# $$e(h, w) = \frac{\partial L}{\partial s(h, w)} = r(h, w)\, x(h, w)\, g(h, w)\,\bigl(1 - g(h, w)\bigr).$$ (sa-logit-gradient)
#
# In the channel half all pixels share one logit, whose gradient is the sum of $e$, and it hears every pixel through the
# mean; in the spatial half a logit hears its own pixel, and every pixel through $\mu$ and $\nu$. With $\hat{x} = (x - \mu) / \sqrt{\nu + \varepsilon}$ and $\langle\cdot\rangle$
# the mean over the map,
#
# $$
# \frac{\partial L}{\partial x(h, w)} = g\, r(h, w) +
# \begin{cases}
# W_1\, \langle e \rangle & \text{channel half,} \\[2pt]
# a\,\bigl(e(h, w) - \langle e \rangle - \hat{x}(h, w)\, \langle e\,\hat{x} \rangle\bigr) & \text{spatial half.}
# \end{cases}
# $$ (sa-gradient)
#
# The second line is the gradient of a normalisation: whatever would only shift or stretch the channel is taken out,
# since the norm would undo it. For the parameters, summed over images, groups $k$ and pixels,
#
# $$
# \begin{array}{lll}
# \dfrac{\partial L}{\partial W_1} = \sum e\, z_{k1}, & \dfrac{\partial L}{\partial W_2} = \sum e\, z_{k2}, &
# \dfrac{\partial L}{\partial \gamma} = W_2 \sum e\, \hat{x}, \\[8pt]
# \dfrac{\partial L}{\partial b_1} = \sum e, & \dfrac{\partial L}{\partial b_2} = \sum e, &
# \dfrac{\partial L}{\partial \beta} = W_2 \sum e.
# \end{array}
# $$ (sa-parameter-gradients)
#
# Those of the norm, on the right, carry the factor $W_2$, which is 0 at the start: in the first step of training the
# loss cannot move $\gamma$ and $\beta$ (weight decay can move $\gamma$).
#
# ## The module from scratch
#
# Six vectors, no matrix, and above each line what it computes.


# %%
class ShuffleAttention(nn.Module):
    def __init__(self, channels: int, groups: int = 64):
        super().__init__()
        m = channels // (2 * groups)
        self.groups = groups
        self.w_1, self.b_1 = (
            nn.Parameter(torch.zeros(m, 1, 1)),
            nn.Parameter(torch.ones(m, 1, 1)),
        )
        self.w_2, self.b_2 = (
            nn.Parameter(torch.zeros(m, 1, 1)),
            nn.Parameter(torch.ones(m, 1, 1)),
        )
        self.norm = nn.GroupNorm(m, m)  # gamma, beta; one group for each channel

    def forward(self, x):
        N, C, H, W = x.shape
        # x = [x_0 ... x_{G-1}], x_k = [x_k1, x_k2]: groups become images, so that all share the parameters
        x_1, x_2 = x.reshape(N * self.groups, C // self.groups, H, W).chunk(2, dim=1)
        # z_k1 = 1 / (H W) sum_hw x_k1(h, w)
        z_1 = x_1.mean((2, 3), keepdim=True)
        # g_k1 = sigmoid(W_1 z_k1 + b_1)
        g_1 = torch.sigmoid(self.w_1 * z_1 + self.b_1)
        # z_k2 = gamma (x_k2 - mu) / sqrt(nu + eps) + beta
        z_2 = self.norm(x_2)
        # g_k2 = sigmoid(W_2 z_k2 + b_2)
        g_2 = torch.sigmoid(self.w_2 * z_2 + self.b_2)
        # x'_k = [g_k1 x_k1, g_k2 x_k2]
        gated = torch.cat([g_1 * x_1, g_2 * x_2], dim=1).reshape(N, C, H, W)
        # y_{2i + j} = x'_{i + j C/2}
        return gated.reshape(N, 2, C // 2, H, W).transpose(1, 2).reshape(N, C, H, W)


# %% [markdown]
# ## Shapes, and seven checks
#
# A map of 24 channels in 3 groups, on its way through the module; groups, halves and sides all differ in size:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 24, 9, 7, dtype=torch.float64)
G, m = 3, 4
folded = x.reshape(2 * G, 2 * m, 9, 7)
x_1, x_2 = folded.chunk(2, dim=1)
scratch = ShuffleAttention(24, groups=G).double()
steps = {
    "map x": x, "groups as images": folded, "channel half": x_1, "its means": x_1.mean((2, 3), keepdim=True),
    "spatial half": x_2, "normalised": scratch.norm(x_2), "output": scratch(x),
}  # fmt: skip
for name, value in steps.items():
    print(f"{name:<18}{tuple(value.shape)}")

# %% [markdown]
# **Check 1: equations {eq}`sa-split` to {eq}`sa-shuffle-order`, in loops.** The loops take one channel after the other
# and know nothing of tensors. All parameters are drawn at random first, some of them negative: at their initial values
# most mistakes would not show.

# %% tags=["nbval-check-output"]
for parameter in scratch.parameters():
    nn.init.normal_(parameter)
library = attnlib.create("sa", 24, groups=G).double()
names = {
    "channel_weight": "w_1", "channel_bias": "b_1", "spatial_weight": "w_2", "spatial_bias": "b_2",
    "norm_weight": "norm.weight", "norm_bias": "norm.bias",
}  # fmt: skip
values = scratch.state_dict()
library.load_state_dict(
    {ours: values[theirs].flatten() for ours, theirs in names.items()}
)


def loops(image, groups, w_1, b_1, w_2, b_2, gamma, beta, eps=1e-5):
    """One image as nested lists [C][H][W]; parameters as lists of length C / 2G."""
    channels = len(image)
    half = channels // (2 * groups)
    gated = []
    for c, channel in enumerate(image):
        pixels = [value for row in channel for value in row]
        mean = sum(pixels) / len(pixels)
        variance = sum((value - mean) ** 2 for value in pixels) / len(pixels)
        place = c % (2 * half)  # inside the group
        i = place % half  # inside its half
        gated.append([])
        for row in channel:
            output = []
            for value in row:
                if place < half:
                    logit = w_1[i] * mean + b_1[i]
                else:
                    logit = (
                        w_2[i]
                        * (
                            gamma[i] * (value - mean) / math.sqrt(variance + eps)
                            + beta[i]
                        )
                        + b_2[i]
                    )
                output.append(value / (1 + math.exp(-logit)))
            gated[c].append(output)
    y = [None] * channels
    for i in range(channels // 2):
        for j in range(2):
            y[2 * i + j] = gated[i + j * channels // 2]
    return y


parameters = [getattr(library, name).tolist() for name in names]
by_loops = torch.tensor(
    [loops(image, G, *parameters) for image in x.tolist()], dtype=torch.float64
)
print(
    "scratch = loops to 1e-12:",
    torch.allclose(scratch(x), by_loops, rtol=0, atol=1e-12),
)
print(
    "attnlib = loops to 1e-12:",
    torch.allclose(library(x), by_loops, rtol=0, atol=1e-12),
)

# %% [markdown]
# **Check 2: the one form of both halves, {eq}`sa-folded`.** Every channel gets its $a$ and its $d$; one sigmoid gives
# all gates.

# %% tags=["nbval-check-output"]
place = torch.arange(24) % (2 * m)
spatial, i = (
    place >= m,
    place % m,
)  # which half a channel belongs to, and its index there
w_1, b_1, w_2, b_2, gamma, beta = (getattr(library, name).detach()[i] for name in names)
nu, mu = torch.var_mean(x, (2, 3), correction=0)
a = torch.where(spatial, w_2 * gamma / torch.sqrt(nu + 1e-5), 0)
d = torch.where(spatial, w_2 * beta + b_2 - a * mu, w_1 * mu + b_1)
gate = torch.sigmoid(a[:, :, None, None] * x + d[:, :, None, None])
print(
    "folded gate = attnlib's gate to 1e-12:",
    torch.allclose(gate, library.gate(x), rtol=0, atol=1e-12),
)
print(
    "y = shuffle(x gate):",
    torch.allclose(shuffle_channels(x * gate), scratch(x), rtol=0, atol=1e-12),
)

# %% [markdown]
# **Check 3: the gradients {eq}`sa-logit-gradient` to {eq}`sa-parameter-gradients`**, written out by hand, against
# automatic differentiation.

# %% tags=["nbval-check-output"]
x.requires_grad_(True)
upstream = torch.randn_like(x)  # dL / dy
automatic_x, *automatic = torch.autograd.grad(
    (upstream * library(x)).sum(), [x, *(getattr(library, n) for n in names)]
)

with torch.no_grad():
    r = (
        upstream.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)
    )  # the shuffle, backwards
    e = r * x * gate * (1 - gate)
    mean_e = e.mean((2, 3), keepdim=True)
    x_hat = (x - mu[:, :, None, None]) / torch.sqrt(nu + 1e-5)[:, :, None, None]
    normalised = a[:, :, None, None] * (
        e - mean_e - x_hat * (e * x_hat).mean((2, 3), keepdim=True)
    )
    through_gate = torch.where(
        spatial[:, None, None], normalised, w_1[:, None, None] * mean_e
    )
    by_hand_x = gate * r + through_gate

    def over_groups(term, half):
        """Sum of a map over images, pixels and groups, for one half of every group."""
        return term.sum((0, 2, 3)).view(G, 2, m)[:, half].sum(0)

    z_2 = gamma[:, None, None] * x_hat + beta[:, None, None]
    by_hand = [
        over_groups(e * mu[:, :, None, None], 0), over_groups(e, 0),
        over_groups(e * z_2, 1), over_groups(e, 1),
        library.spatial_weight * over_groups(e * x_hat, 1), library.spatial_weight * over_groups(e, 1),
    ]  # fmt: skip
print("x", torch.allclose(by_hand_x, automatic_x, rtol=0, atol=1e-11))
for name, hand, auto in zip(
    ("W_1", "b_1", "W_2", "b_2", "gamma", "beta"), by_hand, automatic, strict=True
):
    print(name, torch.allclose(hand, auto, rtol=0, atol=1e-11))

# %% [markdown]
# **Check 4: the "group norm" is an instance norm.** A norm with several channels in a group is another function.

# %% tags=["nbval-check-output"]
half_of_channels = x[:, spatial].detach()
scale, shift = gamma[spatial], beta[spatial]
instance = F.instance_norm(half_of_channels, weight=scale, bias=shift, eps=1e-5)
for groups in (12, 6, 1):
    group_norm = F.group_norm(half_of_channels, groups, scale, shift, eps=1e-5)
    same = torch.allclose(group_norm, instance, rtol=0, atol=1e-12)
    print(f"group norm of 12 channels, {groups:>2} groups = instance norm: {same}")

# %% [markdown]
# **Check 5: two vectors too many.** The module keeps its output along the family {eq}`sa-family`, and when $\beta$ and
# $b_2$ are moved against each other. The last line moves $\beta$ alone, to show that the check can fail.


# %% tags=["nbval-check-output"]
def moved(t=1.0, u=0.0, compensate=True):
    other = attnlib.create("sa", 24, groups=G).double()
    other.load_state_dict(library.state_dict())
    with torch.no_grad():
        other.spatial_weight *= t
        other.norm_weight /= t
        other.norm_bias /= t
        other.norm_bias += u
        if compensate:
            other.spatial_bias -= other.spatial_weight * u
    return other


before = library(x)
for t in (0.1, -1.0, 7.0):
    print(f"t = {t:<4}", torch.allclose(moved(t)(x), before, rtol=0, atol=1e-12))
print("u = 3   ", torch.allclose(moved(u=3.0)(x), before, rtol=0, atol=1e-12))
print(
    "u = 3, b_2 kept:",
    torch.allclose(moved(u=3.0, compensate=False)(x), before, rtol=0, atol=1e-12),
)

# %% [markdown]
# **Check 6: the start {eq}`sa-start`**, and the gradient of the first step. The first line is an exact equality, no
# tolerance.

# %% tags=["nbval-check-output"]
fresh = attnlib.create("sa", 24, groups=G).double()
difference = (
    (fresh(x) - shuffle_channels(x * torch.sigmoid(torch.tensor(1.0, dtype=x.dtype))))
    .abs()
    .max()
)
print(f"largest difference from shuffled x times sigmoid(1): {difference.item()}")
(upstream * fresh(x)).sum().backward()
for name, symbol in zip(
    names, ("W_1", "b_1", "W_2", "b_2", "gamma", "beta"), strict=True
):
    zero = bool((getattr(fresh, name).grad == 0).all())
    print(f"{symbol:<6}first gradient is {'exactly zero' if zero else 'not zero'}")

# %% [markdown]
# **Check 7: the parameters {eq}`sa-parameters`**, at the four widths of ResNet-50. That all groups share them has a
# consequence that can be tested: before the shuffle, exchanging groups of the input exchanges groups of the output and
# does nothing else.


# %% tags=["nbval-check-output"]
def parameters_of(module):
    return sum(p.numel() for p in module.parameters())


for channels in (256, 512, 1024, 2048):
    counted = parameters_of(attnlib.create("sa", channels))
    print(f"C = {channels:>4}: counted {counted:>2}, 3 C / G = {3 * channels // 64:>2}")


def exchanged(maps):
    """Groups 0, 1, 2 in the order 2, 0, 1."""
    return maps.unflatten(1, (G, -1))[:, [2, 0, 1]].flatten(1, 2)


gated = x * library.gate(x)
moved_input = exchanged(x)
alike = torch.allclose(
    moved_input * library.gate(moved_input), exchanged(gated), rtol=0, atol=1e-12
)
print("exchanging groups of x exchanges groups of x':", alike)

# %% [markdown]
# ### Which C and G fit
#
# Every group needs two halves of equal width, so $C$ has to be a multiple of $2G$. With the paper's 64 groups that is a
# multiple of 128: ResNet-18 and ResNet-34, whose first stage has 64 channels, do not fit, and the released code fails
# there. Worse, at 192 channels it does run, and quietly cuts the three channels of a group in two and one. `attnlib`
# refuses both before it computes anything:

# %% tags=["nbval-check-output"]
for channels in (64, 192, 33):
    try:
        attnlib.create("sa", channels, groups=64)
    except ValueError as error:
        print(textwrap.fill(str(error), 90), end="\n\n")

# %% [markdown]
# What to use at other widths, then? When `attach` puts SA into a network, it asks `attnlib.info("sa").groups_for`: the
# paper's 64 groups where that leaves at least two channels in each half, as in ResNet-50's first stage, and fewer
# groups at smaller widths.

# %% tags=["nbval-check-output"]
groups_for = attnlib.info("sa").groups_for
widths = pd.DataFrame({"channels C": [16, 32, 64, 100, 128, 192, 256, 512, 1024, 2048]})
widths["groups G"] = widths["channels C"].map(groups_for)
widths["channels in a half, C / 2G"] = widths["channels C"] // (2 * widths["groups G"])
widths["parameters 3 C / G"] = [
    parameters_of(attnlib.create("sa", c, groups=groups_for(c)))
    for c in widths["channels C"]
]
plots.table(widths, "Groups of SA by width, as attach chooses them")

# %% [markdown]
# (sa-shuffle)=
# ## What the shuffle does
#
# Channel shuffle comes from networks made of grouped convolutions, the first ShuffleNet; its successor
# {cite:p}`shufflenet_v2` shuffles after splitting the channels. There a layer never looks outside its part of the
# channels, so that somebody has to carry information across. SA shuffles for the same reason. Two questions decide what
# that is worth: *who meets whom*, and *does the next layer notice*?
#
# ### Who meets whom
#
# By {eq}`sa-shuffle-order` the outputs $2i$ and $2i + 1$ are the inputs $i$ and $i + C/2$. Half of the channels is half
# of the groups, so for even $G$ both come from the same place in their groups: group $k$ meets group $k + G/2$, channel
# half meets channel half, spatial half meets spatial half. New group $k$, the output's channels $2mk$ to $2m(k+1) - 1$,
# holds channels of one kind only: gated by channel for even $k$, by pixel for odd $k$. *Before* the shuffle every group
# had both. With an odd $G$ the place moves by half a group, and the new groups hold both kinds.


# %% tags=["nbval-check-output"]
def kinds_and_groups(channels, groups, shuffle):
    """Of each output channel: the group it comes from, and whether it was gated by pixel."""
    channel = torch.arange(channels).view(1, channels, 1, 1)
    source = (shuffle_channels(channel) if shuffle else channel).flatten()
    half = channels // (2 * groups)
    return source // (2 * half), (source // half) % 2


rows = []
for channels, groups in ((256, 64), (2048, 64), (16, 4), (24, 3)):
    for shuffle in (False, True):
        group, kind = (
            v.view(groups, -1) for v in kinds_and_groups(channels, groups, shuffle)
        )
        rows.append({
            "C": channels, "G": groups, "shuffle": "yes" if shuffle else "no",
            "old groups in each new one": max(len(set(old.tolist())) for old in group),
            "new groups with both kinds": f"{sum(len(set(k.tolist())) == 2 for k in kind)} of {groups}",
        })  # fmt: skip
plots.table(pd.DataFrame(rows), "Groups of C / G neighbouring channels in SA's output")

# %% mystnb={"image": {"alt": "Two heat maps of eight old groups against eight new groups: without the shuffle the diagonal, with it two old groups for each new one, k/2 and k/2 + 4. Below, bars: the share of spatially gated channels is one half in every group without the shuffle, and alternates between 0 and 1 with it."}} tags=["hide-input"]
channels, groups = 64, 8
figure, axes = plt.subplots(2, 2, figsize=(8, 4.6), height_ratios=(3, 1.1), sharex=True)
for column, shuffle in enumerate((False, True)):
    group, kind = (
        v.view(groups, -1) for v in kinds_and_groups(channels, groups, shuffle)
    )
    share = F.one_hot(group, groups).float().mean(1)
    axes[0, column].imshow(share.T, vmin=0, vmax=1, cmap="Greens", aspect="auto")
    axes[0, column].set(
        title="with the shuffle" if shuffle else "without the shuffle",
        yticks=range(groups),
    )
    axes[0, column].grid(False)
    axes[1, column].bar(
        range(groups), kind.float().mean(1), color=plots.colour("sa"), width=0.8
    )
    axes[1, column].set(xlabel="new group", xticks=range(groups), yticks=[0, 0.5, 1])
axes[0, 0].set_ylabel("old group")
axes[1, 0].set_ylabel("spatial share")
plt.show()

# %% [markdown]
# **What to see.** Top: what a grouped layer that follows would find in each of its groups. Without the shuffle it finds
# the group it always had; with it, halves of two groups. Bottom: the price for even $G$. A grouped layer that follows
# sees channels gated one way or the other, never both.
#
# ### Does the next layer notice?
#
# A dense layer sums over all channels with a weight for each. Reorder its inputs and reorder the columns of its
# weights likewise, and nothing has changed. In a ResNet the channels also meet the shortcut, which is not shuffled; but
# what the shortcut carries has been written and is read by dense layers only. This is enough:
#
# ```{prf:theorem} In a ResNet the shuffle is a change of names
# :label: sa-theorem
#
# Take a ResNet with SA at the end of every residual branch, in which each stage's shortcut starts with a dense layer
# (the stem's convolution or a projection) and is read by dense layers only. Leave out all shuffles, and reorder the
# channels of each stage in the weights that write the start of its shortcut and in those that read from it. The new
# network computes the same function.
# ```
#
# ```{prf:proof}
# Let $\pi$ be the shuffle of a stage, channel $c$ going to $\pi(c)$, and $t$ the map on the shortcut. A block adds
# $t_{\pi(c)} \leftarrow t_{\pi(c)} + x'_c$, where the gated $x'_c$ depends on channel $c$ of the branch alone, and then
# applies a ReLU to each channel. Write $\tilde{t}_c = t_{\pi(c)}$: the block becomes $\tilde{t}_c \leftarrow
# \tilde{t}_c + x'_c$, a block without shuffle, and since all blocks of the stage use the same $\pi$, one renaming
# serves all of them. The layers that write the first $t$ and those that read any $t$ are dense: they follow the
# renaming by a permutation of their rows or columns.
# ```
#
# The check builds a ResNet-20 with random parameters throughout, renames, and compares outputs. It renames the
# gradients too: if they agree, so do, but for rounding, the weights after every step of SGD, and the two networks train
# alike for ever.

# %% tags=["nbval-check-output"]
SHORTCUTS = (  # of each stage: the width, the layers that write the start of the shortcut, those that read from it
    (16, ["conv1", "bn1"],
     ["layer1.0.conv1", "layer1.1.conv1", "layer1.2.conv1", "layer2.0.conv1", "layer2.0.downsample.0"]),
    (32, ["layer2.0.downsample.0", "layer2.0.downsample.1"],
     ["layer2.1.conv1", "layer2.2.conv1", "layer3.0.conv1", "layer3.0.downsample.0"]),
    (64, ["layer3.0.downsample.0", "layer3.0.downsample.1"],
     ["layer3.1.conv1", "layer3.2.conv1", "fc"]),
)  # fmt: skip


def renamed(tensors):
    """Weights (or gradients) of the network with shuffles as those of its twin without."""
    result = dict(tensors)
    for width, writers, readers in SHORTCUTS:
        source = shuffle_channels(torch.arange(width).view(1, -1, 1, 1)).flatten()
        pi = source.argsort()  # channel c goes to pi[c]
        for name, value in result.items():
            layer, kind = name.rsplit(".", 1)
            if layer in writers and value.dim():
                value = value[pi]
            if layer in readers and kind == "weight":
                value = value[:, pi]
            result[name] = value
    return result


torch.manual_seed(0)
with_shuffle = create("resnet20", 10, "sa").double()
for parameter in with_shuffle.parameters():
    if parameter.dim() == 1:
        nn.init.normal_(parameter)
without_shuffle = create("resnet20", 10, "sa", {"shuffle": False}).double()
pictures = torch.randn(4, 3, 16, 16, dtype=torch.float64)


def outputs_and_gradients(network):
    scores = network(pictures)
    network.zero_grad()
    F.cross_entropy(scores, torch.arange(4)).backward()
    return scores, {name: p.grad for name, p in network.named_parameters()}


scores, gradients = outputs_and_gradients(with_shuffle)
weights = with_shuffle.state_dict()
for title, given in (
    ("the same weights", weights),
    ("renamed weights", renamed(weights)),
):
    without_shuffle.load_state_dict(given)
    other_scores, other_gradients = outputs_and_gradients(without_shuffle)
    same = torch.allclose(scores, other_scores, rtol=1e-9, atol=1e-9)
    alike = [
        torch.allclose(g, other_gradients[n], rtol=1e-9, atol=1e-9)
        for n, g in renamed(gradients).items()
    ]
    print(f"{title:<17} outputs agree: {same}, renamed gradients agree: {all(alike)}")

# %% [markdown]
# Two consequences. *First*, initial weights are drawn independently for all channels, so that a network with shuffles
# is exactly as likely as its renamed twin without: over all seeds, training with and without the shuffle has the same
# distribution of accuracies. An ablation of the shuffle in such a network measures the noise between seeds. *Second*,
# this is about the networks of the paper's tables, in which all layers that write and read the shortcut are dense.
# Where the next layer is grouped, where a part of the channels passes a block untouched, or where shortcuts are padded
# with zeros instead of projected, the proof does not apply, and the shuffle can matter.
#
# ## What it costs
#
# The paper puts one module into each of the 16 blocks of ResNet-50, at the end of the residual branch, with 64 groups
# everywhere. Its figures beside ours, in the unit they are printed in; not all of them could be read in the paper
# itself, and the lines above the table say how each of its tables is known.


# %% tags=["nbval-check-output"]
for table in (table for table in paper.tables if table.costs):
    print(f"{table.label}: {table.confidence}")
plots.costs(paper.costs(), "Costs published for SA, and the same figures recomputed")

# %% [markdown]
# The abstract says that ResNet-50 with SA has 300 parameters more. Where are the others? Summed over the modules of the
# network, vector by vector:

# %% tags=["nbval-check-output"]
network = create("resnet50", 1000, "sa")
modules = attention_modules(network).values()
vectors = {
    "W_1": "channel_weight", "b_1": "channel_bias", "W_2": "spatial_weight", "b_2": "spatial_bias",
    "gamma, of the norm": "norm_weight", "beta, of the norm": "norm_bias",
}  # fmt: skip
breakdown = pd.DataFrame(
    [
        {"vector": name, "parameters": sum(getattr(m, field).numel() for m in modules)}
        for name, field in vectors.items()
    ]
)
total = breakdown["parameters"].sum()
norm = breakdown["parameters"].tail(2).sum()
print(
    f"{len(modules)} modules: {total} parameters = {total - norm} in the four vectors + {norm} in the norm"
)
plots.table(breakdown, "SA's parameters in ResNet-50, by vector")

# %% [markdown]
# Every vector counts the same, so that whatever vectors one leaves out, the sum is a multiple of the same number, and
# 300 is none. Next to the millions of the network either figure is nothing; yet the total in Table 1, if it is recalled
# rightly, can tell them apart. To three decimals of a million it fits 300 more parameters, and fits 708 only if it was
# cut off instead of rounded; and the total of ResNet-101 in the same table fits the released module rounded, not cut off.
#
# And the operations? SA has no convolution and no matrix product, hence no multiply-add in our sense: all it does is
# element-wise. The 2.76 million operations of the abstract are, to the printed digits, half of the values in the maps:

# %% tags=["nbval-check-output"]
on_paper = create("resnet50", 1000, "sa").to("meta")  # shapes without numbers
with plots.captured(on_paper, lambda module, x: x[0].numel()) as values_of:
    on_paper(torch.empty(1, 3, 224, 224, device="meta"))
row = paper.table("table-1-differences").iloc[0]
print(f"values in the {len(values_of)} maps: {sum(values_of.values()):>9,}")
print(f"half of them:             {sum(values_of.values()) // 2:>9,}")
print(f"printed ({row['backbone']}):      {row['extra_gflops'] * 1e9:>9,.0f}")

# %% tags=["nbval-check-output"]
added = profile(network, 224) - profile(create("resnet50", 1000), 224)
operators = sorted(
    added.elementwise_by_operator.items(), key=lambda item: (-item[1], item[0])
)
work = pd.DataFrame(
    [
        {"operator": name, "element-wise operations (M)": count / 1e6}
        for name, count in operators
    ]
)
print(f"MACs added: {added.macs}, element-wise operations added: {added.elementwise:,}")
plots.table(work, "Element-wise work that SA adds to ResNet-50", digits=2)

# %% [markdown]
# One operation for each value that the channel halves pool, then: the printed figure counts neither the normalisation,
# nor the sigmoids, nor the products of the whole map, nor the copy that the shuffle makes. (That rule is our reading.
# It does not give the figure known for ResNet-101, which is larger and second-hand.) Multiply-adds are the wrong
# currency here: SA pays in reading and writing maps.
#
# ## Training
#
# A small ResNet with SA learns generated shapes in seconds, once with the shuffle and once without. This is a
# demonstration and no evidence for any claim. With `ATTNLIB_LANE=full` the same cell trains on CIFAR-10 and files the
# records.

# %%
sa = train(chapter_recipe("sa", seed=0))
unshuffled = train(chapter_recipe("sa", seed=0, attention_args={"shuffle": False}))
data = sa.record.recipe.data
floor = linear_accuracy(load(data, "train"), load(data, "test"))
for run in (sa, unshuffled):
    if lane() == "full":
        store(run.record)
    print(f"{run.record.recipe.label:<18} {run.record.final.accuracy:.3f}")
print(f"{'linear model':<18} {floor:.3f}")

# %% mystnb={"image": {"alt": "Accuracy against epoch for SA with and without the shuffle, held-out solid and training dotted, and the dashed level of a linear model."}} tags=["hide-input"]
plots.learning_curves([sa.record, unshuffled.record], floor=floor)
plt.show()

# %% [markdown]
# **What to see.** By {prf:ref}`sa-theorem` each of the two curves is a draw from one and the same distribution, as if
# only the seed differed: the distance between them shows how much a single run can say, and any comparison of modules
# by single runs has to be read with that distance in mind.
#
# ### CIFAR-10, recorded
#
# Real images, recorded beforehand: a tenth of CIFAR-10 for a few epochs, and all of it for thirty.

# %% mystnb={"image": {"alt": "Test accuracy of every recorded run as a dot, one row for each of the plain network, the constant gate, SA and SA without shuffle as far as they are recorded, with a bar at the mean of each row."}} tags=["hide-input"]
start = (
    f"constant(value={1 / (1 + math.exp(-1))})"  # sigmoid(1), the gate SA starts with
)
labels = ("none", start, "sa", "sa(shuffle=False)")
recorded = {
    recipe: [run for label in labels for run in records(recipe, label)]
    for recipe in ("cifar10-slice", "equal-budget")
}
for runs_of_recipe in recorded.values():
    plots.accuracies(runs_of_recipe)
    plt.show()

# %% tags=["nbval-check-output", "hide-input"]
plots.accuracy_table(recorded["cifar10-slice"], "CIFAR-10, 5,000 images, 4 epochs")

# %% [markdown]
# **What to see.** One dot is one run, each bar a mean over seeds. The constant gate of $\sigma(1)$ is the control: SA
# starts as one, and a constant factor has learned nothing from the image. What does not go beyond that row needs no
# attention to explain it. Where the dots of two rows overlap, the runs do not rank them.
#
# ## Looking inside
#
# What do the two kinds of gates look like on images? The next figure takes the first block of a network trained on
# shapes.
# In each half, it shows the two channels whose gates vary most over these images.

# %% mystnb={"image": {"alt": "Three images. Beside each, two gates of the channel half, flat squares of one colour, and two gates of the spatial half, which change from pixel to pixel and follow the picture."}} tags=["hide-input"]
# a network that knows shapes, also where the cell above trained on CIFAR
if data != "shapes":
    sa = train(Recipe.named("smoke", attention="sa"))
shapes = load("shapes", "test")
chosen = [int(np.flatnonzero(shapes.labels == k)[0]) for k in (0, 4, 6)]
with (
    torch.no_grad(),
    plots.captured(sa.model, lambda module, x: module.gate(x).cpu()) as gates,
):
    sa.model(sa.inputs(shapes.images[chosen]))
path, gate = next(iter(gates.items()))
halves = gate.unflatten(1, (attention_modules(sa.model)[path].groups, 2, -1))
channel_half, spatial_half = (halves[:, :, kind].flatten(1, 2) for kind in (0, 1))
maps, titles = [], []
for name, part in (("channel", channel_half), ("spatial", spatial_half)):
    for n, c in enumerate(
        part.transpose(0, 1).flatten(1).std(1).argsort(descending=True)[:2]
    ):
        maps.append(part[:, c])
        titles.append(f"{name} {n + 1}")
plots.show_maps(shapes.images[chosen], maps, titles, label="gate")
plt.show()

# %% [markdown]
# **What to see.** A gate of the channel half is one number for the whole map, different from image to image. A gate of
# the spatial half follows its own channel pixel by pixel, as {eq}`sa-folded` says: it is that channel, stretched and
# pushed through a sigmoid, and what can be seen in the gate could be seen in the channel before.
#
# Does the spatial half find the object? The shapes come with their true masks, so that there is a number for it: the
# mean gate inside the object minus the mean gate outside, for every channel of the spatial half, beside how far gates
# differ between classes.

# %% mystnb={"image": {"alt": "Left: for each of three blocks, points for all channels of the spatial half, mean gate on the object minus mean gate on the ground, around a line at zero. Right: three heat maps of the mean gate by class and group."}} tags=["hide-input"]
with (
    torch.no_grad(),
    plots.captured(sa.model, lambda module, x: module.gate(x).cpu()) as gates,
):
    sa.model(sa.inputs(shapes.images))
labels, masks = torch.tensor(shapes.labels), torch.tensor(shapes.masks).float()[:, None]

figure, axes = plt.subplots(1, 4, figsize=(11, 3.4), width_ratios=(1.3, 1, 1, 1))
for block, (axis, (path, gate)) in enumerate(
    zip(axes[1:], gates.items(), strict=False)
):
    halves = gate.unflatten(1, (attention_modules(sa.model)[path].groups, 2, -1))
    inside = F.adaptive_avg_pool2d(
        masks, gate.shape[2:]
    )  # the share of each cell that the object covers
    spatial = halves[:, :, 1].flatten(1, 2)
    on_object = (spatial * inside).sum((0, 2, 3)) / inside.sum()
    on_ground = (spatial * (1 - inside)).sum((0, 2, 3)) / (1 - inside).sum()
    spread = np.linspace(-0.25, 0.25, len(on_object))
    axes[0].plot(block + spread, on_object - on_ground, ".", color=plots.colour("sa"))
    by_class = torch.stack(
        [halves[labels == k].mean((0, 2, 3, 4, 5)) for k in range(len(shapes.classes))]
    )
    sns.heatmap(
        by_class,
        ax=axis,
        xticklabels=False,
        yticklabels=shapes.classes if block == 0 else False,
    )
    axis.set(title=path.split(".")[0], xlabel="group")
axes[0].axhline(0, color="black", lw=1)
axes[0].set(
    title="gate on object minus on ground",
    xticks=range(3),
    xticklabels=[p.split(".")[0] for p in list(gates)[:3]],
)
plt.show()

# %% [markdown]
# **What to see.** Left, one point is one channel of the spatial half: above the line it lets the object through more
# than the ground, below it less. Nothing in the module pulls the points to one side; a channel that is weak on the
# object is as good a detector as one that is strong. Right, the rows are classes and the columns groups, each panel on
# a scale of its own: where a column has one colour, the mean gate of that group does not depend on the class.
#
# ## What the paper claims, and what holds
#
# Counts, identities and gradients are checked by code, and the code writes the verdict. What only training on ImageNet
# or COCO could settle is listed too, and marked as not testable here. The verdicts are read from a file;
# `attnlib ledger --paper sa --recompute` computes them again, and [the ledger](../../book/ledger.md) shows the code of
# each check.

# %% tags=["nbval-check-output"]
plots.verdicts(paper.verdicts(most=None))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# ## Exercises
#
# ```{exercise} How many shuffles until nothing has happened?
# :label: sa-exercise-order
#
# Show from {eq}`sa-shuffle-order` that the shuffle sends channel $c < C - 1$ to $2c \bmod (C - 1)$ and leaves channel
# $C - 1$ where it is. After how many shuffles is every channel back? Compute the number for $C = 256$ and $C = 2048$,
# and find the even $C \le 64$ for which it takes longest. What does the shuffle do to the binary digits of $c$ when $C$
# is a power of two?
# ```
#
# ````{solution-start} sa-exercise-order
# :class: dropdown
# ````
#
# A channel $c < C/2$ goes to $2c$; a channel $c \ge C/2$ goes to $2(c - C/2) + 1 = 2c - (C - 1)$. Both are $2c$ modulo
# $C - 1$. After $n$ shuffles $c$ is at $2^n c$, so all are back when $2^n \equiv 1$ modulo $C - 1$: the number is the
# *multiplicative order* of 2. For $C = 2^b$ it is $b$, since $2^b = C \equiv 1$: each shuffle rotates the $b$ binary
# digits of $c$ by one place.


# %% tags=["nbval-check-output"]
def shuffles_until_identity(channels):
    start = torch.arange(channels).view(1, -1, 1, 1)
    now, count = shuffle_channels(start), 1
    while not torch.equal(now, start):
        now, count = shuffle_channels(now), count + 1
    return count


def order_of_two(modulus):
    return next(n for n in range(1, modulus + 1) if pow(2, n, modulus) == 1 % modulus)


assert all(shuffles_until_identity(C) == order_of_two(C - 1) for C in range(2, 130, 2))
longest = max(range(2, 65, 2), key=shuffles_until_identity)
print(
    "C = 256:",
    shuffles_until_identity(256),
    " C = 2048:",
    shuffles_until_identity(2048),
)
print(f"longest up to 64: C = {longest}, {shuffles_until_identity(longest)} shuffles")

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} How far does information travel?
# :label: sa-exercise-reach
#
# Alternate a convolution with $G$ groups and SA's shuffle, and let $C$ be a multiple of $2G$ with $G$ a power of two.
# From how many groups of the input can an output group know something after $n$ such layers? How many layers does it
# take until every group knows all? And how many without the shuffle?
# ```
#
# ````{solution-start} sa-exercise-reach
# :class: dropdown
# ````
#
# New group $k$ takes from the old groups $\lfloor k/2 \rfloor$ and $\lfloor k/2 \rfloor + G/2$: drop the last binary digit
# of $k$, and put either digit in front. Each shuffle drops one more digit of $k$ and frees one more in front, so that a
# group knows $2^n$ groups after $n$ shuffles, and all of them after $\log_2 G$: six for $G = 64$. Without the shuffle it
# is one group for ever.

# %% tags=["nbval-check-output"]
G, C = 64, 256
group, _ = kinds_and_groups(C, G, shuffle=True)
takes_from = F.one_hot(group.view(G, -1), G).amax(
    1
)  # row: new group, column: old group
reach = torch.eye(G, dtype=torch.long)
for n in range(1, 8):
    reach = (takes_from @ reach).clamp(max=1)
    print(
        f"{n} shuffles: every group knows {reach.sum(1).min()} to {reach.sum(1).max()} of {G} groups"
    )

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Can it be 300?
# :label: sa-exercise-300
#
# Let a module have $v$ vectors of length $C / 2G$, $v = 1, \dots, 6$, in all 16 blocks of ResNet-50. For which $v$ and
# which legal $G$ do its parameters come nearest to the abstract's 300? Is any pair exact?
# ```
#
# ````{solution-start} sa-exercise-300
# :class: dropdown
# ````
#
# The sum over the blocks is $v / 2G$ times $3 \cdot 256 + 4 \cdot 512 + 6 \cdot 1024 + 3 \cdot 2048 = 15104 = 2^8 \cdot
# 59$. So it is always a multiple of the prime 59, and 300 is not.

# %% tags=["nbval-check-output"]
channels = [m.channels for m in modules]
legal = [G for G in range(1, 129) if all(C % (2 * G) == 0 for C in channels)]
pairs = [(v * sum(channels) // (2 * G), v, G) for v in range(1, 7) for G in legal]
printed = int(row["extra_params"])
for count, v, G in sorted(pairs, key=lambda pair: abs(pair[0] - printed))[:3]:
    print(f"{count} parameters: {v} vectors, {G} groups")
print(
    "exactly", printed, "is possible:", any(count == printed for count, _, _ in pairs)
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Turn up the contrast
# :label: sa-exercise-contrast
#
# Replace a map by $\alpha x + \rho$ with numbers $\alpha > 0$ and $\rho$. What happens to the gates of the spatial half, and what to
# those of the channel half? And what does the spatial half do on a map of a single pixel?
# ```
#
# ````{solution-start} sa-exercise-contrast
# :class: dropdown
# ````
#
# The norm takes out the mean and divides by the deviation, so that $z_{k2}$ stays, except for what $\varepsilon$ does
# to a channel that is almost flat: the spatial gate is blind to contrast and brightness. The mean becomes $\alpha\mu +
# \rho$, and the channel gate follows it: all that SA knows of how *strong* a channel is, it knows in the channel
# half. A single pixel is its own mean, $\hat{x} = 0$, and the gate is $\sigma(W_2 \beta + b_2)$ for every image.

# %% tags=["nbval-check-output"]
channel = ~(torch.arange(24) % 8 >= 4)
with torch.no_grad():
    before, after = library.gate(x), library.gate(5 * x + 2)
    change = (before - after).abs()
    print("spatial gates stay:", bool((change[:, ~channel] < 1e-4).all()))
    print("channel gates stay:", bool((change[:, channel] < 1e-4).all()))
    pixel = library.gate(torch.randn(5, 24, 1, 1, dtype=torch.float64))[:, ~channel]
    print(
        "one pixel, same spatial gate for all images:",
        torch.allclose(pixel, pixel[:1].expand_as(pixel)),
    )

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Further reading
#
# * Group norm and its limiting cases, instance norm and layer norm {cite:p}`group_norm`: what changes when channels share
#   statistics.
# * ShuffleNet v2 {cite:p}`shufflenet_v2`: networks in which a channel shuffle does carry information.
# * [SE](se.ipynb), where gates see all channels, and [NAM](nam.ipynb), where each channel is on its own as here.
