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
# # NAM, deeper
#
# Questions that [the chapter](nam.ipynb) leaves open. What does the norm do to a gradient, and what does the released
# stop-gradient drop? Does a share need its absolute values? How far can the penalty carry a scale, and can one prune by
# scales afterwards? What is the spatial part, and how good are the published numbers? Symbols and definitions are those
# of the chapter.

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
import copy
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules, create
from attnlib.profiling import profile
from attnlib.scale_attention.nam import NAM, sparsity_penalty
from attnlib.training import Recipe, train
from attnlib.training.schedule import learning_rate

plots.use()
paper = attnlib.paper("nam")

# %% [markdown]
# ## What does the norm do to the gradient of the map?
#
# For one channel, $b = \gamma\, \bar z = \gamma\, w\, \bar s$ is what arrives at $\hat x$, and $d = \sqrt{\nu +
# \varepsilon}$. A value $x_k$ reaches $\hat x$ on three ways: itself, through the mean, and through the variance. To
# the mean arrives, from each of the $\hat x_j = (x_j - \mu) / d$,
#
# $$\bar\mu = -\frac1d \sum_j b_j.$$ (nam-back-mean)
#
# (The mean acts on the variance as well, but $\partial \nu / \partial \mu = -\tfrac2K \sum_j (x_j - \mu) = 0$.) The
# variance stands in $1/d$, whose derivative by $\nu$ is $-1 / (2 d^3)$, so that with $x_j - \mu = d\, \hat x_j$
#
# $$\bar\nu = -\frac{1}{2 d^2} \sum_j b_j\, \hat x_j.$$ (nam-back-variance)
#
# Finally $\partial \mu / \partial x_k = 1 / K$ and $\partial \nu / \partial x_k = 2 (x_k - \mu) / K = 2 d\, \hat x_k /
# K$. The three ways together, with $\langle \cdot \rangle$ for the mean over the $K$ values:
#
# :::{div} wide
# $$\frac{b_k}{d} + \frac{\bar\mu}{K} + \bar\nu\, \frac{2 d\, \hat x_k}{K}
# = \frac{1}{d} \bigl( b_k - \langle b \rangle - \hat x_k \langle b \hat x \rangle \bigr).$$ (nam-back-three)
# :::
#
# That is the answer: the norm takes out of a gradient what would only shift its channel, the mean, and what would only
# stretch it, the part along $\hat x$. With the way past the gate, in which $g$ multiplies $\bar y$,
#
# :::{div} wide
# $$\bar x = g \odot \bar y + \frac{1}{d} \bigl( b - \langle b \rangle - \hat x\, \langle b \hat x \rangle \bigr).$$ (nam-gradient)
# :::

# %%
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64, requires_grad=True)
upstream = torch.randn_like(x)  # dL / dy
module = NAM(32).double()
gamma, beta = module.channel_norm.parameters()
nn.init.normal_(gamma)
nn.init.normal_(beta)
loss = (upstream * module(x)).sum()
automatic = torch.autograd.grad(loss, (x, beta))


def wide(values):
    return values[:, None, None]


def mean(values):
    return wide(values.mean((0, 2, 3)))


# %% tags=["nbval-check-output"]
with torch.no_grad():
    d = wide((x.var((0, 2, 3), correction=0) + 1e-5).sqrt())
    normalised = (x - mean(x)) / d
    z = wide(gamma) * normalised + wide(beta)
    w = wide(gamma.abs() / gamma.abs().sum())
    gate = torch.sigmoid(w * z)
    back_s = gate * (1 - gate) * upstream * x
    b = wide(gamma) * w * back_s
    through = (b - mean(b) - normalised * mean(b * normalised)) / d
    by_hand = gate * upstream + through
    back_shift = (w * back_s).sum((0, 2, 3))
check("gradient of the map by hand", by_hand, automatic[0], atol=1e-12)
check("gradient of the shifts", back_shift, automatic[1], atol=1e-12)

