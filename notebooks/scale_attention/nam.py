# ---
# jupyter:
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
#   attention_book:
#     kind: chapter
# ---

# %% [markdown]
# # Normalization-based attention (NAM)
#
# :::{admonition} Is a gate that starts at one half more than the constant one half?
# :class: question
#
# **It hardly moves.** NAM gives every value of a map its own gate. In a layer of 256 channels a fresh gate is one half,
# give or take 0.005. After this chapter's training the gates of the last block are still less than 0.005 from one half
# in the mean. What moved the weights behind them is weight decay, not the images.
#
# **The network does not notice when the gates go.** Put one half in the place of all gates of a trained network, and its
# accuracy changes by less than 3 points. With gates of one it loses more than 10: it needs the half, not the attention.
#
# **On CIFAR-10** NAM and the constant cannot be told apart: 53.0 % beside 52.9 %, in short runs that both gain about
# three and a half points over no module.
# :::
#
# :::{mechanism}
# :name: nam-mechanism
#
# ![Where NAM sits in a residual block](../../book/figures/nam-block.svg)
# ![Normalise, weigh, scale, for four channels](../../book/figures/nam-steps.svg)
#
# Where NAM sits in a residual block, and what it does to four channels whose scales are unequal on purpose.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`nam`. The paper is known second-hand, through a Chinese translation and others' tables; the released
# code was read. **You need:** batch norm, the chain rule, the chapter on [SE](se.ipynb). **Time:** half an hour.
#
# Afterwards you can bound a gate before you train it, and say what the scale of a norm measures and what it does not; and
# you know how to try whether a module does more than a constant. Symbols: [notation](../../book/notation.md).
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
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.results import costs, measurements, records, store
from attnlib.scale_attention.nam import NAM
from attnlib.training import Recipe, chapter_recipe, lane, train
from attnlib.training.schedule import learning_rate

plots.use()
paper = attnlib.paper("nam")

