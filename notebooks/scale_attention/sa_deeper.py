# ---
# jupyter:
#   attention_book:
#     kind: deeper
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
# # SA, deeper
#
# What [the chapter](sa.ipynb) leaves out: gradients through the norm, the place where its theorem ends, and printed costs.

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attach, attention_modules, create
from attnlib.networks.cifar_resnet import CifarResNet
from attnlib.profiling import profile
from attnlib.scale_attention.sa import shuffle_channels
from attnlib.training import Recipe, train

plots.use()
paper = attnlib.paper("sa")

# %% [markdown]
# ## One form for both halves
#
# {eq}`sa-folded` says that every gate is a sigmoid of $a_c\, x_c + d_c$. Here are $a$ and $d$ for every channel:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
G, m = 3, 4
x = torch.randn(2, 24, 9, 7, dtype=torch.float64, requires_grad=True)
sa = attnlib.create("sa", 24, groups=G).double()
for parameter in sa.parameters():
    nn.init.normal_(parameter)

place = torch.arange(24) % (2 * m)
spatial, i = (
    place >= m,
    place % m,
)  # the half of a channel, its index there
nu, mu = torch.var_mean(x, (2, 3), correction=0)
W_1, b_1, W_2, b_2, gamma, beta = (vector[i] for vector in sa.parameters())
a = torch.where(spatial, W_2 * gamma / torch.sqrt(nu + 1e-5), 0)
d = torch.where(spatial, W_2 * beta + b_2 - a * mu, W_1 * mu + b_1)
gate = torch.sigmoid(a[:, :, None, None] * x + d[:, :, None, None])
check("a x + d = attnlib's gate", gate, sa.gate(x), atol=1e-12)

# %% [markdown]
# A map of a single pixel has no deviation: there the spatial gate is $\sigma(W_2 \beta + b_2)$ for every image, a
# constant.

# %% tags=["nbval-check-output"]
pixel = sa.gate(torch.randn(5, 24, 1, 1, dtype=torch.float64))
alone = torch.sigmoid(W_2 * beta + b_2)[spatial].expand(5, -1)
check("one pixel", pixel[:, spatial, 0, 0], alone, atol=1e-12)

