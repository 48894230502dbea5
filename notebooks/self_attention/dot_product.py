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
# # What attention is
#
# :::{admonition} What does a mean gain when it chooses its own weights, and what does it pay?
# :class: question
#
# **It gains reach.** Each position takes from all that is like it, however far away. Without a single parameter the word
# "bank" beside "river" goes from equal parts of water and money to three times as much water.
#
# **It pays with the square of the pixels, and it loses order.** For 1,024 pixels of 64 channels a training step holds 152
# times the memory of a 3 x 3 convolution. If the pixels are shuffled, the output is shuffled alike and nothing else changes.
#
# **Alone it does not help.** Behind the last stage of ResNet-20, in short runs on CIFAR-10, it is worse than no module on
# each of three seeds, by 3.77 points in the mean.
# :::
#
# :::{mechanism}
# :name: dot-product-mechanism
#
# ![One query looks at all positions](../../book/figures/dot_product-look.svg)
# ![Query, key and value, for four positions](../../book/figures/dot_product-steps.svg)
#
# What one query sees of a map, and the three steps of attention, for four positions.
# :::
#
# :::{admonition} Before you start
# :class: tip
#
# **Paper:** {cite:t}`dot_product`. The paper was read: the NIPS 2017 text in a PDF copy, and arXiv version 5.
# **You need:** matrix products, variance, the chain rule. **Time:** half an hour.
#
# Afterwards you can compute attention by hand for four words; say what a softmax does to large scores and why they are
# divided by $\sqrt d$; write multi-head attention in 20 lines; prove that it cannot see order; and say from which size of
# map on its cost is a matter of the pixels and no longer of the channels. Symbols are those of the
# [notation page](../../book/notation.md).
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
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.self_attention.position_codes import sinusoidal_map
from attnlib.training import Recipe, chapter_recipe, lane, train

plots.use()
paper = attnlib.paper("dot_product")

# %% [markdown]
# ## The idea
#
# A convolution mixes neighbours with weights that are the same for every image. A mean over the map mixes everything, and
# every position counts alike. **Attention** is a mean over everything whose weights depend on what is there: each position
# compares itself with all positions, and takes most from those that fit it best. How far away they are does not matter.
#
# So attention needs a way to compare (a dot product), a way to make weights out of comparisons (a softmax), and something to
# average. Nothing else. The parameters come later: they only let a network choose *what* it compares, and *what* it takes.
#
# ## Derivation
#
# ### Four words and no parameter
#
# Take "walk by river bank". "Bank" alone could be a place by the water or a place for money. Give every word a vector by hand,
# one row of $x$ each, with four entries for *motion, grammar, water, money*. Compare each word with each by a dot product:
#
# $$S_{ij} = x_i \cdot x_j = \sum_c x_{ic}\, x_{jc}.$$ (dp-scores)
#
# A softmax turns each row of scores into positive weights that add up to one,
#
# $$A_{ij} = \frac{e^{S_{ij}}}{\sum_k e^{S_{ik}}},$$ (dp-softmax)
#
# and each word becomes the mean of all words with its own weights:
#
# $$y_i = \sum_j A_{ij}\, x_j.$$ (dp-mean)

# %% tags=["nbval-check-output"]
words = ["walk", "by", "river", "bank"]
x = torch.tensor(
    [
        [2.0, 0, 0, 0],  # walk: motion
        [0.0, 1, 0, 0],  # by: grammar
        [0.0, 0, 2, 0],  # river: water
        [0.0, 0, 1, 1],  # bank: as much water as money
    ],
    dtype=torch.float64,
)
S = x @ x.T  # S_ij = x_i . x_j
A = torch.softmax(S, -1)  # each row adds up to one
y = A @ x  # y_i = sum_j A_ij x_j

