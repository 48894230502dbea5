# %% [markdown]
# # Set 4: Groups and shuffles
#
# SGE compares each position with the mean of its group; SA works in groups and then shuffles. In this set you write both steps
# in a form that the chapters do not have, with a cosine and with groups of unequal sizes, and find out what a shuffle is good
# for by following which channel reaches which.
#
# | question | minutes | points |
# | --- | --- | --- |
# | warm-up | 5 | – |
# | 1 similarity with the group's mean | 15 | 5 |
# | 2 standardise | 10 | 4 |
# | 3 deal the channels | 15 | 6 |
# | 4 undo it, and repeat it | 10 | 5 |
# | 5 only new names? | 10 | 4 |
# | 6 who reaches whom | 15 | 6 |
# | 7 a local mean | 10 | 4 |
#
# **After it you can** view channels as groups without mixing them up, normalise over positions, shuffle groups of any sizes and
# undo it, and say when a shuffle changes what a network can compute.
#
# **How it is graded.** Put your answer where a `NotImplementedError` is raised; the cell behind each answer has a few checks that you can
# see. When it is graded, your functions are called with other inputs: other sizes, and the cases that the text names. You need
# `torch`, `numpy` and `matplotlib`; `kit` lies beside this notebook. Functions that do it in one call, such as
# `channel_shuffle` or `avg_pool2d`, may not be used.

# %% locked="set-up"
import matplotlib.pyplot as plt
import torch

from kit import check

torch.manual_seed(0)
float64 = {"dtype": torch.float64}

# %% [markdown]
# ## Warm-up: two views of six channels
#
# Six channels can be seen as two groups of three, or as three groups of two. `reshape` cuts a row into rows; `.T` turns the
# table round. Change the 2 and the 3 and predict the last line before you run it.

# %%
channels = torch.arange(6)
print(channels.reshape(2, 3))
print(channels.reshape(2, 3).T.reshape(-1))

# %% [markdown]
# ## 1 Similarity with the group's mean
#
# Cut the channels of `x`, `(N, C, H, W)`, into `groups` groups of neighbours. In each group a position has a vector of
# $C / G$ numbers, and the mean of these vectors over all positions is the group's mean $m$. Write `similarity(x, groups)`, which
# gives the **cosine** of each position with it, `(N, groups, H, W)`:
#
# $$s_p = \frac{x_p \cdot m}{\lVert x_p \rVert\, \lVert m \rVert}.$$
#
# Where one of the two has length zero, the similarity is 0.


