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
# # SE, deeper
#
# Five questions that [the chapter](se.ipynb) leaves open: does a gate need the whole image, how small may the hidden
# layer be, who decides which channels are let through, where does the network look, and do the printed costs come out?
# The definitions are those of the chapter.

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import exercises, finding, plots, profile
from attnlib.data.shapes import CLASSES, generate
from attnlib.networks import attention_modules
from attnlib.training import Recipe, train

plots.use()
paper = attnlib.paper("se")

# %% [markdown]
# ## Does a gate need the whole image?
#
# The paper also tries the maximum instead of the mean (its Table 11), and no squeeze at all: the two layers as 1 x 1
# convolutions at every pixel (Section 7.1, "NoSqueeze"). All three have the same parameters. What differs is what a
# gate can know, and what it costs; here in one block of 256 channels on a map of 56 by 56 pixels.

# %% tags=["nbval-check-output"]
rows = []
for squeeze in ("avg", "max", "none"):
    block = attnlib.create("se", 256, squeeze=squeeze)
    cost = profile(block, 56, in_channels=256)
    gate = block.gate(torch.zeros(1, 256, 56, 56))
    shape = " x ".join(map(str, gate.shape[1:]))
    rows.append((squeeze, shape, cost.parameters, cost.macs))
names = ["squeeze", "gate", "parameters", "MACs"]
squeezes = pd.DataFrame(rows, columns=names)
plots.table(squeezes, "One SE block, three squeezes")

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "The gate of one channel over three images, for mean, maximum and no squeeze: one shade each for the first two, a picture that follows the image for the third."}, "figure": {"caption": "One gate over three images under three squeezes, with the same weights. Only without a squeeze does the gate follow the picture.", "name": "se-squeezes"}} tags=["hide-input"]
images, classes, masks = generate(1000, seed=7)
labels = torch.tensor(classes)
chosen = [int(np.flatnonzero(classes == k)[0]) for k in (0, 4, 6)]
torch.manual_seed(0)
pictures = torch.tensor(images[chosen]).permute(0, 3, 1, 2) / 255
x = torch.relu(nn.Conv2d(3, 16, 3, padding=1)(pictures)).detach()
blocks = {
    name: attnlib.create("se", 16, reduction=4, squeeze=name)
    for name in ("avg", "max", "none")
}
for block in blocks.values():
    block.load_state_dict(blocks["avg"].state_dict())