shown = pd.DataFrame(A.numpy(), columns=words)
shown.insert(0, "weights of", words)
plots.table(shown, "What each word takes from each", digits=2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# "Bank" takes 0.44 of itself and 0.44 of "river", and 0.06 of each of the others. It had as much water as money; it now has
# 1.32 of water and 0.44 of money, three times as much. "River" keeps 0.85 of itself: the same sentence tells it little.
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
finding("0.44 of itself and 0.44 of", A[3, 3].item(), A[3, 2].item())
finding("and 0.06 of each", A[3, 0].item(), A[3, 0] == A[3, 1])
water, money = y[3, 2].item(), y[3, 3].item()
finding("1.32 of water and 0.44 of money", water, money)
finding("three times as much", abs(water / money - 3) < 1e-9)
finding("keeps 0.85 of itself", A[2, 2].item())

# %% [markdown]
# :::{admonition} Try it
# :class: try-it
# Let "bank" have twice as much money as water. Does it still move towards "river"? Say first which weight it will give to
# "river"; then change `bank` and run.
# :::

# %%
bank = [0.0, 0, 1, 1]
other = torch.cat([x[:3], torch.tensor([bank], dtype=torch.float64)])
weights = torch.softmax(other @ other[3], -1)
print(dict(zip(words, weights.numpy().round(3).tolist(), strict=True)))

# %% [markdown]
# ### What the softmax does
#
# **A constant changes nothing.** Add $t$ to all scores of a row: the factor $e^{t}$ stands above and below, and cancels,
#
# $$\frac{e^{t}\, e^{S_{ij}}}{e^{t} \sum_k e^{S_{ik}}} = A_{ij}.$$ (dp-shift)
#
# Only *differences* of scores count. (That is why code may subtract the largest score, so that no exponential overflows.)
#
# **A factor changes everything.** With $t S$ in place of $S$, the ratio of two weights is $e^{t (S_{ij} - S_{ik})}$. At $t = 0$
# all weights are alike and attention is the plain mean; for large $t$ the best score takes all. $1 / t$ is called the
# *temperature*.
#
# **What gradient is left.** Take the logarithm of {eq}`dp-softmax` and derive by $S_{ik}$, with $[j = k]$ for one where $j$ is
# $k$ and zero elsewhere:
#
# $$\frac{\partial \log A_{ij}}{\partial S_{ik}} = [j = k] - A_{ik}.$$
#
# The left side is the derivative of $A_{ij}$ divided by $A_{ij}$, so
#
# $$\frac{\partial A_{ij}}{\partial S_{ik}} = A_{ij} \bigl([j = k] - A_{ik}\bigr).$$ (dp-jacobian)
#
# Let $a$ be the largest weight of the row. Its own entry is $a (1 - a)$. All others have a factor $A_{ij}$ of another key, and
# those add up to $1 - a$. So no entry is larger than $1 - a$: where one key takes all, **no gradient is left**, neither for
# the winner nor for the losers.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Against the factor on the scores: the largest weight of the word river rises from a quarter to one; the largest derivative rises, then falls to zero below its bound."}, "code_prompt_show": "Draw the figure"}
factors = torch.linspace(0, 4, 81, dtype=torch.float64)
rows = torch.softmax(factors[:, None] * S[2], -1)  # of "river"
slopes = torch.diag_embed(rows) - rows[:, :, None] * rows[:, None]
largest, steepest = rows.amax(-1), slopes.abs().amax((1, 2))
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
axis.plot(factors, largest, color=plots.GATE, label="largest weight a")
axis.plot(
    factors, 1 - largest, color=plots.INK, ls=":", label="bound 1 - a"
)
axis.plot(
    factors, steepest, color=plots.OUTPUT, ls="--", label="largest slope"
)
axis.set(xlabel="factor t on the scores", ylabel="for the word river")
axis.legend(
    frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.45, 1)
)
at = {t: int((factors - t).abs().argmin()) for t in (0, 1, 4)}
finding("0.25 to 0.85", largest[at[0]].item(), largest[at[1]].item())
finding("slope of 0.13", steepest[at[1]].item())
finding("0.0003", steepest[at[4]].item())
finding("below its bound", bool((steepest <= 1 - largest).all()))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# From $t = 0$ to $t = 1$ the weight that "river" gives itself goes from 0.25 to 0.85, and a slope of 0.13 is left. At $t = 4$
# the slope is 0.0003: four times larger scores, and the word can no longer learn to look elsewhere. The slope stays below
# its bound everywhere.
# :::
#
# ### Query, key, value
#
# With $S = x x^{\top}$ a word compares itself with others by the very entries that others take from it; and "river" fits "bank"
# exactly as well as "bank" fits "river". Three matrices lift both limits. What a position *asks for* is its query, what it
# *is found by* its key, what it *hands over* its value, each a projection of the same row of $x$:
#
# $$q_i = W_q\, x_i,$$
#
# $$k_j = W_k\, x_j,$$
#
# $$v_j = W_v\, x_j.$$ (dp-projections)
#
# The score of $i$ and $j$ is $q_i \cdot k_j = x_i^{\top} W_q^{\top} W_k\, x_j$. The matrix in the middle need not be symmetric, so
# that a verb can look for its noun without being looked for.
#
# ### Why divide by the root of d?
#
# Suppose the entries of $q$ and $k$ are independent, with mean 0 and variance 1. One term of the dot product has the mean
#
# $$\mathrm{E}[q_c k_c] = \mathrm{E}[q_c]\, \mathrm{E}[k_c] = 0,$$
#
# because the expectation of a product of independent numbers is the product of the expectations. So its variance is
#
# $$\mathrm{Var}[q_c k_c] = \mathrm{E}[q_c^2]\, \mathrm{E}[k_c^2] = 1 \cdot 1.$$
#
# Variances of independent terms add up, and there are $d$ of them:
#
# $$\mathrm{Var}[q \cdot k] = \sum_{c=1}^{d} 1 = d.$$ (dp-variance)
#
# Wider heads have larger scores, of a spread of $\sqrt d$, and this is a factor $t$ that nobody chose. Divided by $\sqrt d$
# the scores have variance 1 at every width:
#
# $$A_{ij} = \operatorname{softmax}_j\!\Bigl(\frac{q_i \cdot k_j}{\sqrt d}\Bigr).$$ (dp-scaled)
#
# Now measure it: 64 random keys for each of 500 random queries.


