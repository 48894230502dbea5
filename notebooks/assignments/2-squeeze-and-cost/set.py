# %% [markdown]
# # Set 2: Squeeze, excite, and what it costs
#
# You build a channel gate from its parts, with another squeeze and another bottleneck than the chapter on SE has, count what
# it costs, and send a gradient back through it by hand.
#
# | question | minutes | points |
# | --- | --- | --- |
# | warm-up | 5 | – |
# | 1 squeeze what is valid | 10 | 4 |
# | 2 excite | 10 | 4 |
# | 3 the gate's place | 5 | 3 |
# | 4 parameters of a module, and of a network | 15 | 5 |
# | 5 multiplications | 10 | 3 |
# | 6 backward, by hand | 20 | 9 |
# | 7 the price of a small reduction | 10 | 2 |
#
# **After it you can** write a gate that ignores padding, say where in a block it belongs, count its parameters and
# multiplications without running it, and name the two ways by which a gradient reaches the map.
#
# **How it is graded.** Put your answer where a `NotImplementedError` is raised; the cell behind each answer has a few checks that you can
# see. When it is graded, your functions are called with other inputs: other sizes, and the cases that the text names. You need
# `torch`, `numpy` and `matplotlib`; `kit` lies beside this notebook. Gradients are written by hand: `torch.autograd` may not
# be used in an answer.

# %% locked="set-up"
import matplotlib.pyplot as plt
import torch

from kit import check, generate, pictures

torch.manual_seed(0)
float64 = {"dtype": torch.float64}

# %% [markdown]
# ## Warm-up: what a squeeze keeps
#
# A map $x$ has $C$ channels of $H \times W$ numbers; the squeeze keeps one number a channel, its mean. Below are three images
# and the means of their three colours. Make two different images with the same three means: what does a gate that sees only
# them know about the difference?

# %%
images, labels, masks = generate(3, seed=1)
pictures(
    images, [f"means {image.mean((0, 1)).round()}" for image in images]
)

# %% [markdown]
# ## 1 Squeeze what is valid
#
# Images of several sizes are put into one batch by padding them. Then `valid`, booleans of shape `(N, H, W)`, says which
# positions belong to the image. Write `squeeze(x, valid)`, which gives `(N, C)`: the mean of each channel of `x`, `(N, C, H,
# W)`, over the valid positions. A map without any valid position gives zeros.


# %% answer="squeeze"
def squeeze(x, valid):
    """Means over the valid positions, (N, C)."""
    ### BEGIN SOLUTION
    kept = valid.unsqueeze(1).to(x.dtype)
    count = kept.sum(dim=(2, 3)).clamp(min=1)
    return (x * kept).sum(dim=(2, 3)) / count
    ### END SOLUTION


# %% tests="squeeze"
x = torch.arange(8.0, **float64).reshape(1, 2, 2, 2)
valid = torch.tensor([[[True, False], [True, False]]])
check(
    "the left column",
    squeeze(x, valid),
    torch.tensor([[1.0, 5.0]], **float64),
    atol=1e-12,
)
everything = torch.ones(1, 2, 2, dtype=torch.bool)
check("no padding", squeeze(x, everything), x.mean((2, 3)), atol=1e-12)

# %% [markdown]
# ## 2 Excite
#
# The gate of this set bends with $\tanh$ instead of ReLU, and lies between 0 and 2, so that it can also strengthen:
#
# $$g = 2\,\sigma\big(W_2 \tanh(W_1 z + b_1) + b_2\big).$$
#
# Write `excite(z, w1, b1, w2, b2)` for `z` of shape `(N, C)`, `w1` of `(inner, C)` and `w2` of `(C, inner)`; it gives `(N, C)`.
# What is the gate where $W_2$ and $b_2$ are zero? That is how such a module can start without changing the network.


# %% answer="excite"
def excite(z, w1, b1, w2, b2):
    """A gate between 0 and 2 for each channel, (N, C)."""
    ### BEGIN SOLUTION
    hidden = torch.tanh(z @ w1.T + b1)
    return 2 * torch.sigmoid(hidden @ w2.T + b2)
    ### END SOLUTION


# %% tests="excite"
z = torch.tensor([[1.0, -1.0]], **float64)
w1, b1 = (
    torch.tensor([[1.0, 1.0]], **float64),
    torch.tensor([0.0], **float64),
)
w2, b2 = (
    torch.tensor([[5.0], [5.0]], **float64),
    torch.tensor([0.0, 1.0], **float64),
)
check(
    "tanh(0) = 0",
    excite(z, w1, b1, w2, b2)[0, 0],
    torch.tensor(1.0, **float64),
    atol=1e-12,
)

# %% [markdown]
# ## 3 The gate's place
#
# A residual block computes $\operatorname{relu}(x + F)$ from its input $x$ and its branch $F$. Write `block(x, branch, gate)`, the
# same block with a gate $g$ of shape `(N, C)` at the place where SE has it: what skips the branch stays as it is.


# %% answer="block"
def block(x, branch, gate):
    """The output of a residual block with a gate, (N, C, H, W)."""
    ### BEGIN SOLUTION
    return torch.relu(x + gate[..., None, None] * branch)
    ### END SOLUTION


