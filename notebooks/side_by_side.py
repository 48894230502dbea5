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
# # All modules side by side
#
# :::{admonition} How large is each module, what does it listen to, and how fast is it?
# :class: question
#
# **Size.** At 256 channels the twenty modules have between none (GE) and 1.45 million parameters (Pyramid-OC); seven of
# them have fewer than 2,000.
#
# **What it listens to.** The same input goes through every module. As they are made, six of them answer at a pixel to
# that pixel and channel alone. With their weights moved, NAM alone still does; GE, IEBN and SA hear the whole map of
# their own channel, and thirteen hear all channels.
#
# **Speed.** A gate's time is not arithmetic, but passes over the map. Where one pass does what several did, NAM takes
# 0.27 times as long as the operations of its released code; SE and ECA, which made few passes from the start, cannot
# get faster.
# :::
#
# :::{admonition} What is compared
# :class: tip
#
# Sizes, and what a module listens to, are computed while the page is made. [One
# equation](scale_attention/one_equation.ipynb) derives from the modules' definitions what a gate *can* tell apart; here
# the modules are asked. Times are read from files that `python -m benchmarks.modules` and `python -m benchmarks.local`
# wrote on one machine; nothing is timed here. What whole networks cost with each module is on [the page on
# costs](costs.ipynb).
# :::

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Install attnlib where it is missing"}
# Where attnlib is missing (Colab, a bare kernel), this installs it.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "..[chapters]"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from attnlib import create, finding, info, list_modules, plots
from attnlib.overview import overview
from attnlib.results import measurements

plots.use()

# %% [markdown]
# ## Size
#
# Parameters of one module with its default arguments at two widths $C$, counted from the module itself; the tests compare each
# with the formula of its paper. Where the two marks coincide the size does not depend on the width; one decade apart means that
# it grows with $C^2$ or nearly so, as a bottleneck $C \to C/r \to C$ or a projection $C \to C$ does.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "A row for each of twenty modules with a mark for its parameters at 64 and at 256 channels, on a logarithmic axis. From none for GE over 3 and 5 for ECA to more than a million for Pyramid-OC and ASP-OC."}, "figure": {"caption": "Parameters of one module at two widths.", "name": "side-size"}} tags=["hide-input"]
entries = pd.DataFrame(overview()).set_index("key")
sizes = pd.DataFrame(entries["parameters"].tolist(), index=entries.index)
sizes = sizes.sort_values(256)
_, axis = plt.subplots(figsize=(plots.COLUMN, 5.6))
for width, colour, marker in (
    (64, plots.MAP, "o"),
    (256, plots.GATE, "D"),
):
    look = {"color": colour, "ms": 6, "label": f"C = {width}"}
    axis.plot(sizes[width], range(len(sizes)), marker, **look)
