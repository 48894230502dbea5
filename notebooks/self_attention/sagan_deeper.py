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
# # SAGAN, deeper
#
# Four questions that [the chapter](sagan.ipynb) leaves open: where do the layer of the text and that of the code agree,
# how good is the spectral norm after one round, what does it not bound, and does attention do more than a block of the
# same size? Symbols and definitions are those of the chapter.

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
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots

plots.use()
paper = attnlib.paper("sagan")

# %% [markdown]
# ## Where do text and code agree?
#
# The chapter says where the two forms can give the same: on maps that pooling leaves as they are. Here the text's layer
# is put into the code's, with zeros in the values that it does not have, and both are given a map that is constant in
# blocks of 2 by 2, and another. Then the positions are put in another order; and what each layer adds is taken as a
# matrix of 16 channels by 48 positions.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
text = attnlib.create("sagan", 16, form="text").double()
released = attnlib.create("sagan", 16).double()
inside = attnlib.create("sagan", 16).double()  # the text's layer in it
with torch.no_grad():
    for layer in (text, released):
        layer.network_init_()  # Xavier, as released
        layer.gamma.fill_(0.7)
    for mine, theirs in zip(inside.parameters(), text.parameters()):
        mine.zero_()
        mine[tuple(slice(n) for n in theirs.shape)] = theirs

blocks = F.interpolate(x[..., ::2, ::2], scale_factor=2.0)
check("constant in blocks", inside(blocks), text(blocks), atol=1e-12)
order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
shuffled = lambda x: x.flatten(2)[:, :, order].view(x.shape)
check("text: order", text(shuffled(x)), shuffled(text(x)), atol=1e-12)
added = [(each(x) - x)[0].flatten(1) for each in (text, released)]
check("ranks", [torch.linalg.matrix_rank(o).item() for o in added], [2, 8])

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
apart = (inside(x) - text(x)).norm() / (text(x) - x).norm()
finding("more than a tenth of what is added", apart.item() > 0.1)
moved = released(shuffled(x)) - shuffled(released(x))
apart = moved.norm() / (released(x) - x).norm()
finding("the code's output changes by more than", apart.item() > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the text's matrices in both, the forms give the same on a map that is constant in blocks, to twelve digits. On a
# random map they are apart by more than a tenth of what is added. In another order of the positions, the text's output
# is the same in that order, and the code's output changes by more than a tenth of what is added. The ranks are 2 and 8:
# $C/8$ and $C/2$.
# :::
#
# ## How good is the norm after one round?
#
# To find the largest singular value $\lVert W \rVert$ of a matrix, start with any unit vector $a$ and repeat
#
# $$b = \frac{W^{\top} a}{|W^{\top} a|},$$ (sagan-power-b)
#
# $$a = \frac{W\, b}{|W\, b|}.$$ (sagan-power)
#
# Each round multiplies the part of $a$ along the $n$-th singular vector by $s_n^2$, the square of its singular value,
# and then makes $a$ a unit vector again. So the part with the largest $s_n$ wins, and another one is left behind by the
# factor $(s_n / s_1)^2$ in each round. The estimate is
#
# $$a^{\top} W\, b \le \lVert W \rVert,$$ (sagan-estimate)
#
# because $a$ and $b$ are unit vectors. It is never too large, and what is divided by it never comes out with a norm
# below one. The released code makes one round in each step of training and starts from the last step's $a$: weights
# move slowly, and $a$ follows them.


# %%
def power_iteration(W, a, rounds):
    """The estimate of the largest singular value after each round."""
    estimates = []
    for _ in range(rounds):
        b = F.normalize(W.T @ a, dim=0)  # b = W^T a / |W^T a|
        a = F.normalize(W @ b, dim=0)  # a = W b / |W b|
        estimates.append(a @ W @ b)  # a^T W b
    return torch.stack(estimates)


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
conv = nn.Conv2d(16, 32, 3, bias=False).double()
W = conv.weight.detach().flatten(1)  # 32 outputs by 16 times 9
s = torch.linalg.svdvals(W)
start = F.normalize(torch.randn(32).double(), dim=0)
ours = power_iteration(W, start, 500)
check("the limit is the norm", ours[-1], s[0], atol=1e-9)
check("no estimate is too large", bool((ours <= s[0] + 1e-12).all()), True)
nn.utils.parametrizations.spectral_norm(conv).eval()
theirs = conv.parametrizations.weight[0]  # PyTorch's a and b: _u, _v
estimate = theirs._u @ W @ theirs._v
check("W / estimate", conv.weight.flatten(1), W / estimate, atol=1e-12)

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Shortfall of the estimate by round, on logarithmic scales: a curve that bends and then falls ever faster."}, "figure": {"caption": "By how much the estimate falls short of the norm, for a 3 by 3 convolution of 16 to 32 channels with random weights.", "name": "sagan-rounds"}} tags=["hide-input"]
short = 1 - ours / s[0]
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.6))
axis.loglog(range(1, 101), short[:100], color=plots.STATISTIC)
axis.set(xlabel="rounds", ylabel="shortfall of the estimate")
finding("within 25 % of the norm after one round", 0.1 < short[0] < 0.25)
finding("within 4 % after ten", 0.01 < short[9] < 0.04)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The estimate is within 25 % of the norm after one round and within 4 % after ten. A fresh network of SAGAN is
# therefore used with norms above one in its first steps, until $a$ has found its direction.
# :::
#
# **The gradient.** PyTorch holds $a$ and $b$ constant when it differentiates $W / (a^{\top} W b)$. The released code
# does not: the gradient flows through {eq}`sagan-power` as well. At the limit that makes no difference, because the
# estimate is largest there, so that it does not change in first order when $a$ and $b$ do. Before, it does:


# %%
def gradient(rounds, flows):
    """Of some function of W / (a^T W b), with or without that of a, b."""
    a = start
    for _ in range(rounds):
        a = F.normalize(W @ F.normalize(W.T @ a, dim=0), dim=0)
    weight = W.clone().requires_grad_()
    source = weight if flows else W
    b = F.normalize(source.T @ a, dim=0)
    a = F.normalize(source @ b, dim=0)
    (weight / (a @ weight @ b) * W.cos()).sum().backward()
    return weight.grad


apart = {}
for rounds in (0, 10, 1000):
    through, around = (gradient(rounds, flows) for flows in (True, False))
    apart[rounds] = ((through - around).norm() / around.norm()).item()
print({n: f"{share:.1e}" for n, share in apart.items()})
finding("by more than 1 %", apart[0] > 0.01)
finding("by less than a millionth", apart[1000] < 1e-6)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the first round the two gradients differ by more than 1 % of their size; after a thousand rounds by less than a
# millionth. A port with PyTorch's spectral norm is not the released code in its first steps, and as good as the same
# later.
# :::
#
# :::{admonition} Try it
# :class: try-it
# Power iteration is slow where the two largest singular values are nearly the same. Predict what `W = torch.eye(32)`
# gives after one round, and then what a matrix with the singular values 1, 0.99, 0.98 ... gives after ten.
# :::

# %%
values = torch.linspace(1, 0.7, 32).double()
print(f"{power_iteration(torch.diag(values), start, 10)[-1]:.3f}")

# %% [markdown]
# ## What does a spectral norm of one not bound?
#
# **A window.** A convolution is normalised as a matrix of outputs by (inputs times window). Take one channel and a
# window of $m$ by $m$ with equal weights $t$. These $m^2$ numbers have the norm $m\, t$, so that normalised each is
# $1/m$, and a constant image comes out multiplied by $m^2 / m = m$. No window of that size gives more. At each position
# the matrix has norm one, so that the squares of the outputs there add up to at most those of the pixels in the window.
# Over the whole map every pixel is counted in $m^2$ windows: the squares grow by at most $m^2$, the length by at most
# $m$.
#
# **Attention.** Take one channel, all four matrices equal to one, $x_1 = 0$, and $s$ or $-s$ at the other positions, in
# equal parts. At $x_1 = 0$ all weights of the first position are $1/P$, and $\partial A_{1i} / \partial x_1 = x_i / P$.
# By the product rule
#
# $$\frac{\partial o_1}{\partial x_1} = \frac1P + \frac1P \sum_i x_i^2.$$ (sagan-stretch)
#
# The first term is the position's own value, the second comes through the weights. Together they are $(1 + (P - 1)\,
# s^2) / P$, which grows with the square of $s$: no bound holds for all maps. Here it is on 101 positions, against
# automatic differentiation.

