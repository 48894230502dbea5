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
# # Two families
#
# :::{admonition} Does an attention module move information, or does it only scale what is there?
# :class: question
#
# **One equation holds both.** Each position of the output is a sum of matrices times positions of the input. Scale attention
# fills only the diagonal of it, self-attention all of it.
#
# **Between two halves of a map, very different amounts pass.** Of 576 numbers NAM lets none through, ECA 32, one per channel,
# and dot-product attention more than 570.
#
# **So a task can tell the families apart.** Small networks with SE carry one answer to the whole map as well as networks with
# self-attention do. Where each of 9 positions asks for another answer, they stay below 60 %; with self-attention they find
# more than 99 %.
# :::
#
# :::{mechanism}
# :name: two-families-mechanism
# :symbols: M:weight W:weight A:gate g:gate x:map y:output
#
# ![The same equation, three kinds of matrix](../../book/figures/two_families-matrix.svg)
# ![A map with a hole, scaled and mixed](../../book/figures/two_families-hole.svg)
#
# What a convolution, scale attention and self-attention let pass between positions, and what each makes of a hole.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Papers:** none alone; this chapter is about what all seventeen have in common, in this book's notation. **You need:**
# matrices and their rank, the chain rule, basic PyTorch. **Time:** half an hour.
#
# Afterwards you can say of any module which family it belongs to, by two tests; bound how much passes between positions; and
# choose the chapters that answer your question. Symbols are those of the [notation page](../../book/notation.md).
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

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Imports"}
from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.lookup import VALUES, lookup
from attnlib.profiling import profile
from attnlib.results import measurements
from attnlib.training import fit

plots.use()

# %% [markdown]
# ## The idea
#
# A {term}`convolution` sees a small window through weights that are the same for every image. The word *attention* stands for
# ways out of this, and there are two. One looks at the image and then decides how loud each channel, or each pixel, should be.
# Nothing leaves its place; this is {term}`scale attention`. The other looks at the image and then decides which positions
# should speak to which. What a position holds travels to others; this is {term}`self-attention`.
#
# So this chapter writes one equation that both are cases of, reads from it what each *can* do, and then asks each module of
# this book by two tests without names.
#
# ## Derivation
#
# Let a map have $P$ positions, and let $x_i$ be the $C$ numbers at position $i$. Each way in this book to get an output $y_i$
# from them, with the weights or gates of this image in hand, is a sum over positions:
#
# $$y_i = \sum_{j=1}^{P} M_{ij}(x)\; x_j.$$ (families-sum)
#
# Each $M_{ij}$ is a $C \times C$ matrix. It says what position $i$ takes from position $j$. The families differ in two
# things: which of these matrices may differ from zero, and whether they depend on the map $x$.
#
# **Convolution.** The matrices are fixed, and depend on the offset alone. Outside a small window they are zero:
#
# $$M_{ij} = W_{j - i}.$$ (families-convolution)
#
# **Scale attention.** Only the diagonal is there. A position takes from itself, channel by channel, times a {term}`gate`:
#
# $$M_{ii} = \operatorname{diag}(g_i(x)),$$ (families-scale)
#
# $$M_{ij} = 0 \quad \text{for } j \neq i.$$ (families-scale-off)
#
# Where the gate is the same at all positions, one number for each channel is all that the module decides.
#
# **Self-attention.** Every pair of positions has one number $A_{ij}$, computed from the map, times a learned matrix $W$ for the
# channels, the same for every pair and every map ([the next chapter](../self_attention/dot_product.ipynb) builds both):
#
# $$M_{ij} = A_{ij}(x)\; W.$$ (families-self)
#
# **Two ways to act.** How does the output at $i$ change when the input at another position $j$ does? By the product rule,
# {eq}`families-sum` gives two terms:
#
# $$\frac{\partial y_i}{\partial x_j} = M_{ij} + \sum_{k} \frac{\partial M_{ik}}{\partial x_j}\, x_k.$$ (families-paths)
#
# The first is the *content* of $j$, moved to $i$. The second is the *influence* of $j$ on the weights, by which $i$ changes
# what it takes from anywhere. In scale attention the first term is zero for $j \neq i$. But the second is not: a gate that
# has seen the whole map changes with each of its pixels. Scale attention moves influence. How much of it can there be?
#
# **A bottleneck.** Suppose that a gate $g$ sees the map only through $m$ numbers $s = s(x)$; in SE these are the hidden
# units. Cut the map into two halves, $x = (u, v)$. The lower half of the output is $v$ times its gates, and these know $u$
# through $s$ alone. So it is a function of $v$ and $s$, and by the chain rule
#
# $$\frac{\partial y_v}{\partial u} = \frac{\partial y_v}{\partial s}\, \frac{\partial s}{\partial u}.$$ (families-bottleneck)
#
# The first factor has $m$ columns, so the product has at most rank $m$: **no more than $m$ numbers pass from one half of the
# map to the other**, however large the map is. Self-attention has no such bottleneck: each position of the lower half may
# take something else from the upper half, so that the rank may grow with the number of positions.
#
# ## The equation from scratch
#
# The sum {eq}`families-sum`, and the matrices of the two families. A map is a list of positions here, (N, P, C).


