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
# :::{admonition} How large is each module, what does it listen to, and how long does it take?
# :class: question
#
# **Size.** At 256 channels the twenty modules have between none (GE) and 1.45 million parameters (Pyramid-OC); seven of
# them have fewer than 2,000.
#
# **What it listens to.** A fresh NAM answers at a pixel to that pixel alone, and so it does with its weights moved, as
# the only one of all. GE, IEBN and SA then hear the whole map of their own channel, and thirteen hear all channels.
#
# **Time.** Size says nothing about it: Triplet's 300 parameters take 7 times as long as SE's 8,464. What takes time is
# each pass over the map.
# :::
#
# :::{admonition} What is compared
# :class: tip
#
# Sizes, and what a module listens to, are computed while the page is made. [One
# equation](scale_attention/one_equation.ipynb) derives what a gate *can* tell apart; here the modules are asked. Times
# are read from a file that `python -m benchmarks.modules` wrote on one machine; nothing is timed here. What whole
# networks cost with each module is on [the page on costs](costs.ipynb).
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
import pandas as pd
import torch

from attnlib import create, finding, info, list_modules, plots
from attnlib.overview import overview
from attnlib.results import measurements

plots.use()

# %% [markdown]
# ## How large is a module?
#
# Each module with its default arguments at two widths $C$. Where the two marks coincide, the size does not depend on
# the width. Where they lie more than a decade apart, it grows with $C^2$, as that of a bottleneck $C \to C/r \to C$ or
# of a projection $C
# \to C$ does. The tests hold each count against the formula of its paper.

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
# At 256 channels there are none in GE, 5 in ECA and 12 in SA, 8,464 in SE and 1.45 million in Pyramid-OC. Seven of the
# twenty modules have fewer than 2,000. The size is fixed for Triplet (300) and SGE (128), whatever the width.
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
# In the folded table SA has a dash at 64 channels: its default of 64 groups does not fit there, and a network uses
# fewer (`attnlib.info("sa").groups_for`). `block-end`, the most frequent place, is behind the last layer of every
# residual branch, before the shortcut is added.
#
# ## What does it listen to?
#
# Send four maps of 48 channels and 15 x 15 pixels, normal numbers, through a module, and look at its output at the
# pixel in the middle. To which pixels and channels of the input does it answer? The derivative of the output by the
# input says so: where it is zero, the module does not listen. Some modules start as a constant, because some of their
# weights are zero. So each is asked twice: as it is made, and with normal numbers of deviation 0.1 added to its
# weights.


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
    "225 pixels of their own channel",
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
# alone still does: in evaluation mode it brings nothing from elsewhere. GE, IEBN and SA each answer to all 225 pixels
# of their own channel, ECA to 3 channels, SGE to its group of 4. Thirteen modules answer to all 48 channels, but not
# all of them to all pixels: 161 pixels in Triplet, 49 in SASA (its window of 7 x 7), 196 in SAGAN, whose pooling drops
# the last row and column of an odd map.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Triplet's 161 pixels are a cross: seven rows and seven columns of 15, less the 49 that are in both. How many will it
# be on a map of 31 x 31? And how many for SASA and SAGAN? Say first, then run.
# :::

# %%
_, derivative = asked("triplet", 0.1, side=31)
pixels, channels = heard(derivative)
print(f"{pixels} of {31 * 31} pixels, {channels} channels")

# %% [markdown]
# ## How does it begin?
#
# A gate that starts near one half halves its branch, before it has learned anything. How far does each module shorten
# the map?

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
# GE, ECA and NAM begin at 0.50 of the length and SE at 0.52, SA and SGE at 0.73, IEBN at 0.27 and SEM at 0.09.
# Non-local and SAGAN begin at exactly 1: they add nothing yet. BAM and Residual Attention make the map longer by half,
# since they add the gated map to the map. Modules that are compared may begin at different lengths; [the page on
# accuracy](accuracy.ipynb) shows what such a constant is worth by itself.
# :::
#
# ## How long does it take?
#
# No gate can do with less than one reading of the map for its statistics, and one scaled copy. Take these two
# operations as the unit, the *floor*: how many times as long does each module take? (A ratio of two things timed in
# turn repeats from run to run, where milliseconds do not.)
#
# When these times were taken, BAM, CBAM, NAM and SGE had forward and backward passes written for them. None was a quarter
# faster in both passes and saved 8 % of a network's training step as well, so they are gone; what is said here of the
# time of these four is true of those passes.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels, forward, and forward and backward, a row for each of twelve modules with a mark for each of four maps and a bar at their geometric mean, on a logarithmic axis: the time of each module over that of one mean and one scaled copy of the map. GE, ECA and SE are lowest, below two in the forward pass; Triplet above ten; Non-local above a hundred."}, "figure": {"caption": "Time of each module over that of one mean and one scaled copy.", "name": "side-floor"}} tags=["hide-input"]
speed = measurements("cpu-modules")
rows = pd.DataFrame(speed.rows)