# %%
def measured(d, rng):
    """Variance; largest weight and size of the derivative, both ways."""
    q = torch.randn(500, 1, d, generator=rng, dtype=torch.float64)
    k = torch.randn(500, 64, d, generator=rng, dtype=torch.float64)
    scores = (q * k).sum(-1)
    row = {"d": d, "variance / d": scores.var().item() / d}
    for name, factor in (("as it is", 1.0), ("scaled", d**-0.5)):
        a = torch.softmax(factor * scores, -1)
        slope = torch.diag_embed(a) - a[:, :, None] * a[:, None]
        row |= {
            f"largest weight, {name}": a.amax(-1).median().item(),
            f"slopes, {name}": slope.norm(dim=(1, 2)).median().item(),
        }
    return row


rng = torch.Generator().manual_seed(0)
widths = pd.DataFrame([measured(d, rng) for d in (4, 16, 64, 256, 1024)])
plots.table(widths, "Medians over 500 queries with 64 keys each", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
of = widths.set_index("d")
bare, divided = of["slopes, as it is"], of["slopes, scaled"]
finding("within 5 %", bool((of["variance / d"] - 1).abs().max() < 0.05))
finding("more than 0.97", of.loc[256, "largest weight, as it is"] > 0.97)
finding("less than 0.05", bare[256] < 0.05)
finding(
    "less than 0.12", bool((of["largest weight, scaled"] < 0.12).all())
)
finding("between 0.15 and 0.20", bool(divided.between(0.15, 0.2).all()))
finding("larger without the scale", bare[16] > divided[16])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The variance is $d$ within 5 % at every width. Without the scale one of 64 keys takes more than 0.97 at $d = 256$, and the
# norm of the slopes is less than 0.05. Divided by $\sqrt d$ no key takes more than the others by much (the largest weight is
# less than 0.12) and the norm stays between 0.15 and 0.20. But the scale is no law: at $d = 16$ the slopes are larger without
# the scale. It matters for wide heads.
# :::
#
# All medians are over random vectors. Trained queries and keys are not independent, and may grow: the scale fixes the start.
#
# ### Heads
#
# A query has one row of weights, which add up to one: it cannot look at two things for two reasons. *Heads* split the $C$
# channels of $q$, $k$ and $v$ into $M$ parts of $d = C / M$. Each has its own softmax, and a last matrix mixes their
# outputs:
#
# $$y_i = W_o \begin{bmatrix} \sum_j A^{(1)}_{ij} v^{(1)}_j \\ \vdots \\ \sum_j A^{(M)}_{ij} v^{(M)}_j \end{bmatrix}.$$ (dp-heads)
#
# However many heads there are, the four matrices have $C \times C$ entries each, so
#
# $$P = 4\, C^2.$$ (dp-parameters)
#
# :::{admonition} Finding
# :class: finding
# In the paper's Table 3 one head gives 24.9 BLEU, eight and sixteen 25.8, thirty-two 25.4. More heads are not always better:
# with 32 a head has 16 channels left to compare by. Each number is a single run of the authors.
# :::

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
printed = paper.table("table-3")
of_heads = printed["row"].str.startswith(("base", "(A)"))
bleu = printed[of_heads].set_index("heads")["bleu"]
finding("24.9 BLEU", bleu[1])
finding("eight and sixteen 25.8", bleu[8], bleu[16] == bleu[8])
finding("thirty-two 25.4", bleu[32])

# %% [markdown]
# ### A mean without order
#
# Exchange the rows of $x$ by a permutation matrix $P$. Projections act row by row, so queries, keys and values are exchanged
# alike. The scores become $P q\,(P k)^{\top} = P\, S P^{\top}$. A softmax by rows does not care in which order a row stands, so
# the weights become $P A P^{\top}$. And since $P^{\top} P$ is the identity,
#
# :::{div} wide
# $$(P A P^{\top})(P v) = P\,(A v) = P\, y.$$ (dp-equivariance)
# :::
#
# **The output is exchanged alike, and nothing else happens.** "Walk by river bank" and "bank by river walk" give every
# word the same vector. For a map: attention does not know which pixels are neighbours. Who wants order has to write
# it into the vectors. The paper adds sines and cosines of the position to $x$; $x_i$ then also says where $i$ is.
#
# ## The module from scratch
#
# A map of $H \times W$ pixels is $n = HW$ rows of $C$ channels.


# %%
class SelfAttention(nn.Module):
    def __init__(self, channels: int, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=False)  # W_q
        self.key = nn.Linear(channels, channels, bias=False)  # W_k
        self.value = nn.Linear(channels, channels, bias=False)  # W_v
        self.out = nn.Linear(channels, channels, bias=False)  # W_o

    def forward(self, x):
        rows = x.flatten(2).mT  # one row a pixel: (N, H W, C)
        # q = W_q x, k = W_k x, v = W_v x, in heads of d channels
        layers = (self.query, self.key, self.value)
        parts = [f(rows).unflatten(2, (self.heads, -1)) for f in layers]
        q, k, v = (part.transpose(1, 2) for part in parts)
        # A = softmax(q . k / sqrt(d))
        A = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)
        # y = W_o [sum_j A_ij v_j of every head]
        y = self.out((A @ v).transpose(1, 2).flatten(2))
        return y.mT.reshape(x.shape)


