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
# # Attention over positions, measured
#
# :::{admonition} How large a map can attention afford, and what does a cheaper form give up?
# :class: question
#
# **Store the weights, and the map stays small.** One training step of one layer on one image fills 8 GB at 95 positions a side.
# Keys pooled to a quarter end at 135, cells of a sixteenth at 190.
#
# **Do not store them, and time is what ends it.** Dense attention in blocks gives the same numbers. At 64 positions a side, to
# store the weights takes 1,615 MB in place of 10.6, and 13.6 times the time. There the blocks are also faster than *pooled*
# attention, which has a quarter of their multiply-adds.
#
# **What a cheaper form gives up is what it does not meet.** On a task that asks for any position of 16, dense attention finds all
# values, a window of 3 by 3 52.4 %, a grid of four cells 40.0 %, and pooled keys, which see everything in groups, 40.4 %.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **You need:** [what attention is](dot_product.ipynb); the chapters on [Non-local](non_local.ipynb), [SAGAN](sagan.ipynb),
# [OCNet](ocnet.ipynb) and [SASA](sasa.ipynb) have the modules that use these forms, and reading one of them helps. **Time:**
# twenty minutes.
#
# Afterwards you can say for a map and a budget which form of attention fits, what it costs, and what it cannot see. Symbols are
# those of the [notation page](../../book/notation.md).
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

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from attnlib import check, exercises, finding, plots
from attnlib.profiling.memory import LiveBytes
from attnlib.results import measurements
from attnlib.self_attention.local import local_attention

plots.use()
recorded = pd.DataFrame(measurements("over-positions").rows)

# %% [markdown]
# ## One sum, five ways
#
# A map has $P = H W$ positions. Each has a query, a key and a value in each of $M$ heads of width $d = C / M$. With a softmax,
# and but for the root of $d$, by which some do not divide, all modules of this part compute
#
# $$y_p = \sum_{n \in R(p)} A_{pn}\, v_n,$$ (positions-sum)
#
# $$A_{pn} = \frac{e^{q_p \cdot k_n / \sqrt d}}{\sum_{m \in R(p)} e^{q_p \cdot k_m / \sqrt d}},$$ (positions-weights)
#
# and differ in the **reach** $R(p)$, the keys that the query at $p$ meets. Let there be $K$ of them. Both sums, of a product and
# of a weighted value, have $K$ terms for each of $P$ queries and $C$ channels:
#
# $$\text{multiply-adds} = 2\, C\, P\, K,$$ (positions-macs)
#
# $$\text{weights} = M\, P\, K.$$ (positions-stored)
#
# | form | reach of a query | $K$ | who has it |
# | --- | --- | --- | --- |
# | dense | all positions | $P$ | [dot product](dot_product.ipynb), [Non-local](non_local.ipynb), Base-OC |
# | pooled | maxima of 2 × 2 positions | $P / 4$ | [SAGAN](sagan.ipynb)'s code, Non-local with sub-sampling |
# | grid | its cell of $G \times G$ | $P / G^2$ | Pyramid-OC of [OCNet](ocnet.ipynb) |
# | local | the $s \times s$ window around it | $s^2$ | [SASA](sasa.ipynb) |
#
# The first three grow with the square of $P$, however small the share of $P$ that a query meets; the last one grows with $P$.


# %%
def dense(q, k, v):
    """Maps (n, M, d, H, W); every position meets every position."""
    # S_pn = q_p . k_n / sqrt(d)
    S = q.flatten(3).mT @ k.flatten(3) / math.sqrt(q.shape[2])
    # y_p = sum over n of A_pn v_n
    return (v.flatten(3) @ S.softmax(3).mT).view_as(q)


def pooled(q, k, v):
    """Every position meets the maxima of 2 x 2 positions."""
    k, v = (F.max_pool3d(t, (1, 2, 2)) for t in (k, v))
    return dense(q, k, v)


