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
# # Residual attention
#
# :::{admonition} Why one plus a mask?
# :class: question
#
# A module of residual attention has a *trunk* that computes, and a *mask* that says, pixel by pixel, how much of the
# trunk's answer counts. The trunk is multiplied by one plus the mask.
#
# **So that the way stays open.** Multiply by the mask alone, and eight untrained modules leave less than 1 % of what
# came in along their shortcuts; with one plus the mask it becomes more than 20 times as large.
#
# **But not because the signal fades.** The norms restore it. What goes wrong with the mask alone is the gradient: at
# the input of an untrained stack it is more than 15 times as long as without masks.
#
# **Wrong labels do no less harm with it here.** In short runs on CIFAR-10 the modules are below no module with clean
# labels, by 2.16 points, and at each of four levels of wrong ones, by 0.39 to 2.63; three seeds do not rank them.
# :::
#
# :::{mechanism}
# :name: residual-attention-mechanism
#
# ![Where residual attention sits in a stage](../../book/figures/residual_attention-block.svg)
# ![One plus a mask and the mask alone, on one channel](../../book/figures/residual_attention-steps.svg)
#
# Where residual attention sits, and what its mask does to one channel of the trunk.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`residual_attention`; read (arXiv 1704.06904, version 1), with the released networks for Caffe.
# There are no released weights. **You need:** [SE](se.ipynb), residual units, batch norm, the chain rule. **Time:**
# half an hour.
#
# Afterwards you can write the module; follow signal and gradient through a stack of modules, and say what a norm does
# to both; and tell three activations of a mask apart by what they cannot say. Symbols are those of the [notation
# page](../../book/notation.md), with $T$ for the trunk and $M$ for its mask.
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
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.results import costs, measurements, records, store
from attnlib.training import chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("residual_attention")

