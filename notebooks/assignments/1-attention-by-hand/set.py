# %% [markdown]
# # Set 1: Attention by hand
#
# In this set you write the four steps of attention yourself: weights, scale, heads, positions. Each is a small change of what
# the chapter *What attention is* shows, so that the chapter helps and its cells do not fit.
#
# | question | minutes | points |
# | --- | --- | --- |
# | warm-up | 5 | – |
# | 1 weights with forbidden keys | 15 | 5 |
# | 2 the scale | 10 | 3 |
# | 3 why this scale | 10 | 4 |
# | 4 heads of unequal sizes | 15 | 6 |
# | 5 positions as a bias | 15 | 6 |
# | 6 how sharp is it? | 15 | 5 |
#
# **After it you can** turn scores into weights that survive large numbers and masks, say what a score has to be divided by and
# why, split channels into heads, and give attention a sense of place.
#
# **How it is graded.** Put your answer where a `NotImplementedError` is raised; the cell behind each answer has a few checks that you can
# see. When it is graded, your functions are called with other inputs: other sizes, several maps at once, and the cases that
# the text names. Cells of your own are welcome; what is set up stays as it is. You need `torch`, `numpy` and `matplotlib`;
# `kit` lies beside this notebook. `torch.softmax` may be used; a function that does all of attention may not.

# %% locked="set-up"
import math

import matplotlib.pyplot as plt
import torch

from kit import check, heatmap

torch.manual_seed(0)
float64 = {"dtype": torch.float64}

# %% [markdown]
# ## Warm-up: one query, two keys
#
# A query of two channels meets two keys. The score of a key is the dot product; the weights are the softmax of the scores; the
# output is the mean of the values by these weights. Everything is computed below: run it, then change the query until the
# first key gets more than nine tenths of the weight.

# %%
query = torch.tensor([1.0, 0.5])
keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
values = torch.tensor([[10.0], [20.0]])
scores = keys @ query
print("scores ", scores)
print("weights", torch.softmax(scores, 0))
print("output ", torch.softmax(scores, 0) @ values)
heatmap(torch.softmax(scores, 0)[None], ["query"], ["key 1", "key 2"])

# %% [markdown]
# ## 1 Weights with forbidden keys
#
# Often a query may not look everywhere: at padding, at the future, at itself. Given scores $s_{ij}$ of query $i$ and key $j$ and
# a mask $m_{ij}$ of booleans (`True`: key $j$ is allowed for query $i$), the weights are
#
# $$w_{ij} = \frac{m_{ij}\, e^{s_{ij}}}{\sum_k m_{ik}\, e^{s_{ik}}}.$$
#
# Write `weights(scores, allowed)`, both of shape `(..., queries, keys)`. Three things are asked for: forbidden keys get exactly
# zero and each row adds up to one; scores in the thousands do not overflow, not even where the largest of them is forbidden;
# and a query for which no key is allowed gets a row of zeros, not `nan`.
#
# *Hint:* subtracting the same number from all scores of a row changes nothing. Which number, and over which keys?


# %% answer="weights"
def weights(scores, allowed):
    """The share of each key in the attention of each query, (..., queries, keys)."""
    ### BEGIN SOLUTION
    largest = scores.masked_fill(~allowed, -math.inf).amax(
        -1, keepdim=True
    )
    largest = largest.masked_fill(largest.isinf(), 0)
    grown = (scores - largest).masked_fill(~allowed, -math.inf).exp()
    return grown / grown.sum(-1, keepdim=True).clamp(min=1e-300)
    ### END SOLUTION


# %% tests="weights"
scores = torch.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]], **float64)
allowed = torch.tensor([[True, True, False], [True, True, True]])
found = weights(scores, allowed)
check(
    "a row adds up to one",
    found.sum(-1),
    torch.ones(2, **float64),
    atol=1e-12,
)
check("a forbidden key", found[0, 2], torch.tensor(0.0, **float64))
check(
    "equal scores, equal weights",
    found[1],
    torch.full((3,), 1 / 3, **float64),
    atol=1e-12,
)