# %%
def apply(M, x):
    # y_i = sum_j M_ij x_j
    return torch.einsum("nijcd,njd->nic", M, x)


def scale_matrices(gate):
    # M_ii = diag(g_i), and M_ij = 0 for j != i
    P = gate.shape[1]
    return torch.einsum(
        "ij,nicd->nijcd", torch.eye(P).to(gate), torch.diag_embed(gate)
    )


def mix_matrices(A, W):
    # M_ij = A_ij W
    return torch.einsum("nij,cd->nijcd", A, W)


# %% [markdown]
# ## It is right
#
# If the equation is what it claims to be, real modules must fit into it. Take their gates or weights, build the matrices, and
# the sum must give what the module gives. `positions` lays a map out as a list.


# %%
def positions(x):
    return x.flatten(2).mT


def lively(key, channels=32, **arguments):
    """A module all of whose parameters are random: nothing is zero."""
    generator = torch.Generator().manual_seed(0)
    module = attnlib.create(key, channels, **arguments).double().eval()
    for p in module.parameters():
        width = 0.3 if p.dim() > 1 else 0.7
        p.data = width * torch.randn(p.shape, generator=generator).to(p)
    return module


# %% tags=["nbval-check-output"]
generator = torch.Generator().manual_seed(1)
x = torch.randn(2, 32, 3, 5, generator=generator, dtype=torch.float64)
for key, arguments in (("se", {}), ("sge", {"groups": 8}), ("nam", {})):
    module = lively(key, **arguments)
    M = scale_matrices(positions(module.gate(x).expand_as(x)))
    ours, theirs = apply(M, positions(x)), positions(module(x))
    check(f"{key} = its diagonal", ours, theirs, atol=1e-12)

# %% tags=["nbval-check-output"]
attention = lively("dot_product", heads=1)
A = attention.weights(x)[:, 0]
W = attention.out.weight @ attention.value.weight
ours, theirs = apply(mix_matrices(A, W), positions(x)), attention(x)
check("dot product = A W", ours, positions(theirs), atol=1e-12)

# %% [markdown]
# And {eq}`families-paths`: with the gates held fixed, what is left of the derivative is $M$ itself. So between two
# positions of SE no content passes, not even the last digit of it, while some influence does:

# %% tags=["nbval-check-output"]
se = lively("se", reduction=4)
one = x[:1]
fixed = se.gate(one).detach()


def to_last(function):
    """The last position's output by the first's input, a derivative."""
    jacobian = torch.autograd.functional.jacobian(function, one)
    return jacobian[0, :, -1, -1, 0, :, 0, 0]


