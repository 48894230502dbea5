# %% [markdown]
# # Set 3: Norms and constants: what is a control?
#
# Some modules of this book put their gate beside or inside a norm. Whether such a gate does anything is a question about
# controls: what would a plain constant do in its place? In this set you write the norm, a gate made of its scales, the best
# constant, and the test that tells a gain from the chance of seeds.
#
# | question | minutes | points |
# | --- | --- | --- |
# | warm-up | 5 | – |
# | 1 a batch norm, in both modes | 15 | 6 |
# | 2 scales as weights | 10 | 4 |
# | 3 the best constant | 15 | 5 |
# | 4 a constant costs nothing | 10 | 4 |
# | 5 an interval over seeds | 10 | 4 |
# | 6 three runs each | 10 | 5 |
# | 7 a claim | 10 | 4 |
#
# **After it you can** say what a batch norm stores and when it uses it, find the constant that a gate has to beat, fold that
# constant away, and judge a reported gain by its seeds.
#
# **How it is graded.** Put your answer where a `NotImplementedError` is raised; the cell behind each answer has a few checks that you can
# see. When it is graded, your functions are called with other inputs: other sizes, both modes, and the cases that the text
# names. You need `torch`, `numpy` and `matplotlib`; `kit` lies beside this notebook. The norm is written by hand:
# `torch.nn.BatchNorm2d` and `batch_norm` may not be used in an answer.

# %% locked="set-up"
import math

import matplotlib.pyplot as plt
import torch

from kit import check

torch.manual_seed(0)
float64 = {"dtype": torch.float64}

# %% [markdown]
# ## Warm-up: what a constant can hide
#
# A network with the gate 0.5 everywhere trains to another result than one without gates, although a gate of 0.5 knows nothing.
# Below a gradient step is taken on $L(w) = (w x - 1)^2$ with $w x$ and with $0.5\, w x$. Which of the two behaves as if the
# learning rate were smaller, and by which factor?

# %%
x, rate = torch.tensor(1.0), 0.1
for constant in (1.0, 0.5):
    w = torch.zeros((), requires_grad=True)
    ((constant * w * x - 1) ** 2).backward()
    print(
        f"constant {constant}: the output moves by {float(constant * rate * -w.grad):.3f}"
    )

# %% [markdown]
# ## 1 A batch norm, in both modes
#
# Write `normalise(x, gamma, beta, mean, variance, training, momentum, eps)` for `x` of shape `(N, C, H, W)`; the four after it
# have one number a channel. It gives three things: the output, the new running mean, the new running variance.
#
# - In training the batch normalises itself, with its mean and its **biased** variance over images and positions. The running
#   statistics become $(1 - m) \cdot \text{old} + m \cdot \text{new}$ with the momentum $m$, where the new variance is the
#   **unbiased** one, as torch stores it.
# - In evaluation the running statistics normalise, and stay as they are.


# %% answer="normalise"
def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    """(output, running mean, running variance)"""
    ### BEGIN SOLUTION
    used_mean, used_variance = mean, variance
    if training:
        count = x.numel() // x.shape[1]
        used_mean = x.mean(dim=(0, 2, 3))
        used_variance = ((x - used_mean[:, None, None]) ** 2).mean(
            dim=(0, 2, 3)
        )
        mean = (1 - momentum) * mean + momentum * used_mean
        variance = (
            1 - momentum
        ) * variance + momentum * used_variance * count / (count - 1)
    hat = (x - used_mean[:, None, None]) / torch.sqrt(
        used_variance[:, None, None] + eps
    )
    return gamma[:, None, None] * hat + beta[:, None, None], mean, variance
    ### END SOLUTION


# %% tests="normalise"
x = 5 + 2 * torch.randn(8, 3, 4, 4, **float64)
one, zero = torch.ones(3, **float64), torch.zeros(3, **float64)
y, mean, variance = normalise(x, one, zero, zero, one, True, 0.1, 1e-5)
check("a mean of zero", y.mean((0, 2, 3)), zero, atol=1e-9)
check("a tenth of the new mean", mean, 0.1 * x.mean((0, 2, 3)), atol=1e-9)
y, mean, variance = normalise(x, one, zero, zero, one, False, 0.1, 0.0)
check("nothing to do in evaluation", y, x, atol=1e-9)