# %% [markdown]
# ## 2 The scale
#
# Let the $d$ channels of a query be independent, each with mean 0 and standard deviation $\sigma_q$, and those of a key
# likewise with $\sigma_k$. Their dot product has mean 0. By what must it be divided so that the scores have **variance one**?
# Write `scale(channels, query_deviation, key_deviation)`, which gives the divisor as a number.


# %% answer="scale"
def scale(channels, query_deviation, key_deviation):
    """What a dot product is divided by so that its variance is one."""
    ### BEGIN SOLUTION
    return math.sqrt(channels) * query_deviation * key_deviation
    ### END SOLUTION


# %% tests="scale"
check("the usual case", scale(64, 1.0, 1.0), 8.0, atol=1e-12)
drawn = 3 * torch.randn(20000, 16), 0.5 * torch.randn(20000, 16)
variance = ((drawn[0] * drawn[1]).sum(1) / scale(16, 3.0, 0.5)).var()
check("variance of 20,000 drawn scores", float(variance), 1.0, atol=0.1)

# %% [markdown]
# ## 3 Why this scale
#
# Derive the divisor of question 2, in three or four lines. Say where you use that the channels are independent, and where that
# their mean is 0. Then say in one sentence what happens to the softmax, and to its gradient, where one forgets to divide and
# $d$ is large.

# %% [markdown] written="why" points=4
# ### BEGIN SOLUTION
# *Rubric, a point each:* (1) $\operatorname{Var}(q_c k_c) = E[q_c^2]\,E[k_c^2] = \sigma_q^2 \sigma_k^2$, with independence of
# $q_c$ and $k_c$ for the product of the means and mean 0 for $\operatorname{Var} = E[\cdot^2]$; (2) the variances of the $d$
# products add up, since they are independent: $d\, \sigma_q^2 \sigma_k^2$; (3) a divisor $a$ divides the variance by $a^2$, so
# $a = \sqrt d\, \sigma_q \sigma_k$; (4) without it the largest score stands far from the others, the softmax is nearly 0 or 1,
# and its gradient $w_i(\delta_{ij} - w_j)$ nearly vanishes.
# ### END SOLUTION

# %% [markdown]
# ## 4 Heads of unequal sizes
#
# Heads need not be equal. Write `attend_heads(query, key, value, sizes)`: `query` is `(..., queries, channels)`, `key` and
# `value` are `(..., keys, channels)`, and `sizes` is a list such as `[4, 2, 2]` that adds up to the channels. Head 1 takes the
# first 4 channels of query, key and value, head 2 the next 2, and so on. Each head attends on its own, with **its own scale**
# (take the deviations as 1), and the outputs stand side by side in the same order.


# %% answer="heads"
def attend_heads(query, key, value, sizes):
    """Attention in heads of the given sizes, (..., queries, channels)."""
    ### BEGIN SOLUTION
    outputs, first = [], 0
    for size in sizes:
        q, k, v = (
            each[..., first : first + size] for each in (query, key, value)
        )
        shares = torch.softmax(
            q @ k.transpose(-1, -2) / math.sqrt(size), dim=-1
        )
        outputs.append(shares @ v)
        first += size
    return torch.cat(outputs, dim=-1)
    ### END SOLUTION


# %% tests="heads"
query, key, value = torch.randn(3, 5, 6, **float64)
found = attend_heads(query, key, value, [4, 2])
check("a row for each query", list(found.shape), [5, 6])
same = attend_heads(query[:, :4], key[:, :4], value[:, :4], [4])
check(
    "a head does not see the others' channels",
    found[:, :4],
    same,
    atol=1e-12,
)