maps = [
    b.gate(x).detach()[:, 3].expand(-1, 32, 32) for b in blocks.values()
]
plots.show_maps(
    images[chosen], maps, list(blocks), label="gate of channel 3"
)
with_mean, _, without = squeezes["MACs"]
finding("3,136 times", without / with_mean)
errors = paper.table("table-16").set_index("model")["top1_err"]
finding(
    "0.37 of 1.02 points",
    errors["ResNet-50"] - errors["NoSqueeze"],
    errors["ResNet-50"] - errors["SE"],
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Mostly, yes. Without the squeeze the same parameters take 3,136 times the multiply-adds, once for each pixel, and the
# gate sees that pixel alone. In the paper's Table 16 this keeps 0.37 of 1.02 points of SE's gain (single runs): most of
# the gain comes with the view of the whole image.
# :::
#
# ## How small may the hidden layer be?
#
# The reduction $r$ divides the parameters. What does the printed accuracy pay for it?

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels over the reduction from 2 to 32. Parameters added to ResNet-50 fall from 20 to 1.3 million. The printed top-1 error stays near 22.3 per cent up to 16 and rises to 22.7 at 32; without SE it is 23.3."}, "figure": {"caption": "Parameters added to ResNet-50, and the printed error, by reduction. Up to 16 the error stays where it is, while the parameters fall.", "name": "se-reduction"}} tags=["hide-input"]
widths = {256: 3, 512: 4, 1024: 6, 2048: 3}  # width: blocks in ResNet-50
table = paper.table("table-10").set_index("r")["top1_err"]
without = table[table.index.isna()].item()
with_se = table[table.index.notna()].astype(float)
added = {
    r: sum(2 * n * C * (C // int(r)) for C, n in widths.items())
    for r in with_se.index
}
figure, (upper, lower) = plots.panels(2, sharex=True)
style = plots.look("se").points()
upper.plot(list(added), [p / 1e6 for p in added.values()], **style)
upper.set(yscale="log", ylabel="parameters added (M)")
upper.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
lower.plot(with_se.index, with_se, **style)
lower.axhline(without, color=plots.colour("none"), ls="--")
lower.annotate("no SE", (2, without), (0, -12), textcoords="offset points")
lower.set(
    xscale="log", xlabel="reduction r", ylabel="top-1 error, printed (%)"
)
lower.set_xticks(list(added), [int(r) for r in added])
for axis in (upper, lower):
    axis.minorticks_off()
flat = with_se[with_se.index <= 16]
finding("20.1 to 2.5 million", added[2] / 1e6, added[16] / 1e6)
finding("0.04 points", flat.max() - flat.min())
finding("by 0.44", with_se[32] - with_se[16])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A sixteenth of the width is enough. From $r = 2$ to $r = 16$ the parameters that SE adds fall from 20.1 to 2.5
# million, and the printed error moves by 0.04 points, which for single runs is nothing; from 16 to 32 it rises by 0.44.
# Whoever wants a smaller SE may take 16 without a second thought, and nothing printed speaks for 2.
# :::
#
# ## Who decides which channels are let through, the image or the channel?
#
# If it is the image, then another channel should have the largest gate in another image. Here are the strongest and the
# weakest gates of the first block of the chapter's live network on three images, and the maps behind them, gated.

# %% mystnb={"code_prompt_show": "Train, and draw the figure", "image": {"alt": "Three images; beside each, the gated maps of the two channels with the largest and the two with the smallest gates of the first block."}, "figure": {"caption": "Gated maps of the channels with the largest and the smallest gates.", "name": "se-channels"}} tags=["hide-input"]
trained = train(Recipe.named("smoke", attention="se"))
model = trained.model.cpu().eval()
inputs = trained.inputs(images)
first = next(iter(attention_modules(model)))
with (
    torch.no_grad(),
    plots.captured(
        model, lambda se, x: (x, se.gate(x)[:, :, 0, 0])
    ) as seen,
):
    model(inputs)
x, gate = seen[first]
order = gate[chosen].argsort(1, descending=True)
at = torch.arange(len(chosen))
picks = [order[:, 0], order[:, 1], order[:, -2], order[:, -1]]
maps = [
    x[chosen][at, pick] * gate[chosen][at, pick][:, None, None]
    for pick in picks
]
titles = ["largest", "2nd", "2nd smallest", "smallest"]
plots.show_maps(images[chosen], maps, titles, label="gated map")
largest = gate.argmax(1)
same = (largest == largest.mode().values).double().mean().item()
finding("more than 50 %", same > 0.5)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Mostly the channel. In the first block the channel with the largest gate is one and the same for more than 50 % of the
# images. A gate also does not say whether a channel has anything to show: a map with a large gate can be flat.
# :::
#
# ## Does the network look at the object?
#
# Grad-CAM marks where a network's answer comes from, here in the maps of the last stage.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three images and, below each, Grad-CAM of its class over a grey copy, with the outline of the object in white."}, "figure": {"caption": "Grad-CAM of the live network; the white line is the true outline.", "name": "se-gradcam"}} tags=["hide-input"]
heat = plots.grad_cam(model, model.layer3, inputs, labels)
figure, axes = plt.subplots(2, 3, figsize=(plots.COLUMN, 3.4))
for column, n in enumerate(chosen):
    axes[0, column].imshow(images[n])
    axes[0, column].set_axis_off()
    plots.overlay(images[n], heat[n], axes[1, column], CLASSES[labels[n]])
    axes[1, column].contour(masks[n], levels=[0.5], colors="white")
grown = nn.functional.interpolate(
    heat[:, None], size=(32, 32), mode="bilinear"
)
grown = grown[:, 0] / grown.sum((1, 2, 3)).clamp_min(1e-12)[:, None, None]
objects = torch.tensor(masks)
inside = (grown * objects).sum((1, 2)).mean().item()
finding("more than 33 %", inside > 0.33)
finding("20 % of the pixels", 100 * objects.double().mean().item())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# More than by chance, and far from always. Over 1,000 images more than 33 % of Grad-CAM's heat for the right class lies
# inside the object, which has 20 % of the pixels. SE itself has no say in *where*: its gate is one number for a whole
# channel.
# :::
#
# ## Do the printed costs come out?
#
# "0.26 % more operations" is the number that made SE known as cheap. Printed figures beside the same figures
# recomputed:

# %% tags=["nbval-check-output"]
rows = ["Table 13: none", "Table 13: all", "Table 10: 8"]
printed = paper.costs(rows)
plots.costs(printed, "Costs printed in the SE paper, recomputed")

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
operations = printed[printed["column"] == "gflops"]
low, high = operations["published"]
finding("0.26 % more", 100 * (high / low - 1))
finding("3.87 against 3.86", high, low)
low, high = operations["measured"]
finding("0.065 %", 100 * (high / low - 1))
every = paper.costs(lambda cell: cell.table.startswith("Table"))
judged = every[every["agrees"].notna()]
others = judged[judged["agrees"] == False]  # noqa: E712
finding("Of the 42 costs", len(judged))
finding("23 agree", judged["agrees"].sum())
finding("larger in print", (others["difference"] < 0).mean() > 0.5)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# SE is cheaper than its paper says. The 0.26 % more operations are the ratio of two rounded figures, 3.87 against 3.86.
# Recomputed, SE adds 0.065 %. Of the 42 costs in this paper's tables that can be recomputed, 23 agree to the printed
# digit; most of the others are larger in print.
# :::
#
# ## One more exercise
#
# ````{exercise} The same name, another network
# :label: se-exercise-rounding
#
# *Medium, 10 minutes.* A widely used library rounds the hidden width to a multiple of 8, and never below 8. ResNet-20
# has three blocks each with 16, 32 and 64 channels. How many more parameters does its SE-ResNet-20 have than one with
# hidden widths of $C / 16$, biases included?
#
# :::{dropdown} Hint
# The hidden widths are 1, 2 and 4 by the formula, and 8, 8 and 8 when rounded. Use {eq}`se-parameters` with both.
# :::
# ````

# %%
exercises.answer("se-exercise-rounding", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} se-exercise-rounding
# :class: dropdown
# ````
#
# That is more than twice the parameters of attention, under the same name and the same $r$: when two papers compare
# "SE-ResNet-20", ask for the hidden width.


# %%
def with_hidden(channels, m):
    return 2 * channels * m + channels + m


by_formula = sum(3 * with_hidden(C, C // 16) for C in (16, 32, 64))
rounded = sum(3 * with_hidden(C, 8) for C in (16, 32, 64))
print(f"{by_formula:,} and {rounded:,}: {rounded - by_formula:,} more")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
more = rounded - by_formula
exercises.try_judge(
    "se-exercise-rounding", right=more, wrong=[more // 3, rounded]
)

# %% [markdown]
# ````{solution-end}
# ````
#