content = to_last(lambda map_: fixed * map_)
check("content moved by SE", content, torch.zeros(32, 32), atol=0)
influence = to_last(se)
check("its influence", bool(influence.abs().max() > 0), True)

# %% [markdown]
# ## Two tests without names
#
# **Cut the map in two.** How many independent numbers of the upper half reach the lower half? That is the rank of the
# derivative of the one by the other. Here maps have 32 channels and 6 x 6 positions: each half holds 576 numbers.
#
# **Cut a hole.** Set one position to zero in all channels. A gate times zero is zero. What moves content can fill the hole.


# %%
maps = torch.randn(1, 32, 6, 6, generator=generator, dtype=torch.float64)


def crossing(module):
    """Independent numbers that pass from the upper half to the lower."""

    def lower(upper):
        return module(torch.cat([upper, maps[:, :, 3:]], 2))[:, :, 3:]

    upper = maps[:, :, :3].clone()
    jacobian = torch.autograd.functional.jacobian(lower, upper)
    square = jacobian.reshape(576, 576)
    return int(torch.linalg.matrix_rank(square, rtol=1e-8))


def fills(module):
    """Whether something comes out where nothing is put in."""
    with_hole = maps.clone()
    with_hole[:, :, 1, 1] = 0
    return bool(module(with_hole)[:, :, 1, 1].abs().max() > 1e-9)


# %% mystnb={"code_prompt_show": "Ask every module"} tags=["hide-input"]
ARGUMENTS = dict.fromkeys(("se", "cbam", "bam"), {"reduction": 4})
ARGUMENTS |= dict.fromkeys(("sge", "sa"), {"groups": 8})
ARGUMENTS["dot_product"] = {"heads": 1}
KEYS = """nam se bam cbam eca ge iebn sem sge sa residual_attention triplet
    sagan non_local base_oc sasa dot_product""".split()
LONG = {key: key.replace("_", " ") for key in KEYS if len(key) > 5}
NAMES = {key: LONG.get(key, key.upper()) for key in KEYS} | {
    "base_oc": "OCNet"
}
asked = {key: lively(key, **ARGUMENTS.get(key, {})) for key in KEYS}
found = pd.DataFrame(
    {
        "family": [attnlib.info(key).family for key in KEYS],
        "crossing": [crossing(module) for module in asked.values()],
        "fills": [fills(module) for module in asked.values()],
    },
    index=KEYS,
)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "For seventeen modules, the numbers that pass between the halves of a map, from 0 for NAM over 32 for ECA to 576 for dot-product attention. Self-attention modules and residual attention, triplet attention stand to the right. Filled marks fill a hole."}, "figure": {"caption": "How many of 576 numbers pass from one half of a map to the other. A filled mark: the module also fills a hole.", "name": "two-families-crossing"}} tags=["hide-input"]
_, axis = plt.subplots(figsize=(plots.COLUMN, 4.6))
for row, (key, module) in enumerate(found.iterrows()):
    face = plots.colour(key) if module.fills else "none"
    style = plots.look(key).points(ls="", mfc=face)
    axis.plot(module.crossing, row, **style)