# %% [markdown]
# ## It is right
#
# In double precision, on maps of 5 by 3 pixels so that no axis can stand in for another. A check that fails stops the
# notebook. The first two hold the code against the equations in plain loops, which know nothing of tensors; the third
# holds the heart of it against the function of PyTorch.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "The loop reference"}
def times(matrix, vector):
    return [
        sum(w * v for w, v in zip(row, vector, strict=True))
        for row in matrix
    ]


def loops(image, w_q, w_k, w_v, w_o, heads):
    """One image as nested lists [C][H][W]; matrices as nested lists."""
    channels, height, width = len(image), len(image[0]), len(image[0][0])
    places = [(i, j) for i in range(height) for j in range(width)]
    x = [[channel[i][j] for channel in image] for i, j in places]
    q, k, v = ([times(w, row) for row in x] for w in (w_q, w_k, w_v))
    d = channels // heads
    output = [[[0.0] * width for _ in range(height)] for _ in image]
    for n, (i, j) in enumerate(places):
        joined = []
        for head in range(heads):
            own = range(head * d, (head + 1) * d)
            powers = []
            for other in range(len(places)):
                score = sum(q[n][c] * k[other][c] for c in own)
                powers.append(math.exp(score / math.sqrt(d)))
            for c in own:
                total = sum(p * v[o][c] for o, p in enumerate(powers))
                joined.append(total / sum(powers))
        for c, value in enumerate(times(w_o, joined)):
            output[c][i][j] = value
    return output


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 16, 5, 3, dtype=torch.float64)
scratch = SelfAttention(16, heads=4).double()
library = attnlib.create("dot_product", 16, heads=4).double()
library.load_state_dict(scratch.state_dict())
matrices = [p.tolist() for p in scratch.parameters()]
by_loops = [loops(image, *matrices, heads=4) for image in x.tolist()]
check("from scratch = loops", scratch(x), by_loops, atol=1e-12)
check("attnlib = loops", library(x), by_loops, atol=1e-12)

q, k, v = (torch.randn(2, 15, 4, dtype=torch.float64) for _ in range(3))
A = torch.softmax(q @ k.mT / 4**0.5, -1)
fused = F.scaled_dot_product_attention(q, k, v)
check("softmax(q k / sqrt(d)) v = PyTorch's", A @ v, fused, atol=1e-12)
for M in (1, 2, 8, 16):
    module = attnlib.create("dot_product", 16, heads=M)
    counted = sum(p.numel() for p in module.parameters())
    check(f"parameters, M = {M}: 4 C^2", counted, 4 * 16**2)

# %% [markdown]
# Last, order. Shuffle the pixels, and see that the output is shuffled alike ({eq}`dp-equivariance`); then add the paper's code
# of positions to the map first, and see that this ends.


