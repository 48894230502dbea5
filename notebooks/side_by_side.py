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
# # All modules side by side
#
# Every module of the field is in `attnlib`, also those whose chapter is still to come. This page puts them next to each
# other: the size of all of them, and the time of those whose released code can be put beside them, module for module.
# The times are read from files that `python -m benchmarks.modules` and `python -m benchmarks.local` wrote on one
# machine; nothing is timed while the book is made.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display

from attnlib import info, plots
from attnlib.overview import overview
from attnlib.results import measurements

plots.use()

# %% [markdown]
# ## Size
#
# Parameters of one module with its default arguments at two widths $C$. The counts are taken from the modules
# themselves; the tests compare each with the formula of its paper. A module that depends on $C$ linearly or not at all
# is called light; those with a bottleneck $C \to C/r \to C$ or with projections $C \to C$ grow with $C^2$. The last
# column is the name of the paper's place as `attach` takes it, such as `block-end`: behind the last layer of every
# residual branch, before the shortcut is added.

# %% tags=["nbval-check-output", "hide-input"]
entries = pd.DataFrame(overview())
for width in (64, 256):
    entries[f"C = {width}"] = (
        entries["parameters"]
        .map(lambda counts, width=width: counts[width])
        .astype("Int64")
    )
entries["place"] = [info(key).rule or "a network of its own" for key in entries["key"]]
plots.table(
    entries[["key", "name", "family", "C = 64", "C = 256", "place"]],
    "Every module: parameters at two widths, and where its paper puts it",
)

# %% [markdown]
# A dash means that the default does not fit the width; `attnlib.info(key).groups_for` says what a network uses there:

# %% tags=["nbval-check-output", "hide-input"]
for reasons, key in zip(entries["reasons"], entries["key"], strict=True):
    for reason in reasons.values():
        print(f"{key}: {reason}")

# %% [markdown]
# ## Time, against the released operations
#
# A module of this kind computes next to nothing; its time goes into reading and writing the map. What can be saved is
# passes over the map. So each module is timed against the operations that its released code strings together, on the
# same parameters, in turn, pair by pair. The ratio of the two repeats from run to run; milliseconds do not.
#
# What to see in the figure: a point left of the dashed line is a map on which ours is faster. The black bar is the
# geometric mean over the four maps. Modules that the released code already computes in two passes (a mean, a product)
# cannot get faster and sit at one.

# %% mystnb={"image": {"alt": "Two panels, forward, and forward with backward. One row for each module with a point for each of four maps and a bar at their geometric mean, on a logarithmic axis of the time of ours over that of the released operations, with a dashed line at one."}} tags=["hide-input"]
speed = measurements("cpu-modules")
rows = pd.DataFrame(speed.rows)
eager = rows[(rows["mode"] == "eager") & (rows["against"] == "released")]
fastest_first = plots.geometric_means(eager)["forward"].sort_values().index
eager = eager.set_index("module").loc[fastest_first].reset_index()
axes = plots.ratios(eager)
axes[0].figure.suptitle("ours / released operations, eager", fontsize="medium")
print(speed.where())

# %% tags=["nbval-check-output", "hide-input"]
means = plots.geometric_means(eager).reset_index()
plots.table(
    means,
    "Time of ours over that of the released operations: geometric means over four maps, eager",
    digits=2,
)

# %% [markdown]
# Before they were measured, each module was given a ratio that it should not exceed, from prototypes. The table says
# which were reached. What bounds the others:
#
# * Ours cannot go below one reading of the map for the statistics and one pass that reads and writes for the product.
#   The released forms of NAM, SA, SGE, CBAM and Triplet make four to twelve such passes.
# * A sigmoid of a whole map (NAM, half of it in SA) costs several times what a product in the cache does, in any form.
# * On maps of 8 x 8 a channel is 64 numbers. A number that belongs to one channel is combined with them in rows of that
#   length, and starting each row then costs as much as its arithmetic; the map of 8 MB stays in the processor's last
#   cache, so that the traffic that is saved was cheap in the first place. Here the ratios are at their worst.
# * BAM and Non-local are bound by their convolutions and matrix products, which both forms share.


# %% tags=["nbval-check-output", "hide-input"]
def beside(goals, means, passes=("forward", "forward+backward")):
    """The means beside the most they should be."""
    rows = []
    for module, at_most in goals.items():
        found = [means.loc[module, which] for which in passes]
        met = all(mean <= most for mean, most in zip(found, at_most, strict=True))
        rows.append(
            [module, found[0], at_most[0], found[1], at_most[1], "yes" if met else "no"]
        )
    columns = [
        "module",
        "forward",
        "at most",
        "forward+backward",
        "at most ",
        "reached",
    ]
    return pd.DataFrame(rows, columns=columns)


against_released = speed.settings["at most, against the released form"]
goals = beside(against_released, means.set_index("module"))
plots.table(
    goals,
    "Geometric means against the released operations, beside what they should not exceed",
    digits=2,
)

# %% tags=["nbval-check-output", "hide-input"]
light = means.set_index("module").loc[
    [key for key in against_released if key != "non_local"]
]
together = np.exp(np.log(light).mean())
print(
    "all of these but Non-local, geometric mean:",
    ", ".join(f"{k} {v:.2f}" for k, v in together.items()),
)