# %% tests="block"
x, branch = torch.rand(2, 1, 3, 2, 2, **float64)
check(
    "a gate of 1",
    block(x, branch, torch.ones(1, 3, **float64)),
    x + branch,
    atol=1e-12,
)
check(
    "a gate of 0",
    block(x, branch, torch.zeros(1, 3, **float64)),
    x,
    atol=1e-12,
)

# %% [markdown]
# ## 4 Parameters
#
# The inner width is `channels // reduction`, but never less than `least`. Both matrices have a bias. Write
# `parameters(channels, reduction, least)`, the number of parameters of one module.


# %% answer="parameters"
def parameters(channels, reduction, least):
    """Parameters of one module, with biases."""
    ### BEGIN SOLUTION
    width = max(least, channels // reduction)
    return 2 * channels * width + width + channels
    ### END SOLUTION


# %% tests="parameters"
check("four channels, one inside", parameters(4, 4, 1), 4 + 1 + 4 + 4)

# %% [markdown]
# A network is a list of stages, `(channels, blocks)` each, with one module a block. Write
# `network_parameters(stages, reduction, least)`, the parameters of all its modules together.


# %% answer="network"
def network_parameters(stages, reduction, least):
    """Parameters of the modules of a network."""
    ### BEGIN SOLUTION
    total = 0
    for channels, count in stages:
        total += count * parameters(channels, reduction, least)
    return total
    ### END SOLUTION


# %% tests="network"
check("two blocks", network_parameters([(4, 2)], 4, 1), 26)

# %% [markdown]
# ## 5 Multiplications
#
# How many **multiplications** does one module take for one map? Count those of the two matrices and those by which the map gets
# its gate; additions, the mean's division and the non-linear functions are free here, and there is no least width. Write
# `multiplications(channels, height, width, reduction)`. Which of the two parts grows with the image?


# %% answer="multiplications"
def multiplications(channels, height, width, reduction):
    """Multiplications of one module for one map."""
    ### BEGIN SOLUTION
    matrices = 2 * channels * (channels // reduction)
    rescaling = channels * height * width
    return matrices + rescaling
    ### END SOLUTION


# %% tests="multiplications"
check(
    "two channels, one inside, one position",
    multiplications(2, 1, 1, 2),
    4 + 2,
)

# %% [markdown]
# ## 6 Backward, by hand
#
# Take a single channel $x$ of $K = H \cdot W$ positions, with mean $\bar x$, and the gate $g = \sigma(a \bar x + b)$. The output is
# $y_k = g\, x_k$. From behind arrives $u_k = \partial L / \partial y_k$.
#
# First on paper: derive $\partial L / \partial x_k$. The map reaches the output by two ways; give each a term, and say in words
# what the second one does to *all* positions.

# %% [markdown] written="derivation" points=4
# ### BEGIN SOLUTION
# *Rubric, a point each:* (1) product rule, $\partial y_j / \partial x_k = g\,\delta_{jk} + x_j\, \partial g / \partial x_k$; (2)
# $\partial g / \partial x_k = g(1-g)\,a/K$; (3) the sum, $\partial L/\partial x_k = g\,u_k + \frac{a\,g(1-g)}{K}\sum_j u_j x_j$; (4) in
# words: through the gate every position gets the same amount, whatever its own value.
# ### END SOLUTION

# %% [markdown]
# Then in code: `backward(x, a, b, upstream)` gives $\partial L/\partial x$, of the shape `(H, W)` of `x` and `upstream`; `a` and `b`
# are numbers.


# %% answer="backward"
def backward(x, a, b, upstream):
    """The gradient that reaches the map, (H, W)."""
    ### BEGIN SOLUTION
    gate = 1 / (1 + torch.exp(-(a * x.mean() + b)))
    through_gate = (upstream * x).sum() * gate * (1 - gate) * a / x.numel()
    return gate * upstream + through_gate
    ### END SOLUTION


# %% tests="backward"
x, upstream = torch.randn(2, 3, 3, **float64)
x.requires_grad_()
(torch.sigmoid(0.7 * x.mean() - 0.2) * x * upstream).sum().backward()
check(
    "as torch computes it",
    backward(x.detach(), 0.7, -0.2, upstream),
    x.grad,
    atol=1e-12,
)

# %% [markdown]
# ## 7 The price of a small reduction
#
# Plot how many parameters the gates add to a network of stages `[(16, 3), (32, 3), (64, 3)]`, as a share of its 270,000
# own, against the reduction 1, 2, 4, 8, 16, 32, with `least` 1 and with `least` 8. Name the axes. Then say in two sentences from
# which reduction on the least width decides, and in which stage first.

# %% solution="figure"
### BEGIN SOLUTION
reductions = [1, 2, 4, 8, 16, 32]
for least in (1, 8):
    added = [
        network_parameters([(16, 3), (32, 3), (64, 3)], each, least)
        / 270_000
        for each in reductions
    ]
    plt.plot(
        reductions,
        [100 * share for share in added],
        marker="o",
        label=f"least width {least}",
    )
plt.xscale("log", base=2)
plt.xlabel("reduction")
plt.ylabel("parameters added (%)")
plt.legend()
plt.show()
### END SOLUTION

# %% [markdown] written="plot" points=2
# ### BEGIN SOLUTION
# *Rubric:* one point for the figure, one for the reading: from a reduction of 4 on, where 16 // 4 = 4 is less than 8; in the
# first stage first. From 8 on
# (64 // 8 = 8) every stage has the width 8, and a larger reduction saves nothing more.
# ### END SOLUTION