# %% tags=["nbval-check-output"]
def shuffled(z):
    order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
    return z.flatten(2)[:, :, order].view_as(z)


with torch.no_grad():
    after, before = shuffled(scratch(x)), scratch(shuffled(x))
    check("shuffled in = shuffled out", before, after, atol=1e-12)
    code = sinusoidal_map(5, 3, 16, like=x)
    after, before = (
        shuffled(scratch(x + code)),
        scratch(shuffled(x) + code),
    )
    apart = (before - after).abs().max() / after.abs().max()
    finding("by more than 10 %", apart.item() > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without a code of positions, shuffling the 15 pixels shuffles the output, to the last digits of double precision. With the
# code the two outputs differ by more than 10 % of the largest entry: now it matters where a pixel is.
# :::
#
# ## What it costs
#
# For $n = HW$ pixels the four projections take $C^2$ multiply-adds (MACs) a pixel each. Scores and weighted sums take $C$ for
# each pair of pixels, all heads together:
#
# $$\mathrm{MACs} = 4\, n\, C^2 + 2\, n^2 C.$$ (dp-macs)
#
# The second part takes over where $2 n^2 C > 4 n C^2$, that is from $n = 2 C$ on. And whoever keeps all weights for the way
# back keeps $M n^2$ of them. So much for theory; `profile` counts what the module really does, and the bytes of one
# training step, for 64 channels and 8 heads.

# %% tags=["nbval-check-output"]
C, rows = 64, []
attention = attnlib.create("dot_product", C, heads=8)
convolution = nn.Conv2d(C, C, 3, padding=1, bias=False)
for side in (4, 8, 16, 32):
    n = side * side
    ours = profile(attention, side, in_channels=C)
    theirs = profile(convolution, side, in_channels=C)
    check(f"MACs, {n} pixels", ours.macs, 4 * n * C**2 + 2 * n**2 * C)
    row = {
        "pixels": n,
        "MACs (M)": ours.macs / 1e6,
        "of pairs (%)": 100
        * ours.macs_by_operator["attention"]
        / ours.macs,
        "3 x 3 (M)": theirs.macs / 1e6,
        "memory (MB)": ours.peak_memory_bytes / 1e6,
        "3 x 3 (MB)": theirs.peak_memory_bytes / 1e6,
    }
    rows.append(row)
cost = pd.DataFrame(rows)

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the table"}
by_pixels = cost.set_index("pixels")
small, large = by_pixels.loc[16], by_pixels.loc[1024]
growth = [b / a for a, b in pairwise(cost["memory (MB)"])]
finding("11 % of its MACs", round(small["of pairs (%)"]))
finding("89 %", round(large["of pairs (%)"]))
finding(
    "102 MB, and the convolution 0.67",
    round(large["memory (MB)"]),
    large["3 x 3 (MB)"],
)
ratio = large["memory (MB)"] / large["3 x 3 (MB)"]
finding("152 times", round(ratio))
finding("cheaper in MACs", small["MACs (M)"] < small["3 x 3 (M)"])
finding("by a factor of 15", round(growth[-1]))
plots.table(
    cost, "Attention and a 3 x 3 convolution of 64 channels", digits=2
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# At 16 pixels, pairs make 11 % of its MACs, and attention is cheaper in MACs than a 3 x 3 convolution. At 1,024 pixels they
# make 89 %. There a training step holds 102 MB, and the convolution 0.67: that is 152 times as much. In the last step of
# the table four times the pixels make the memory grow by a factor of 15; the square would be 16.
# :::
#
# This memory is that of the form above, which holds all weights. The fused function of PyTorch makes a few rows at a time and
# holds none of them for long: it saves the memory, and not the MACs.
#
# :::{admonition} Try it
# :class: try-it
# What do MACs and memory do if one head takes the place of eight? Predict both from the equations, change `M`, run.
# :::

# %%
M = 8
one = profile(attnlib.create("dot_product", C, heads=M), 16, in_channels=C)
print(f"{one.macs / 1e6:.2f} M MACs, {one.peak_memory_bytes / 1e6:.2f} MB")

# %% [markdown]
# ## Does it train, does it help?
#
# ### Live, on generated shapes
#
# A small ResNet on generated shapes for three epochs, with attention of four heads behind its second stage: 256 pixels of 32
# channels go in, and 256 mixed pixels go on.

# %% mystnb={"image": {"alt": "Accuracy on generated shapes by epoch: one line for held-out images and one for training images, both rising over three epochs."}}
where = {"placement": "layer2", "attention_args": {"heads": 4}}
trained = train(chapter_recipe("dot_product", seed=0, **where))
if lane() == "full":
    store(trained.record)
plots.learning_curves([trained.record])
if lane() == "smoke":
    finding("more than 40 %", trained.record.final.accuracy > 0.4)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After three epochs the network names more than 40 % of the held-out images, where chance is a tenth: it trains. Whether
# attention helps, one short run cannot say.
# :::
#
# ### On CIFAR-10, recorded
#
# Recorded beforehand: 5,000 images of CIFAR-10, ResNet-20, four epochs. Attention of eight heads stands behind the last stage, on
# 64 pixels of 64 channels. The controls are no module and a constant gate of one half on every branch.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Test accuracy of every recorded run as a point. Attention behind the last stage lowest, no module above it, the constant gate highest."}, "code_prompt_show": "Draw the figure"}
keys = ("none", "constant", "dot_product(placement=layer3)")
runs = [run for key in keys for run in records("cifar10-slice", key)]
plots.accuracies(runs)
row = {r.label: r for r in attnlib.report(runs, baseline="none").rows}
mixed = row[keys[2]]
low, high = mixed.student
finding("each of three seeds", len(mixed.seeds) == 3)
finding(
    "by 2.07, 5.74 and 3.49",
    *(-each for each in mixed.differences),
    max(mixed.differences) < 0,
)
finding("3.77 points in the mean", -mixed.difference)
finding("-8.36 to 0.83", low, high)
finding("above it, too", row["constant"].mean > mixed.mean)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Attention is worse than no module on each of three seeds, by 2.07, 5.74 and 3.49 points, 3.77 points in the mean. Three
# seeds are few: the 95 % interval of the difference, -8.36 to 0.83, does not leave zero out. The constant gate, which knows
# nothing, is above it, too.
# :::
#
# The paper's layer has more than this one: among other things a shortcut around attention, so that a position keeps what it
# was, and a code of positions. These runs do not say what of it is missed. [The records of all modules](../accuracy.ipynb)
# have blocks of this family with a shortcut.
#
# ## Look inside
#
# ### Does a pixel of the object look at the object?
#
# Two hundred fresh images go through the live network. Every image has a mask: it says how much of a pixel of the
# map is object. A plain mean gives the object its share of the area. What does a query on the object give it, and
# what does a query on the ground?

# %%
images, classes, masks = generate(200, seed=7)
if lane() == "full":  # a network that knows shapes
    recipe = Recipe.named("smoke", attention="dot_product", **where)
    trained = train(recipe)
model = trained.model.cpu().eval()
with (
    torch.no_grad(),
    plots.captured(model, lambda module, x: module.weights(x)) as seen,
):
    model(trained.inputs(images))
(weights,) = seen.values()  # N, heads, queries, keys

# %%
cover = F.adaptive_avg_pool2d(torch.tensor(masks).float()[:, None], 16)
cover = cover.flatten(1)  # N, 256: the part of each pixel that is object
area = cover.mean().item()
given = (weights @ cover[:, None, :, None])[..., 0]  # N, heads, queries


def from_queries(part):
    """What the queries of a part give the object: every head, all."""
    of_heads = (given * part[:, None]).sum((0, 2)) / part.sum()
    return [*of_heads.tolist(), of_heads.mean().item()]


on_object, on_ground = from_queries(cover), from_queries(1 - cover)

# %% tags=["hide-input"] mystnb={"image": {"alt": "For four heads and their mean, the share of attention on the object: from queries on the object it is above the object's share of the area in the mean, from queries on the ground below it; heads differ widely."}, "code_prompt_show": "Draw the figure"}
_, axis = plt.subplots(figsize=(plots.COLUMN, 3))
for part, values, face in (
    ("queries on the object", on_object, plots.colour("dot_product")),
    ("queries on the ground", on_ground, "none"),
):
    style = plots.look("dot_product").points(ls="", mfc=face, label=part)
    axis.plot([100 * value for value in values], range(5), **style)
axis.axvline(100 * area, color=plots.INK, ls=":")
names = [f"head {n}" for n in range(1, 5)]
axis.set_yticks(range(5), [*names, "all heads"])
axis.set(
    ylim=(4.6, -0.6),
    xlabel="attention on the object (%); dotted: its area",
)
axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1))
finding("more than 1.3 times its share", on_object[-1] > 1.3 * area)
finding("less than 0.8 times", on_ground[-1] < 0.8 * area)
spread = max(on_object[:-1]) - min(on_object[:-1])
finding("more than 20 points", spread > 0.2)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A pixel of the object gives the object more than 1.3 times its share of the area, a pixel of the ground less than 0.8 times:
# like looks at like, and nobody told the network where the object is. The heads share the work: what a pixel of the object
# gives the object differs between two heads by more than 20 points.
# :::
#
# ### Three images
#
# The same network, all heads together, and two queries an image: the pixel with most object in it, and the top left corner.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows: an image, what a query on its object attends to, and what the top left corner attends to."}, "code_prompt_show": "Draw the figure"}
chosen = torch.arange(3)
inside = cover[chosen].argmax(1)
mean = weights.mean(1)
looks = [mean[chosen, inside], mean[chosen, 0]]
figure = plots.show_maps(
    images[:3],
    [256 * look.view(3, 16, 16) for look in looks],
    titles=["object asks", "corner asks"],
    label="times the plain mean",
)
for n, query in enumerate(inside.tolist()):
    for panel, place in enumerate((query, 0), start=3 * n + 1):
        axis, (row, column) = figure.axes[panel], divmod(place, 16)
        axis.plot(column, row, "o", mfc="none", mec="w", ms=8)