axis.set_yticks(range(len(found)), [NAMES[key] for key in KEYS])
axis.set_xscale("symlog", linthresh=10)
axis.set_xticks([0, 4, 32, 100, 576], [0, 4, 32, 100, 576])
axis.minorticks_off()
axis.set(xlabel="numbers that pass (of 576)", xlim=(-1, 900))
axis.axhline(11.5, color=plots.FAINT, lw=1)
axis.text(-0.7, 10.6, "scale attention", color=plots.FAINT)
axis.text(-0.7, 12.0, "self-attention", color=plots.FAINT)
passed, filled = found.crossing, found.fills
finding("NAM lets nothing pass", passed["nam"] == 0)
hidden = asked["se"].reduce(maps.mean((2, 3), keepdim=True))
finding(
    "SE 4 numbers, since 4 of its 8 hidden units are on",
    *(passed["se"], (hidden > 0).sum().item(), hidden.numel()),
)
finding("ECA 32, SGE 40 and SA 48", *passed[["eca", "sge", "sa"]])
finding("more than 570", passed["dot_product"] > 570)
finding("Triplet 266", passed["triplet"])
few = passed["sagan"]
more = few < passed[["triplet", "residual_attention"]].min()
finding("SAGAN lets 85 pass", few, more)
scaling, mixing = (filled[found.family == f] for f in ("scale", "self"))
exceptions = ["iebn", "residual_attention"]
expected = list(scaling.index[scaling]) == exceptions
finding("two of the twelve", len(scaling) == 12, expected)
finding("All five", len(mixing) == 5, mixing.all())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# NAM lets nothing pass, SE 4 numbers, since 4 of its 8 hidden units are on; ECA 32, SGE 40 and SA 48. Dot-product
# attention lets more than 570 of 576 pass. In between stands Triplet 266: it has a gate for
# every channel and column, and a column crosses the cut. All five self-attention modules fill the hole, and of scale
# attention two of the twelve: IEBN contains a norm, which adds a shift, and residual attention brings convolutions of its
# own. The families overlap in how much passes: SAGAN lets 85 pass, fewer than Triplet and residual attention.
# :::
#
# One can name these numbers. ECA's 32 are the channel means. SGE adds a deviation for each of 8 groups. SA has the means of
# sixteen channels, and mean and deviation of the other sixteen.
#
# :::{admonition} Try it
# :class: try-it
# SE passes on 4 numbers because only 4 of its 8 hidden units are on for this map. How many pass with `reduction=1`, which has
# 32 hidden units? Say a number first.
# :::

# %%
print(crossing(lively("se", reduction=4)), "numbers pass")

# %% [markdown]
# ## What it costs
#
# A layer of each kind with 64 channels, in millions of {term}`multiply-adds <MAC>`, on maps of four sizes:

# %% tags=["nbval-check-output"]
layers = {
    "3 x 3 convolution": nn.Conv2d(64, 64, 3, padding=1, bias=False),
    "SE": attnlib.create("se", 64),
    "dot product": attnlib.create("dot_product", 64),
}
sides = [8, 16, 32, 64]
macs = pd.DataFrame({"map": [f"{side} x {side}" for side in sides]})
for name, layer in layers.items():
    costs = [profile(layer, side, in_channels=64) for side in sides]
    macs[name] = [cost.macs / 1e6 for cost in costs]