# %%
def grid(q, k, v, G=4):
    """The map is cut into G x G cells, and each is dense in itself."""

    def cut(t):
        t = t.unflatten(4, (G, -1)).unflatten(3, (G, -1))
        return t.movedim((3, 5), (0, 1)).flatten(0, 2)

    y = dense(cut(q), cut(k), cut(v)).unflatten(0, (G, G, len(q)))
    return y.movedim((0, 1), (3, 5)).flatten(5, 6).flatten(3, 4)


def local(q, k, v, s=7):
    """Every position meets the s x s window around it."""
    q = q / math.sqrt(q.shape[2])
    return local_attention(q, k, v, None, None, s, "mask")


# %% [markdown]
# The fifth way is dense, too, and gives the same numbers. It goes through the keys in blocks and keeps of a softmax only what the
# next block needs: the largest logit so far, the sum of exponentials, and the sum of values weighted by them ([derived
# here](dot_product_deeper.ipynb)). So it never **stores** the weights, and its backward pass computes them again. PyTorch has it
# under one name:


# %%
def fused(q, k, v):
    """Dense, in blocks: no weight is stored."""
    flat = (t.flatten(3).mT.contiguous() for t in (q, k, v))
    y = F.scaled_dot_product_attention(*flat)
    return y.mT.reshape(q.shape)


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Four maps of 16 by 16 positions with one query marked. Dense: all 256 positions are dark. Pooled: all, in squares of four. Grid: the 16 positions of one cell, in whose corner the query lies. Local: the 49 positions around the query."}, "figure": {"caption": "Whom one query meets on a map of 16 by 16 positions; the mark is the query.", "name": "positions-reach"}}
side, row, column = 16, 7, 11
y, x = np.mgrid[:side, :side]
reach = {
    "dense": np.ones((side, side)),
    "pooled": 0.55 + 0.45 * ((y // 2 + x // 2) % 2),
    "grid": (y // 4 == row // 4) * (x // 4 == column // 4),
    "local": (abs(y - row) <= 3) * (abs(x - column) <= 3),
}
met = {form: int((mask > 0).sum()) for form, mask in reach.items()}
met["pooled"] //= 4
_, axes = plt.subplots(2, 2, figsize=(plots.COLUMN, 5.6))
for axis, (form, mask) in zip(axes.flat, reach.items()):
    axis.imshow(mask, cmap="Purples", vmin=0, vmax=1.4)
    axis.plot(column, row, "o", color=plots.GATE, ms=8)
    axis.set_title(f"{form}: K = {met[form]}", fontsize=11)
    axis.set_axis_off()
finding("of 256 in all", met["dense"])
finding("64, 16 and 49", *list(met.values())[1:])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The query meets, of 256 in all, 64, 16 and 49 keys in the cheaper forms. It lies in the corner of its cell: the grid lets it
# look three positions to one side, and to its nearest neighbour on the other side not at all.
# :::
#
# ## They are right
#
# Grid and local attention are dense attention with a mask. In double precision, on 8 by 12 positions, with the mask written from
# the coordinates:


# %%
def masked(q, k, v, inside):
    """Dense attention where inside[p, n] holds; nothing elsewhere."""
    S = q.flatten(3).mT @ k.flatten(3) / math.sqrt(q.shape[2])
    A = S.masked_fill(~inside, -math.inf).softmax(3)
    return (v.flatten(3) @ A.mT).view_as(q)


torch.manual_seed(0)
qkv = torch.randn(3, 2, 2, 4, 8, 12, dtype=torch.float64)
at = torch.cartesian_prod(torch.arange(8), torch.arange(12))
apart = (at[:, None] - at).abs()
cell = at // torch.tensor([2, 3])
near = (apart <= 3).all(2)
same = (cell[:, None] == cell).all(2)
everywhere = torch.ones_like(near)

# %% tags=["nbval-check-output"]
check(
    "dense = all inside", dense(*qkv), masked(*qkv, everywhere), atol=1e-12
)
check("fused = dense", fused(*qkv), dense(*qkv), atol=1e-12)
check("local = near", local(*qkv), masked(*qkv, near), atol=1e-12)
check("grid = same cell", grid(*qkv), masked(*qkv, same), atol=1e-12)

# %% [markdown]
# ## What it takes of memory
#
# The weights are $M P K$ numbers, {eq}`positions-stored`. A training step holds more than them at once: the logits become
# weights, and on the way back both have gradients. The cell counts the most bytes of tensors that live at once, beyond the
# inputs, in units of the weights of its form: of 4 bytes each.

# %% tags=["nbval-check-output"]
KEYS = {"dense": 1, "pooled": 4, "grid": 16}  # P / K
forms = {"dense": dense, "pooled": pooled, "grid": grid}
rows = []
for name, form in forms.items():
    row = [name]
    for side in (8, 16, 32):
        tensors = torch.randn(3, 1, 8, 8, side, side).unbind()
        tensors = [t.requires_grad_() for t in tensors]
        with LiveBytes() as memory:
            form(*tensors).sum().backward()
        weights = 8 * side**4 / KEYS[name]
        row.append(memory.peak / (4 * weights))
    rows.append(row)
columns = ["form", "side 8", "side 16", "side 32"]
peaks = pd.DataFrame(rows, columns=columns)
plots.table(peaks, "Peak memory over the size of the weights", digits=2)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Hold the finding against the data"}
at_32 = peaks.set_index("form")["side 32"]
finding("3.03 times the weights", at_32["dense"])
finding("3.14 for pooled, 3.75 for the grid", *at_32[["pooled", "grid"]])
falls = peaks[["side 8", "side 16", "side 32"]].diff(axis=1).iloc[:, 1:]
finding("less the larger the map", bool((falls < 0).all(axis=None)))

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# On 32 by 32 positions the peak is 3.03 times the weights for dense attention, 3.14 for pooled, 3.75 for the grid. What is above
# three are the maps of queries, keys and values and their gradients, which weigh less the larger the map.
# :::
#
# Recorded on larger maps, with 64 channels and 8 heads, one image, forward and backward (`benchmarks/over_positions.py`):

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels against the side of the map, both logarithmic. Upper, seconds: dense steepest, from a thousandth to five seconds at 64; pooled, grid and fused below it; local flattest, lowest from 64 on. Lower, memory: dense, pooled and grid rise steeply to thousands of megabytes, fused and local stay below a hundred."}, "figure": {"caption": "One training step of the attention alone against the side of the map: seconds of one processor core above, peak memory below.", "name": "positions-costs"}}
cost = recorded[recorded["kind"] == "cost"]
cost = cost.set_index(["form", "side"])[["cpu_s", "peak_bytes"]]
looks = {
    "dense": plots.look("dot_product").points(),
    "fused": plots.look("dot_product").points(mfc="none", ls="--"),
    "pooled": plots.look("sagan").points(),
    "grid": plots.look("pyramid_oc").points(),
    "local": plots.look("sasa").points(),
}
_, (time, memory) = plots.panels(2, sharex=True)
for form, style in looks.items():
    of = cost.loc[form]
    time.loglog(of.index, of["cpu_s"], label=form, **style)
    memory.loglog(of.index, of["peak_bytes"] / 1e6, **style)
sides = [8, 16, 32, 64, 128]
memory.set_xticks(sides, sides)
memory.minorticks_off()
time.set(ylabel="seconds")
memory.set(xlabel="side of the map", ylabel="peak memory (MB)")
time.figure.legend(frameon=False, ncols=5, loc="outside lower center")
faster = cost["cpu_s"]["dense"] / cost["cpu_s"]["fused"]
less = cost["peak_bytes"]["dense"] / cost["peak_bytes"]["fused"]
finding("6.9 times as fast on 32", faster[32], 32)
finding("13.6 times on 64", faster[64], 64)
finding("1,615 MB", cost["peak_bytes"]["dense", 64] / 1e6)
finding("10.6 MB", cost["peak_bytes"]["fused", 64] / 1e6)
finding("152 times the memory", less[64])
seconds = cost["cpu_s"]
finding("33 times as long", seconds["dense", 32] / seconds["dense", 16])
finding("2.8 times as long", seconds["pooled", 64] / seconds["fused", 64])
finding("1.7 times", seconds["fused", 64] / seconds["grid", 64])
ahead = seconds["fused", 32] / seconds["pooled", 32]
finding("1.4 times as fast as the blocks", ahead)
ratio = seconds["fused"] / seconds["local"]
finding("from 32 on", ratio.index[ratio > 1].min())
finding("17.3 times", ratio[128])
first = seconds.unstack("form").dropna(subset="local").idxmin(axis=1)
finding("from 64 on", first.index[first == "local"].min())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In blocks, dense attention is 6.9 times as fast on 32 positions a side, 13.6 times on 64, where it holds 10.6 MB and the stored
# form 1,615 MB, 152 times the memory. It has as many multiply-adds; what is left to take the time is to write the weights and to
# read them again. So pooled attention, with a quarter of the multiply-adds and its weights stored, takes 2.8 times as long as all
# of dense attention in blocks, and the grid, with a sixteenth, is only 1.7 times as fast. On 32 positions a side pooled attention
# is still ahead, 1.4 times as fast as the blocks. Local attention is faster than dense
# attention in blocks from 32 on, at 128 positions 17.3 times, and the fastest of all from 64 on. From 16 to 32 positions a side
# the stored form takes 33 times as long, where its multiply-adds are 16 times as many, likely because its weights leave the
# cache. (CPU seconds of one core, while the machine had other work; the median of five steps.)
# :::
#
# ## Where each form ends
#
# One training step of one layer on one image, with 8 GB for it or with ten seconds of a core. The last measured side is carried
# on by the law of its form: time and memory grow with the fourth power of the side where $K$ grows with $P$, with the second
# power where $K$ or what is stored does not. So this is an estimate, and a layer is not yet a network.

# %% tags=["nbval-check-output"]
POWERS = {  # of the side: seconds, bytes
    "dense": (4, 4),
    "pooled": (4, 4),
    "grid": (4, 4),
    "fused": (4, 2),
    "local": (2, 2),
}
rows = []
for form, (of_time, of_memory) in POWERS.items():
    of = cost.loc[form]
    side, last = of.index[-1], of.iloc[-1]
    by_memory = side * (8e9 / last["peak_bytes"]) ** (1 / of_memory)
    by_time = side * (10 / last["cpu_s"]) ** (1 / of_time)
    rows.append((form, int(by_memory), int(by_time)))
columns = ["form", "side in 8 GB", "side in 10 s"]
ends = pd.DataFrame(rows, columns=columns)
plots.table(ends, "The largest map, estimated")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Hold the finding against the data"}
largest = ends.set_index("form")
finding("95 positions a side", largest["side in 8 GB"]["dense"])
finding(
    "pooled at 135, grid at 190",
    *largest["side in 8 GB"][["pooled", "grid"]],
)
finding("ends at 136", largest["side in 10 s"]["fused"])
finding("606", largest["side in 10 s"]["local"])
memory_last = largest["side in 8 GB"] > largest["side in 10 s"]
finding("memory is not the limit", *memory_last[["fused", "local"]])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In 8 GB dense attention that stores its weights ends at 95 positions a side, pooled at 135, grid at 190. In ten seconds of a
# core dense attention in blocks ends at 136, local attention at 606. For the two that store no matrix of all pairs memory is not
# the limit any more.
# :::
#
# :::{admonition} Try it
# :class: try-it
# A segmenter works on crops of 512 pixels and has maps of 64 by 64 at its end; it trains on 8 images at once. What do the weights
# of dense attention with 8 heads take, in GB? Say a number first; then try the window of 7, and 32 by 32 positions.
# :::

# %%
images, heads, P = 8, 8, 64**2
for form, K in {"dense": P, "pooled": P // 4, "grid": P // 16}.items():
    print(f"{form}: {images * heads * P * K * 4 / 1e9:.2f} GB")

# %% [markdown]
# ## What a cheaper form gives up
#
# Whoever is not in the reach cannot be heard. How much that costs depends on the task; here is one that asks for nothing else. In
# "look up" of [Two families](../introduction/two_families.ipynb) every position of a 4 by 4 map holds a key and one of four
# values, and asks for the value of a key that stands anywhere. Let a share $\rho$ of all pairs be in reach. Who finds all that he
# can see, and guesses the rest, is right in
#
# $$\rho + \frac{1 - \rho}{4}$$ (positions-ceiling)
#
# of all cases. Dense attention has $\rho = 1$, cells of 2 by 2 positions have $\rho = 1/4$. A window of 3 by 3 reaches beyond the
# border: along an axis of four the positions see 2, 3, 3 and 2, so that $\rho = (10 / 16)^2$. Pooled keys see all positions, in
# groups of four of which only the maxima are left.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "A row of points for each form. Dense: all at 100 per cent. Local: between 49 and 54, below its line at 54. Pooled: near 40, without a line. Grid: near 40, below its line at 44. A dashed line at 25 per cent marks a guess."}, "figure": {"caption": "Values found by a network around each form: a point for each of five seeds; the line is the most that its reach allows.", "name": "positions-lookup"}}
tried = recorded[recorded["kind"] == "lookup"]
share = {"dense": 1, "local": (10 / 16) ** 2, "grid": 1 / 4}
ceiling = {form: 100 * (s + (1 - s) / 4) for form, s in share.items()}
by = 100 * tried.set_index("form")["found"]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
order = ["dense", "local", "pooled", "grid"]
for place, form in enumerate(order):
    style = looks[form] | {"ls": "", "alpha": 0.7}
    axis.plot(by[form], [place] * len(by[form]), **style)
    if form in ceiling:
        bounds = place - 0.35, place + 0.35
        axis.plot([ceiling[form]] * 2, bounds, color=plots.INK, lw=1.5)
axis.axvline(25, color=plots.FAINT, ls="--", lw=1)
axis.set_yticks(range(4), order)
axis.invert_yaxis()
axis.set(xlabel="values found (%)", xlim=(20, 103))
mean = by.groupby("form").mean()
finding("finds 100 %", by["dense"].min())
finding("52.4 % of at most 54.3 %", mean["local"], ceiling["local"])
finding("40.0 % of at most 43.8 %", mean["grid"], ceiling["grid"])
finding("40.4 %", mean["pooled"])
best = by.groupby("form").max()
finding(
    "No seed is above", *(best[f] < ceiling[f] for f in ("local", "grid"))
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Dense attention finds 100 % with each of five seeds. The window finds 52.4 % of at most 54.3 % in the mean, the grid 40.0 % of
# at most 43.8 %. No seed is above what its reach allows. Pooled keys find 40.4 %: they see every position, but of four in a
# square only the maxima are left, and a key among them cannot be told from its neighbours.
# :::
#
# This task was made for it: it asks for nothing but reach. On [OCNet's scenes](ocnet.ipynb), with two objects a picture, the
# head with grids, Pyramid-OC, is better than the one that is dense alone, Base-OC.
#
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} The side of a map doubles. What happens to the multiply-adds of dense attention?
# - [ ] They double.
#
#   The positions are four times as many, and each meets four times as many keys.
# - [ ] They are four times as many.
#
#   That is local attention: four times the queries, and as many keys for each as before.
# - [x] They are sixteen times as many.
#
#   $P$ and $K$ both grow by four in {eq}`positions-macs`.
# ```
#
# ```{quiz} What does the fused form save?
# - [ ] Multiply-adds.
#
#   All pairs still meet, and the backward pass computes the weights once more.
# - [x] The memory of the weights, and with it time.
#
#   What does not fit into the cache has to travel to memory and back; the fused form never writes the weights down.
# - [ ] Exactness: it is an approximation.
#
#   It gives the same numbers but for rounding: the check above holds to 1e-12.
# ```
#
# ```{quiz} Pooled keys: what does a query see of a position?
# - [ ] Nothing, if it is not the largest of its square.
#
#   The maximum is taken channel by channel, so that each of the four may be the largest somewhere.
# - [x] What is left of it in the maxima of its square.
#
#   A position that is the largest in no channel is not seen at all, one that is the largest in all hides the other three.
# - [ ] All of it, at lower resolution.
#
#   A mean would keep a quarter of each. A maximum keeps one and drops three.
# ```
#
# ```{quiz} Two neighbours stand on both sides of a border of the grid. What do they know of each other?
# - [x] Nothing in this layer.
#
#   Each meets its own cell. What lies around the grid, a convolution for instance, has to carry it across.
# - [ ] As much as other neighbours.
#
#   Neighbours within a cell meet; these do not, though they are as near.
# - [ ] Less, since the softmax is shared with the cell.
#
#   It is not a matter of weight: the pair has none.
# ```
#
# ```{quiz} Local attention with a window of 7 has K = 49 keys. Why is it not the fastest on a small map?
# - [ ] It has more multiply-adds there.
#
#   On 16 by 16 positions dense attention has 256 keys for each query.
# - [x] One large product is faster than many small ones.
#
#   Counting {eq}`positions-macs` leaves out how well the work fits a processor.
# - [ ] Its softmax is larger.
#
#   It has 49 entries in place of $P$.
# ```
#
# ## Exercises
#
# ````{exercise} Early in ResNet-50
# :label: over-positions-exercise-early
#
# *Easy, 5 minutes.* The first stage of ResNet-50 has maps of 56 by 56 positions. How many GB ($10^9$ bytes) do the weights of
# dense attention with 8 heads take for 32 images, as numbers of 4 bytes, to one decimal?
#
# :::{dropdown} Hint
# {eq}`positions-stored`, for each image; four bytes each.
# :::
# ````

# %%
exercises.answer("over-positions-exercise-early", ...)  # GB for the dots

# %% [markdown]
# ````{solution-start} over-positions-exercise-early
# :class: dropdown
# ````
#
# For one layer, and the peak of a training step is about three times that. A reason to stand in late stages, or to pool keys.

# %%
P = 56**2
early = 32 * 8 * P * P * 4 / 1e9
print(f"{early:.1f} GB")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "over-positions-exercise-early", right=early, wrong=[1.3, 2.5, 0.3]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Rows and columns
# :label: over-positions-exercise-axial
#
# *Medium, 15 minutes.* In another form, not measured here, a position meets those of its own row and its own column: $K = H + W - 1$, and the cost
# grows with $P^{3/2}$. Write `inside(H, W)`, the mask of who meets whom, (H W, H W), as booleans.
#
# :::{dropdown} Hint
# Begin with the coordinates, as the check of *They are right* does. What do two positions share that meet?
# :::
# ````

# %%
exercises.answer("over-positions-exercise-axial", ...)  # your function

# %% [markdown]
# ````{solution-start} over-positions-exercise-axial
# :class: dropdown
# ````
#
# Two such layers in a row reach every position: along the row first, then along the column. But the second hears of a far
# position only what the first has brought to the corner between the two.


# %%
def inside(H, W):
    at = torch.cartesian_prod(torch.arange(H), torch.arange(W))
    return (at[:, None] == at).any(2)


check("K = H + W - 1", inside(8, 12).sum(1), torch.full((96,), 19))

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [
    lambda H, W: inside(W, H),  # rows for columns
    lambda H, W: inside(H, W) & ~torch.eye(H * W, dtype=torch.bool),
]
exercises.try_judge(
    "over-positions-exercise-axial", right=inside, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. All forms compute one weighted sum, and differ in the reach of a query: $K$ keys for each of $P$ positions.
# 2. Where a share of all positions is met, time and stored weights grow with the fourth power of the side, however small the share.
# 3. A training step that stores its weights holds about three times their size at its peak.
# 4. Dense attention in blocks gives the same numbers without storing them: memory grows with $P$, time still with $P^2$.
# 5. What a cheaper form gives up is what it does not meet. Count the reach before you count the time.
# :::