axis.set_xscale("symlog", linthresh=1)
ticks = [0, 10, 1_000, 100_000]
axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
axis.minorticks_off()
axis.set_yticks(range(len(sizes)), sizes.index)
axis.set(ylim=(len(sizes) - 0.4, -0.6), xlabel="parameters")
axis.legend(frameon=False, loc="upper right")
wide = sizes[256]
finding("5 in ECA and 12 in SA", wide["eca"], wide["sa"])
finding(
    "1.45 million in Pyramid-OC",
    wide.max() / 1e6,
    wide.idxmax() == "pyramid_oc",
)
finding("Seven of the twenty", (wide < 2000).sum() == 7, len(wide) == 20)
finding("8,464", wide["se"])
finding(
    "fixed for Triplet (300) and SGE (128)",
    *sizes.loc[["triplet", "sge"], 64],
)
finding(
    "fixed for",
    *(sizes.loc[key].nunique() == 1 for key in ("triplet", "sge")),
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At 256 channels there are none in GE, 5 in ECA and 12 in SA, 8,464 in SE and 1.45 million in Pyramid-OC. Seven of the twenty
# modules have fewer than 2,000. The size is fixed for Triplet (300) and SGE (128), whatever the width.
# :::

# %% mystnb={"code_prompt_show": "Every module: family, parameters, and where its paper puts it"} tags=["nbval-check-output", "hide-cell"]
shown = pd.DataFrame(
    {
        "key": entries.index,
        "name": entries["name"],
        "family": entries["family"],
        "C = 64": sizes[64].reindex(entries.index).astype("Int64"),
        "C = 256": sizes[256].reindex(entries.index).astype("Int64"),
        "place": [
            info(key).rule or "a network of its own"
            for key in entries.index
        ],
    }
)
plots.table(shown, "Every module: the place is the name that attach takes")

# %% [markdown]
# SA has a dash at 64 channels: its default of 64 groups does not fit that width, and a network uses fewer there
# (`attnlib.info("sa").groups_for`). `block-end`, the most frequent place, is behind the last layer of every residual branch,
# before the shortcut is added.
#
# ## The same input through every module
#
# One input goes through all modules: four maps of 48 channels and 15 x 15 pixels, normal numbers. Then one asks at the pixel in the
# middle: to which pixels and channels does the output answer at all? The derivative of the output by the input says so,
# exactly: where it is zero, the module does not listen. Some modules start as a constant, because some of their weights are
# zero; so each is asked twice, as it is made, and with normal numbers of deviation 0.1 added to its weights.


# %%
def asked(key, moved, channels=48, side=15):
    """Length of the output by that of the input, and the derivative."""
    torch.manual_seed(0)
    arguments = info(key).arguments_for(channels)
    module = create(key, channels, **arguments).double().eval()
    for weight in module.parameters():
        weight.data += moved * torch.randn_like(weight)
    x = torch.randn(4, channels, side, side, dtype=torch.float64)
    y = module(x.requires_grad_(True))
    middle = y[:, :8, side // 2, side // 2].sum(0)
    by_channel = [
        torch.autograd.grad(each, x, retain_graph=True)[0]
        for each in middle
    ]
    derivative = torch.stack(by_channel).abs().amax(1)  # of four maps
    return (y.norm() / x.norm()).item(), derivative / derivative.max()


# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Nineteen small maps of 15 by 15 pixels, one for each module: how strongly the output in the middle answers to each pixel. NAM: the middle alone. SE, GE, ECA, SEM, IEBN, SA, SGE: the middle strongly, all others weakly and alike. Triplet: a cross seven pixels wide. SASA: a window of 7 by 7. BAM: nine pixels four apart stand out from a weak background. CBAM: a window of 7 by 7 stands out a little. The self-attentions: all pixels, unevenly."}, "figure": {"caption": "What the output at the pixel in the middle answers to, by pixel, with moved weights: dark is not at all, the brightest is the strongest answer; four decades. Below each name the numbers of pixels and channels.", "name": "side-heard"}} tags=["hide-input"]
def heard(derivative, least=1e-10):
    """How many pixels, and how many channels, an output answers to."""
    answers = derivative > least
    pixels = answers.amax((0, 1)).sum().item()
    return pixels, answers.amax((2, 3)).sum(1).max().item()


keys = [key for key in list_modules() if key != "sasa_stem"]
fresh = {key: asked(key, 0) for key in keys}
moved = {key: asked(key, 0.1) for key in keys}
hears = {key: heard(derivative) for key, (_, derivative) in moved.items()}
order = sorted(keys, key=lambda key: (*hears[key][::-1], key))
figure, axes = plt.subplots(5, 4, figsize=(plots.COLUMN, 7.8))
names = {"residual_attention": "residual att."}
for axis in axes.flat:
    axis.axis("off")
for axis, key in zip(axes.flat, order):
    strength = moved[key][1].amax((0, 1))
    pixels, channels = hears[key]
    axis.imshow(strength.clamp(min=1e-4).log10(), vmin=-4, vmax=0)
    axis.set_title(
        f"{names.get(key, key)}\n{pixels} px, {channels} ch", fontsize=9.5
    )
at_once = {
    key: heard(derivative) for key, (_, derivative) in fresh.items()
}
deaf = {key for key, found in at_once.items() if found == (1, 1)}
finding(
    "IEBN, NAM, Non-local, SA, SAGAN and SGE",
    deaf == {"iebn", "nam", "non_local", "sa", "sagan", "sge"},
)
finding("NAM alone", [k for k in keys if hears[k] == (1, 1)] == ["nam"])
finding(
    "225 pixels of its own channel",
    225,
    hears["ge"] == hears["sa"] == hears["iebn"] == (225, 1),
)
finding("3 channels", hears["eca"][1])
finding("group of 4", hears["sge"][1])
everything = [key for key in keys if hears[key][1] == 48]
finding("Thirteen modules", len(everything) == 13)
finding(
    "161 pixels in Triplet, 49 in SASA",
    hears["triplet"][0],
    hears["sasa"][0],
)
finding("196 in SAGAN", hears["sagan"][0])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# As they are made, IEBN, NAM, Non-local, SA, SAGAN and SGE answer to the pixel itself alone. With moved weights NAM
# alone still does: it is the one module here that brings nothing from elsewhere. GE, IEBN and SA answer to all 225
# pixels of its own channel each, ECA to 3 channels, SGE to its group of 4. Thirteen modules answer to all 48 channels,
# but not all of them to all pixels: 161 pixels in Triplet, 49 in SASA (its window of 7 x 7), 196 in SAGAN, whose
# pooling drops the last row and column of an odd map.
# :::
#
# What the modules do to the length of the input, as they are made, tells how differently they begin: a gate that starts near one half
# halves its branch, whatever it will learn.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "A row for each module, sorted: the length of its output divided by that of its input, as it is made. From 0.03 for dot-product attention and 0.1 for SEM over 0.27 for IEBN, about 0.5 for SE, GE, ECA and NAM, 0.73 for SA and SGE, 1 for Non-local and SAGAN to 1.5 for BAM and Residual Attention."}, "figure": {"caption": "Length of the output over that of the input, as each module is made.", "name": "side-factor"}} tags=["hide-input"]
factors = pd.Series({key: factor for key, (factor, _) in fresh.items()})
factors = factors.sort_values()
_, axis = plt.subplots(figsize=(plots.COLUMN, 5.2))
gates = [info(key).family == "scale" for key in factors.index]
for which, colour, marker, name in (
    (True, plots.GATE, "o", "scale attention"),
    (False, plots.MAP, "D", "self-attention"),
):
    rows = [row for row, gate in enumerate(gates) if gate == which]
    look = {"color": colour, "ms": 6, "label": name}
    axis.plot(factors.iloc[rows], rows, marker, **look)
for value in (0.5, 1):
    axis.axvline(value, color=plots.INK, lw=1, ls="--")
axis.set_yticks(range(len(factors)), factors.index)
axis.set(xlabel="length of the output / of the input", xlim=(0, 1.7))
axis.legend(frameon=False, loc="lower right")
halves = factors[["ge", "eca", "nam"]]
close = halves.max() - halves.min() < 0.01
finding("0.50 of the length", halves.mean(), close)
finding("SE at 0.52", factors["se"])
finding("0.73", factors["sa"], abs(factors["sa"] - factors["sge"]) < 0.001)
finding("IEBN at 0.27 and SEM at 0.09", *factors[["iebn", "sem"]])
added = factors[["non_local", "sagan"]]
finding("exactly 1", bool((added == 1).all()))
longer = factors[["bam", "residual_attention"]]
finding("by half", bool((longer.round(1) == 1.5).all()))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# GE, ECA and NAM begin at 0.50 of the length and SE at 0.52, SA and SGE at 0.73, IEBN at 0.27 and SEM at 0.09. Non-local and
# SAGAN begin at exactly 1: they add nothing yet. BAM and Residual Attention make the map longer by half, since they add the gated
# map to the map. Such factors change how a network learns; [the page on accuracy](accuracy.ipynb) shows by how much.
# :::
#
# ## Time, against the released operations
#
# A gate computes next to nothing; its time goes into reading and writing the map. What can be saved is passes over the
# map. So each module is timed against the operations that its released code strings together, on the same parameters, in
# turn, pair by pair. The ratio of the two repeats from run to run; milliseconds do not.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels, forward, and forward and backward. A row for each of twelve modules with a mark for each of four maps and a bar at their geometric mean: the time of ours over that of the released operations, on a logarithmic axis with a dashed line at one. GE, Triplet and NAM are furthest left, SE, ECA and SEM at one."}, "figure": {"caption": "Time of this package's module over that of the operations of its released code.", "name": "side-released"}} tags=["hide-input"]
speed = measurements("cpu-modules")
rows = pd.DataFrame(speed.rows)


def against(opponent, mode="eager"):
    """The rows against an opponent, fastest first, and their means."""
    wanted = (rows["mode"] == mode) & (rows["against"] == opponent)
    found = rows[wanted]
    means = plots.geometric_means(found).sort_values("forward")
    return found.set_index("module").loc[means.index].reset_index(), means


released, means = against("released")
plots.ratios(released, "time of ours / of the released operations")
finding("0.14 of the time with GE", means.loc["ge", "forward"])
finding(
    "0.26 with Triplet and 0.27 with NAM",
    *means.loc[["triplet", "nam"], "forward"],
)
few = means.loc[["se", "sem", "eca"]]
finding("0.96 to 1.05", few.to_numpy().min(), few.to_numpy().max())
faster = (means < 0.95).all(axis=1)
finding("Nine of the twelve", faster.sum() == 9, len(faster) == 12)
slowest = released[released["module"].isin(["nam", "triplet"])]
slowest = slowest[slowest["pass"] == "forward"].groupby("module")
worst = slowest["ratio"].idxmax()
finding("8 x 8", bool((released.loc[worst, "size"] == "256x8x8").all()))
print(speed.where().replace("; ", "\n"))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Nine of the twelve modules are faster in both passes. Forward, ours takes 0.14 of the time with GE, 0.26 with Triplet and 0.27 with NAM, whose released
# forms go over the map four to twelve times. SE, SEM and ECA make two passes in any form and stay at 0.96 to 1.05. NAM and Triplet gain
# least on maps of 8 x 8: a channel is 64 numbers there, and the start of each small operation costs as much as its arithmetic.
# :::
#
# How fast could they be? Prototypes, written before the modules, gave for seven of them ratios that seemed within
# reach. Were they reached?

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
goals = speed.settings["at most, against the released form"]
passes = ["forward", "forward+backward"]
beside = pd.DataFrame(goals, index=passes).T
reached = means.loc[beside.index, passes] <= beside
shown = pd.DataFrame(
    {
        "module": beside.index,
        "forward": means.loc[beside.index, "forward"],
        "at most": beside["forward"],
        "and backward": means.loc[beside.index, "forward+backward"],
        "at most ": beside["forward+backward"],
        "reached": reached.all(axis=1).map({True: "yes", False: "no"}),
    }
)
finding("Two of seven", reached.all(axis=1).sum() == 2, len(reached) == 7)
worst = (means.loc[beside.index, passes] / beside - 1).max(axis=1)
finding("by 13 %", 100 * worst.max(), worst.idxmax() == "sa")
plots.table(
    shown, "Geometric means, beside what they should not exceed", digits=2
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Two of seven reach both ratios; SA misses its own furthest, by 13 %: guesses from prototypes are optimistic, but not
# by much. A sigmoid of a whole map (NAM, half of it in SA) costs several times what a product in the cache does, in any
# form. BAM and Non-local are bound by their convolutions and matrix products, which both forms share.
# :::
#
# ## Time, above the floor
#
# No gate can do with less than one reading of the map for its statistics and one scaled copy. Here is how far each module is
# above that floor, which is taken as two separate operations.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels as before, on a logarithmic axis: the time of each module over that of one mean and one scaled copy of the map. GE, ECA and SE are lowest, below two in the forward pass; Triplet above ten; Non-local above a hundred."}, "figure": {"caption": "Time of each module over that of one mean and one scaled copy.", "name": "side-floor"}} tags=["hide-input"]
floor, above = against("floor")
plots.ratios(floor, "ours / floor")
near = above.index[above["forward"] < 2]
finding("GE, ECA, SE and SEM", {*near} == {"ge", "eca", "se", "sem"})
finding(
    "1.2 to 1.9 times",
    above.loc[near, "forward"].min(),
    above.loc[near, "forward"].max(),
)
finding(
    "2.8 to 3.5",
    above.loc[near, "forward+backward"].min(),
    above.loc[near, "forward+backward"].max(),
)
finding(
    "13 times with Triplet and 105 times with Non-local",
    *above.loc[["triplet", "non_local"], "forward"],
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# GE, ECA, SE and SEM take 1.2 to 1.9 times the floor forward, and 2.8 to 3.5 with the backward pass. It is 13 times with Triplet
# and 105 times with Non-local, whose matrix products are arithmetic, not traffic. For the rest of the gates the lesson of the
# first figure holds: time is passes over the map.
# :::
#
# ## Time, against public collections
#
# `timm` and `torchvision` have some of these modules; where the form differs from the paper's, the time is that of the
# collection's form with its own defaults.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
peers = pd.concat(
    against(peer)[1].assign(against=peer).reset_index()
    for peer in ("torchvision", "timm")
).reset_index(drop=True)
columns = ["module", "against", "forward", "forward+backward"]
of_timm = against("timm")[1]
same = of_timm.loc[["se", "ge", "eca"]].to_numpy()
finding("1.00 to 1.03", same.min(), same.max())
finding("0.91 forward and 0.52", *of_timm.loc["cbam"])
finding("1.70 and 1.59", *of_timm.loc["non_local"])
plots.table(
    peers[columns],
    "Time of ours over that of a collection's module: geometric means",
    digits=2,
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Against timm, SE, GE and ECA take 1.00 to 1.03 of the time, CBAM 0.91 forward and 0.52 with the backward pass. Non-local takes 1.70 and
# 1.59: timm's works with $C/8$ channels inside where the paper's has $C/2$, which is another module.
# :::
#
# ## What a compiler does to the same operations
#
# `torch.compile` fuses the released operations by itself. Compiled, both sides are what its inductor makes of them; our
# modules then give it their readable form.

# %% mystnb={"code_prompt_show": "The compiled ratios of all modules"} tags=["nbval-check-output", "hide-cell"]
compiled = against("released", "compiled")[1]
plots.table(
    compiled.reset_index(),
    "Compiled: time of ours over that of the released operations",
    digits=2,
)

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
forward = compiled["forward"].drop("ge")
finding("0.90 and 1.07", forward.min(), forward.max())
finding(
    "0.27 to 0.99",
    means.loc["nam", "forward"],
    compiled.loc["nam", "forward"],
)
finding("0.27 with GE", compiled.loc["ge", "forward+backward"])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Compiled, the advantage is gone: forward, eleven of the twelve modules lie between 0.90 and 1.07 of the released
# operations; NAM goes from 0.27 to 0.99. What is left is 0.27 with GE and the backward pass, where the released form pools
# by a convolution. The hand-written forms are for those who do not compile.
# :::
#
# ## Local attention: a form for every size
#
# Stand-alone self-attention is the one module whose obvious form is hopeless: copying the $k \times k$ window of every
# pixel makes keys and values $k^2$ times as large. `attnlib` computes the same function in two other ways: on small maps
# as one dense product of all pixels with all pixels, with everything outside the window left out; on larger ones as a
# loop over the offsets of the window, in which each offset is one shift of the whole map. The tests hold both to the
# loop form to $10^{-12}$.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Above: how many times as fast local attention is as the form that copies windows, for maps of 8, 16, 32 and 56 pixels a side, forward and with the backward pass: from 3.4 to 14. Below: its peak memory as a share of that form's, between 0.11 and 0.22."}, "figure": {"caption": "Local attention (7 x 7 window, 8 heads, 64 channels, batch 8) beside the form that copies windows by F.unfold.", "name": "side-local"}} tags=["hide-input"]
local = measurements("cpu-local")
windows = pd.DataFrame(local.rows)
windows = windows[windows["against"] == "unfold"].assign(
    faster=lambda rows: 1 / rows["ratio"],
    share=lambda rows: rows["peak_bytes"] / rows["peak_bytes_against"],
)
figure, axes = plots.panels(2, sharex=True)
for shift, which, colour in (
    (-0.2, "forward", plots.MAP),
    (0.2, "forward+backward", plots.GATE),
):
    part = windows[windows["pass"] == which]
    places = np.arange(len(part)) + shift
    name = which.replace("+", " and ")
    axes[0].bar(places, part["faster"], 0.38, color=colour, label=name)
    axes[1].bar(places, part["share"], 0.38, color=colour)
axes[0].axhline(1, color=plots.INK, lw=1, ls="--")
axes[0].set(ylabel="times as fast")
axes[1].set(
    ylabel="share of its memory", xlabel="side of the map (pixels)"
)
axes[1].set_xticks(range(len(part)), part["size"])
figure.legend(frameon=False, ncols=2, loc="outside lower center")
fast = windows.pivot(index="pass", columns="size", values="faster")
finding(
    "3.4 to 14.2 times", windows["faster"].min(), windows["faster"].max()
)
finding(
    "11 to 22 %",
    100 * windows["share"].min(),
    100 * windows["share"].max(),
)
print(local.where().replace("; ", "\n"))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Local attention is 3.4 to 14.2 times as fast as the form that copies windows, and takes 11 to 22 % of its memory. At 8 pixels a
# side a step is so short that the start of its many small operations weighs as much as their arithmetic.
# :::
#
# ## What was not measured
#
# Residual attention, OCNet's heads, SAGAN's and multi-head self-attention have no time above: the first two are whole
# stages and heads whose time is that of their convolutions, the last two call the same fused kernel as Non-local. All
# times are of one processor; `python -m benchmarks.modules --device cuda` measures the same on a GPU.

# %% mystnb={"code_prompt_show": "Is there a table from a GPU?"} tags=["nbval-check-output", "hide-cell"]
for name in ("cuda-modules", "cuda-local"):
    try:
        print(name, measurements(name).where())
    except ValueError:
        print(f"{name}: no measurements on file")