plots.table(macs, "Multiply-adds of one layer (millions)", digits=3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# From 8 x 8 to 64 x 64 positions the convolution takes 64 times as many multiply-adds, as the positions do. Dot-product
# attention takes 1,408 times as many: on the small map it needs 0.67 of the convolution's, on the large one 14.67 times as
# many. SE's two layers see the means alone and take the same for every map. So self-attention is affordable where maps are
# small, late in a network.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
macs = macs.set_index("map")
growth = macs.iloc[-1] / macs.iloc[0]
against = macs["dot product"] / macs["3 x 3 convolution"]
finding("takes 64 times", growth["3 x 3 convolution"])
finding("takes 1,408 times", growth["dot product"])
finding("needs 0.67 of the convolution's", against.iloc[0])
finding("14.67 times", against.iloc[-1])
finding("the same for every map", growth["SE"] == 1)

# %% [markdown]
# ## Two tasks that tell them apart
#
# Can training feel the difference? Two tasks on small maps, in which each position holds one of four values:
#
# * **announce**: one position is marked, and *every* position has to say the value of the marked one. One answer for the whole map.
# * **look up**: each position has a key of its own and asks for the key of some other. It has to say *that* position's
#   value. An answer for each position.
#
# Five networks each were trained, from five seeds (`benchmarks/two_tasks.py`). All layers are 1 x 1 convolutions, which see a
# single position; one module in the middle is the only way from one position to another.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels of accuracy against the number of positions. Announce: SE and dot product at 100 per cent, NAM and no module falling to a guess. Look up: dot product at 100 per cent, SE falling from about 70 to 35 per cent, NAM and no module at a guess."}, "figure": {"caption": "Right answers of small networks on the two tasks, five seeds each. In the upper panel the points of SE lie under those of dot product, in both panels those of no module under NAM.", "name": "two-families-tasks"}} tags=["hide-input"]
runs = pd.DataFrame(measurements("two-tasks").rows)
_, axes = plots.panels(2, sharex=True)
SHOWN = {"none": "no module", "nam": "NAM", "se": "SE"}
for axis, (task, of_task) in zip(axes, runs.groupby("task")):
    for key, rows in of_task.groupby("attention", sort=False):
        means = 100 * rows.groupby("positions").accuracy.mean()
        face = "none" if key in ("none", "se") else plots.colour(key)
        style = plots.look(key).points(
            ls="", label=SHOWN.get(key, "dot product"), mfc=face
        )
        axis.plot(rows.positions, 100 * rows.accuracy, **style)
        axis.plot(means, color=plots.colour(key), lw=1)
    axis.set(ylabel="right answers (%)", ylim=(0, 105))
    axis.set_title(task.replace("lookup", "look up"))
axes[-1].set(xlabel="positions of the map", xticks=runs.positions.unique())
axes[0].legend(frameon=False, loc="lower left", ncols=2)
by = 100 * runs.set_index(["task", "attention", "positions"]).accuracy
announced, looked_up = by["announce"], by["lookup"]
scaled, mixed = looked_up["se"], looked_up["dot_product"]
finding("SE finds 100 % on every map", announced["se"].min())
finding("44.5 % on 9 positions", scaled[9].mean(), 9)
guess = 100 / runs.positions + (100 - 100 / runs.positions) / 4
finding("a guess finds 33.3 %", guess[runs.positions == 9].mean())
finding("34.5 % on 25", scaled[25].mean(), 25)
finding("finds 100 % on up to 16", mixed[[4, 9, 16]].min(), 16)
finding("56.6 % in the mean", mixed[25].mean())
finding("44.6 % to 80.2 %", mixed[25].min(), mixed[25].max())
above = (100 * runs.accuracy - guess)[runs.attention == "nam"]
finding("never above a guess", above.max() < 1)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# On "announce", SE finds 100 % on every map, as self-attention does: one answer fits through its gates. On "look up" it
# finds 44.5 % on 9 positions, where a guess finds 33.3 %, and 34.5 % on 25. Self-attention finds 100 % on up to 16
# positions. On 25, its 600 steps are too few: 56.6 % in the mean, and 44.6 % to 80.2 % by the seed. NAM is never above a guess
# by a whole point: it lets nothing pass.
# :::
#
# Two of these networks, trained here: look up on 9 positions, with SE and with self-attention.


# %%
def network(inputs, module):
    before = nn.Conv2d(inputs, 32, 1), nn.ReLU()
    after = nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, VALUES, 1)
    return nn.Sequential(*before, module, *after)


def trained(key, **arguments):
    torch.manual_seed(0)
    draw = partial(lookup, 64, 3, torch.Generator().manual_seed(0))
    inputs = draw()[0].shape[1]
    module = attnlib.create(key, 32, **arguments)
    return fit(network(inputs, module), draw, steps=600)


# %%
fresh, answers = lookup(2000, 3, torch.Generator().manual_seed(5))
networks = {
    "SE": trained("se", reduction=1),
    "dot product": trained("dot_product", heads=1),
}
right = {}
with torch.no_grad():
    for name, each in networks.items():
        agree = each(fresh).argmax(1) == answers
        right[name] = 100 * agree.double().mean()
        print(f"{name}: {right[name]:.0f} % right")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With self-attention the network finds more than 99 % of the values. With SE it finds less than 60 %, and more than the
