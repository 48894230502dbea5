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
# # What attention is, deeper
#
# Five questions that [the chapter](dot_product.ipynb) leaves open: when does a softmax stop learning, how does a query
# learn where to look, must the table of weights exist at all, are more heads better, and how can attention know an
# order? Symbols and definitions are those of the chapter.

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
import pandas as pd
import torch
import torch.nn.functional as F

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.self_attention.position_codes import (
    sinusoidal,
    sinusoidal_map,
)

plots.use()
paper = attnlib.paper("dot_product")

# %% [markdown]
# ## When does a softmax stop learning?
#
# A slope of the softmax, {eq}`dp-jacobian`, is at most $1 - a$, with $a$ the largest weight of its row. Is the bound
# near? Take the scores that the word "river" has in the chapter, and multiply them by a factor $t$.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Weights and slopes of the word river, with its scores multiplied by t.", "name": "dot-product-slopes"}, "image": {"alt": "Against the factor on the scores: the largest weight of the word river rises from a quarter to one; the largest slope rises, then falls to zero below its bound."}, "code_prompt_show": "Draw the figure"}
scores = torch.tensor([0.0, 0, 4, 2], dtype=torch.float64)  # of "river"
factors = torch.linspace(0, 4, 81, dtype=torch.float64)
rows = torch.softmax(factors[:, None] * scores, -1)
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
near = steepest[at[4]] / (1 - largest[at[4]])
finding("by less than 1 %", 0.99 < near < 1)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# When one weight takes all. From $t = 0$ to $t = 1$ the weight that "river" gives itself goes from 0.25 to 0.85, and a
# slope of 0.13 is left. At $t = 4$ the slope is 0.0003: four times larger scores, and the word can hardly learn to look
# elsewhere. The slope stays below its bound everywhere, at $t = 4$ by less than 1 %.
# :::
#
# The chapter says what the division by $\sqrt d$ does to the largest weight. Here is what it does to all slopes of a
# row at once, the norm of the matrix {eq}`dp-jacobian`, with the same random queries and keys:

# %%
rng = torch.Generator().manual_seed(0)
rows = []
for d in (4, 16, 64, 256, 1024):
    q = torch.randn(500, 1, d, generator=rng)
    k = torch.randn(500, 64, d, generator=rng)
    row = [d]
    for factor in (1, d**-0.5):
        a = torch.softmax(factor * (q * k).sum(-1), -1)
        slopes = torch.diag_embed(a) - a[:, :, None] * a[:, None]
        row.append(slopes.norm(dim=(1, 2)).median().item())
    rows.append(row)