# %% [markdown]
# ## 5 Positions as a bias
#
# Attention as it stands does not know what is near: exchange two keys with their values and nothing changes. One remedy is a
# number for each **offset**. On a row of $n$ positions the offset from query $i$ to key $j$ is $j - i$, from $-(n-1)$ to $n-1$;
# `bias` holds a number for each, in this order, $2n - 1$ in all. It is added to the scaled score:
#
# $$s_{ij} = \frac{q_i \cdot k_j}{\sqrt d} + b_{j-i}.$$
#
# Write `attend_positions(query, key, value, bias)`: the first three are `(..., n, channels)`, all queries share `bias`.


# %% answer="positions"
def attend_positions(query, key, value, bias):
    """Attention on a row of positions with a bias for each offset, (..., n, channels)."""
    ### BEGIN SOLUTION
    n = query.shape[-2]
    at = torch.arange(n)
    offsets = at[None, :] - at[:, None]
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return torch.softmax(scores + bias[offsets + n - 1], dim=-1) @ value
    ### END SOLUTION


# %% tests="positions"
query, key, value = torch.randn(3, 4, 2, **float64)
near = torch.full((7,), -1e9, **float64)
near[3] = 0.0  # offset 0 alone: every position sees itself
check(
    "each its own value",
    attend_positions(query, key, value, near),
    value,
    atol=1e-9,
)
level = attend_positions(query, key, value, torch.zeros(7, **float64))
check(
    "a bias of zeros is no bias",
    level,
    attend_heads(query, key, value, [2]),
    atol=1e-12,
)

# %% [markdown]
# ## 6 How sharp is it?
#
# The entropy of a row of weights, $H_i = -\sum_j w_{ij} \log_2 w_{ij}$ (with $0 \log 0 = 0$), says over how many keys a query
# spreads: $n$ equal weights have $\log_2 n$ bits, a single one has 0. Write `entropy(weights)`, which takes `(..., queries,
# keys)` and gives `(..., queries)`, in bits.


# %% answer="entropy"
def entropy(weights):
    """Bits of each row of weights, (..., queries)."""
    ### BEGIN SOLUTION
    logs = torch.where(
        weights > 0, weights, torch.ones_like(weights)
    ).log2()
    return -(weights * logs).sum(-1)
    ### END SOLUTION


# %% tests="entropy"
check(
    "eight equal weights",
    entropy(torch.full((1, 8), 1 / 8, **float64)),
    torch.tensor([3.0], **float64),
    atol=1e-12,
)

# %% [markdown]
# Now the experiment. Draw 16 queries and 16 keys of $d$ channels with deviation 1, and plot the mean entropy of the weights
# against $d = 1, 2, 4, \dots, 1024$, once with scores divided by $\sqrt d$ and once not. Both curves go into one figure, with
# names on the axes and a legend, and a line at $\log_2 16$. Below it, say in two sentences what you see.

# %% solution="figure"
### BEGIN SOLUTION
sizes = [2**power for power in range(11)]
for name, divided in (
    ("divided by the root of d", True),
    ("not divided", False),
):
    bits = []
    for size in sizes:
        query, key = torch.randn(2, 16, size)
        scores = query @ key.T / (math.sqrt(size) if divided else 1)
        bits.append(float(entropy(scores.softmax(-1)).mean()))
    plt.plot(sizes, bits, marker="o", label=name)
plt.axhline(
    math.log2(16), linestyle=":", color="gray", label="16 equal weights"
)
plt.xscale("log", base=2)
plt.xlabel("channels d")
plt.ylabel("mean entropy (bits)")
plt.legend()
plt.show()
### END SOLUTION

# %% [markdown] written="plot" points=2
# ### BEGIN SOLUTION
# *Rubric:* one point for the figure (both curves, axes named, legend), one for the reading: divided, the entropy stays near
# 3.5 bits for any $d$ from a few channels on; not divided, it falls to nearly 0, since scores of deviation $\sqrt d$ give all
# weight to one key.
# ### END SOLUTION