# %% [markdown]
# ## The gradients, step by step
#
# Let a bar over a quantity be the derivative of the loss by it. Start at the output, where $\bar y$ is given, and go
# back.
#
# **Through the shuffle.** It only moves channels, so its gradient moves them back: $r = \partial L / \partial x'$ is
#
# $$r_{i + jC/2} = \bar y_{2i + j}.$$ (sa-deeper-shuffle)
#
# **Through product and sigmoid.** At each pixel $x' = g x$ with $g = \sigma(s)$. The gate receives $r x$, and the sigmoid
# has the slope $g (1 - g)$, so that the pixel's logit receives
#
# $$e = r\, x\, g\, (1 - g).$$ (sa-deeper-logit)
#
# **To the parameters.** The logit is $W z + b$. Its derivative by $b$ is 1 and by $W$ it is $z$. Parameters are shared by
# images, groups and pixels, and what is shared collects a sum:
#
# $$\bar W = \sum e\, z,$$ (sa-deeper-weight)
#
# $$\bar b = \sum e.$$ (sa-deeper-bias)
#
# In the spatial half $z = \gamma \hat{x} + \beta$ with $\hat{x} = (x - \mu) / \sqrt{\nu + \varepsilon}$. The logit passes
# $W_2 e$ on to $z$, hence
#
# $$\bar\gamma = W_2 \sum e\, \hat{x},$$ (sa-deeper-gamma)
#
# $$\bar\beta = W_2 \sum e.$$ (sa-deeper-beta)
#
# Both carry the factor $W_2$, which is zero at the start: the first step of training cannot move them (weight decay can
# move $\gamma$).
#
# **To the map, channel half.** All $n = HW$ pixels share one logit. So it receives $\sum e = n \langle e \rangle$, where
# $\langle\cdot\rangle$ is the mean over the map. It passes $W_1$ times that to the mean $z$, in which each pixel has the
# share $1/n$:
#
# $$\bar x = g\, r + W_1 \langle e \rangle.$$ (sa-deeper-channel)
#
# **To the map, spatial half.** This has to go through a norm. Let $v = W_2 \gamma\, e$ be what arrives at $\hat{x}$, and
# $\rho = 1 / \sqrt{\nu + \varepsilon}$. A pixel $x_p$ moves every $\hat{x}_q = \rho\, (x_q - \mu)$ in three ways: directly
# if $p = q$, through the mean, and through the deviation:
#
# $$\frac{\partial \mu}{\partial x_p} = \frac{1}{n},$$ (sa-deeper-mean)
#
# $$\frac{\partial \nu}{\partial x_p} = \frac{2}{n} (x_p - \mu),$$ (sa-deeper-variance)
#
# since the mean's own motion drops out of the second: it would multiply $\sum_q (x_q - \mu) = 0$. Further, by the chain
# rule,
#
# $$\frac{\partial \rho}{\partial \nu} = -\tfrac12 \rho^3,$$
#
# $$\frac{\partial \rho}{\partial x_p} = -\tfrac1n\, \rho^2\, \hat{x}_p,$$ (sa-deeper-deviation)
#
# and the three ways together are
#
# :::{div} wide
# $$\frac{\partial \hat{x}_q}{\partial x_p} = \rho\, \bigl([p = q] - \tfrac1n - \tfrac1n \hat{x}_p \hat{x}_q\bigr).$$ (sa-deeper-jacobian)
# :::
#
# Multiply by $v_q$ and sum over $q$. The bracket takes the mean of $v$ from $v_p$, and its part along $\hat{x}$:
#
# :::{div} wide
# $$\sum_q v_q \frac{\partial \hat{x}_q}{\partial x_p} = \rho\, \bigl(v_p - \langle v \rangle - \hat{x}_p \langle v \hat{x} \rangle\bigr).$$ (sa-deeper-norm)
# :::
#
# Whatever would only shift or stretch the channel is taken out, since the norm would undo it. With $a = W_2 \gamma \rho$,
# as in {eq}`sa-line-spatial`,
#
# :::{div} wide
# $$\bar x = g\, r + a\, \bigl(e - \langle e \rangle - \hat{x}\, \langle e\, \hat{x} \rangle\bigr).$$ (sa-deeper-spatial)
# :::
#
# The check writes this out by hand, in double precision, against automatic differentiation.

# %%
upstream = torch.randn_like(x)  # dL / dy
wanted = [x, *sa.parameters()]
auto_x, *auto = torch.autograd.grad((upstream * sa(x)).sum(), wanted)

columns = (vector.detach().view(m, 1, 1) for vector in sa.parameters())
w_1, b_1, w_2, b_2, gamma, beta = columns


def halves(maps):
    """(N, G, m, H, W) each."""
    return maps.unflatten(1, (G, 2, m)).unbind(2)


def average(maps):
    return maps.mean((3, 4), keepdim=True)


def total(maps):
    return maps.sum((0, 1, 3, 4))


# %% tags=["nbval-check-output"]
with torch.no_grad():
    r = upstream.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)
    gate = sa.gate(x)
    (g_1, g_2), (r_1, r_2) = halves(gate), halves(r)
    e_1, e_2 = halves(r * x * gate * (1 - gate))
    mu, (_, x_2) = average(halves(x)[0]), halves(x)
    nu, mu_2 = torch.var_mean(x_2, (3, 4), correction=0, keepdim=True)
    rho = torch.rsqrt(nu + 1e-5)
    x_hat = rho * (x_2 - mu_2)
    bar_1 = g_1 * r_1 + w_1 * average(e_1)
    inner = e_2 - average(e_2) - x_hat * average(e_2 * x_hat)
    bar_2 = g_2 * r_2 + w_2 * gamma * rho * inner
    by_hand = torch.stack([bar_1, bar_2], 2).flatten(1, 3)
    z_2, flat = gamma * x_hat + beta, w_2.flatten()
    vectors = [total(e_1 * mu), total(e_1), total(e_2 * z_2), total(e_2)]
    vectors += [flat * total(e_2 * x_hat), flat * total(e_2)]