# %% [markdown]
# ## The idea
#
# A {term}`batch norm <batch normalization>` learns one scale for each channel. *Network slimming* {cite}`slimming`
# reads these scales as importance: a channel whose scale is near zero is nearly flat, and can be deleted. NAM makes a
# gate of this reading. It puts one more batch norm at the end of a residual branch, divides each of its scales by the
# sum of all, and multiplies the normalised map by this share before a sigmoid. It needs no pooling and no hidden layer,
# and it has no other weights than those of the norm.
#
# So each value of the map gets its own gate: a value above its channel's mean is let through a little more, a value
# below it a little less. How much "a little" is depends on the channel's share. Shares sum to one, and a layer has tens to
# thousands of channels, so that the typical share is small. This chapter asks whether there is anything left to see.
#
# ## Derivation
#
# Let $x$ be the map that the last batch norm of a residual branch puts out, and $x_{ck}$ a value of channel $c$. The index $k$
# counts the $K = NHW$ values, over all images and pixels, that a channel has in a batch.
#
# **Normalise.** To compare a value with its channel, subtract the channel's mean $\mu_c$ over these values and divide by its
# deviation, the root of the variance $\nu_c$:
#
# $$\hat x_{ck} = \frac{x_{ck} - \mu_c}{\sqrt{\nu_c + \varepsilon}}.$$ (nam-hat)
#
# A learned scale and shift for each channel, $2C$ parameters, make the norm of it:
#
# $$z_{ck} = \gamma_c\, \hat x_{ck} + \beta_c.$$ (nam-norm)
#
# **What does the scale measure?** The values $\hat x_c$ have the mean 0 and the deviation 1, apart from $\varepsilon$.
# So the channel $z_c$ has the deviation
#
# :::{div} wide
# $$\operatorname{dev}(z_c) = |\gamma_c| \sqrt{\frac{\nu_c}{\nu_c + \varepsilon}} \approx |\gamma_c|.$$ (nam-deviation)
# :::
#
# The scale is the deviation of the channel *behind* the norm. Of the deviation *in front of* it, it knows nothing: that is
# what the norm divides out. In network slimming the channel behind the norm is the one that goes on, and with a scale of
# zero nothing goes on. In NAM it ends in the gate, and the channel that goes on is $x_c$.
#
# **Share.** A scale is large or small beside the others, so divide by their sum:
#
# $$w_c = \frac{|\gamma_c|}{\sum_{j=1}^{C} |\gamma_j|}.$$ (nam-share)
#
# The paper's formula, as others quote it, has no absolute values. The released code has them, and takes $w$ as a
# constant when it goes backwards; so does this chapter. The [second page](nam_deeper.ipynb) has both other forms.
#
# **Gate.** The sigmoid turns the weighted value into a factor between 0 and 1, and the factor multiplies the map:
#
# $$s_{ck} = w_c\, z_{ck},$$ (nam-logits)
#
# $$g_{ck} = \sigma(s_{ck}),$$ (nam-gate)
#
# $$y_{ck} = g_{ck}\, x_{ck}.$$ (nam-scale)
#
# **How far from one half?** We have $\sigma(0) = \tfrac12$, and the slope of the sigmoid, $g(1 - g)$, is nowhere more than
# $\tfrac14$. By the mean value theorem
#
# :::{div} wide
# $$\bigl| g_{ck} - \tfrac12 \bigr| \le \frac{|s_{ck}|}{4} = \frac{w_c\, |z_{ck}|}{4}.$$ (nam-bound)
# :::
#
# At the start all scales are 1, all shifts 0 and all shares $1/C$, so that the bound is $|\hat x| / (4C)$. A normalised value
# is seldom beyond 5, and a layer of ResNet-50 has 256 channels or more: a fresh NAM multiplies by one half, give or take
# 0.005.
#
# Can training change that? It can make single shares large, but not all of them. Take the mean of {eq}`nam-bound` over the
# channels of one image and pixel, put the largest $|z|$ in the place of each, and add up the shares, which sum to one.
# Whatever the scales are,
#
# :::{div} wide
# $$\frac1C \sum_{c=1}^{C} \bigl| g_{ck} - \tfrac12 \bigr| \le \frac{\max_c |z_{ck}|}{4C}.$$ (nam-mean-bound)
# :::
#
# For the average gate to leave one half, $z$ itself has to grow to the order of $C$.
#
# **Gradient.** Would the loss make it grow? Write $\bar y = \partial L / \partial y$, and a bar over every other
# quantity in the same way. The gate multiplies $x$, and the sigmoid has the slope $g (1 - g)$:
#
# $$\bar s_{ck} = g_{ck}\,(1 - g_{ck})\, \bar y_{ck}\, x_{ck}.$$ (nam-back-logits)
#
# The logit is $w_c (\gamma_c \hat x_{ck} + \beta_c)$, and scale and shift act on all $K$ values of their channel:
#
# $$\bar\gamma_c = w_c \sum_k \bar s_{ck}\, \hat x_{ck},$$ (nam-back-scale)
#
# $$\bar\beta_c = w_c \sum_k \bar s_{ck}.$$ (nam-back-shift)
#
# The share stands in front of both. It keeps the gate near one half, and it keeps the gradient small that could move the gate
# away. The [second page](nam_deeper.ipynb) adds the gradient of the map, step by step through the norm, and checks all three.
#
# **Weight decay.** It adds $\lambda \gamma$ to the gradient of a scale, at full size, whatever the share. With momentum $m$ a steady
# gradient ends as a velocity of $1 / (1 - m)$ times itself. So each step, at its learning rate $\eta_t$, multiplies the scale by
# about $1 - \eta_t \lambda / (1 - m)$, which is nearly the exponential of $-\eta_t \lambda / (1 - m)$. From 1, decay alone takes it to
#
# $$\gamma = \exp\Bigl( -\frac{\lambda}{1 - m} \sum_t \eta_t \Bigr).$$ (nam-decay)
#
# This number can be read off a recipe before anything is trained. Keep it in mind.
#
# ## The module from scratch