# %% [markdown]
# ## Time, above the floor
#
# No gate can do with less than one reading of the map for its statistics and one scaled copy. Here is how far each
# module is above that floor. Below the floor is possible for a module that needs no statistics or whose passes share
# the cache, since the floor is taken as two separate operations.

# %% mystnb={"image": {"alt": "Two panels as before. One row for each module, the time of ours over that of one mean and one scaled copy of the map, on a logarithmic axis."}} tags=["hide-input"]
floor = rows[(rows["mode"] == "eager") & (rows["against"] == "floor")].set_index(
    "module"
)
order = plots.geometric_means(floor.reset_index())["forward"].sort_values().index
axes = plots.ratios(floor.loc[order].reset_index())
axes[0].figure.suptitle("ours / floor, eager", fontsize="medium")
plt.show()

# %% [markdown]
# ## Time, against public collections
#
# `timm` and `torchvision` have some of these modules; where the form differs from the paper's, the time is that of the
# collection's form with its own defaults. Its Non-local block is another one: it works with $C/8$ channels inside where
# the paper's has $C/2$, which is most of the difference in that row.

# %% tags=["nbval-check-output", "hide-input"]
peers = rows[(rows["mode"] == "eager") & rows["against"].isin(["timm", "torchvision"])]
found = [
    {"module": module, "against": peer, **plots.geometric_means(part).iloc[0].to_dict()}
    for (module, peer), part in peers.groupby(["module", "against"], sort=False)
]
plots.table(
    pd.DataFrame(found),
    "Time of ours over that of a collection's module: geometric means, eager",
    digits=2,
)

# %% [markdown]
# ## What a compiler does to the same operations
#
# `torch.compile` fuses the released operations by itself. Compiled, both sides are what its inductor makes of them: our
# modules then give it their readable form.

# %% tags=["nbval-check-output", "hide-input"]
compiled = rows[(rows["mode"] == "compiled") & (rows["against"] == "released")]
for note in speed.notes:
    print(note)
if not compiled.empty:
    table = plots.geometric_means(compiled).reset_index()
    display(
        plots.table(
            table,
            "Compiled: time of ours over that of the released operations, geometric means",
            digits=2,
        )
    )

# %% [markdown]
# ## Local attention: a form for every size
#
# Stand-alone self-attention is the one module whose obvious form is hopeless: copying the $k \times k$ window of every
# pixel makes keys and values $k^2$ times as large. `attnlib` computes the same function in two other ways: on small maps
# as one dense product of all pixels with all pixels, with everything outside the window left out; on larger ones as a
# loop over the offsets of the window, in which each offset is one shift of the whole map. The tests hold both to the
# loop form to $10^{-12}$. At 8 pixels a side a step is so short that the start of its many small
# operations weighs as much as their arithmetic: with the gradient the gain stays below the eightfold of a prototype.
#
# What to see: how many times as fast as the form that copies windows by `F.unfold` (bars), and the most memory that
# tensors take during a step, as a share of that form's (right).

# %% mystnb={"image": {"alt": "Left: bars of how many times as fast local attention is as the unfolded form, for maps of 8, 16, 32 and 56 pixels a side, forward and forward with backward. Right: its peak memory as a share of the unfolded form's, with a dashed line at a quarter."}} tags=["hide-input"]
local = measurements("cpu-local")
windows = pd.DataFrame(local.rows)
windows = windows[windows["against"] == "unfold"].assign(
    faster=lambda rows: 1 / rows["ratio"],
    share=lambda rows: rows["peak_bytes"] / rows["peak_bytes_against"],
)
fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2))
sns.barplot(windows, x="size", y="faster", hue="pass", ax=left)
left.axhline(1, color="black", lw=1, ls="--")
left.set(xlabel="side of the map", ylabel="times as fast as unfold")
left.legend(frameon=False)
sns.barplot(windows, x="size", y="share", hue="pass", ax=right, legend=False)
right.axhline(0.25, color="black", lw=1, ls="--")
right.set(xlabel="side of the map", ylabel="peak memory / unfold's")
plt.show()
print(local.where())

# %% tags=["nbval-check-output", "hide-input"]
shown = windows.assign(
    megabytes=windows["peak_bytes"] / 1e6,
    megabytes_unfold=windows["peak_bytes_against"] / 1e6,
)
columns = [
    "size",
    "pass",
    "milliseconds",
    "milliseconds_against",
    "faster",
    "megabytes",
    "megabytes_unfold",
]
names = {
    "milliseconds": "ms",
    "milliseconds_against": "ms, unfold",
    "faster": "times as fast",
}
names |= {"megabytes": "MB", "megabytes_unfold": "MB, unfold"}
plots.table(
    shown[columns].rename(columns=names),
    "Local attention, k = 7, 8 heads, 64 channels, batch 8, padded border",
    digits=1,
)

# %% [markdown]
# ## What was not measured
#
# Residual attention, OCNet's heads, SAGAN's and multi-head self-attention have no row above: the first two are whole
# stages and heads whose time is that of their convolutions, the last two call the same fused kernel as Non-local.
# A table from a GPU appears here once there is one on file; `python -m benchmarks.modules --device cuda` makes it.

# %% tags=["nbval-check-output", "hide-input"]
for name in ("cuda-modules", "cuda-local"):
    try:
        print(name, measurements(name).where())
    except ValueError:
        print(f"{name}: no measurements on file")