# %% [markdown]
# ## What does the stop-gradient drop?
#
# The released code takes the shares as given; the formula of the paper has no such stop. What would come through? With
# $S = \sum_j |\gamma_j|$, and $[j = c]$ one where $j = c$ and else zero, a share has the derivative
#
# :::{div} wide
# $$\frac{\partial w_j}{\partial \gamma_c} = \frac{\operatorname{sign}(\gamma_c)}{S} \bigl( [j = c] - w_j \bigr).$$ (nam-share-slope)
# :::
#
# The logits of channel $j$ are $s_{jk} = w_j z_{jk}$, so that $A_j = \sum_k \bar s_{jk}\, z_{jk}$ arrives at its share.
# Summed over all shares, this adds to the gradient of a scale
#
# $$\frac{\operatorname{sign}(\gamma_c)}{S} \Bigl( A_c - \sum_{j=1}^{C} w_j A_j \Bigr).$$ (nam-let-through)
#
# At the start, where $\gamma = 1$ and $\beta = 0$, the part that is kept is $A_c / C$, and this one $(A_c - \bar A) /
# C$, with $\bar A$ the mean over channels. Together they are $(2 A_c - \bar A) / C$: *to let the gradient through
# doubles what sets a channel apart from the others, and leaves the common part as it was*.


# %% tags=["nbval-check-output"]
def scale_gradient(detached, start=False):
    module = NAM(32, detach_scale=detached).double()
    if not start:
        state = {"weight": gamma, "bias": beta}
        module.channel_norm.load_state_dict(state, strict=False)
    loss = (upstream * module(x.detach())).sum()
    return torch.autograd.grad(loss, module.channel_norm.weight)[0]


with torch.no_grad():
    A, share = (back_s * z).sum((0, 2, 3)), w.flatten()
    kept = share * (back_s * normalised).sum((0, 2, 3))
    dropped = gamma.sign() / gamma.abs().sum() * (A - (share * A).sum())
check("with the stop", kept, scale_gradient(True), atol=1e-12)
check("let through", kept + dropped, scale_gradient(False), atol=1e-12)
A = 32 * scale_gradient(True, start=True)
together = (2 * A - A.mean()) / 32
through = scale_gradient(False, start=True)
check("at the start: (2 A - mean) / C", through, together, atol=1e-12)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# For these random scales the part that the released code drops is more than half as large as the part that it keeps:
# the choice is not a detail. But both carry $1/S$, so that the scales of a wide layer hardly feel either.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
finding(
    "more than half as large", (dropped.norm() > 0.5 * kept.norm()).item()
)

# %% [markdown]
# ## Does a share need its absolute values?
#
# While all scales are positive, it makes no difference. Without them (`signed=True`) and with $\beta = 0$ the logit is
# $\gamma_c^2\, \hat x / \sum_j \gamma_j$: the sign of a scale is squared away, and all gates hang on the sign of the
# sum. With them it is $\gamma_c |\gamma_c|\, \hat x / \sum_j |\gamma_j|$: a channel with a negative scale has its gate
# the other way round.

# %% tags=["nbval-check-output"]
rows = []
for scales in ([1.0, 0.5, 0.5], [1.0, -0.5, 0.5], [1.0, -0.5, -0.49]):
    both = [
        NAM(3, signed=s).scale_weights(torch.tensor(scales))
        for s in (False, True)
    ]
    texts = [", ".join(f"{v:.2f}" for v in values) for values in both]
    rows.append((", ".join(map(str, scales)), *texts))
names = ["scales", "shares as released", "without absolute values"]
plots.table(pd.DataFrame(rows, columns=names), "Shares of three channels")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Yes. Where the scales nearly cancel, shares without absolute values explode: 1, -0.5 and -0.49 have a largest share
# of 100. With absolute values no share is above 1.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
finding(
    "1, -0.5 and -0.49 have a largest share of 100", *scales, both[1].max()
)
finding("no share is above 1", both[0].max() <= 1)

# %% [markdown]
# ## How far can the penalty carry a scale?
#
# The paper adds the sizes of all scales to the loss, with a strength $p$:
#
# :::{div} wide
# $$L = \sum \ell + p \sum_c |\gamma_c| + p \sum_i |\lambda_i|.$$ (nam-penalty)
# :::
#
# The gradient is $p \operatorname{sign}(\gamma_c)$, a constant pull towards zero. With momentum $m$ a constant gradient
# ends as a velocity of $p / (1 - m)$, so that a scale that nothing holds back travels
#
# $$\Delta\gamma \approx -\frac{p}{1 - m} \sum_t \eta_t.$$ (nam-reach)