names = ["d", "as it is", "scaled"]
widths = pd.DataFrame(rows, columns=names)
plots.table(widths, "Norm of the slopes, medians of 500 queries", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
bare, scaled = (widths.set_index("d")[name] for name in names[1:])
finding("between 0.15 and 0.20", bool(scaled.between(0.15, 0.2).all()))
finding("less than 0.05 at $d = 256$", bare[256] < 0.05)
finding("larger without the scale", bare[16] > 1.2 * scaled[16])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Divided by $\sqrt d$ the norm of the slopes is between 0.15 and 0.20 at every width. Without the scale it is less
# than 0.05 at $d = 256$. But the scale is no law: at $d = 16$ the slopes are larger without the scale. It matters for
# wide heads.
# :::
#
# ## How does a query learn where to look?
#
# One head, with rows $y_i = \sum_j A_{ij} v_j$ for its output. A bar is the gradient of the loss, as in the
# [notation](../../book/notation.md), and $\bar y$ arrives. A value enters every row of the output with a weight, so
# that
#
# $$\bar v_j = \sum_i A_{ij}\, \bar y_i.$$ (dp-back-values)
#
# A weight multiplies one value, $\bar A_{ij} = \bar y_i \cdot v_j$. A score acts on all weights of its row, by
# {eq}`dp-jacobian`:
#
# :::{div} wide
# $$\bar S_{ij} = \sum_r \bar A_{ir}\, A_{ir} \bigl([r = j] - A_{ij}\bigr) = A_{ij} \Bigl(\bar A_{ij} - \sum_r A_{ir} \bar A_{ir}\Bigr).$$
# :::
#
# The last sum is $\sum_r A_{ir}\, \bar y_i \cdot v_r = \bar y_i \cdot y_i$, one number for a query. So
#
# $$\bar S_{ij} = A_{ij}\; \bar y_i \cdot (v_j - y_i).$$ (dp-back-scores)
#
# **This is how.** A score rises where the value, seen from what the query takes now, lies in the
# direction that the loss wants. A value that is like the present mean moves nothing. And a row of $\bar S$ adds up to
# zero, as it must: a constant on all scores changes nothing. Last, the scores are products:
#
# $$\bar q_i = \frac{1}{\sqrt d} \sum_j \bar S_{ij}\, k_j,$$ (dp-back-queries)
#
# $$\bar k_j = \frac{1}{\sqrt d} \sum_i \bar S_{ij}\, q_i.$$ (dp-back-keys)

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
n, d = 256, 16
q, k, v, upstream = torch.randn(4, n, d, dtype=torch.float64)
for each in (q, k, v):
    each.requires_grad_()
A = torch.softmax(q @ k.T / d**0.5, -1)
y = A @ v
automatic = torch.autograd.grad((upstream * y).sum(), (q, k, v))
with torch.no_grad():
    # S_ij = A_ij y_i . (v_j - y_i), each with its bar
    back_S = A * (upstream @ v.T - (upstream * y).sum(-1, keepdim=True))
    back_q = back_S @ k / d**0.5
    back_k = back_S.T @ q / d**0.5
    back_v = A.T @ upstream
by_hand = back_q, back_k, back_v
check("q, k and v by hand = automatic", by_hand, automatic, atol=1e-12)
check("rows add up to zero", back_S.sum(-1), torch.zeros(n), atol=1e-12)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
sizes = [(g.norm() / back_v.norm()).item() for g in (back_q, back_k)]
finding("within a quarter", min(sizes) > 0.75, max(sizes) < 1.25)
alike = torch.ones_like(v)  # every value is the mean
shown = torch.softmax(q @ k.T / d**0.5, -1) @ alike
lost = torch.autograd.grad((upstream * shown).sum(), (q, k))
finding("less than a billionth", max(g.norm() for g in lost) < 1e-9)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With 256 random positions the gradients of queries and keys are as large as that of the values, within a quarter: the
# loss pulls at where to look as strongly as at what is taken. Where all values are alike they get none: less than a
# billionth, which is rounding.
# :::
#
# ## Must the table of weights exist at all?
#
# The table of weights has $n^2$ entries for each head, the output has $n\, d$. Must the table exist at once? The
# softmax divides by a sum over the whole row, so it seems so. But only differences of scores count: a sum that was
# begun with one largest score can be carried on with another. Keep three things for each query: the largest score $m$
# so far, the sum $\ell$ of $e^{S - m}$, and the sum $u$ of $e^{S - m}\, v$. When new keys come with scores $s_j$, the
# largest becomes $m' = \max(m, \max_j s_j)$, and what was summed before shrinks by the same factor in both sums:
#
# $$\ell' = e^{m - m'}\, \ell + \sum_j e^{s_j - m'},$$ (dp-stream-sum)
#
# $$u' = e^{m - m'}\, u + \sum_j e^{s_j - m'}\, v_j.$$ (dp-stream-values)
#
# At the end $y = u / \ell$, the very numbers of the softmax. No exponential is above one, so none overflows.


# %%
def streamed(q, k, v, block=64):
    """Attention over blocks of keys: no table of n x n weights."""
    m = torch.full_like(q[..., :1], -math.inf)
    total, u = torch.zeros_like(m), torch.zeros_like(q)
    for keys, values in zip(k.split(block, -2), v.split(block, -2)):
        s = q @ keys.mT / q.shape[-1] ** 0.5
        largest = torch.maximum(m, s.amax(-1, keepdim=True))
        shrink, powers = (m - largest).exp(), (s - largest).exp()
        # l' = e^(m - m') l + sum_j e^(s_j - m')
        total = shrink * total + powers.sum(-1, keepdim=True)
        # u' = e^(m - m') u + sum_j e^(s_j - m') v_j
        u = shrink * u + powers @ values
        m = largest
    return u / total


# %% [markdown]
# The first check holds it against the plain form, the second against PyTorch's fused function, which does the same. The
# third has scores of several hundred thousand, for which $e^S$ alone is infinite:

# %% tags=["nbval-check-output"]
plain = lambda q, k, v: torch.softmax(q @ k.mT / d**0.5, -1) @ v
fused = F.scaled_dot_product_attention
q, k, v = (each.detach().view(2, 128, d) for each in (q, k, v))
check("streamed = plain", streamed(q, k, v), plain(q, k, v), atol=1e-12)
check("streamed = fused", streamed(q, k, v), fused(q, k, v), atol=1e-12)
ours, theirs = (f(1e5 * q, k, v) for f in (streamed, plain))
check("streamed = plain, large scores", ours, theirs, atol=1e-9)
assert (1e5 * q @ k.mT).exp().isinf().any()

# %% [markdown]
# **And the way back?** {eq}`dp-back-scores` needs $A_{ij}$, which one exponential gives again where $m$ and $\ell$ were
# kept, and $\bar y_i \cdot y_i$, which needs the output alone. So a fused function keeps $q$, $k$, $v$, $y$ and one
# number for each query, $m + \log \ell$; it pays with computing the scores twice. What do the two forms keep, at 1,024
# pixels with 8 heads of 8 channels?


# %%
def kept(attend):
    """MB that are kept for the backward pass, each storage once."""
    sizes = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    q, k, v = (torch.randn(8, 1024, 8, requires_grad=True) for _ in "qkv")
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        attend(q[None], k[None], v[None])
    return sum(sizes.values()) / 1e6


d = 8
held, small = kept(plain), kept(fused)
print(f"plain {held:.1f} MB, fused {small:.1f} MB")

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
table, vectors = 4 * 8 * 1024**2 / 1e6, 3 * 4 * 8 * 1024 * 8 / 1e6
finding("33.6 MB of weights", table, abs(held - table - vectors) < 0.1)
finding("less than a twentieth", small < held / 20)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It need not. The plain form keeps 33.6 MB of weights beside queries, keys and values. The fused function keeps less
# than a twentieth of the plain form's memory, for the same numbers.
# :::
#
# ## Are more heads better?
#
# BLEU is a score for translations from 0 to 100: how many runs of words they share with a human's. The paper varies the
# number of heads, with as many channels in all:

# %% tags=["nbval-check-output"]
printed = paper.table("table-3")
of_heads = printed["row"].str.startswith(("base", "(A)"))
by_heads = printed[of_heads].sort_values("heads")
by_heads = by_heads[["heads", "d_k", "bleu"]]
by_heads = by_heads.astype({"heads": int, "d_k": int})
plots.table(by_heads, "Heads and BLEU", digits=1)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
bleu = by_heads.set_index("heads")["bleu"]
finding("24.9 BLEU", bleu[1])
finding("eight and sixteen 25.8", bleu[8], bleu[16] == bleu[8])
finding("thirty-two 25.4", bleu[32])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Up to a number. In the paper's Table 3 one head gives 24.9 BLEU, eight and sixteen 25.8, thirty-two 25.4: with 32 a
# head has 16 channels left to compare by. Each number is a single run of the authors.
# :::
#
# ## How can attention know an order?
#
# Attention knows no order ({eq}`dp-equivariance`), so the paper adds to the vector of position $i$ a code $p_i$ of
# where it is: for each of $C / 2$ frequencies $\omega_c$, from 1 down to about 1 / 10,000, a sine and a cosine of
# $\omega_c\, i$. Why both? Because $\sin a \sin b + \cos a \cos b = \cos (a - b)$, so that
#
# $$p_i \cdot p_j = \sum_{c=1}^{C / 2} \cos\bigl(\omega_c\, (i - j)\bigr).$$ (dp-code)
#
# **How alike two codes are depends on their distance alone**, wherever they stand.

# %% tags=["nbval-check-output"]
x = torch.randn(1, 16, 5, 3, dtype=torch.float64)
p = sinusoidal(200, 64, like=x)
alike = p @ p.T  # p_i . p_j
offset = torch.arange(200)
by_offset = alike[0, (offset[:, None] - offset).abs()]
check("codes: a matter of distance alone", alike, by_offset, atol=1e-10)

module = attnlib.create("dot_product", 16, heads=4).double()
order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
shuffled = lambda z: z.flatten(2)[:, :, order].view_as(z)
code = sinusoidal_map(5, 3, 16, like=x)
with torch.no_grad():
    without = [shuffled(module(x)), module(shuffled(x))]
    after = shuffled(module(x + code))
    before = module(shuffled(x) + code)
check("without a code: shuffled alike", *without, atol=1e-12)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
near, far = (alike[0, offset] / alike[0, 0] for offset in (1, 100))
finding("0.97 of its own", near.item())
finding("a hundred positions away 0.56", far.item())
apart = (before - after).abs().max() / after.abs().max()
finding("by more than 10 %", apart > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The product of a code of 64 channels with its neighbour's is 0.97 of its own, with that of one a hundred positions
# away 0.56. For a map, half of the channels code the row and half the column. Without a code, shuffling 15 pixels
# shuffles the output, to the last digits of double precision; with the code the two outputs differ by more than 10 % of
# the largest entry. So a head that compares the codes looks near, and a network can learn how near.
# :::
#
# ## More exercises
#
# ````{exercise} Do not look ahead
# :label: dot-product-exercise-mask
#
# *Medium, 15 minutes.* A translator that writes word after word may not look at words that are not written yet. Write
# `attend(q, k, v)` for (N, n, d) tensors in which position $i$ sees positions $1$ to $i$ alone.
#
# :::{dropdown} Hint
# Weights of zero come from scores of minus infinity; `torch.tril` makes a triangle. To set weights to zero behind the
# softmax is not enough: what sum do they have then?
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
# ````{exercise} Two halves of the keys
# :label: dot-product-exercise-stream
#
# *Hard, 20 minutes.* Two machines have half of the keys and values each. For one query, each has worked through its
# half and sends $m$, $\ell$ and $u$: two numbers and a vector of $d$ entries. Write `merge(m, total, u, m2, total2,
# u2)`, which makes the three numbers of the whole out of those of the halves. Then say: does it matter in which order
# blocks of keys are worked through?
#
# :::{dropdown} Hint
# The text shrinks what was summed before. Here either half may have the smaller $m$.
# :::
# ````

# %%
exercises.answer("dot-product-exercise-stream", ...)  # your function

# %% [markdown]
# ````{solution-start} dot-product-exercise-stream
# :class: dropdown
# ````
#
# {eq}`dp-stream-sum` and {eq}`dp-stream-values` with a factor for each half. The two halves stand in it alike, and a
# third one may be merged with either: the order does not matter, and blocks can be worked through side by side.


# %%
def merge(m, total, u, m2, total2, u2):
    largest = torch.maximum(m, m2)
    a, b = (m - largest).exp(), (m2 - largest).exp()
    return largest, a * total + b * total2, a * u + b * u2


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
def unshrunk(m, total, u, m2, total2, u2):
    return torch.maximum(m, m2), total + total2, u + u2


def first_only(m, total, u, m2, total2, u2):
    a = (m - m2).exp()
    return m2, a * total + total2, a * u + u2


exercises.try_judge(
    "dot-product-exercise-stream",
    right=merge,
    wrong=[unshrunk, first_only],
)

# %% [markdown]
# ````{solution-end}
# ````