def against(opponent, mode="eager"):
    """The rows against an opponent, fastest first, and their means."""
    wanted = (rows["mode"] == mode) & (rows["against"] == opponent)
    found = rows[wanted]
    means = plots.geometric_means(found).sort_values("forward")
    return found.set_index("module").loc[means.index].reset_index(), means


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
    "13 times with Triplet and 105 times with Non-local",
    *above.loc[["triplet", "non_local"], "forward"],
)
times = above.loc["triplet", "forward"] / above.loc["se", "forward"]
finding("takes 7.4 times as long as SE", times)
finding("SE with its 8,464", wide["se"])
print(speed.where().replace("; ", "\n"))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# GE, ECA, SE and SEM take 1.2 to 1.9 times the floor forward. It is 13 times with Triplet and 105 times with Non-local,
# whose products of matrices are arithmetic. Triplet, with its 300 parameters, takes 7.4 times as long as SE with its
# 8,464: it pools the map six times, once for each statistic and direction.
# :::
#
# ## What is won by fewer passes?
#
# So a faster module is one that goes over the map less often. The modules of this package pool several statistics in
# one pass and gate in another; released code strings single operations together, each of which reads and writes the
# map. Here both have the same parameters, and compute the same.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels as before, forward, and forward and backward. A row for each of twelve modules with a mark for each of four maps and a bar at their geometric mean: the time of ours over that of the released operations, on a logarithmic axis with a dashed line at one. GE, Triplet and NAM are furthest left, SE, ECA and SEM at one."}, "figure": {"caption": "Time of this package's module over that of the operations of its released code.", "name": "side-released"}} tags=["hide-input"]
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
goals = speed.settings["at most, against the released form"]
goals = pd.DataFrame(goals, index=means.columns).T
missed = (means.loc[goals.index] / goals - 1).max(axis=1)
finding(
    "Two of the seven", {*missed.index[missed <= 0]} == {"cbam", "bam"}
)
finding("by 13 %", 100 * missed.max(), missed.idxmax() == "sa")
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Nine of the twelve modules are faster in both passes. Forward, ours takes 0.14 of the time with GE, 0.26 with Triplet
# and 0.27 with NAM, whose released forms go over the map four to twelve times. SE, SEM and ECA make two passes in any
# form and stay at 0.96 to 1.05. NAM and Triplet gain least on maps of 8 x 8, where the start of each small operation
# costs as much as its arithmetic.
#
# For seven modules goals were set beforehand, from prototypes. Two of the seven reached theirs in both passes, CBAM and
# BAM; SA missed its own furthest, by 13 %. A prototype is optimistic: a sigmoid of a whole map (NAM, and half the map
# in SA) costs several times what a product in the cache does, in any form.
# :::
#
# ## Who else is fast?
#
# **A compiler.** `torch.compile` fuses the released operations by itself. Compiled, both sides are what it makes of
# them.

# %% mystnb={"code_prompt_show": "The compiled ratios of all modules"} tags=["nbval-check-output", "hide-cell"]
compiled = against("released", "compiled")[1]
plots.table(
    compiled.reset_index(),
    "Compiled: time of ours over that of the released operations",
    digits=2,
)

# %% [markdown]
# **Public collections.** `timm` and `torchvision` have some of these modules, and each is timed with its own defaults.

# %% mystnb={"code_prompt_show": "The ratios to timm and torchvision"} tags=["nbval-check-output", "hide-cell"]
peers = pd.concat(
    against(peer)[1].assign(against=peer).reset_index()
    for peer in ("torchvision", "timm")
).reset_index(drop=True)
columns = ["module", "against", "forward", "forward+backward"]
plots.table(
    peers[columns],
    "Time of ours over that of a collection's module: geometric means",
    digits=2,
)

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
forward = compiled["forward"].drop("ge")
finding("0.90 and 1.07", forward.min(), forward.max())
finding(
    "0.27 to 0.99",
    means.loc["nam", "forward"],
    compiled.loc["nam", "forward"],
)
finding("0.27 with GE", compiled.loc["ge", "forward+backward"])
of_timm = against("timm")[1]
same = of_timm.loc[["se", "ge", "eca"]].to_numpy()
finding("1.00 to 1.03", same.min(), same.max())
finding("0.91 forward and 0.52", *of_timm.loc["cbam"])
finding("1.70 and 1.59", *of_timm.loc["non_local"])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Compiled, the advantage is gone: forward, eleven of the twelve modules lie between 0.90 and 1.07 of the released
# operations; NAM goes from 0.27 to 0.99. What is left is 0.27 with GE and the backward pass, where the released form
# pools by a convolution. The hand-written forms are for those who do not compile.
#
# Against timm, SE, GE and ECA take 1.00 to 1.03 of the time, CBAM 0.91 forward and 0.52 with the backward pass.
# Non-local takes 1.70 and 1.59: timm's works with $C/8$ channels inside where the paper's has $C/2$, which is another
# module.
# :::
#
# ## What is not on this page
#
# SASA's obvious form copies a window for every pixel; what a better one saves is derived and measured [on its deeper
# page](self_attention/sasa_deeper.ipynb). Residual attention and OCNet's heads have no time above, since it is that of
# their convolutions. SAGAN's and multi-head self-attention call the same fused kernel as Non-local; [attention over
# positions](self_attention/over_positions.ipynb) measures it. All times are of one processor: `python -m
# benchmarks.modules --device cuda` measures the same on a GPU.

# %% mystnb={"code_prompt_show": "Is there a table from a GPU?"} tags=["nbval-check-output", "hide-cell"]
try:
    print(measurements("cuda-modules").where())
except ValueError:
    print("cuda-modules: no measurements on file")