# %%
def rates(recipe, images):
    """The learning rate of every step."""
    steps = -(-images // recipe.batch_size)
    every = range(recipe.epochs * steps)
    return [learning_rate(recipe, t, steps) for t in every]


def reach(recipe, images, strength):
    """How far the penalty carries a scale that nothing holds back."""
    total = sum(rates(recipe, images))
    return strength / (1 - recipe.momentum) * total


# %% [markdown]
# Two checks: the gradient, and the way of a lonely scale that starts at 10 and feels nothing but the penalty.

# %% tags=["nbval-check-output"]
(pull,) = torch.autograd.grad(sparsity_penalty(module, 0.01), gamma)
check("gradient = p sign", pull, 0.01 * gamma.sign(), atol=1e-15)

smoke = Recipe.named("smoke")
scale = nn.Parameter(torch.full((1,), 10, dtype=torch.float64))
sgd = torch.optim.SGD([scale], momentum=0.9, nesterov=smoke.nesterov)
for rate in rates(smoke, 1800):
    sgd.param_groups[0]["lr"] = rate
    sgd.zero_grad()
    (0.01 * scale.abs().sum()).backward()
    sgd.step()
way = 10 - scale.item()
check("a lonely scale's way", way, reach(smoke, 1800, 0.01), rtol=0.01)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At the strength of 0.0001 that is printed for CIFAR-100, the penalty would carry a scale by 2.9 in the released
# script's 200 epochs, that is from 1 to zero unless the images hold it. In this book's smallest recipe it would carry
# it by 0.017.
#
# The released hook does not do so. It looks for the stages among the children of a network that is wrapped in
# `DataParallel`, and a wrapper has one child: of 15,104 scales in ResNet-50 it reaches 0.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
finding(
    "strength of 0.0001", 1e-4, "1e-4" in paper.hyperparameters["penalty"]
)
released = paper.recipes["nam-resnet50-cifar100"]
finding("by 2.9 in", reach(released, 50_000, 1e-4))
finding("by 0.017", reach(smoke, 1800, 1e-4))
wrapped, bare = paper.verdicts(
    ["sparsity-as-released", "sparsity-on-the-network"]
)
finding(
    "of 15,104 scales in ResNet-50 it reaches 0",
    bare.measured,
    wrapped.measured,
)

# %% [markdown]
# ## Can one prune by NAM's scales?
#
# If a scale says how much a channel matters, then the channels with the smallest ones can go. Train one network with
# NAM and one with the penalty as well, so strong that it can carry a scale by 0.6. Then set a quarter of each block's
# channels to zero behind NAM: those with the smallest or the largest scales, or random quarters. And ask the same of
# the scales of the branch's own last norm, which stands in front of NAM and which every ResNet has.

# %%
plain = train(Recipe.named("smoke", attention="nam"))

# %%
strength = 0.6 / reach(smoke, 1800, 1)
recipe = Recipe.named("smoke", attention="nam", sparsity=strength)
networks = {"NAM": plain, "NAM, penalty": train(recipe)}
images, classes, masks = generate(1000, seed=7)
labels = torch.tensor(classes)


# %%
def accuracy(run, order_of=None):
    """Per cent named, without the first quarter in each block's order."""
    model, hooks = run.model.cpu().eval(), []
    for path, module in attention_modules(model).items():
        kept = torch.ones(module.channels)
        if order_of is not None:
            order = order_of(model, path)
            kept[order[: module.channels // 4]] = 0
        cut = lambda m, args, y, kept=kept: y * wide(kept)
        hooks.append(module.register_forward_hook(cut))
    with torch.no_grad():
        right = model(run.inputs(images)).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


# %% mystnb={"code_prompt_show": "Prune, in every order, and draw the figure", "image": {"alt": "Four rows, NAM and NAM with penalty by the scales of NAM and of the norm in front of it: accuracy without the smallest quarter is right of that without the largest, that of random quarters between or near them, and the whole network furthest right."}, "figure": {"caption": "Accuracy of the live networks without a quarter of each block's channels: those with the smallest scales, the largest, or random ones (mean of five draws); the line is the whole network.", "name": "nam-pruned"}} tags=["hide-input"]
def of_nam(model, path):
    norm = attention_modules(model)[path].channel_norm
    return norm.weight.detach().abs()


def of_branch(model, path):
    return model.get_submodule(path).layer.weight.detach().abs()


def by_chance(model, path):
    return torch.randperm(len(of_nam(model, path)), generator=rng)


rng = torch.Generator().manual_seed(0)
rows = []
for name, run in networks.items():
    at_random = [accuracy(run, by_chance) for _ in range(5)]
    for norm, scale in (("NAM", of_nam), ("norm in front", of_branch)):
        rows.append(
            {
                "network": name,
                "norm": norm,
                "whole": accuracy(run),
                "smallest first": accuracy(
                    run, lambda m, p, s=scale: s(m, p).argsort()
                ),
                "random": sum(at_random) / 5,
                "largest first": accuracy(
                    run, lambda m, p, s=scale: (-s(m, p)).argsort()
                ),
            }
        )
pruned = pd.DataFrame(rows)
gap = pruned["smallest first"] - pruned["largest first"]
finding("more than 5 points", gap[0] > 5)
finding("by more than 5 points as well", gap[1] > 5)
places = pruned["network"] + "\nby " + pruned["norm"]
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
for name, colour, marker in (
    ("smallest first", plots.GATE, "o"),
    ("random", plots.FAINT, "s"),
    ("largest first", plots.MAP, "D"),
):
    style = {"color": colour, "marker": marker, "ls": "", "label": name}
    axis.plot(pruned[name], places, **style)
axis.plot(pruned["whole"], places, "|", color=plots.INK, ms=18, mew=2)
axis.margins(y=0.15)
axis.invert_yaxis()
axis.set_xlabel("accuracy without a quarter of the channels (%)")
axis.figure.legend(frameon=False, ncols=3, loc="outside upper center")
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# One can, and NAM is not needed for it. Without the smallest quarter of NAM's scales the network is better by more than
# 5 points than without the largest, although the scales differ by a few per cent. But the scales of the norm in front,
# which the branch has anyway, tell the channels apart by more than 5 points as well.
# :::
#
# There is a difference to network slimming, from which the idea comes. There a scale of zero switches its channel off;
# in NAM it leaves the channel at half its size, so that to prune by NAM's scales is a wager on the order alone.
#
# Is anything saved? A convolution without its pruned filters does less, if the network around it is told. The narrow
# branch below is held against the old one with channels set to zero behind NAM; for that both the branch's norm and NAM
# have to leave a zero a zero.


# %%
class Narrow(nn.Module):
    """The filters `kept` of a convolution, among channels of zeros."""

    def __init__(self, convolution, kept):
        super().__init__()
        self.convolution = copy.deepcopy(convolution)
        weight = convolution.weight.detach()[kept]
        self.convolution.weight = nn.Parameter(weight)
        self.convolution.out_channels = len(kept)
        source = torch.full((convolution.out_channels,), len(kept))
        source[kept] = torch.arange(len(kept))
        self.register_buffer("source", source)

    def forward(self, x):
        with_zeros = F.pad(self.convolution(x), (0, 0, 0, 0, 0, 1))
        return with_zeros.index_select(1, self.source)


# %% tags=["nbval-check-output"]
network = create("resnet20", 10, "nam").double().eval()
whole, block = profile(network, 32).macs, network.layer2[1]
scales = block.bn2.attention.channel_norm.weight
nn.init.uniform_(scales, 0.1, 1)
branch = torch.randn(2, 32, 8, 8, dtype=torch.float64)
order = scales.argsort(descending=True)
kept, gone = order[:16].sort().values, order[16:]
with torch.no_grad():
    old = block.bn2(block.conv2(branch))
    old[:, gone] = 0
    block.conv2 = Narrow(block.conv2, kept)
    block.bn2.layer.weight[gone] = 0
    block.bn2.layer.bias[gone] = 0
    new = block.bn2(block.conv2(branch))
check("narrow = channels set to zero", new, old)
saved = whole - profile(network, 32).macs
check("multiply-adds saved", saved, 9 * 32 * 16 * 16 * 16)

# %% [markdown]
# ## What is the spatial part?
#
# The paper's figure has a second part, which the chapter leaves out: the same equations with channels and positions
# exchanged. A position $i$ of the map has a scale $\lambda_i$ and a shift $\kappa_i$, and the statistics run over the
# batch and all channels. It works on the output of the channel part, and adds $2HW$ parameters. The released code had
# it for four days and dropped it.


# %% tags=["nbval-check-output"]
def by_positions(y, norm):
    """The channel part on a map whose channels are the positions."""
    exchanged = y.flatten(2).transpose(1, 2)[..., None]  # N, HW, C, 1
    part = NAM(exchanged.shape[1]).double()
    part.channel_norm.load_state_dict(norm.state_dict())
    return part(exchanged)[..., 0].transpose(1, 2).reshape(y.shape)


both = NAM(32, spatial=True, size=(9, 7)).double()
for parameter in both.parameters():
    nn.init.normal_(parameter)
channel = NAM(32).double()
channel.channel_norm.load_state_dict(both.channel_norm.state_dict())
with torch.no_grad():
    ours = by_positions(channel(x), both.spatial_norm)
    theirs = both(x)
    swapped = channel(by_positions(x, both.spatial_norm))
check("spatial = channels of positions", ours, theirs, atol=1e-12)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It is the channel part on a map whose channels are the positions. The order of the two matters: the other way round,
# entries of the output are off by more than 0.001.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
finding("more than 0.001", ((swapped - theirs).abs().max() > 1e-3).item())

# %% [markdown]
# ## How good are the published numbers?
#
# The comparison of modules on CIFAR-100 with ResNet-50, as another project's page repeats it. No copy of the paper that
# could be read has the rows of the spatial part, the FLOPs or the ImageNet table.

# %% mystnb={"code_prompt_show": "Show the table"} tags=["nbval-check-output", "hide-input"]
published = paper.table("cifar100")
known = (
    "The paper is known second-hand, through a Chinese translation and "
    "others' tables; the released code was read."
)
check("how the paper is known", str(paper.known), known)
plots.table(
    published.set_axis(
        ["method", "parameters (M)", "top-1 (%)", "top-5 (%)"], axis=1
    ),
    "CIFAR-100, ResNet-50: second-hand",
    digits=2,
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# NAM and CBAM are level: NAM is first in top-1 accuracy, with 80.62 %, by 0.06 points; in top-5 accuracy CBAM is first,
# by 0.06 points. How many runs stand behind a row is not known, and there is no row for a constant gate. The 23.71
# million parameters beside NAM are those of the network without it; recomputed, it has 23.74 million.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
row = published.set_index("method")
ahead = row.loc["NAM"] - row.loc["CBAM"]
best = row.top1_acc.max()
finding("80.62 %, by 0.06", best, ahead["top1_acc"])
finding("CBAM is first, by 0.06 points", -ahead["top5_acc"])
finding("23.71 million", row.loc["ResNet-50", "params_M"])
total = paper.verdicts("parameters-total")[0].measured
finding("23.74 million", total / 1e6)

# %% [markdown]
# ## More exercises
#
# ````{exercise} One bright pixel
# :label: nam-exercise-pixel
#
# *Medium, 15 minutes.* How large can a normalised value be? Show that among $K$ values none is further than $\sqrt{K -
# 1}$ deviations from the mean. How far from one half may a gate of a fresh NAM be for one image, a map of 7 by 7 and
# $C = 256$? Give the bound to five decimals.
#
# :::{dropdown} Hint
# The other $K - 1$ values sum to $-\hat x_1$. Which values of that sum have the smallest squares?
# :::
# ````

# %%
exercises.answer("nam-exercise-pixel", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-pixel
# :class: dropdown
# ````
#
# The other values have the mean $-\hat x_1 / (K - 1)$, so their squares sum to at least $\hat x_1^2 / (K - 1)$. All
# squares sum to at most $K$. Hence $\hat x_1^2 \, (1 + \frac{1}{K - 1}) \le K$, that is $\hat x_1^2 \le K - 1$. One
# bright pixel on a flat ground gets there, if $\varepsilon$ does not matter; the gate is a little less far, since the
# sigmoid bends.

# %%
pixel = torch.zeros(1, 256, 7, 7, dtype=torch.float64)
pixel[:, :, 3, 3] = 1000  # so bright that epsilon does not matter
bound = math.sqrt(7 * 7 - 1) / (4 * 256)
reached = (
    attnlib.create("nam", 256).double().gate(pixel).max().item() - 0.5
)
check("the bound is reached", reached, bound, rtol=1e-3)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "nam-exercise-pixel", right=bound, wrong=[4 * bound, 7 / 1024]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Tied to a size
# :label: nam-exercise-size
#
# *Easy, 5 minutes.* How many parameters does the spatial part add to ResNet-50 (3, 4, 6 and 3 blocks on maps of 1/4,
# 1/8, 1/16 and 1/32 of the image's side) for images of side 224? What happens when a network built for one size gets
# another?
#
# :::{dropdown} Hint
# A block on a map of side $k$ adds $2 k^2$.
# :::
# ````

# %%
exercises.answer("nam-exercise-size", ...)  # your number for the dots

# %% [markdown]
# ````{solution-start} nam-exercise-size
# :class: dropdown
# ````
#
# The sum grows with the area of the image; the channel part stays at 30,208. A map of another size has no scales, and
# is refused.

# %%
stages = ((3, 4), (4, 8), (6, 16), (3, 32))
added = sum(2 * blocks * (224 // step) ** 2 for blocks, step in stages)
print(f"{added:,} parameters")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "nam-exercise-size", right=added, wrong=[added // 2, 30208]
)

# %% [markdown]
# ````{solution-end}
# ````