check("gradient of x", by_hand, auto_x, atol=1e-11)
check("gradients of the six vectors", vectors, auto, atol=1e-10)

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "The Jacobian, and the first gradient of a fresh module"}
probe = torch.randn(12, dtype=torch.float64)


def norm(pixels):
    rho = torch.rsqrt(pixels.var(correction=0) + 1e-5)
    return rho * (pixels - pixels.mean())


jacobian = torch.autograd.functional.jacobian(norm, probe)
hat, rho_0 = norm(probe), torch.rsqrt(probe.var(correction=0) + 1e-5)
formula = rho_0 * (
    torch.eye(12, dtype=torch.float64)
    - 1 / 12
    - torch.outer(hat, hat) / 12
)
check("Jacobian of the norm", jacobian, formula, atol=1e-12)

fresh = attnlib.create("sa", 24, groups=G).double()
(upstream * fresh(x)).sum().backward()
still = [n for n, p in fresh.named_parameters() if (p.grad == 0).all()]
print("no gradient in the first step:", *still)
finding(
    "the norm's own scale and shift", still == ["norm_weight", "norm_bias"]
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# All six vectors and the map have the gradients that were derived. Of a fresh module the norm's own scale and shift, and
# no other vector, get a gradient of exactly zero.
# :::
#
# ## Two vectors too many
#
# By {eq}`sa-line-spatial` the output stays when $W_2$ is multiplied and $\gamma, \beta$ are divided by the same number
# $t$, and when $u$ is added to $\beta$ while $W_2 u$ is taken from $b_2$. The last lines move $\beta$ alone, to see that
# the check can fail.


# %% tags=["nbval-check-output"]
def moved(t=1.0, u=0.0, compensate=True):
    other = attnlib.create("sa", 24, groups=G).double()
    other.load_state_dict(sa.state_dict())
    with torch.no_grad():
        other.spatial_weight *= t
        other.norm_weight /= t
        other.norm_bias /= t
        other.norm_bias += u
        if compensate:
            other.spatial_bias -= other.spatial_weight * u
    return other(x)


for t in (0.1, -1.0, 7.0):
    check(f"t = {t}", moved(t), sa(x), atol=1e-12)
check("u = 3", moved(u=3.0), sa(x), atol=1e-12)
off = (moved(u=3.0, compensate=False) - sa(x)).abs().max()
finding("moves the output when", off > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Along both families the output stays, and it moves the output when $\beta$ is moved and $b_2$ is not. Two of the six
# vectors add nothing that SA could compute.
# :::
#
# ## The "group norm" is an instance norm
#
# The paper's name for {eq}`sa-norm` is group norm. With a group for each channel it is an instance norm; with several
# channels in a group it would be another function, in which channels hear each other.

# %% tags=["nbval-check-output"]
half = halves(x.detach())[1].flatten(1, 2)
scale, shift = (v.flatten().repeat(G) for v in (gamma, beta))
instance = F.instance_norm(half, weight=scale, bias=shift, eps=1e-5)
group = {n: F.group_norm(half, n, scale, shift, 1e-5) for n in (12, 6, 1)}
check("12 channels, 12 groups", group[12], instance, atol=1e-12)
for n in (6, 1):
    print(
        f"{n} groups: off by", f"{(group[n] - instance).abs().max():.2f}"
    )
finding(
    "6 groups or one",
    *((group[n] - instance).abs().max() > 0.1 for n in (6, 1)),
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Twelve channels in 12 groups are normalised as an instance norm does it. In 6 groups or one they are not.
# :::
#
# ## Which widths fit
#
# $C$ has to be a multiple of $2G$. With the paper's 64 groups that is a multiple of 128: the first stage of ResNet-18 and ResNet-34
# has 64 channels and does not fit; there the released code fails. At 192 channels it runs, and cuts the three channels of
# a group in two and one. `attnlib` refuses both before it computes anything. Where `attach` chooses the groups, it takes
# the paper's 64 if that leaves two channels or more in each half, and fewer at smaller widths.

# %% tags=["nbval-check-output"]
for channels in (64, 192, 33):
    try:
        attnlib.create("sa", channels, groups=64)
        raise AssertionError(f"{channels} channels are not refused")
    except ValueError as error:
        print(str(error).replace("; ", ";\n    "))

# %% tags=["nbval-check-output"]


def size(module):
    return sum(p.numel() for p in module.parameters())


groups_for = attnlib.info("sa").groups_for
widths = pd.DataFrame({"C": [16, 64, 100, 192, 256, 512, 1024, 2048]})
widths["G"] = widths["C"].map(groups_for)
widths["C / 2G"] = widths["C"] // (2 * widths["G"])
widths["parameters"] = [
    size(attnlib.create("sa", c, groups=g))
    for c, g in zip(widths["C"], widths["G"], strict=True)
]
check("3 C / G", widths["parameters"], 3 * widths["C"] // widths["G"])
finding("12 parameters", *set(widths["parameters"][[0, 1, 4]]))
plots.table(widths, "Groups of SA by width, as attach chooses them")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At 16, 64 and 256 channels a module has the same 12 parameters: what grows up to there is the number of groups. Beyond,
# the groups stay and the vectors grow.
# :::
#
# ## Who meets whom
#
# For even $G$ the outputs $2i$ and $2i + 1$ come from the same place of two groups: group $k$ meets $k + G/2$. New group
# $k$ holds one kind only, gated by channel for even $k$ and by pixel for odd $k$. With an odd $G$ places move by half a
# group, and a new group holds both kinds.


# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Count who meets whom"}
def source(channels, groups, shuffle):
    """Old group of each output channel, and whether it was gated by pixel."""
    channel = torch.arange(channels).view(1, channels, 1, 1)
    old = (shuffle_channels(channel) if shuffle else channel).flatten()
    half = channels // (2 * groups)
    return old // (2 * half), (old // half) % 2


rows = []
for C, g in ((256, 64), (2048, 64), (16, 4), (24, 3)):
    for shuffle in (False, True):
        group, kind = (
            v.view(g, -1).tolist() for v in source(C, g, shuffle)
        )
        met = max(len(set(old)) for old in group)
        mixed = sum(len(set(k)) == 2 for k in kind)
        rows.append([f"{C}, {g}", "yes" if shuffle else "no", met, mixed])
columns = [
    "C, G",
    "shuffle",
    "old groups in a new one",
    "new groups with both kinds",
]
met = pd.DataFrame(rows, columns=columns)
finding(
    "of none with it, where G is even",
    list(met.iloc[[1, 3, 5], 3]) == [0] * 3,
)
finding("all 3 with it", met.iloc[7, 3])
plots.table(met, "Groups of neighbouring channels in SA's output")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without the shuffle every new group has both kinds; of none with it, where G is even, is this so; and all 3 with it
# where G is 3.
# :::

# %% mystnb={"image": {"alt": "Two heat maps of eight old groups against eight new groups: without the shuffle the diagonal, with it two old groups for each new one, half of k and half of k plus 4."}, "code_prompt_show": "Draw the figure"} tags=["hide-input"]
figure, axes = plots.panels(2, height=2.4)
for axis, shuffle in zip(axes, (False, True), strict=True):
    group, _ = (v.view(8, -1) for v in source(64, 8, shuffle))
    share = F.one_hot(group, 8).float().mean(1)
    axis.pcolormesh(
        share.T, vmin=0, vmax=1, cmap="Greens", edgecolors="0.8", lw=0.5
    )
    axis.set_xticks([k + 0.5 for k in range(8)], range(8))
    axis.set_yticks([k + 0.5 for k in range(8)], range(8))
    axis.set(
        xlabel="new group",
        ylabel="old group",
        title=f"with{'' if shuffle else 'out'} the shuffle",
    )
finding(
    "half of group 0 and half of group 4",
    share[0, 0] == share[0, 4] == 0.5,
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the shuffle, new group 0 is half of group 0 and half of group 4, and so is new group 1: the one has their channel
# halves, the other their spatial halves.
# :::
#
# The same for 16 channels in 4 groups, one by one. Hatched channels are gated by pixel:

# %% mystnb={"image": {"alt": "Two rows of sixteen tiles in four colours, one for each group; in each group two tiles are hatched. Lines lead from the upper row to the lower one, where tiles 0 and 8, 1 and 9, 2 and 10 are neighbours, and hatched tiles stand beside hatched ones."}, "code_prompt_show": "Draw the figure"} tags=["hide-input"]
C, G = 16, 4
half = C // (2 * G)
colours = [plots.colour(key) for key in ("se", "nam", "sa", "eca")]
channels = torch.arange(C).view(1, C, 1, 1)
order = shuffle_channels(channels).flatten().tolist()
figure, axis = plt.subplots(figsize=(plots.COLUMN, 2.3))
for level, places in enumerate((range(C), order)):
    for at, c in enumerate(places):
        tile = {
            "width": 0.9,
            "height": 0.9,
            "color": colours[c // (2 * half)],
        }
        axis.add_patch(
            plt.Rectangle((at, -3 * level), alpha=0.4, lw=0, **tile)
        )
        if (c // half) % 2:
            hatched = tile | {"fill": False, "hatch": "////", "lw": 0}
            axis.add_patch(plt.Rectangle((at, -3 * level), **hatched))
        axis.text(at + 0.45, 0.42 - 3 * level, c, ha="center", va="center")
        if level:
            line = [c + 0.45, at + 0.45], [-0.05, -2.05]
            axis.plot(*line, color=colours[c // (2 * half)], lw=1.3)
axis.text(0, 1.15, "concatenated: the groups lie side by side")
axis.text(0, -3.7, "shuffled: hatched (gated by pixel) beside hatched")
axis.set(xlim=(-0.1, 16), ylim=(-3.9, 1.7))
axis.set_axis_off()
group = [c // (2 * half) for c in order]
kind = [(c // half) % 2 for c in order]
pairs = [(group[n], group[n + 1]) for n in range(0, C, 2)]
finding(
    "group 0 meets group 2, and 1 meets 3", set(pairs) == {(0, 2), (1, 3)}
)
finding(
    "one kind only",
    all(len(set(kind[n : n + 4])) == 1 for n in range(0, C, 4)),
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Channels 0 and 8 become neighbours, then 1 and 9: group 0 meets group 2, and 1 meets 3. The two *kinds* do not meet.
# Before the shuffle each run of four channels held both; behind it each run holds one kind only. The shuffle mixes groups
# and sorts kinds.
# :::
#
# ## Where the theorem ends
#
# {prf:ref}`sa-theorem` asks for a dense start of each shortcut, for SA in the branch, and for dense readers. What if one
# of these is missing? All that decides how a channel is gated is its *label*: its half, and its index there, since groups
# share their vectors. So two networks are equal but for names as soon as the shortcuts can be renamed such that **every
# channel of a shortcut meets the same labels in the same blocks**. In the branch, channels may change places as long as
# their labels stay. This is weaker than what the theorem asks, and it can be counted.
#
# **Shortcuts padded with zeros** (as in the first CIFAR ResNets). A stage's first 16 channels are those of the stage
# before: they cannot be renamed for each stage alone, so that the renaming of the theorem fails. Is there another? A
# channel of the shortcut meets a label in each stage; count how many channels meet which:


# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Count the labels that each channel meets"}
def label(width, shuffle):
    """Of each channel of a shortcut: the label of what is added to it."""
    m = width // (2 * groups_for(width))
    labels = (torch.arange(width) % (2 * m)).view(1, -1, 1, 1)
    return (shuffle_channels(labels) if shuffle else labels).flatten()


def met_labels(shuffle):
    """For each old width: the labels met in the stages from there on."""
    by_stage = {
        width: label(width, shuffle).tolist() for width in (16, 32, 64)
    }
    met = {}
    for start, stop in ((0, 16), (16, 32), (32, 64)):
        stages = [
            labels for width, labels in by_stage.items() if width >= stop
        ]
        met[start] = sorted(
            zip(*(labels[start:stop] for labels in stages), strict=True)
        )
    return met


check("labels met, padded shortcuts", met_labels(True), met_labels(False))

# %% [markdown]
# They are the same, so there must be a renaming. It permutes the shortcut by channels of equal labels, and the last layer
# of each branch accordingly, within a label:

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Rename a network with padded shortcuts"}
BLOCKS = [f"layer{s}.{n}" for s in (1, 2, 3) for n in range(3)]
READ_BY = {16: "layer2.0.conv1", 32: "layer3.0.conv1", 64: "fc"}


def by_label():
    """Channel c of the plain shortcut is channel sigma[c] of the shuffled."""
    sigma = []
    for start, stop in ((0, 16), (16, 32), (32, 64)):
        widths = [width for width in (16, 32, 64) if width >= stop]
        met, free = [], {}
        for shuffle in (True, False):
            labels = [label(width, shuffle).tolist() for width in widths]
            met.append(
                list(
                    zip(
                        *(each[start:stop] for each in labels), strict=True
                    )
                )
            )
        for c, labels in enumerate(met[0], start):
            free.setdefault(labels, []).append(c)
        sigma += [free[labels].pop(0) for labels in met[1]]
    return torch.tensor(sigma)


def padded(shuffle):
    network = CifarResNet(20, 10, shortcut="A")
    attach(network, "sa", shuffle=shuffle)
    return network.double()


def rename_padded(state):
    state, sigma = dict(state), by_label()
    for name in ("conv1.weight", *(f"bn1.{k}" for k in NORM)):
        state[name] = state[name][sigma[:16]]
    for stage, width in enumerate((16, 32, 64), start=1):
        own = sigma[:width]
        branch = shuffle_channels(
            torch.arange(width).view(1, -1, 1, 1)
        ).flatten()[own]
        for n in range(3):
            path = f"layer{stage}.{n}"
            if n:  # the first block of a stage reads the shortcut of the stage before
                state[f"{path}.conv1.weight"] = state[
                    f"{path}.conv1.weight"
                ][:, own]
            for name in (
                f"{path}.conv2.weight",
                *(f"{path}.bn2.layer.{k}" for k in NORM),
            ):
                state[name] = state[name][branch]
        reader = f"{READ_BY[width]}.weight"
        state[reader] = state[reader][:, own]
    first = "layer1.0.conv1.weight"
    state[first] = state[first][:, sigma[:16]]
    return state


NORM = ("weight", "bias", "running_mean", "running_var")

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
pictures = torch.randn(4, 3, 16, 16, dtype=torch.float64)


def drawn(network):
    """The network with random vectors and norms throughout."""
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    return network


shuffled, plain = drawn(padded(True)), padded(False)
plain.load_state_dict(rename_padded(shuffled.state_dict()))
check("padded, by labels", shuffled(pictures), plain(pictures), atol=1e-9)

# %% [markdown]
# **SA at the ends of stages.** There it works on the shortcut itself, but only once a stage, and what follows is a dense
# layer: the convolution and the projection of the next stage. They take the whole permutation into
# their columns.


# %% tags=["nbval-check-output"]
def at_ends(shuffle):
    """SA behind the first and the second stage."""
    network = create("resnet20", 10)
    attach(network, "sa", placement="stage-end", shuffle=shuffle)
    return network.double()


shuffled, plain = drawn(at_ends(True)), at_ends(False)
state = dict(shuffled.state_dict())
for width, reader in ((16, "layer2.0"), (32, "layer3.0")):
    numbers = torch.arange(width).view(1, -1, 1, 1)
    pi = shuffle_channels(numbers).flatten().argsort()
    for layer in (f"{reader}.conv1", f"{reader}.downsample.0"):
        state[f"{layer}.weight"] = state[f"{layer}.weight"][:, pi]
plain.load_state_dict(state)
check("stage ends", shuffled(pictures), plain(pictures), atol=1e-9)

# %% [markdown]
# **SA behind the addition, in every block.** Now the shortcut itself goes through all shuffles of its stage. A channel
# that was gated by channel in one block can stand among those gated by pixel in the next. Without shuffles it meets the
# same kind in all blocks. No renaming changes such a count:


# %% tags=["nbval-check-output"]
def kinds_met(width, blocks, shuffle):
    """How many channels of the shortcut meet one kind in all blocks."""
    half = width // (2 * groups_for(width))
    place = torch.arange(width).view(1, -1, 1, 1)  # who stands where
    met = torch.zeros(width, dtype=torch.long)
    for _ in range(blocks):
        by_pixel = (torch.arange(width) // half) % 2
        met[place.flatten()] += by_pixel
        place = shuffle_channels(place) if shuffle else place
    return int(((met == 0) | (met == blocks)).sum())


kept = {
    s: [kinds_met(w, 3, s) for w in (16, 32, 64)] for s in (False, True)
}
print(kept)
finding("16, 32 and 64 channels", *kept[False])
finding("4, 8 and 16", *kept[True])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With padded shortcuts, and with SA at the ends of stages, there is a renaming: the shuffle is a change of names there
# too. With SA behind the addition there is none: in three blocks, 16, 32 and 64 channels, which are all, meet one kind of
# gate without shuffles, with them only 4, 8 and 16.
# :::
#
# In the last case no *renaming* makes the networks equal. Whether they train to other accuracies, no record of this book says.
#
# ## Does "where" find the object?
#
# A small network with SA, trained on generated shapes as in the chapter, and 2,000 images that it has not seen, with
# their masks. For each channel of the spatial half: the mean gate on the object minus the mean gate beside it. A point
# above zero lets the object through, one below turns it down.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Train, and look at gates and maps"}
trained = train(Recipe.named("smoke", attention="sa"))
images, labels, masks = generate(2000, seed=7)
labels = torch.tensor(labels)
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
sas = attention_modules(model)


def in_halves(sa, maps):
    return maps.unflatten(1, (sa.groups, 2, -1))


with (
    torch.no_grad(),
    plots.captured(
        model, lambda sa, x: (in_halves(sa, sa.gate(x)), in_halves(sa, x))
    ) as seen,
):
    model(inputs)
blocks = {f"block {n}": path for n, path in enumerate(seen, start=1)}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Points for all channels of the spatial half of three blocks, some above and some below zero in each block, closest to zero in the third."}, "code_prompt_show": "Draw the figure"}
inside = torch.tensor(masks).float()[:, None]


def contrast(maps):
    """Mean on the object minus mean beside it, by channel."""
    share = F.adaptive_avg_pool2d(inside, maps.shape[2:])
    on = (maps * share).sum((0, 2, 3)) / share.sum()
    return on - (maps * (1 - share)).sum((0, 2, 3)) / (1 - share).sum()


_, axis = plt.subplots(figsize=(plots.COLUMN, 2.8))
told, both = [], []
for at, path in enumerate(blocks.values()):
    gates, values = (maps[:, :, 1].flatten(1, 2) for maps in seen[path])
    difference = contrast(gates)
    slope = sas[path].spatial_weight * sas[path].norm_weight
    slope = slope.detach().repeat(sas[path].groups)
    told.append((difference * slope * contrast(values) > 0).float())
    places = at + np.linspace(-0.25, 0.25, len(difference))
    axis.plot(places, difference, **plots.look("sa").points(ls=""))
    both.append(bool(difference.min() < 0 < difference.max()))
axis.axhline(0, color="0.5", lw=1)
axis.set(
    xticks=range(3),
    xticklabels=blocks,
    ylabel="gate on object minus beside",
)
finding("both in the second and third block", *both[1:])
finding("in more than 80 %", torch.cat(told).mean() > 0.8)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Some channels let the object through, others turn it down, both in the second and third block. Which of the two can be
# told without a look at the gate, in more than 80 % of the channels: from the sign of $W_2 \gamma$, and from whether the
# channel itself is brighter on the object. The gate finds no object that its channel has not found.
# :::
#
# ## What the network does with it
#
# As in [SE's chapter](se.ipynb): exchange the gates of the trained network, and see what it loses. *One constant a
# channel* is the mean gate over all images and pixels: it knows nothing of the image.


# %%
def lost(exchange):
    """Points of accuracy lost when all gates are exchanged."""

    def scale(sa, args, output):
        gate = in_halves(sa, sa.gate(args[0])).clone()
        exchange(gate)
        return shuffle_channels(args[0] * gate.flatten(1, 3))

    with torch.no_grad():
        own = model(inputs).argmax(1)
        hooks = [sa.register_forward_hook(scale) for sa in sas.values()]
        exchanged = model(inputs).argmax(1)
    for hook in hooks:
        hook.remove()
    right = (own == labels).double() - (exchanged == labels).double()
    return 100 * right.mean().item()


# %%
def constant(half):
    def exchange(gate):
        gate[:, :, half] = gate[:, :, half].mean((0, 3, 4), keepdim=True)

    return exchange


which, where, both = map(lost, map(constant, (0, 1, slice(None))))
finding("less than 4 points", max(which, where, both) < 4)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With one constant a channel in the channel half, in the spatial half, or in both, the network loses less than 4 points
# of accuracy each time. Of what these gates know of an image it makes little use.
# :::
#
# :::{admonition} Try it
# :class: try-it
# What does it lose when every gate is the constant 0.731 it started with? Say first, then run. Then try 0.5.
# :::

# %%
value = 0.731
print(f"lost: {lost(lambda gate: gate.fill_(value)):.1f} points")

# %% [markdown]
# ## All printed costs
#
# Not all of these figures could be read in the paper itself; the column *known* says how each is known.

# %% tags=["nbval-check-output", "hide-output"]
cells = paper.costs()
plots.costs(
    cells, "Costs published for SA, and the same figures recomputed"
)

# %% [markdown]
# The printed operations are one for each value that the channel halves pool:

# %% tags=["nbval-check-output"]
network = create("resnet50", 1000, "sa")
on_paper = create("resnet50", 1000, "sa").to(
    "meta"
)  # shapes without numbers
with plots.captured(on_paper, lambda module, x: x[0].numel()) as values:
    on_paper(torch.empty(1, 3, 224, 224, device="meta"))
printed = paper.table("table-1-differences").iloc[0]["extra_gflops"]
added = profile(network, 224) - profile(create("resnet50", 1000), 224)
work = sorted(
    added.elementwise_by_operator.items(), key=lambda item: -item[1]
)
work = pd.DataFrame(work, columns=["operator", "operations (M)"])
work["operations (M)"] /= 1e6
finding("2.76 million operations", 1e3 * printed)
finding("half of the 5.52 million values", sum(values.values()) / 1e6)
finding("24.88 million", added.elementwise / 1e6, added.macs == 0)
plots.table(work, "Element-wise work that SA adds to ResNet-50", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The abstract's 2.76 million operations are one for each of half of the 5.52 million values in the 16 maps: those of the
# channel halves, for their means. Normalisation, sigmoids, products and the shuffle's copy are not in it; all work is
# 24.88 million. (The rule is our reading. For ResNet-101 it gives less than the figure that is passed on.)
# :::
#
# The total of Table 1 (recalled), 25.557 million, is 300 more parameters rounded, or 708 more cut off.