# %% answer="similarity"
def similarity(x, groups):
    """Cosine of each position with its group's mean, (N, groups, H, W)."""
    ### BEGIN SOLUTION
    n, channels, height, width = x.shape
    vectors = x.reshape(n, groups, channels // groups, height * width)
    mean = vectors.mean(dim=3, keepdim=True)
    dot = (vectors * mean).sum(dim=2)
    lengths = (vectors**2).sum(dim=2).sqrt() * (mean**2).sum(dim=2).sqrt()
    found = torch.where(lengths > 0, dot / lengths.clamp(min=1e-300), 0.0)
    return found.reshape(n, groups, height, width)
    ### END SOLUTION


# %% tests="similarity"
x = torch.randn(1, 4, 3, 3, **float64)
check("a map for each group", list(similarity(x, 2).shape), [1, 2, 3, 3])
same = (
    torch.ones(1, 4, 2, 2, **float64)
    * torch.tensor([1.0, 2.0, 3.0, 4.0], **float64)[:, None, None]
)
check(
    "all positions alike",
    similarity(same, 2),
    torch.ones(1, 2, 2, 2, **float64),
    atol=1e-12,
)
check(
    "a group does not see the other",
    similarity(x, 2)[:, :1],
    similarity(x[:, :2], 1),
    atol=1e-12,
)

# %% [markdown]
# ## 2 Standardise
#
# Write `standardise(s, eps)` for `s` of shape `(N, groups, H, W)`: each map minus its mean over positions, divided by its
# deviation plus `eps`. The deviation is the unbiased one (it divides by $HW - 1$). On a map of a single position there is no
# such deviation; the result is 0 there.


# %% answer="standardise"
def standardise(s, eps):
    """Each map with mean 0 and deviation 1, (N, groups, H, W)."""
    ### BEGIN SOLUTION
    count = s.shape[2] * s.shape[3]
    centred = s - s.mean(dim=(2, 3), keepdim=True)
    variance = (centred**2).sum(dim=(2, 3), keepdim=True) / max(
        count - 1, 1
    )
    return centred / (variance.sqrt() + eps)
    ### END SOLUTION


# %% tests="standardise"
s = torch.tensor([[[[1.0, 3.0]]]], **float64)
check(
    "two positions",
    standardise(s, 0.0),
    torch.tensor([[[[-1.0, 1.0]]]], **float64) / 2**0.5,
    atol=1e-12,
)

# %% [markdown]
# ## 3 Deal the channels
#
# A shuffle deals like cards: first the first channel of each group, then the second of each, and so on. Here the groups need
# not be equal; one that has run out is passed over. With `sizes` `[1, 3, 2]` the channels `a | b c d | e f` become
# `a b e c f d`. Write `deal(x, sizes)` for `x` of shape `(N, C, H, W)`.


# %% answer="deal"
def deal(x, sizes):
    """The channels in their new order, (N, C, H, W)."""
    ### BEGIN SOLUTION
    piles = [list(pile.unbind(1)) for pile in x.split(list(sizes), dim=1)]
    dealt = []
    while any(piles):
        for pile in piles:
            if pile:
                dealt.append(pile.pop(0))
    return torch.stack(dealt, dim=1)
    ### END SOLUTION


# %% tests="deal"
x = torch.arange(6.0, **float64).reshape(1, 6, 1, 1)
check(
    "two groups of three",
    deal(x, [3, 3]).flatten(),
    torch.tensor([0.0, 3, 1, 4, 2, 5], **float64),
)
check("one channel each", deal(x, [1] * 6), x.clone())

# %% [markdown]
# ## 4 Undo it, and repeat it
#
# An order is a tensor of integers: `x[order]` puts what stood at `order[0]` first. Write `inverse(order)`, the order that brings
# everything back, so that `x[order][inverse(order)]` is `x`.


# %% answer="inverse"
def inverse(order):
    """The order that undoes this one."""
    ### BEGIN SOLUTION
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return back
    ### END SOLUTION


# %% tests="inverse"
order = torch.tensor([2, 0, 1])
check("back again", order[inverse(order)], torch.arange(3))

# %% [markdown]
# If one applies the same order again and again, after some time everything is back. Write `period(order)`, the number of times
# (at least 1) after which that is so for the first time.


# %% answer="period"
def period(order):
    """How often the order is applied until everything is back."""
    ### BEGIN SOLUTION
    start = torch.arange(len(order))
    now, times = start[order], 1
    while (now != start).any():
        now, times = now[order], times + 1
    return times
    ### END SOLUTION


# %% tests="period"
check("a pair", period(torch.tensor([1, 0])), 2)
check("a cycle of three", period(torch.tensor([2, 0, 1])), 3)

# %% [markdown]
# ## 5 Only new names?
#
# A network applies a shuffle and then a layer with a weight of its own for every pair of channels (an ordinary 1 x 1
# convolution). Show that for each weight $W$ of the shuffled network there is a weight $W'$ of the network without shuffle
# with the same output, so that the shuffle only gives new names. Where does the argument break when the layer behind it works in
# groups? And what about a layer that treats all channels alike, such as ReLU?

# %% [markdown] written="names" points=4
# ### BEGIN SOLUTION
# *Rubric, a point each:* (1) the shuffle is a permutation matrix $P$, and $W P x = W' x$ with $W' = W P$; (2) $W \mapsto W P$ is
# one-to-one (its inverse is $W P^\top$), so both networks compute the same functions; with weights drawn independently from one
# distribution they even start alike; (3) a grouped layer has zeros where it may not connect, and $W P$ has them at other
# places: it is no grouped layer any more; (4) ReLU commutes with $P$, so the shuffle can be moved behind it.
# ### END SOLUTION

# %% [markdown]
# ## 6 Who reaches whom
#
# A layer mixes the channels of each of `groups` equal groups, everything with everything, and then shuffles as in question 3.
# Write `reach(channels, groups, layers)`: booleans of shape `(channels, channels)`, row: output channel after that many such
# layers, column: input channel; `True` where the output depends on the input. With no layer it is the identity.


# %% answer="reach"
def reach(channels, groups, layers):
    """Which output depends on which input, (channels, channels)."""
    ### BEGIN SOLUTION
    size = channels // groups
    order = torch.arange(channels).reshape(groups, size).T.reshape(-1)
    depends = torch.eye(channels, dtype=torch.bool)
    for _ in range(layers):
        groups_of = depends.reshape(groups, size, channels).any(dim=1)
        depends = groups_of.repeat_interleave(size, dim=0)[order]
    return depends
    ### END SOLUTION


# %% tests="reach"
check(
    "one group reaches everything",
    reach(4, 1, 1),
    torch.ones(4, 4, dtype=torch.bool),
)
check(
    "each output sees one group after one layer",
    reach(6, 3, 1).sum(1),
    torch.full((6,), 2),
)

# %% [markdown]
# Show `reach(16, 4, layers)` for 1 and for 2 layers as two pictures, and below them say after how many layers everything depends
# on everything for 16 channels in 4 groups, and for 16 channels in 8 groups; and why it takes longer there.

# %% solution="figure"
### BEGIN SOLUTION
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for axis, layers in zip(axes, (1, 2)):
    axis.imshow(reach(16, 4, layers), vmin=0, vmax=1)
    axis.set_title(f"after {layers} layer(s)")
    axis.set_xlabel("input channel")
    axis.set_ylabel("output channel")
plt.show()
### END SOLUTION

# %% [markdown] written="plot" points=2
# ### BEGIN SOLUTION
# *Rubric:* one point for the two pictures with named axes, one for the reading: two layers with 4 groups of 4; four with 8 groups of
# 2, since with each layer at most twice as many inputs are reached, and 16 is the fourth power of 2.
# ### END SOLUTION

# %% [markdown]
# ## 7 A local mean
#
# Write `local_mean(x, size)` for a map `x` of shape `(H, W)` and an odd `size`: each position gets the mean of the `size` by
# `size` window around it. At the border the window has fewer positions, and only those that exist count.


# %% answer="local"
def local_mean(x, size):
    """Means of windows, (H, W)."""
    ### BEGIN SOLUTION
    half = size // 2
    rows = []
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            window = x[
                max(i - half, 0) : i + half + 1,
                max(j - half, 0) : j + half + 1,
            ]
            rows.append(window.mean())
    return torch.stack(rows).reshape(x.shape)
    ### END SOLUTION


# %% tests="local"
x = torch.tensor([[0.0, 3.0, 6.0]], **float64)
check(
    "a row of three",
    local_mean(x, 3),
    torch.tensor([[1.5, 3.0, 4.5]], **float64),
    atol=1e-12,
)