# %% tags=["nbval-check-output"]
window = torch.ones(1, 1, 3, 3).double()
window /= torch.linalg.matrix_norm(window.flatten(1), 2)
constant = torch.ones(1, 1, 9, 9).double()
out = F.conv2d(constant, window)
check("a window of norm one stretches by 3", out, 3 * torch.ones_like(out))


def attention(x):  # one channel, all matrices one
    return (x[:, None] * x).softmax(-1) @ x


stretch = []
for size in (1.0, 3.0, 10.0):
    signs = torch.tensor([0.0] + [1.0, -1.0] * 50, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(attention, size * signs)
    stretch.append(jacobian[0, 0].item())
    expected = (1 + 100 * size**2) / 101
    check(f"s = {size:g}", stretch[-1], expected, atol=1e-9)
finding("by 1.0, 8.9 and 99.0", *stretch)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A 3 by 3 convolution whose spectral norm is one, as SAGAN computes it, may stretch by 3. Attention whose four matrices
# have norm one stretches by 1.0, 8.9 and 99.0 where the other positions hold 1, 3 and 10. Spectral normalisation keeps
# weights in bounds. It does not make a discriminator with 3 by 3 windows, or with attention, 1-Lipschitz.
# :::
#
# ## Does attention do more than a block of the same size?
#
# The paper's Table 1 has attention at maps of four sides on ImageNet and the control that a careful reader asks for, a
# residual block with as many parameters in its place. Each figure, a {term}`Fréchet distance` (less is better), is of a
# single run.

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
printed = paper.table("table-1").set_index(["model", "feature_map"])["fid"]
with_it, block = printed["SAGAN"], printed["residual block"]
plain = printed["no attention"].iloc[0]
finding("22.96", plain)
finding("22.98, 22.14, 18.28 and 18.65", *with_it)
finding("42.13, 22.40, 27.33 and 28.82", *block)
finding("three of four sides", sum(block > plain) == 3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without attention the paper prints 22.96; with it 22.98, 22.14, 18.28 and 18.65 at maps of side 8, 16, 32 and 64. The
# residual block has 42.13, 22.40, 27.33 and 28.82. It is worse than no layer at three of four sides, so that a gain
# over this control is not the same as a gain over nothing.
# :::
#
# ## Exercise
#
# ````{exercise} What a window really does
# :label: sagan-exercise-stretch
#
# *Hard, 20 minutes.* A convolution of one channel on a map whose borders are joined (what leaves on the right comes in
# on the left) multiplies every wave by a number, and waves make up all maps. So its true norm is the largest of those
# numbers. Write a function `stretch(window, side)` that returns it, for a window of m by m and a map of `side` by
# `side`.
#
# :::{dropdown} Hint
# The numbers are the discrete Fourier transform of the window, laid on the map: `torch.fft.fft2` has an argument for
# that.
# :::
# ````

# %%
exercises.answer("sagan-exercise-stretch", ...)  # your function

# %% [markdown]
# ````{solution-start} sagan-exercise-stretch
# :class: dropdown
# ````
#
# Where the window stands on the map turns the numbers in the complex plane and leaves their size. With equal weights it
# is the constant image that is stretched most, by 3; here are five random windows, normalised as SAGAN does it.


# %%
def stretch(window, side):
    return torch.fft.fft2(window, s=(side, side)).abs().max()


equal = stretch(window[0, 0], 16).item()
check("equal weights", equal, 3.0, atol=1e-12)
draw = torch.Generator().manual_seed(0)
windows = torch.randn(5, 3, 3, generator=draw).double()
print(*(f"{stretch(w / w.norm(), 16):.2f}" for w in windows))

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
wrong = [
    lambda window, side: window.norm(),  # what SAGAN divides by
    lambda window, side: window.abs().sum(),  # right without a minus
    lambda window, side: torch.fft.fft2(window).abs().max(),
]
exercises.try_judge("sagan-exercise-stretch", stretch, wrong)

# %% [markdown]
# ````{solution-end}
# ````