# %% [markdown]
# ## 2 Scales as weights
#
# A norm's scale $\gamma_c$ says how much of a channel is let through. Take $w_c = \gamma_c^2 / \sum_j \gamma_j^2$ as a weight and
# let each value gate itself:
#
# $$y = x \cdot \sigma\big(w_c\, \mathrm{BN}(x)\big).$$
#
# Write `squared_gate(x, gamma, beta, mean, variance)`, in evaluation mode with `eps` = 1e-5. (The chapter on NAM has another
# weight. Which, and what does the square do to small scales?)


# %% answer="gate"
def squared_gate(x, gamma, beta, mean, variance):
    """The map, gated by its own normalised values, (N, C, H, W)."""
    ### BEGIN SOLUTION
    weight = gamma**2 / (gamma**2).sum()
    normal = normalise(x, gamma, beta, mean, variance, False, 0.1, 1e-5)[0]
    return x * torch.sigmoid(weight[:, None, None] * normal)
    ### END SOLUTION


# %% tests="gate"
x = torch.randn(2, 2, 3, 3, **float64)
zero, one = torch.zeros(2, **float64), torch.ones(2, **float64)
first = torch.tensor([2.0, 0.0], **float64)
check(
    "a weight of zero is a gate of a half",
    squared_gate(x, first, zero, zero, one)[:, 1],
    x[:, 1] / 2,
    atol=1e-12,
)

# %% [markdown]
# ## 3 The best constant
#
# A trained gate gives image $n$ and channel $c$ the number $g_{nc}$, and the output $g_{nc}\, x_{nchw}$. Suppose someone replaces
# it by one constant a channel, $k_c$. Choose it so that the outputs are as near as they can be:
#
# $$\min_{k_c} \sum_{n, h, w} \big(g_{nc}\, x_{nchw} - k_c\, x_{nchw}\big)^2.$$
#
# Write `best_constant(x, gate)`, which gives the $C$ constants. *Hint:* a quadratic function of $k_c$ has its minimum where
# its derivative is zero.


# %% answer="constant"
def best_constant(x, gate):
    """The constant of each channel that comes nearest to its gates, (C,)."""
    ### BEGIN SOLUTION
    squares = (x * x).sum(dim=(2, 3))
    return (squares * gate).sum(dim=0) / squares.sum(dim=0)
    ### END SOLUTION


# %% tests="constant"
x = torch.ones(2, 1, 1, 1, **float64)
gate = torch.tensor([[0.2], [0.6]], **float64)
check(
    "images of one size",
    best_constant(x, gate),
    torch.tensor([0.4], **float64),
    atol=1e-12,
)

# %% [markdown]
# ## 4 A constant costs nothing
#
# In evaluation, a convolution with weight $(O, I, k, k)$ and bias, then a batch norm, then a constant, are one convolution. Write
# `fold(weight, bias, gamma, beta, mean, variance, eps, constant)`, which gives its weight and its bias; `constant` is a
# number. So whatever a constant gate brings in training, at inference it is free.


# %% answer="fold"
def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    """(weight, bias) of the one convolution"""
    ### BEGIN SOLUTION
    stretch = gamma / torch.sqrt(variance + eps)
    new_bias = stretch * (bias - mean) + beta
    return constant * stretch.reshape(
        -1, 1, 1, 1
    ) * weight, constant * new_bias
    ### END SOLUTION


# %% tests="fold"
weight, bias = (
    torch.randn(2, 3, 1, 1, **float64),
    torch.zeros(2, **float64),
)
one, zero = torch.ones(2, **float64), torch.zeros(2, **float64)
found = fold(weight, bias, one, zero, zero, one, 0.0, 0.5)
check("half of everything", found[0], weight / 2, atol=1e-12)