# %% [markdown]
# ## The idea
#
# Most modules of this book are put into a network. Here the network *is* modules, one behind the other. Each has two
# branches. The trunk computes as a ResNet does. The mask branch looks at the same map from further away: it makes it
# smaller by pooling, works on it, makes it large again, and says for every pixel and channel, by a number between 0 and
# 1, how much the trunk's answer counts there.
#
# Now multiply trunk and mask. One module may do well with it. But the next one multiplies again, and so on: where masks
# are one half, six of them leave 1.6 %. The authors' way out has become the best known line of the paper: multiply by
# *one plus* the mask. A mask of zero then leaves the trunk as it is, as a residual unit with a branch of zero leaves
# its input. So far the argument. What does it do to signal and gradient, and is it the only way out?
#
# ## Derivation
#
# **Unit.** Trunk and mask are made of residual units that keep width and size. With $a$ for a batch norm and a ReLU,
#
# $$\begin{aligned} u(x) &= x + W_3\, a(W_2\, h), \\ h &= a(W_1\, a(x)). \end{aligned}$$ (residual-attention-unit)
#
# $W_1$ and $W_3$ are 1 by 1, $W_2$ is 3 by 3, with $C/4$ channels in between. Note that the norm comes *first*: what a
# unit adds does not depend on how large its input is.
#
# **Trunk and mask.** After $p$ units on the input, $t$ units make the trunk $T$. The mask branch pools, applies $r$
# units at each level and $2r$ at the lowest one, goes up again by bilinear interpolation, and ends in two 1 by 1
# convolutions, whose output $z$ becomes
#
# $$M = \sigma(z).$$ (residual-attention-mask)
#
# The paper calls it *mixed* attention. It tries two others. *Channel* attention divides by the length over the channels
# at each pixel $i$, *spatial* attention standardises each channel over its pixels first:
#
# $$M_{ic} = z_{ic} \,/\, \lVert z_i \rVert,$$ (residual-attention-channel)
#
# $$M_{ic} = \sigma\bigl((z_{ic} - \mu_c) / d_c\bigr).$$ (residual-attention-spatial)
#
# By {eq}`residual-attention-channel` the squares of a pixel's mask sum to one, so that their mean is $1/C$. With 256
# channels a mask has the size of a sixteenth, and can be negative: $1 + M$ stays close to one. By
# {eq}`residual-attention-spatial` the logits of a channel have the mean 0 in every image. As in [SGE](sge.ipynb), such
# a mask says where, and cannot turn a channel down in one image and up in another.
#
# **Two ways to learn.** *Naive*, and {term}`attention residual learning`:
#
# $$y = M \odot T,$$ (residual-attention-naive)
#
# $$y = (1 + M) \odot T.$$ (residual-attention-residual)
#
# In both the mask does not depend on the parameters $\phi$ of the trunk. So the gradient of a parameter passes the same
# factor as the signal. For naive learning, with $\bar y$ for $\partial L / \partial y$,
#
# $$\frac{\partial L}{\partial \phi} = \sum_{i, c} \bar y_{ic} M_{ic} \frac{\partial T_{ic}}{\partial \phi}:$$ (residual-attention-filter)
#
# the mask *filters* gradients. Where it is near zero, the trunk does not learn from what is there, for instance from a
# wrong label. That is the paper's argument for noisy data.
#
# **A stack, along the straight way.** Let the branches of all units in the trunk be zero for a moment, so that only
# shortcuts are left. Then $n$ modules multiply the input by $n$ factors, and this product is the *straight way*:
#
# $$\begin{aligned} \prod_{k=1}^{n} M_k &\approx 2^{-n}, \\ \prod_{k=1}^{n} (1 + M_k) &\approx 1.5^{\,n} \end{aligned}$$ (residual-attention-product)
#
# for masks near one half. The first goes to zero. The second never falls below one; but it grows, up to $2^n$. Another
# factor that keeps the straight way open is $2M$: about one at the start, and it can still turn things off.
#
# **A stack, with its norms.** What a unit adds has a size of its own, say $\rho$, whatever comes in. So a module with
# the factor $f$ does roughly
#
# $$\begin{aligned} x_k &= f\, x_{k-1} + r_k, \\ |r_k| &\approx \rho. \end{aligned}$$ (residual-attention-recursion)
#
# With $f = \tfrac12$ the size does not go to zero, but to a constant, near $\rho$: the *signal* does not fade; what
# fades is the part of it that came from the input. Backwards, a norm divides by the size of what it got. If a branch
# adds the size $\rho$ to a map of the size $s$, its derivative is of the order of $\rho / s$. In a stack whose maps
# grow, later units pass less gradient down through their branches; in one whose maps stay as small as $\rho$, every
# branch passes about all of it, beside the shortcut, and the gradients of all ways add up. So naive learning should not
# have too little gradient at the input of a fresh stack, but too much.
#
# **Parameters.** A unit has $17 C^2 / 16 + 3C$. One with $l$ poolings has
#
# $$\begin{aligned} n_u = {} & 2p + t + (l + 1)\, r \\ & {} + (l - 1)(r + 1) \end{aligned}$$ (residual-attention-count)
#
# units, and $2C^2 + 4C$ for the last two convolutions of the mask with their norms.
#
# ## The module from scratch
#
# With one pooling, as on the smallest maps.