# 33.3 % of a guess (a position that asks for itself knows the answer): some of the map does come through its gates.
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
finding("more than 99 %", right["dot product"] > 99)
finding("less than 60 %", right["SE"] < 60)
finding("33.3 %", 100 * (1 / 9 + 8 / 9 / VALUES), right["SE"] > 34)

# %% [markdown]
# ## Look inside
#
# The network with self-attention was never told what a key is. Its {term}`attention map` shows what it
# does: who holds the key that each position asks for, and beside it the weights that the trained module gives.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two matrices of 9 by 9. Left, in each row one cell is marked: who holds the key that is asked for. Right, the trained weights: in each row the darkest cell is the same one."}, "figure": {"caption": "Who holds the key asked for, and where the trained module looks, for one map.", "name": "two-families-weights"}} tags=["hide-input"]
embed, activation, module, *_ = networks["dot product"]
with torch.no_grad():
    weights = module.weights(activation(embed(fresh)))[:, 0]
keys = fresh[:, :9].flatten(2).argmax(1)
asked_for = fresh[:, 9 + VALUES :].flatten(2).argmax(1)
holds = (keys[:, None, :] == asked_for[:, :, None]).float()
share = (weights * holds).sum(2).mean().item()
_, axes = plt.subplots(1, 2, figsize=(plots.COLUMN, 2.4), sharey=True)
for axis, matrix, title in zip(
    axes, (holds[0], weights[0]), ("who holds the key", "trained weights")
):
    axis.imshow(matrix, cmap="Greys", vmin=0, vmax=1)
    axis.set(
        title=title, xlabel="position", xticks=range(9), yticks=range(9)
    )
    axis.grid(False)
axes[0].set_ylabel("who asks")
heaviest = (weights.argmax(2) == holds.argmax(2)).double().mean()
finding("In more than 99 %", heaviest > 0.99)
finding("more than 70 % of the weight", share > 0.7)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In more than 99 % of the cases the heaviest of the nine weights lies on the one position that holds the key asked for, with
# more than 70 % of the weight in the mean. Query and key have become what their names say.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Give the trained network maps of 12 positions, the first row twice. Will it still find the values? Before you run the cell,
# say what in the network depends on the number of positions.
# :::

# %%
wide = torch.cat([fresh[:, :, :1], fresh], 2)  # the first row twice
with torch.no_grad():
    found_in_wide = networks["dot product"](wide)[:, :, 1:].argmax(1)
share = (found_in_wide == answers).double().mean()
print(f"{100 * share:.0f} % right")

# %% [markdown]
# ## What holds
#
# What papers say on gates and on who hears whom, the unkind verdicts first; all are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
CLAIMS = {
    "se": ["enhances", "channel-response"],
    "dot_product": ["cost-self-attention"],
    "sge": ["shared-by-group"],
    "ocnet": ["no-positions"],
    "nam": ["initial-gate-256"],
}
judged = [attnlib.paper(k).verdicts(ids) for k, ids in CLAIMS.items()]
plots.verdicts([verdict for each in judged for verdict in each])

# %% [markdown]
# ## Where papers and released code differ
#
# This chapter belongs to no paper, so it counts the places where a paper and its code, or two versions of them, disagree.

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
PAPERS = """residual_attention se ge bam cbam eca iebn sge triplet nam sa sem
    dot_product non_local ocnet sagan sasa""".split()