# %% [markdown]
# ## 5 An interval over seeds
#
# A module and its control were trained with the same $n$ seeds; `ours` and `control` are their accuracies, seed by seed. Write
# `interval(ours, control, quantile)`: the two ends of the interval for the mean **difference**, $\bar d \pm t\, s / \sqrt n$ with
# the sample's standard deviation $s$. `quantile` is $t$ for your $n$ and is given.


# %% answer="interval"
def interval(ours, control, quantile):
    """(lower end, upper end)"""
    ### BEGIN SOLUTION
    gain = ours - control
    n = len(gain)
    deviation = torch.sqrt(((gain - gain.mean()) ** 2).sum() / (n - 1))
    half = quantile * deviation / math.sqrt(n)
    return gain.mean() - half, gain.mean() + half
    ### END SOLUTION


# %% tests="interval"
ours, control = (
    torch.tensor([91.0, 92.0, 93.0], **float64),
    torch.tensor([90.0, 91.0, 92.0], **float64),
)
ends = interval(ours, control, 4.303)
check(
    "equal gains leave no doubt",
    torch.stack(ends),
    torch.ones(2, **float64),
    atol=1e-9,
)

# %% [markdown]
# ## 6 Three runs each
#
# "All three runs with the module were better than all three without." How often does that happen, in either direction, where
# the module does nothing? Write `separated(first, second)`: both are `(trials, seeds)`; it gives the share of the trials in which
# all of one lie above all of the other.


# %% answer="separated"
def separated(first, second):
    """Share of trials whose two ranges do not overlap."""
    ### BEGIN SOLUTION
    apart = 0
    for a, b in zip(first, second):
        apart += bool(a.min() > b.max() or b.min() > a.max())
    return torch.tensor(apart / len(first), dtype=first.dtype)
    ### END SOLUTION


# %% tests="separated"
first = torch.tensor([[1.0, 2.0], [1.0, 5.0], [8.0, 9.0]], **float64)
second = torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]], **float64)
check(
    "two of three",
    separated(first, second),
    torch.tensor(2 / 3, **float64),
    atol=1e-12,
)

# %% [markdown]
# Now draw 20,000 trials of two groups with **the same** distribution and plot the share against 2, 3, 4, 5 and 6 seeds a group.
# Beside it, plot what counting gives: of the ways to choose which $n$ of $2n$ runs are the better ones, two are separated.
# Then say in two sentences what three seeds can show, and what they cannot.

# %% solution="figure"
### BEGIN SOLUTION
counts = [2, 3, 4, 5, 6]
seen = [float(separated(*torch.randn(2, 20_000, n))) for n in counts]
plt.plot(counts, seen, marker="o", label="20,000 trials")
plt.plot(
    counts,
    [2 / math.comb(2 * n, n) for n in counts],
    marker="x",
    linestyle=":",
    label="counted",
)
plt.xlabel("seeds in each group")
plt.ylabel("share of separated trials")
plt.legend()
plt.show()
### END SOLUTION

# %% [markdown] written="plot" points=2
# ### BEGIN SOLUTION
# *Rubric:* one point for the figure with both curves, one for the reading: with three seeds one comparison in ten is separated
# by chance ($2/20$), so that in a table of ten modules one such row is to be expected; from five seeds on ($2/252$) it means something.
# ### END SOLUTION

# %% [markdown]
# ## 7 A claim
#
# "Our module raises the accuracy of ResNet-50 from 76.1 to 76.5 %, at no cost." It multiplies every map by a gate that starts
# near 0.5. Name the control that you would ask for and why, the number of seeds and why, one reason for which "at no cost"
# may not hold, and a result of the control that would change your mind about the module.

# %% [markdown] written="claim" points=4
# ### BEGIN SOLUTION
# *Rubric, a point each:* (1) a network with the constant gate 0.5 (or the best constant) at the same places, since a constant
# changes what the optimizer does though it knows nothing; (2) five seeds or more a network, and an interval of the difference,
# since a single run's spread is of the size of the gain; (3) time and memory are no parameters: elementwise work and a
# statistic over the map take both; (4) the constant gains as much: then it is the smaller scale; or it gains nothing while the
# module's interval excludes zero: then the gate does something.
# ### END SOLUTION