# %%
def activated(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()  # a


def conv(inputs, outputs, size=1):
    padding = size // 2
    return nn.Conv2d(inputs, outputs, size, padding=padding, bias=False)


class Unit(nn.Module):
    def __init__(self, C):
        super().__init__()
        first = *activated(C), conv(C, C // 4)
        second = *activated(C // 4), conv(C // 4, C // 4, 3)
        third = *activated(C // 4), conv(C // 4, C)
        self.branch = nn.Sequential(*first, *second, *third)

    def forward(self, x):
        # u(x) = x + W_3 a(W_2 a(W_1 a(x)))
        return x + self.branch(x)


# %%
class ResidualAttention(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.before, self.trunk = Unit(C), nn.Sequential(Unit(C), Unit(C))
        self.lowest = nn.Sequential(Unit(C), Unit(C))
        last = *activated(C), conv(C, C), *activated(C), conv(C, C)
        self.last = nn.Sequential(*last)
        self.after = Unit(C)

    def forward(self, x):
        x = self.before(x)
        T = self.trunk(x)
        z = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        z = self.lowest(z)
        z = F.interpolate(
            z, x.shape[2:], mode="bilinear", align_corners=True
        )
        M = torch.sigmoid(self.last(z))
        # y = (1 + M) T
        return self.after((1 + M) * T)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 9 by 7 pixels, with random parameters, in training mode. The way down and up is held
# against loops; the rest of the module has its loops in the tests of `attnlib`.


# %% mystnb={"code_prompt_show": "The loop reference"} tags=["hide-input"]
def down(plane):
    """Largest of 3 x 3, every second pixel, the last window cut off."""
    H, W = len(plane), len(plane[0])
    return [
        [
            max(v for row in plane[i : i + 3] for v in row[j : j + 3])
            for j in range(0, W - 1, 2)
        ]
        for i in range(0, H - 1, 2)
    ]


def up(plane, H, W):
    """Bilinear; corners stay corners."""
    h, w = len(plane), len(plane[0])

    def at(k, large, small):
        place = k * (small - 1) / (large - 1)
        low = min(int(place), small - 2)
        return low, place - low

    def value(i, j):
        (a, s), (b, t) = at(i, H, h), at(j, W, w)
        above = (1 - t) * plane[a][b] + t * plane[a][b + 1]
        below = (1 - t) * plane[a + 1][b] + t * plane[a + 1][b + 1]
        return (1 - s) * above + s * below

    return [[value(i, j) for j in range(W)] for i in range(H)]


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(4, 16, 9, 7, dtype=torch.float64)
scratch = ResidualAttention(16).double()
library = attnlib.create("residual_attention", 16).double()
states = zip(library.state_dict(), scratch.state_dict().values())
library.load_state_dict(dict(states))
check("from scratch = attnlib", scratch(x), library(x), atol=1e-12)
plane = x[0, 0].tolist()
pooled = library.mask.pool(x)[0, 0]
check("down = loops", pooled, down(plane))
enlarged = F.interpolate(
    pooled[None, None], (9, 7), mode="bilinear", align_corners=True
)
check("up = loops", enlarged[0, 0], up(down(plane), 9, 7), atol=1e-12)

# %% [markdown]
# Then what was derived: the filter {eq}`residual-attention-filter`; length and mean of {eq}`residual-attention-channel`
# and {eq}`residual-attention-spatial`; and the count {eq}`residual-attention-count`.

# %% tags=["nbval-check-output"]
naive = attnlib.create("residual_attention", 16, learning="naive").double()
upstream = torch.randn_like(x)
T, M = naive.branches(x)
phi = list(naive.trunk.parameters())
through = torch.autograd.grad(
    (M * T * upstream).sum(), phi, retain_graph=True
)
filtered = torch.autograd.grad(T, phi, M.detach() * upstream)
for_both = (
    torch.cat([g.flatten() for g in part]) for part in (through, filtered)
)
check("the mask filters", *for_both, atol=1e-9)

# %% tags=["nbval-check-output"]
channel = attnlib.create("residual_attention", 16, activation="channel")
_, M = channel.double().branches(x)
ones = torch.ones(4, 9, 7).double()
check("channel: mean square", M.square().mean(1), ones / 16, atol=1e-12)
spatial = attnlib.create("residual_attention", 16, activation="spatial")
_, M = spatial.double().branches(x)
mean = torch.logit(M).mean((2, 3))
zeros = torch.zeros(4, 16).double()
check("spatial: mean logit = 0", mean, zeros, atol=1e-9)

# %% tags=["nbval-check-output"]
for p, t, r, levels in ((1, 2, 1, 1), (1, 2, 1, 3), (2, 4, 3, 2)):
    form = {"p": p, "t": t, "r": r, "levels": levels}
    module = attnlib.create("residual_attention", 64, **form)
    units = 2 * p + t + (levels + 1) * r + (levels - 1) * (r + 1)
    derived = units * (17 * 64**2 // 16 + 3 * 64) + 2 * 64**2 + 4 * 64
    counted = sum(v.numel() for v in module.parameters())
    check(f"parameters, p = {p}, l = {levels}", counted, derived)

# %% [markdown]
# ## What it costs
#
# Residual attention is not added to a network, it is one. Here are the networks of the released files beside ResNet-50,
# for images of 224 by 224. In this book's runs modules stand at the ends of ResNet-20's three stages.

# %% mystnb={"code_prompt_show": "Read what was counted and measured"} tags=["nbval-check-output", "hide-input"]
resnet = (
    costs().query("network == 'resnet50'").set_index("module").loc["none"]
)
rows = [["ResNet-50", resnet.parameters / 1e6, resnet.macs / 1e9]]
for row in paper.table("released").itertuples():
    rows.append([row.network, row.parameters / 1e6, row.gflops])
columns = ["network", "parameters (M)", "MACs (G)"]
networks = pd.DataFrame(rows, columns=columns)
_, small, large, _ = networks.to_numpy()
steps = pd.DataFrame(measurements("cpu-training").rows)
steps = steps.set_index("attention")["ratio"]
longer = 100 * (steps["residual_attention(placement=stage-end)"] - 1)
finding("31.81 million parameters and 6.27", *small[1:])
finding("52.47 million and 10.53", *large[1:])
finding("87.5 % longer", longer)
printed = paper.table("table-2").set_index("network").loc["Attention-92"]
finding("prints 51.3 and 10.4", printed["params_M"], printed["gflops"])
plots.table(networks, "Networks for ImageNet", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Attention-56 has 31.81 million parameters and 6.27 billion multiply-adds, Attention-92 has 52.47 million and 10.53;
# the paper prints 51.3 and 10.4 for the second. With three modules a training step of ResNet-20 takes 87.5 % longer on
# two CPU cores.
# :::
#
# :::{admonition} Try it
# :class: try-it
# How many parameters has a module of 256 channels that pools three times, as in the first stage of Attention-56? Say a
# number; SE has 8,464 at this width. Then run, and change `levels`.
# :::

# %%
levels = 3
module = attnlib.create("residual_attention", 256, levels=levels)
print(f"{sum(v.numel() for v in module.parameters()):,} parameters")

# %% [markdown]
# ## Does it train, does it help?
#
# ### As published
#
# The authors train networks of the same form with both ways to learn, on CIFAR-10 (their Table 3).

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test error against depth, 56 to 164 layers. With one plus the mask it falls from 5.5 to 4.3; with the mask alone it falls a little and then rises to 7.2."}, "figure": {"caption": "Printed test errors on CIFAR-10 by depth: one plus the mask (filled) and the mask alone. From 128 layers on they part.", "name": "residual-attention-learning"}} tags=["hide-input"]
learning = paper.table("table-3")
depths = learning["network"].str.removeprefix("Attention-").astype(int)
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
naive_look = plots.look("residual_attention(naive)")
for column, look, words in (
    ("arl_top1_err", plots.look("residual_attention"), "1 + M"),
    ("nal_top1_err", naive_look, "M"),
):
    axis.plot(depths, learning[column], **look.points(label=words))
axis.set(xlabel="layers of the trunk", ylabel="test error (%)")
axis.set_xticks(depths)
axis.legend(frameon=False, loc="upper left")
worse = learning["nal_top1_err"] - learning["arl_top1_err"]
finding("from 5.52 to 4.31 %", *learning["arl_top1_err"].iloc[[0, 3]])
finding("by 0.37, 0.36, 1.13 and 2.87 points", *worse)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With one plus the mask each three modules more lower the error, from 5.52 to 4.31 %. With the mask alone it is higher
# at every depth, by 0.37, 0.36, 1.13 and 2.87 points: from 128 layers on, the deeper, the worse. How many runs stand
# behind it is not known.
# :::
#
# ### Live, on generated shapes
#
# A small ResNet with a module behind each stage, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on CIFAR-10.

# %%
recipe = chapter_recipe("residual_attention", placement="stage-end")
trained = train(recipe)
if lane() == "full":
    store(trained.record)
else:
    finding("more than 25 %", trained.record.final.accuracy > 0.25)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 25 % of the test images, more than twice chance.
# :::
#
# ### On CIFAR-10, with wrong labels, recorded
#
# Real images, recorded beforehand: ResNet-20 with a module behind each stage, four epochs on 4,500 images of CIFAR-10,
# of whose labels a share was made wrong at random; tested on 10,000 images with right labels. The paper does the same
# with Attention-92 and ResNet-164 (its Table 5), and for much longer.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy against the share of wrong labels, from 0 to 70 per cent. Both networks fall from about 50 to about 20 per cent; the means with residual attention lie below those of no module."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10 by the share of wrong labels: a point for each of three seeds, lines through the means. The two lines fall side by side.", "name": "residual-attention-noise"}} tags=["hide-input"]
LABEL = "residual_attention(placement=stage-end)"
LEVELS = {
    0: "",
    10: "-noise10",
    30: "-noise30",
    50: "-noise50",
    70: "-noise70",
}
found, runs = {}, []
for level, name in LEVELS.items():
    pair = [
        r
        for k in ("none", LABEL)
        for r in records(f"cifar10-slice{name}", k)
    ]
    pair = [r for r in pair if r.seed < 3]
    rows = {r.label: r for r in attnlib.report(pair, baseline="none").rows}
    found[level] = rows[LABEL]
    runs += pair
plots.noise_robustness(runs)
below = {level: -row.difference for level, row in found.items()}
finding("by 2.16 points with clean labels", below[0])
finding("2.63, 0.39, 2.25 and 2.01 points", *list(below.values())[1:])
ends = [row.student for row in found.values()]
finding("holds zero at every level", all(a < 0 < b for a, b in ends))
printed = paper.table("table-5")
gains = printed["resnet164_err"] - printed["attention92_err"]
finding("0.78, 0.82, 1.08 and 1.46 points", *gains)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the mean of three seeds the modules are below no module, by 2.16 points with clean labels and by 2.63, 0.39, 2.25
# and 2.01 points with 10, 30, 50 and 70 in a hundred labels wrong. The interval of the difference holds zero at every
# level: three seeds do not rank the two. But nothing here says that the masks keep wrong labels out. The paper prints
# gains of 0.78, 0.82, 1.08 and 1.46 points, for other networks.
# :::
#
# ## Look inside
#
# ### Signal and gradient through a stack
#
# Fresh modules, one to eight behind each other, on random maps, with four factors on the trunk: one plus the mask, the
# mask alone, twice the mask, and one, which is no mask. *Signal* is the deviation of the map behind the last module.
# *Gradient* is the length of the gradient at the input of the stack, for a random gradient of length one at its end.
# *Straight* is the share of the input that is left where only the shortcuts of the trunk are open.


# %%
factors = {"1 + M": lambda M: 1 + M, "M": lambda M: M}
factors |= {"2 M": lambda M: 2 * M, "1": torch.ones_like}


def stack(factor, depth=8, straight=False):
    """Input and output of fresh modules with this factor."""
    torch.manual_seed(0)
    x = y = torch.randn(16, 16, 8, 8).requires_grad_()
    for _ in range(depth):
        module = attnlib.create("residual_attention", 16, t=1)
        module.network_init_()
        module._factor = factor
        for unit in (*module.before, *module.trunk, *module.after):
            if straight:
                nn.init.zeros_(unit.branch[-1].weight)
        y = module(y)
    return x, y


# %%
def through(name, depth):
    x, y = stack(factors[name], depth)
    upstream = torch.randn(x.shape)
    total = (y * upstream).sum() / upstream.norm()
    (gradient,) = torch.autograd.grad(total, x)
    x, z = stack(factors[name], depth, straight=True)
    straight = (z / x).mean().item()
    return [name, depth, straight, y.std().item(), gradient.norm().item()]


names = ["factor", "modules", "straight", "signal", "gradient"]
rows = [through(name, depth) for name in factors for depth in (1, 2, 4, 8)]
measured = pd.DataFrame(rows, columns=names).set_index(
    ["modules", "factor"]
)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three panels on a logarithmic scale against the number of modules. Straight: the mask alone falls to below 0.01, one plus the mask rises above 20, the others stay near one. Signal: one plus the mask rises above 40, the mask alone stays below 2. Gradient: the mask alone rises above 500, no mask least."}, "figure": {"caption": "What fresh stacks of one to eight modules do, by the factor on the trunk. Under the mask alone the straight way closes, and the gradient grows most.", "name": "residual-attention-stack"}} tags=["hide-input"]
styles = [plots.look("residual_attention"), naive_look]
styles += [plots.look("residual_attention(twice)", 1), plots.look("none")]
_, axes = plots.panels(3, sharex=True, height=1.9)
for axis, what in zip(axes, names[2:]):
    for name, look in zip(factors, styles):
        values = measured[what].xs(name, level="factor")
        axis.semilogy(values, **look.points(label=name))
    axis.set_title(what, loc="left")
axes[1].set_ylim(1, 100)
axes[0].legend(loc="lower left", ncols=2)
axes[-1].set_xlabel("modules")
plt.show()

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
of = measured.loc[8]
plus, alone, twice, no = (of.loc[name] for name in factors)
finding("less than 1 %", alone["straight"] < 0.01)
finding("more than 20", plus["straight"] > 20)
finding("below 2 with the mask alone", alone["signal"] < 2)
finding("to more than 40 with one plus", plus["signal"] > 40)
finding("below 8 without a mask", no["signal"] < 8)
times = of["gradient"] / no["gradient"]
finding("more than 15 times", times["M"] > 15)
relative = of["gradient"] / of["signal"]
finding("more than 300 with the mask alone", relative["M"] > 300)
finding("below 10 with one plus", relative["1 + M"] < 10)
finding("between 0.8 and 1.3", 0.8 < twice["straight"] < 1.3)
finding("stays below 30", twice["signal"] < 30)
finding("and this gradient below 100", relative["2 M"] < 100)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Of eight modules. **Along the straight way** the mask alone leaves less than 1 % of the input; one plus the mask makes
# it more than 20 times as large; with twice the mask a factor between 0.8 and 1.3 is left.
#
# **The signal does not fade.** It is below 2 with the mask alone, below 8 without a mask, and grows to more than 40
# with one plus it.
#
# **The gradient does not fade either.** With the mask alone it is more than 15 times as long as without one. The stack
# is followed by a norm, which divides it by the signal: then it is more than 300 with the mask alone, and below 10 with
# one plus the mask. So what one plus the mask keeps in bounds is not a fading signal, but a gradient that the norms
# blow up. It is not the only way: with twice the mask the signal stays below 30, and this gradient below 100.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Which factor between `M` and `1 + M` keeps the straight way at one? Say a formula, put it in, and run.
# :::

# %%
x, y = stack(lambda M: 1 / 2 + M, straight=True)
print(f"straight {(y / x).mean():.2f}")

# %% [markdown]
# ## What holds
#
# Code judges the claims; these matter most, the unkind first. All others are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """parameters-attention92 flops-test-size mask-margin
    error-cifar100 signal-naive signal-residual gradient-filter
    accuracy-noise"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ
#
# Six of fifteen differences; most of the others are printed numbers that disagree with each other.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
most = "pooling older-file port-additions port-shortcuts port-cifar cifar"
chosen = [d for d in paper.differences if d.id in most.split()]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# ```{quiz} A mask is zero everywhere. What do the two ways to learn make of the trunk?
# - [x] One plus the mask leaves it as it is; the mask alone leaves nothing.
#
#   The factors are one and zero.
# - [ ] Both leave it as it is, by the shortcut of the module.
#
#   The module has no shortcut around its multiplication; only its units have.
# - [ ] One plus the mask doubles it.
#
#   That is what a mask of one does.
# ```
#
# ```{quiz} Why does the signal of a fresh stack not fade under the mask alone?
# - [ ] Masks learn to be near one.
#
#   The stack is fresh: its masks lie near one half.
# - [x] Each unit adds something whose size does not depend on its input, as a norm comes first.
#
#   What fades is the part of the signal that came in at the start.
# - [ ] The shortcuts carry it around the masks.
#
#   The mask multiplies what has come over the shortcuts, too.
# ```
#
# ```{quiz} By what are the gradients of the trunk's parameters multiplied in naive learning?
# - [ ] By the slope of the sigmoid.
#
#   That is on the way into the mask branch, not into the trunk.
# - [ ] By nothing: gradients pass a product unchanged.
#
#   The gradient of a product in one factor is the other factor.
# - [x] By the mask.
#
#   Where the mask is near zero, the trunk does not learn.
# ```
#
# ```{quiz} Channel attention with 256 channels: how far is one plus the mask from one?
# - [ ] By about one half, as with a sigmoid.
#
#   There is no sigmoid in it: a vector of 256 numbers is divided by its length.
# - [x] By about a sixteenth, up or down.
#
#   The squares of a pixel's mask sum to one, so that their mean is 1/256.
# - [ ] By exactly one, since the length is one.
#
#   The length over all channels is one, not each channel.
# ```
#
# ```{quiz} What does the best-known port add to the mask that the released file does not?
# - [ ] A second sigmoid.
#
#   Both end in one sigmoid. An older file of the authors ends in a tanh.
# - [ ] A shortcut around the product.
#
#   One plus the mask is such a shortcut already, in both.
# - [x] The maps of the way down, once more, and at the end the trunk.
#
#   A mask that sees the trunk is no longer a filter that does not depend on the trunk's parameters.
# ```
#
# ## Exercises
#
# ````{exercise} How fast it fades
# :label: residual-attention-exercise-fade
#
# *Easy, 5 minutes.* All masks are one half. Behind how many modules of naive learning is less than a thousandth left on
# the straight way?
#
# :::{dropdown} Hint
# Each module halves what is left.
# :::
# ````

# %%
exercises.answer("residual-attention-exercise-fade", ...)  # your number

# %% [markdown]
# ````{solution-start} residual-attention-exercise-fade
# :class: dropdown
# ````
#
# $2^{-10} = 1/1024$ is less than a thousandth, and $2^{-9} = 1/512$ is not. The paper's Attention-164 has twelve
# modules.

# %%
modules = next(n for n in range(100) if 0.5**n < 0.001)
print(modules)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "residual-attention-exercise-fade", right=modules, wrong=[9, 500]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} The size of a module
# :label: residual-attention-exercise-size
#
# *Easy, 10 minutes.* How many parameters has a module of 64 channels with $p = 1$, $t = 2$, $r = 1$ and one pooling?
#
# :::{dropdown} Hint
# {eq}`residual-attention-count` with $l = 1$; do not forget the last two convolutions.
# :::
# ````

# %%
exercises.answer("residual-attention-exercise-size", ...)  # your number

# %% [markdown]
# ````{solution-start} residual-attention-exercise-size
# :class: dropdown
# ````
#
# There are six units, of 4,544 parameters each: 17 times 64 times 64 over 16, and 192. The end of the mask has 8,448.

# %%
module = attnlib.create("residual_attention", 64)
size = sum(v.numel() for v in module.parameters())
print(f"{size:,} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [27_264, 4_544]
exercises.try_judge(
    "residual-attention-exercise-size", right=size, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Channel attention
# :label: residual-attention-exercise-channel
#
# *Medium, 10 minutes.* Write `mask(z)` by {eq}`residual-attention-channel`, from (N, C, H, W) to (N, C, H, W). A pixel
# whose channels are all zero gets a mask of zero.
#
# :::{dropdown} Hint
# `z.norm(dim=1, keepdim=True)`; what may stand in place of a length of zero?
# :::
# ````

# %%
exercises.answer("residual-attention-exercise-channel", ...)  # a function

# %% [markdown]
# ````{solution-start} residual-attention-exercise-channel
# :class: dropdown
# ````
#
# Zero divided by anything but zero is zero. The paper leaves this case open.


# %%
def mask_of_length_one(z):
    length = z.norm(dim=1, keepdim=True)
    return z / length.where(length > 0, 1)


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [lambda z: z / z.norm(dim=1, keepdim=True), torch.sigmoid]
exercises.try_judge(
    "residual-attention-exercise-channel",
    right=mask_of_length_one,
    wrong=wrong,
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} One half plus the mask
# :label: residual-attention-exercise-half
#
# *Research, 90 minutes.* One plus the mask lets a stack grow. One half plus the mask starts near one and never goes
# below one half. Train stacks of one, four and eight modules on `shapes` with both, with the mask alone and with no
# mask, five seeds each (`attnlib.training.fit`). To begin with: by how much can one plus the mask enlarge the straight
# way at most, through the six modules of Attention-92?
#
# :::{dropdown} Hint
# A mask of mixed attention never exceeds one.
# :::
# ````

# %%
exercises.answer("residual-attention-exercise-half", ...)  # a factor

# %% [markdown]
# ````{solution-start} residual-attention-exercise-half
# :class: dropdown
# ````
#
# The rest is an experiment, and yours: say the number of seeds and the interval, whatever comes out.

# %%
print(2**6)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "residual-attention-exercise-half", right=2**6, wrong=[12, 7]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. A module is a piece of network: a trunk, and an hourglass that makes a mask for every pixel and channel of it.
# 2. One plus the mask keeps the straight way open; the mask alone closes it, by a half with each fresh module.
# 3. With norms in front, the signal survives either way. What differs is the gradient: the mask alone makes it too
#    long.
# 4. Channel attention of length one is close to no mask at all; spatial attention says where, and never how much.
# 5. In short runs here the masks keep wrong labels out no better than no module does. In the paper's long ones they do.
# :::
#
# ## Further reading
#
# * [CBAM](cbam.ipynb) and [SGE](sge.ipynb) say where with far fewer parameters.