own, corner = ((look * cover[:3]).sum(1) for look in looks)
finding("In all three", bool((own > corner).all()))
plt.show()

# %% [markdown]
# **How to read it.** The circle is the query. A pixel of 1 gets what a plain mean would give it.
#
# :::{admonition} Finding
# :class: finding
# In all three images the pixel on the object gives the object more than the corner does.
# :::
#
# That a pixel *looks* at the object does not show that the network *needs* it: for the gates of
# [SE](../scale_attention/se.ipynb) these were two things.
#
# ## What holds
#
# Code judges the claims of the paper. Here are those that matter most, the unkind ones first; all of them, each with the
# code that judged it, are in [the ledger](../../book/ledger.md).

# %% tags=["nbval-check-output"]
claims = """vocabulary french cost-self-attention faster-than-recurrent
    small-gradients parameters-by-heads equal-at-two-d single-head"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
those = (
    "vocabulary biases wavelengths norm mask self-attention-cost".split()
)
differing = [d for d in paper.differences if d.id in those]
plots.table(
    pd.DataFrame([d.model_dump() for d in differing]),
    "Paper and released code",
)

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why.
#
# ```{quiz} Ten is added to all scores of one query. What becomes of its weights?
# - [ ] They become sharper.
#
#   That is what a factor does. Ten times the scores would be sharper, scores plus ten are not.
# - [x] Nothing: they stay as they are.
#
#   A factor of e to the ten stands above and below, and cancels. Only differences of scores count.
# - [ ] They no longer add up to one.
#
#   A softmax divides by the sum, whatever the scores are.
# ```
#
# ```{quiz} What is the division by the root of d for?
# - [ ] It makes the weights add up to one.
#
#   The softmax does that, with or without it.
# - [ ] It makes attention cheaper.
#
#   It is one more multiplication for each score.
# - [x] It keeps the variance of the scores at one, whatever the width of a head.
#
#   Without it, wide heads start where one key takes nearly all, and where next to no gradient is left.
# ```
#
# ```{quiz} The pixels of a map are shuffled before attention without positions. What happens?
# - [ ] The output stays as it was.
#
#   It is shuffled in the same way. Only what follows a global mean stays as it was.
# - [x] The output is shuffled in the same way.
#
#   Every pixel still meets the same set of pixels, and takes the same mean of them.
# - [ ] The output changes altogether, because neighbours are no longer neighbours.
#
#   A convolution would notice. Attention compares all pairs, and knows of no neighbours.
# ```
#
# ```{quiz} The number of heads is doubled at the same number of channels. What grows?
# - [ ] The parameters.
#
#   Four matrices of C x C entries, whatever the heads.
# - [ ] The multiply-adds.
#
#   Twice as many heads, each half as wide.
# - [x] The weights that are held in memory.
#
#   There is one table of n x n weights for each head.
# ```
#
# ```{quiz} A map of 64 channels grows from 32 x 32 to 64 x 64. How do the multiply-adds for pairs of pixels grow?
# - [ ] By a factor of 4.
#
#   The pixels do, and so do the projections. Pairs grow with the square of the pixels.
# - [x] By a factor of 16.
#
#   Four times the pixels make sixteen times the pairs.
# - [ ] By a factor of 2, as the side does.
#
#   The number of pixels is the square of the side, and the number of pairs the square of that.
# ```
#
# ## Exercises
#
# ````{exercise} More money than water
# :label: dot-product-exercise-bank
#
# *Easy, 5 minutes.* Let "bank" be $(0, 0, 1, 2)$, with the other words as above. Which weight does it give to "river", to
# three decimals?
#
# :::{dropdown} Hint
# Four dot products, four exponentials. The scores of "walk" and "by" are zero.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-bank", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-bank
# :class: dropdown
# ````
#
# "River" has the score 2, as before, but "bank" itself now has $1 + 4 = 5$. A longer vector fits itself better: it hardly moves.

# %%
powers = [math.exp(score) for score in (0, 0, 2, 5)]
share_of_river = powers[2] / sum(powers)
print(f"{share_of_river:.3f}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-bank",
    right=share_of_river,
    wrong=[0.440, 0.941, 0.119],
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} As dear as a convolution
# :label: dot-product-exercise-break-even
#
# *Easy, 10 minutes.* At how many pixels does attention of 256 channels take exactly as many multiply-adds as a
# 3 x 3 convolution from 256 to 256 channels?
#
# :::{dropdown} Hint
# The convolution takes $9\, n\, C^2$. Set it equal to {eq}`dp-macs`.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-break-even", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-break-even
# :class: dropdown
# ````
#
# $4 n C^2 + 2 n^2 C = 9 n C^2$ gives $n = \tfrac52 C$, a map of about 25 by 25 pixels. In the last stages of a network maps are
# smaller and channels more: there attention is cheaper than a convolution.

# %%
even = 5 * 256 // 2
print(even)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-break-even", right=even, wrong=[512, 1280, 25]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Do not look ahead
# :label: dot-product-exercise-mask
#
# *Medium, 15 minutes.* A translator that writes word after word may not look at words that are not written yet. Write
# `attend(q, k, v)` for (N, n, d) tensors in which position $i$ sees positions $1$ to $i$ alone.
#
# :::{dropdown} Hint
# Weights of zero come from scores of minus infinity; `torch.tril` makes a triangle. To set weights to zero behind the softmax
# is not enough: what sum do they have then?
# :::
# ````

# %%
exercises.answer("dot-product-exercise-mask", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-mask
# :class: dropdown
# ````
#
# The first position sees itself alone, and its output is its own value.


# %%
def masked(q, k, v, seen=torch.tril):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    allowed = seen(torch.ones_like(scores)).bool()
    return torch.softmax(scores.masked_fill(~allowed, -math.inf), -1) @ v


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}


def behind(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1).tril() @ v


exercises.try_judge(
    "dot-product-exercise-mask",
    right=masked,
    wrong=[
        behind,
        F.scaled_dot_product_attention,
        lambda q, k, v: masked(q, k, v, torch.triu),
    ],
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Does it miss the positions?
# :label: dot-product-exercise-positions
#
# *Research, 45 minutes.* The network of this chapter has no code of positions. Train it with one, from five seeds: the recipe
# `smoke` with `placement="layer3"` and `attention_args={"positions": "learned"}`, and without. Does the interval of the
# paired differences (`attnlib.report`) leave zero out? To begin with: how many parameters do learned positions add for the
# map of 8 by 8 pixels with 64 channels?
#
# :::{dropdown} Hint
# One vector for each pixel is added to the map.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-positions", ...)  # yours

# %% [markdown]
# ````{solution-start} dot-product-exercise-positions
# :class: dropdown
# ````
#
# 64 vectors of 64 channels. The rest is an experiment, and yours: say the number of seeds, the mean of the paired differences
# and its interval, whatever comes out.

# %%
added = attnlib.create(
    "dot_product", 64, positions="learned", size=8
).position.numel()
print(f"{added:,}")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "dot-product-exercise-positions", right=added, wrong=[0, 64, 512]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Take away
#
# :::{admonition} In five lines
# :class: takeaway
# 1. Attention is a mean over all positions whose weights come from comparing them. It needs no parameters to do that.
# 2. Query, key and value let a network choose what it compares and what it takes; heads let it do so for several reasons.
# 3. Scores grow with the width of a head; a softmax of large scores has no gradient. Hence the division by the root of $d$.
# 4. It knows no order: shuffled in, shuffled out. Positions have to be written into the vectors.
# 5. From $n = 2C$ pixels on its cost grows with their square; behind a network's last stage, alone, it did not pay here.
# :::
#
# ## Further reading
#
# * The paper {cite}`dot_product`: encoder, decoder, positions by sines, and how it was trained.
# * [SE](../scale_attention/se.ipynb) is the other family: it turns channels down and moves nothing between positions.
# * [Costs](../costs.ipynb) and [accuracy](../accuracy.ipynb) have the modules of this family beside all others.