# %%
class NormalizationAttention(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)  # gamma, beta

    def forward(self, x):
        # mu_c, nu_c; z = gamma (x - mu) / sqrt(nu + eps) + beta
        z = self.norm(x)
        # w_c = |gamma_c| / sum_j |gamma_j|, no gradient
        size = self.norm.weight.detach().abs()
        w = size / size.sum()
        # g = sigmoid(w z)
        gate = torch.sigmoid(w[:, None, None] * z)
        # y = x g
        return x * gate


# %% [markdown]
# ## It is right
#
# In double precision, with random scales of both signs. A check that fails stops the notebook.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def gated(values, scale, shift, share):
    """All values of one channel, gated."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    result = []
    for value in values:
        z = scale * (value - mean) / math.sqrt(variance + 1e-5) + shift
        result.append(value / (1 + math.exp(-share * z)))
    return result


def loops(channels, scales, shifts, size=abs):
    """Each channel as a list of its values over the batch."""
    total = sum(size(scale) for scale in scales)
    lists = zip(channels, scales, shifts, strict=True)
    return [gated(v, a, b, size(a) / total) for v, a, b in lists]


def by_channel(x):
    return x.transpose(0, 1).flatten(1)


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = NormalizationAttention(32).double()
nn.init.normal_(scratch.norm.weight)
nn.init.normal_(scratch.norm.bias)
library = attnlib.create("nam", 32).double()
library.channel_norm.load_state_dict(scratch.norm.state_dict())

lists = by_channel(x).tolist()
scales, shifts = (p.tolist() for p in scratch.norm.parameters())
looped = loops(lists, scales, shifts)
check("from scratch = loops", by_channel(scratch(x)), looped, atol=1e-12)
check("attnlib = loops", by_channel(library(x)), looped, atol=1e-12)

# %% [markdown]
# The bounds {eq}`nam-bound` and {eq}`nam-mean-bound`, the second on wild scales; and {eq}`nam-deviation`:

# %% tags=["nbval-check-output"]
wild = attnlib.create("nam", 256).double()
norm = wild.channel_norm
with torch.no_grad():
    norm.weight.cauchy_()  # some are a hundred times others
    values = torch.randn(4, 256, 7, 7, dtype=torch.float64)
    z = F.batch_norm(values, None, None, norm.weight, norm.bias, True)
    w = wild.scale_weights(norm.weight)[:, None, None]
    distance = (wild.gate(values) - 0.5).abs()
    excess = (distance - w * z.abs() / 4).max()
    mean_excess = (distance.mean(1) - z.abs().amax(1) / (4 * 256)).max()
check("excess over the bound", excess.relu(), 0.0, atol=1e-15)
check("over the bound of the mean", mean_excess.relu(), 0.0)
deviation = z.std((0, 2, 3), correction=0)
check("deviation = |gamma|", deviation, norm.weight.abs(), rtol=1e-4)
louder = values * torch.linspace(1, 10, 256)[:, None, None]
moved = (wild.gate(louder) - wild.gate(values)).abs().max()
signed = torch.tensor(loops(lists, scales, shifts, size=float))
off = (signed - torch.tensor(looped)).abs().max()
finding("off by more than 0.1", off > 0.1)
finding("same gates, to 0.0001", moved < 1e-4)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A norm forgets how loud its channel is: channels up to ten times louder get the same gates, to 0.0001. And a check can
# fail: without the absolute values the loops are off by more than 0.1.
# :::
#
# ## What it costs
#
# NAM is called light, and it is, if one counts parameters. *One by one* as in [SE's chapter](se.ipynb). The constant is
# a gate of one half, which only scales. Work is that of ResNet-50, the time is that of a training step of ResNet-20 on
# two CPU cores.


# %% tags=["nbval-check-output"]
def added(network):
    table = costs().query("network == @network").set_index("module")
    table = table[["parameters", "macs", "elementwise"]]
    return table.loc[["constant", "se", "nam"]] - table.loc["none"]


big, small = added("resnet50"), added("resnet20")
steps = pd.DataFrame(measurements("cpu-training").rows)
step = 100 * (steps.set_index("attention")["ratio"] - 1)[big.index]
columns = {
    "parameters, ResNet-50": big["parameters"],
    "ResNet-20": small["parameters"],
    "MACs (M)": big["macs"] / 1e6,
    "one by one (M)": big["elementwise"] / 1e6,
    "longer step (%)": step,
}
shown = pd.DataFrame(columns).rename_axis("added by").reset_index()
plots.table(shown, "What a gate adds to a network", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In ResNet-50 NAM has 1.2 % of SE's parameters, and in ResNet-20 28.3 % of them, because SE's grow with the square of
# the width. It adds no multiply-adds, but 1.50 times as much work one by one as SE: it normalises, squashes and
# multiplies whole maps. A training step of ResNet-20 takes 19.8 % longer; with SE 13.8 %, with the constant 2.4 %.
# :::

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Hold the finding against the data"}
share = big.loc["nam"] / big.loc["se"]
finding("1.2 % of SE's", 100 * share["parameters"])
of_small = small.loc["nam"] / small.loc["se"]
finding("28.3 % of them", 100 * of_small["parameters"])
finding("no multiply-adds", big.loc["nam", "macs"] == 0)
finding("1.50 times", share["elementwise"])
finding("19.8 % longer", step["nam"])
finding("SE 13.8 %, with the constant 2.4 %", step["se"], step["constant"])

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# How far from one half may a gate of a fresh NAM be where $|z| = 4$? Predict the width from which on it is less than
# 0.01. Then change `C` and run.
# :::

# %%
C = 64
print(f"C = {C}: at most {4 / (4 * C):.4f} from one half")

# %% [markdown]
# ## Does it train, does it help?
#
# What is published of NAM's accuracy is known second-hand, and has no row for a constant gate; it stands on the
# [second page](nam_deeper.ipynb).
#
# ### Live, on generated shapes
#
# A small ResNet with NAM at the end of its three blocks, three epochs. With `ATTNLIB_LANE=full` it is ResNet-20 on
# CIFAR-10 for thirty.

# %%
trained = train(chapter_recipe("nam", seed=0))
if lane() == "full":
    store(trained.record)
else:
    finding("more than 30 %", trained.record.final.accuracy > 0.3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 30 % of the test images, three times as many as chance: the code trains.
# One short run says nothing of how good NAM is.
# :::
#
# ### On CIFAR-10, recorded
#
# Real images: ResNet-20, 4,500 training images, four epochs. NAM draws no random numbers when it is made: for each seed the
# networks with NAM and the constant have the same initial weights and the same batches. The gate is all that differs.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy of every recorded run as a point. No module lowest; the points of the constant gate of one half and of NAM cover the same range."}, "figure": {"caption": "Recorded runs on a tenth of CIFAR-10: a point for each seed, a bar at the mean. NAM and the constant cover the same range.", "name": "nam-cifar"}}
names = ("none", "constant", "nam")
runs = [run for key in names for run in records("cifar10-slice", key)]
plots.accuracies(runs)
plt.show()
compared = attnlib.report(runs, baseline="constant")
row = {row.label: row for row in compared.rows}
nam, constant, plain = (row[key] for key in ("nam", "constant", "none"))
finding("Over 8 seeds", len(nam.seeds), nam.seeds == constant.seeds)
finding("53.0 % and the constant 52.9 %", nam.mean, constant.mean)
finding("0.05 points", nam.difference)
finding("-0.98 to 1.07, holds zero", *nam.student)
gained = nam.mean - plain.mean, constant.mean - plain.mean
finding("3.63 with NAM, 3.58 with the constant", *gained)
finding("more than nine tenths", gained[1] / gained[0] > 0.9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over 8 seeds NAM has 53.0 % and the constant 52.9 %. The difference is 0.05 points in the mean, and its 95 % interval, -0.98 to
# 1.07, holds zero. Over no module both gain about three and a half points: 3.63 with NAM, 3.58 with the constant. In these
# means the constant, which sees nothing, has more than nine tenths of NAM's gain.
# :::
#
# ## Look inside
#
# ### What moved the scales
#
# Where did training take them? The solid line is the start, the dashed one {eq}`nam-decay`: where weight decay alone
# would have put every scale, had there been no images.


# %%
def by_decay(recipe, images):
    """Where weight decay alone takes a scale of 1."""
    steps = -(-images // recipe.batch_size)
    every = range(recipe.epochs * steps)
    total = sum(learning_rate(recipe, t, steps) for t in every)
    pull = recipe.weight_decay / (1 - recipe.momentum)
    return math.exp(-pull * total)


if lane() == "full":  # what follows is about the small network
    trained = train(Recipe.named("smoke", attention="nam"))
model = trained.model.cpu().eval()
modules = attention_modules(model)
norms = [module.channel_norm for module in modules.values()]
sizes_of = [norm.weight.detach().abs() for norm in norms]
decayed = by_decay(trained.record.recipe, images=1800)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "The sizes of all scales in each of the three blocks, as points. They lie in a narrow heap at the dashed line of weight decay, at 0.92, well away from the start at 1."}, "figure": {"caption": "Every scale of NAM after training; where training started (solid) and where weight decay alone ends (dashed). All scales lie near the dashed line.", "name": "nam-scales"}}
figure, axis = plt.subplots(figsize=(plots.COLUMN, 2.4))
for row, sizes in enumerate(sizes_of):
    heights = row + 0.25 * torch.linspace(-1, 1, len(sizes))
    look = plots.look("nam")
    axis.plot(sizes, heights, look.marker, ms=4, color=look.colour)
axis.axvline(1, color=plots.INK, lw=1)
axis.axvline(decayed, color=plots.INK, lw=1, ls="--")
axis.text(decayed, -0.6, " decay alone")
blocks = ["block 1", "block 2", "block 3"]
axis.set(yticks=range(3), yticklabels=blocks, ylim=(2.5, -1))
axis.set(xlim=(0.85, 1.02), xlabel="size of the scale $|\\gamma|$")
plt.show()
finding("takes a scale to 0.918", decayed)
spread = lambda sizes: (sizes.max() / sizes.min()).item()
branch = [model.get_submodule(path).layer for path in modules]
for sizes, norm in zip(sizes_of, branch, strict=True):
    finding("within 0.02", abs(sizes.mean().item() - decayed) < 0.02)
    finding("less than 1.15 times", spread(sizes) < 1.15)
    finding("more than 1.3 times", spread(norm.weight.abs()) > 1.3)
released = paper.recipes["nam-resnet50-cifar100"]
finding("below a millionth", by_decay(released, 50_000) < 1e-6)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Decay alone takes a scale to 0.918. In each block the mean scale is within 0.02 of that, and the largest is less than 1.15
# times the smallest. In the norm in front of NAM, under the same decay, the largest is more than 1.3 times the smallest:
# there the gradient carries no share. By the released script, decay alone would take a scale below a millionth.
# :::
#
# ### How far the gates moved
#
# A thousand fresh images go through the network before and after training. How far is a gate from one half, in the mean
# over images, channels and positions?

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Measure the gates"}
images, classes, masks = generate(1000, seed=7)
labels = torch.tensor(classes)
inputs = trained.inputs(images)
torch.manual_seed(0)
fresh = create("resnet8", 10, "nam").train()  # statistics of this batch


def gates_of(network):
    with torch.no_grad(), plots.captured(network, NAM.gate) as seen:
        network(inputs)
    return list(seen.values())


gates = {"before training": gates_of(fresh), "after": gates_of(model)}
mean = lambda gate: (gate - 0.5).abs().mean().item()
distance = pd.DataFrame({w: map(mean, g) for w, g in gates.items()})
distance.insert(0, "block", [1, 2, 3])
distance.insert(1, "channels", [gate.shape[1] for gate in gates["after"]])
before, after = distance["before training"], distance["after"]
finding("less than 0.02", after[0] < 0.02)
finding("less than 0.005", after[2] < 0.005)
finding("the distance falls as", 0.7 < 4 * after[2] / after[0] < 1.4)
finding("at most 1.2 times", *(after < 1.2 * before))
plots.table(distance, "Mean distance of a gate from one half", digits=4)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The trained gates are less than 0.02 from one half in the first block, and less than 0.005 in the last: the distance falls as
# $1/C$, as {eq}`nam-mean-bound` has it. Training did not open the gates. In every block they are at most 1.2 times as far
# from one half as before.
# :::
#
# ### What the network does with them
#
# Take the gates of the trained network away, train nothing, and see what it loses. Each value gets one half; or the gate
# that it has on the *average* over the images; or its gate in *another* image; or a gate of one.


# %%
def accuracy(exchange):
    """Images named right, in per cent, with all gates exchanged."""

    def scale(nam, args, output):
        return args[0] * exchange(nam.gate(args[0]))

    hooks = [m.register_forward_hook(scale) for m in modules.values()]
    with torch.no_grad():
        right = model(inputs).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


exchanges = {
    "one half": lambda gate: torch.full_like(gate, 0.5),
    "average": lambda gate: gate.mean(0, keepdim=True),
    "another image's": lambda gate: gate.roll(1, 0),
    "one": torch.ones_like,
}

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Change of accuracy with exchanged gates. One half, the average and another image's gates: close to zero. Gates of one: a loss of more than ten points."}, "figure": {"caption": "What the trained network gains or loses when other gates take the place of its own. Only gates of one cost much.", "name": "nam-exchange"}}
own = accuracy(lambda gate: gate)
change = {k: accuracy(gates) - own for k, gates in exchanges.items()}
figure, axis = plt.subplots(figsize=(plots.COLUMN, 2.2))
look = plots.look("nam")
axis.plot([*change.values()], range(4), look.marker, color=look.colour)
axis.axvline(0, color=plots.FAINT, lw=1)
axis.set(yticks=range(4), yticklabels=change, ylim=(3.5, -0.5))
axis.set_xlabel("change of accuracy (points)")
plt.show()
near = [change[key] for key in ("one half", "average", "another image's")]
finding("less than 3 points", *(abs(each) < 3 for each in near))
finding("more than 10", change["one"] < -10)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With one half, with average gates and with those of another image the accuracy changes by less than 3 points, up or
# down. With gates of one, which leave the branches twice as large as training knew them, it falls by more than 10. The
# network is used to branches of half their size. It does not listen to the gates: in the [SE chapter](se.ipynb) those
# of another image cost more than twice as much.
# :::
#
# :::{admonition} Try it
# :class: try-it
# At which constant gate is this network best? Predict: below one half, at it, above it? Change the number and run.
# :::

# %%
value = 0.4
constant_gate = accuracy(lambda gate: torch.full_like(gate, value))
print(f"own gates {own:.0f} %, gates of {value}: {constant_gate:.0f} %")

# %% [markdown]
# ## What holds
#
# Code judges what is claimed of NAM. Here are the claims that matter most, the unkind ones first; all of them, each with
# the code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """parameters-printed best-top5 accuracy-cifar100 initial-gate-256
    sparsity-as-released detached-scale parameters-against-cbam"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ
#
# The six differences that matter most. Of the other three, one has its claim in [the ledger](../../book/ledger.md), a ReLU
# before the sigmoid that was taken out after a day; the module has four arguments that do nothing, and the CIFAR-100 run
# normalises its images by the statistics of CIFAR-10.

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
most = "spatial detached absolute-values product sparsity parameters"
chosen = [d for d in paper.differences if d.id in most.split()]
plots.differences(SimpleNamespace(differences=chosen))

# %% [markdown]
# ## Quiz
#
# ```{quiz} The scale of a batch norm is 0.1 for one channel and 1 for the others. What follows for the map in front of the norm?
# - [ ] That this channel varies ten times less than the others.
#
#   In front of the norm it may vary as it likes: the norm divides by its deviation before the scale comes in.
# - [x] Nothing. Behind the norm, this channel varies ten times less.
#
#   The scale is the deviation behind the norm. What was in front of it is divided out.
# - [ ] That this channel is not important.
#
#   That depends on what reads the output of the norm. In NAM the channel itself goes on without this scale.
# ```
#
# ```{quiz} A scale of NAM is zero. What comes out of its channel?
# - [ ] Zero: the channel is pruned.
#
#   So it is where the scale multiplies the channel. Here it stands inside the sigmoid.
# - [x] Half of what went in.
#
#   The logit is zero, and the sigmoid of zero is one half, for every value.
# - [ ] What went in, unchanged.
#
#   For that the gate would have to be one, and its logit very large.
# ```
#
# ```{quiz} All scales of a NAM become ten times larger, and the shifts stay zero. What happens?
# - [ ] The shares become ten times larger, and the logits a hundred times.
#
#   A share is a scale divided by the sum of all, and the sum grows with them.
# - [ ] Nothing, because the shares stay the same.
#
#   The normalised value is multiplied by its scale before the share comes in.
# - [x] The shares stay, and the logits become ten times larger.
#
#   So the gates leave one half about ten times as far, until the sigmoid bends.
# ```
#
# ```{quiz} Why do the scales of one block stay so close to each other in training?
# - [ ] Because the loss does not depend on the scales.
#
#   It does. Their gradient is small, but not zero.
# - [x] Because the gradient of a scale carries the factor $w_c$, about $1/C$, and weight decay pulls on all alike.
#
#   What moved the scales most is the pull that all of them share.
# - [ ] Because shares sum to one, so that scales cannot change.
#
#   Shares are computed from the scales; nothing ties the scales themselves.
# ```
#
# ```{quiz} NAM with 53.0 % beside a constant with 52.9 %, and an interval of the difference from -0.98 to 1.07 points. What may be concluded?
# - [ ] NAM is better by 0.05 points.
#
#   The interval holds zero: other seeds may turn the sign.
# - [ ] NAM and the constant are equal.
#
#   A difference of one point is inside the interval as well. No difference was shown; that is not the same as none.
# - [x] In these runs, at least most of NAM's gain over no module comes without any attention.
#
#   The constant, which sees nothing, gains nearly as much.
# ```
#
# ## Exercises
#
# ````{exercise} Shares
# :label: nam-exercise-shares
#
# *Easy, 5 minutes.* The scales of four channels are 3, -1, 0.5 and 0.5. Which shares do they have in the released code? Give
# a list of four per cent.
#
# :::{dropdown} Hint
# {eq}`nam-share` has absolute values, above and below the line.
# :::
# ````