counts = [len(attnlib.paper(key).differences) for key in PAPERS]
finding("158 places", sum(counts))
finding("5 in the paper with the fewest", min(counts))
finding("15 in the two with the most", max(counts), counts.count(15) == 2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# There are 158 places, in every one of the seventeen papers: 5 in the paper with the fewest, 15 in the two with the most. Whoever
# compares modules has to say which of two modules of one name is meant.
# :::
#
# ## The map, and how to read the rest
#
# <!-- generated: map -->
#
# Every chapter has the same rhythm and can be read alone. Three ways through:
#
# * **To learn the idea**: [What attention is](../self_attention/dot_product.ipynb), then [SE](../scale_attention/se.ipynb).
# * **To choose a module**: [what they cost](../costs.ipynb), [what they reach](../accuracy.ipynb), then their chapters.
# * **To check a claim**: [the ledger](../../book/ledger.md) has what each paper prints and what of it holds.
#
# ## Quiz
#
# ```{quiz} A module multiplies each channel by a number that depends on the whole map. What moves between positions?
# - [ ] Nothing at all.
#
#   No content moves. But every pixel has a say in the gates, and the gates act everywhere.
# - [x] Influence, but no content.
#
#   The output at a position is made of what stands there; how much of it comes through depends on the rest of the map.
# - [ ] The content of all positions, averaged.
#
#   The averages enter the gates. They are never added to what a position holds.
# ```
#
# ```{quiz} SE with C = 256 and r = 16 stands on a map of 100 x 100 positions. How many numbers pass from its upper half to its lower?
# - [ ] Up to 256, one for each channel.
#
#   The means are 256 numbers, but they go through a hidden layer that is narrower.
# - [x] Up to 16.
#
#   That is the number of hidden units; the size of the map does not matter.
# - [ ] Up to 5,000 times 256.
#
#   So many numbers stand in the upper half. They have to go through the bottleneck.
# ```
#
# ```{quiz} Why does a convolution appear in the same equation?
# - [x] Its matrices are fixed and zero outside a window.
#
#   It mixes positions, as self-attention does. What it lacks is weights that depend on the map.
# - [ ] Because it is a special case of scale attention.
#
#   Scale attention has matrices on the diagonal alone. A 3 x 3 convolution has eight others.
# - [ ] Because it is linear, as attention is.
#
#   Attention is linear only while its weights are held fixed. They depend on the map.
# ```
#
# ```{quiz} A module leaves a hole of zeros exactly as it was. What follows?
# - [ ] It is scale attention.
#
#   Nearly: scale attention does leave it. So does a ReLU, which attends to nothing.
# - [x] At this position, it added no content of other positions.
#
#   That is what the test says, and no more.
# - [ ] It does not look at other positions.
#
#   SE leaves the hole and looks at all of the map, through its means.
# ```
#
# ```{quiz} On "announce", networks with SE reach what networks with self-attention reach. On "look up" they do not. Why?
# - [ ] SE has fewer parameters.
#
#   It has enough of them for one answer. What it lacks is a place for nine.
# - [x] The same gates reach all positions.
#
#   One answer for all fits into gates that all share. Nine different ones would have to share 32 numbers with everything else.
# - [ ] Look up needs positions, which SE does not know.
#
#   Self-attention does not know them either, in this form: what it compares is contents.
# ```
#
# ## Exercises
#
# ````{exercise} How good is a guess?
# :label: two-families-exercise-guess
#
# *Easy, 5 minutes.* A position that sees nothing but itself plays "look up" on a map of 25 positions. Each asks for a key
# drawn at random, which may be its own. Which share of its answers is right at best, in per cent, to one decimal?
#
# :::{dropdown} Hint
# It knows the answer if it asks for itself. Otherwise one of four values is right.
# :::
# ````

# %%
exercises.answer(
    "two-families-exercise-guess", ...
)  # your answer for the dots

# %% [markdown]
# ````{solution-start} two-families-exercise-guess
# :class: dropdown
# ````
#
# With probability $1/25$ it asks for itself and is right; otherwise a guess is right one time in four.

# %%
guess = 100 * (1 / 25 + 24 / 25 / 4)
print(f"{guess:.1f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "two-families-exercise-guess", right=guess, wrong=[25, 4, 29]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} A module of both families
# :label: two-families-exercise-both
#
# *Medium, 15 minutes.* Write a function `both(x, gate, A, W)` of a list of positions (N, P, C), gates (N, P, C), weights (N,
# P, P) and a matrix (C, C), that first mixes the positions and then scales what came out:
#
# $$y_i = g_i \odot \sum_j A_{ij}\, W x_j.$$ (families-both)
#
# :::{dropdown} Hint
# `A @ x` mixes the positions, for every channel alike; `x @ W.T` applies the matrix at each position.
# :::
# ````

# %%
exercises.answer(
    "two-families-exercise-both", ...
)  # your function for the dots

# %% [markdown]
# ````{solution-start} two-families-exercise-both
# :class: dropdown
# ````
#
# No matrix of size $P C \times P C$ is needed, although {eq}`families-sum` has $P^2$ of them.


# %%
def both(x, gate, A, W):
    return gate * (A @ (x @ W.T))


# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda x, gate, A, W: (
        A @ (gate * (x @ W.T))
    ),  # scaled before it is mixed
    lambda x, gate, A, W: (
        gate * (A.mT @ (x @ W.T))
    ),  # who asks and who answers exchanged
    lambda x, gate, A, W: gate * (A @ (x @ W)),
]
exercises.try_judge("two-families-exercise-both", right=both, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} What two means can carry
# :label: two-families-exercise-carry
#
# *Medium, 15 minutes.* A module computes each channel's mean *and* its largest value over the map, puts these $2C$ numbers
# through a layer of $m$ hidden units with a ReLU, and gets a gate for each channel from those. For $C = 64$ and $m = 40$: at
# most how many numbers pass from one half of the map to the other? And without the hidden layer, each gate from its own
# channel's mean and maximum? Answer with both numbers, as a pair.
#
# :::{dropdown} Hint
# Find the narrowest place of all. In the second case, count what leaves the gates, not only what enters them.
# :::
# ````