# %%
exercises.answer("nam-exercise-shares", ...)  # your list for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-shares
# :class: dropdown
# ````
#
# The sizes sum to 5. Without absolute values the sum would be 3, and the first channel alone would have the whole of it.

# %%
module = attnlib.create("nam", 4)
scales = torch.tensor([3, -1, 0.5, 0.5])
shares = (100 * module.scale_weights(scales)).round().int().tolist()

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [[60, -20, 10, 10], [75, 25, 12, 12]]
exercises.try_judge("nam-exercise-shares", right=shares, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Out of the half
# :label: nam-exercise-out
#
# *Medium, 10 minutes.* Multiply all scales and shifts of a NAM by $k$. By {eq}`nam-mean-bound`, how large must $k$ at least be for
# the average gate to differ from one half by 0.1, with $C = 256$ and $|z| \le 5$ at $k = 1$? Give two decimals. What does
# weight decay make of such a $k$?
#
# :::{dropdown} Hint
# Shares stay what they are; $z$ is multiplied by $k$.
# :::
# ````

# %%
exercises.answer("nam-exercise-out", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-out
# :class: dropdown
# ````
#
# The bound asks for $5 k / (4 \cdot 256) \ge 0.1$. Scales that start at 1 would have to grow past 20, while decay pulls them
# to zero with a strength that grows with them.

# %%
k = 0.1 * 4 * 256 / 5
print(f"k = {k:.2f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("nam-exercise-out", right=k, wrong=[k / 4, 1 / k])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} When decay wins
# :label: nam-exercise-fold
#
# *Medium, 10 minutes.* Suppose decay has brought all scales of a NAM to zero. Write a function `fold(scale, shift)` that takes
# those of the branch's last norm, in front of NAM, and returns the two with which the network computes the same without NAM.
#
# :::{dropdown} Hint
# Which factor does every value get, whatever NAM's shifts are? The share of a zero scale is zero in `attnlib`.
# :::
# ````

# %%
exercises.answer("nam-exercise-fold", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-fold
# :class: dropdown
# ````
#
# All logits are zero and all gates one half. Half of a norm's output is a norm with half the scale and half the shift: this
# NAM costs a fifth of a training step, and is a rescaled norm.


# %%
def fold(scale, shift):
    return scale / 2, shift / 2


norm, gate = nn.BatchNorm2d(8), attnlib.create("nam", 8)
nn.init.zeros_(gate.channel_norm.weight)
x = torch.randn(2, 8, 5, 5)
folded = fold(norm.weight, norm.bias)
without = F.batch_norm(x, None, None, *folded, training=True)
check("the same without NAM", without, gate(norm(x)), atol=1e-6)


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [lambda a, b: (a / 2, b), lambda a, b: (a * 0, b * 0)]
exercises.try_judge("nam-exercise-fold", right=fold, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A gate that may move
# :label: nam-exercise-move
#
# *Research, 60 minutes.* Let the shares have the mean 1 instead of the sum 1, $w_c = C\,|\gamma_c| / \sum_j |\gamma_j|$, with a
# stop-gradient as before. The gate now starts as $\sigma(\hat x)$. Train it by the recipe `smoke` from five seeds, beside
# NAM and the constant: does a gate that is free to move do better than one that is not? And with one half in the place of
# its gates? To begin with: by which factor do the logits of a fresh module grow in the last block of ResNet-20?
#
# :::{dropdown} Hint
# Derive a class from `attnlib.scale_attention.NAM` and overwrite `scale_weights`. The last block has 64 channels.
# :::
# ````

# %%
exercises.answer("nam-exercise-move", ...)  # the factor, for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-move
# :class: dropdown
# ````
#
# The factor is the number of channels. The rest is an experiment, and yours: pair the runs by their seeds, and say the number of
# seeds and the interval of the difference, whatever comes out.

# %%
last = list(attention_modules(create("resnet20", 10, "nam")).values())[-1]
factor = last.channels
print(f"the logits are {factor} times as large")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge("nam-exercise-move", right=factor, wrong=[16, 256])

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. NAM gates each value by its normalised self, times its channel's share of all scales.
# 2. Shares sum to one. So gates are near one half, the nearer the more channels, and training does not change it.
# 3. The control for such a gate is the constant one half. It gains as much, to within what these runs can tell.
# 4. The scale of a norm is the deviation behind it. It says nothing of the channel in front of it.
# 5. To learn what a module does, exchange what it computes in a trained network, one thing at a time.
# :::
#
# ## Further reading
#
# * [NAM, deeper](nam_deeper.ipynb): what is published, all gradients, signs, the spatial part, the penalty, pruning.
# * Network slimming {cite}`slimming`: scales as importance, where a channel of scale zero has nothing left to say.
# * Batch normalisation {cite}`batch_norm`. [SA](sa.ipynb) gates each channel by itself, too, and shuffles them.