# %%
exercises.answer(
    "two-families-exercise-carry", ...
)  # your pair for the dots

# %% [markdown]
# ````{solution-start} two-families-exercise-carry
# :class: dropdown
# ````
#
# In the first case, the 40 hidden units are the narrowest place. In the second 128 numbers enter, but the other half of the
# map sees only the 64 gates that come out.

# %%
carried = (min(2 * 64, 40, 64), min(2 * 64, 64))
print(carried)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "two-families-exercise-carry",
    right=carried,
    wrong=[(40, 128), (64, 64), (128, 128)],
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Wide enough for nine answers
# :label: two-families-exercise-wide
#
# *Research, 60 minutes.* Scale attention is not shut out of "look up" for ever: with enough channels, the means could hold
# the whole list of who has what, and each position could read off its own line. How many channels does a network with SE
# need before it finds 90 % of the values on 9 positions? Try 32, 64, 128 and more, three seeds each. To begin with: how many pairs of a key
# and a value are there, one channel for each?
#
# :::{dropdown} Hint
# `attnlib.create("se", channels, reduction=1)`; give `fit` more steps as the network grows, and say how many.
# :::
# ````

# %%
exercises.answer("two-families-exercise-wide", ...)  # pairs

# %% [markdown]
# ````{solution-start} two-families-exercise-wide
# :class: dropdown
# ````
#
# Nine keys and four values make 36 pairs. A channel that is on where a position holds this pair has a mean above zero exactly
# if somebody holds it. The rest is an experiment, and yours: say the steps, the seeds and the spread.

# %%
pairs = 9 * VALUES
print(pairs)

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "two-families-exercise-wide", right=pairs, wrong=[9, 13, 22]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. Both families are one sum over positions; scale attention has only the diagonal of it.
# 2. Scale attention moves no content. It moves influence, as many numbers as its gates can hold.
# 3. In SE these are the hidden units that are on, whatever the size of the map.
# 4. Self-attention moves content, and pays for it with the square of the number of positions.
# 5. One answer for a whole map fits through gates. An answer for each position does not.
# :::
#
# ## Further reading
#
# * [What attention is](../self_attention/dot_product.ipynb) derives the weights $A_{ij}$; [SE](../scale_attention/se.ipynb) the gates $g$.
# * {cite:t}`non_local` write the sum of the one family, {cite:t}`se` the product of the other.
