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
# # Non-local blocks, deeper
#
# Questions that [the chapter](non_local.ipynb) leaves open: how slowly does a block start, what makes the dot product
# cheap, what does sub-sampling save and what is pooled, and where does the theorem about the global mean end? Symbols
# and definitions are those of the chapter.

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
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.profiling import profile

plots.use()
paper = attnlib.paper("non_local")


def moved(block):
    """Away from the identity: a random norm."""
    for parameter in block.norm.parameters():
        nn.init.normal_(parameter)


# %% [markdown]
# ## How slowly does a block start?
#
# At the start only the norm has a gradient, {eq}`non-local-back-scale` for its scale and $\bar\beta = \sum_i \bar z_i$
# for its shift. Both by hand against automatic differentiation, for all four pairwise functions; and every other
# gradient is zero, not nearly zero:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 8, 5, 3, dtype=torch.float64)
upstream = torch.randn_like(x)  # dL / dz
seen_a = []  # what the norm is given
for form in ("gaussian", "embedded", "dot", "concat"):
    fresh = attnlib.create("non_local", 8, pairwise=form).double()
    fresh.out.register_forward_hook(lambda _, args, a: seen_a.append(a))
    (upstream * fresh(x)).sum().backward()
    norm = nn.BatchNorm2d(8, affine=False, dtype=torch.float64)
    by_hand = (upstream * norm(seen_a.pop())).sum((0, 2, 3))
    check(f"{form}: scale", fresh.norm.weight.grad, by_hand, atol=1e-12)
    shift = upstream.sum((0, 2, 3))
    check(f"{form}: shift", fresh.norm.bias.grad, shift, atol=1e-12)
    for name, parameter in fresh.named_parameters():
        if not name.startswith("norm."):
            assert not parameter.grad.any(), name

# %% [markdown]
# Then $\gamma$ moves, and by {eq}`non-local-back-branch` all that stands behind the norm gets a gradient in proportion
# to it. With the same $\bar z$ and twice the $\gamma$ every such gradient is twice as large:


# %% tags=["nbval-check-output"]
def behind(block, gamma):
    """The gradients behind the norm, with this scale in all channels."""
    nn.init.constant_(block.norm.weight, gamma)
    inside = [*block.theta.parameters(), *block.g.parameters()]
    inside += block.out.weight, block.phi.weight
    return torch.autograd.grad((upstream * block(x)).sum(), inside)


block = attnlib.create("non_local", 8).double()
small, large = behind(block, 0.01), behind(block, 0.02)
twice = [2 * gradient for gradient in small]
check("twice the scale, twice the gradient", large, twice, atol=1e-12)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
gamma = 0.01
per_scale = behind(block, 1)[0].norm() / behind(block, gamma)[0].norm()
finding("= 0.01$ the queries", gamma)
finding("with a hundredth", abs(per_scale - 100) < 1e-6)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# As slowly as its scale grows. At $\gamma = 0.01$ the queries of a block learn with a hundredth of the gradient that
# they have at $\gamma = 1$. A block that starts as the identity learns late where to look. (So it is under SGD. Adam
# divides a gradient by its own size; the chapter on [SAGAN](sagan.ipynb) shows that there one step is all the delay.)
# :::
#
# ## What decides how much it adds?
#
# Not the values. The size of what is added stands in the norm, {eq}`non-local-size`, whatever the layers do. Here the
# values are made a thousand times larger, and nothing changes:

# %% tags=["nbval-check-output"]
block = attnlib.create("non_local", 64).double()
block.norm.eps = 1e-30  # zero is not allowed
moved(block)
x = torch.randn(8, 64, 6, 4, dtype=torch.float64)
size = block.norm.weight**2 + block.norm.bias**2
added = ((block(x) - x) ** 2).mean((0, 2, 3))
block.g.weight.data *= 1000
louder = ((block(x) - x) ** 2).mean((0, 2, 3))
both = [added, louder]
check("size of what is added", both, [size, size], atol=1e-9)

# %% [markdown]
# ## Are sequences, images and videos the same to it?
#
# No equation knows where a position is. So the same 24 vectors give the same output as a sequence of 24, as an image of
# 4 by 6, and as a video of two frames of 3 by 4. The layers are convolutions of 1, 1 by 1 and 1 by 1 by 1, with the
# same numbers in them:

# %% tags=["nbval-check-output"]
outputs = []
for shape in ((24,), (4, 6), (2, 3, 4)):
    same = attnlib.create("non_local", 64, dimensions=len(shape)).double()
    theirs, state = same.state_dict(), block.state_dict()
    same.load_state_dict({k: state[k].view_as(theirs[k]) for k in theirs})
    same.norm.eps = block.norm.eps
    outputs.append(same(x.flatten(2).unflatten(2, shape)).flatten(2))
sequence, image, video = outputs
check("sequence = image = video", [image, video], [sequence] * 2, 1e-12)

# %% [markdown]
# With sub-sampling this ends, for then neighbours are pooled: an image by 2 by 2, a sequence by two, a video never over
# time.
#
# ## What makes the dot product cheap?
#
# Without a softmax between its two products the brackets may be moved:
#
# $$(\theta \phi^{\top})\, g = \theta\, (\phi^{\top} g).$$ (non-local-order)
#
# attnlib's `forward` takes the right side and never builds the weights; its `weights` builds them. The MACs are those
# of the four convolutions and $2 P D^2$ in place of $2 P^2 D$:

# %% tags=["nbval-check-output"]
x = torch.randn(2, 8, 6, 4, dtype=torch.float64)
block = attnlib.create("non_local", 8, pairwise="dot").double()
moved(block)
y = block.weights(x)[:, 0] @ block.g(x).flatten(2).transpose(1, 2)
a = block.out(y.transpose(1, 2).unflatten(2, (6, 4)))
check("weights first", block(x), x + block.norm(a), atol=1e-12)

C, D = 64, 32


def cost(form, side, **arguments):
    block = attnlib.create("non_local", C, pairwise=form, **arguments)
    return profile(block, image_size=side, in_channels=C)


linear = {s: cost("dot", s).macs for s in (32, 64)}
by_formula = [4 * C * D * s**2 + 2 * s**2 * D**2 for s in linear]
check("no pair is built", [*linear.values()], by_formula)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
squared = cost("embedded", 64).macs / cost("embedded", 32).macs
finding("exactly 4 times", linear[64] == 4 * linear[32])
finding("14.7 times", squared)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Its brackets. From 32 to 64 pixels a side the dot product costs exactly 4 times as much, as a convolution would. The
# embedded Gaussian costs 14.7 times as much.
# :::
#
# ## What does sub-sampling save, and what is pooled?
#
# A quarter of the keys is left, and the formula {eq}`non-local-cost` says what that makes of the whole block. It and
# the count agree exactly:


# %% tags=["nbval-check-output"]
def formula(P, keys):
    return 2 * C * D * (P + keys) + 2 * P * keys * D


saved, pairs = [], []
for s in (8, 16, 32):
    full, pooled = cost("embedded", s), cost("embedded", s, subsample=True)
    ours = [formula(s**2, s**2), formula(s**2, s**2 // 4)]
    check(f"side {s}", [full.macs, pooled.macs], ours)
    saved.append(full.macs / pooled.macs)
    both = [c.macs_by_operator["attention"] for c in (full, pooled)]
    pairs.append(both[0] / both[1])
finding("exactly a quarter", pairs == [4, 4, 4])
finding("2.00, 2.67 and 3.43 at 8, 16 and 32", *saved, 8, 16, 32)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Pooled, the embedded Gaussian has exactly a quarter of the multiply-adds over pairs. The whole block gets cheaper by a
# factor of 2.00, 2.67 and 3.43 at 8, 16 and 32 pixels a side: the larger the map, the nearer to 4.
# :::
#
# **What is pooled?** The text pools $\phi(x)$ and $g(x)$; the released code pools $x$ before both. The number of keys
# is the same, but in the text's order all positions are projected first. The printed costs tell which was used: five
# blocks in ResNet-101 on clips of 32 frames are printed as 1.2 times the multiply-adds of the network without.

# %% tags=["nbval-check-output"]
text = paper.verdicts("ratio-projected-first")[0].measured
printed = paper.costs("Table 2e: NL C2D, 5 blocks")
row = printed.set_index("column").loc["flops_rel"]
orders = [("behind phi and g", text), ("in front of both", row.measured)]
orders = pd.DataFrame(orders, columns=["pooled", "times the network"])
plots.table(orders, "Five blocks, printed as 1.2 times", digits=2)

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
finding("1.33 times", text)
finding("1.24 times", row.measured)
finding("printed 1.2", row.published)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In the order of the text five blocks would cost 1.33 times the network, in that of the code 1.24 times. Only the
# latter rounds to the printed 1.2: the printed costs are those of the released code, and not those of the text.
# :::
#
# ## Where does the theorem end?
#
# In front of a global mean only the average weights count, {eq}`non-local-pooled`, because all that comes between is
# linear but for constants. Put a ReLU there, and who asks matters again. With random numbers, what do the average
# weights of each image change in the mean over positions, with and without a ReLU behind the block?

# %% tags=["nbval-check-output"]
block = attnlib.create("non_local", 64).double().eval()
moved(block)
x = 3 * torch.randn(4, 64, 8, 8, dtype=torch.float64)
A = block.weights(x)[:, 0]
values = block.g(x).flatten(2)


def output(weights):
    y = (values @ weights.mT).unflatten(2, (8, 8))
    return x + block.norm(block.out(y))


own = output(A)
averaged = output(A.mean(1, keepdim=True).expand_as(A))
mean = lambda z: z.mean((2, 3))
check("the weights are the block's", own, block(x), atol=1e-12)
check("linear: nothing changes", mean(averaged), mean(own), atol=1e-12)
bent = [mean(torch.relu(z)) for z in (averaged, own)]
change = ((bent[0] - bent[1]).norm() / bent[1].norm()).item()

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Hold the finding against the data"}
finding("more than 1 %", change > 0.01)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Without a ReLU the averages change nothing, to the last digits of double precision. With one, the mean over positions
# changes by more than 1 % of its size: here the queries are random, and a trained block may use them for more.
# :::
#
# The theorem is about a network in evaluation, whose norm has fixed statistics. In training mode the norm divides by
# the deviation over all positions of the batch, and there who asks has an effect.
#
# ## More exercises
#
# ````{exercise} Safe twice
# :label: non-local-exercise-twice
#
# *Medium, 10 minutes.* The norm's scale starts at zero; the form for long clips has no norm, and $W_z$ and $b_z$ start
# at zero instead. Suppose somebody does both, in a block with 64 channels. How many of its 8,480 parameters can ever
# move, without weight decay?
#
# :::{dropdown} Hint
# What does the norm put out when its input is zero? What is then $\bar\gamma$, and what does $W_z$ get?
# :::
# ````

# %%
exercises.answer("non-local-exercise-twice", ...)  # your number

# %% [markdown]
# ````{solution-start} non-local-exercise-twice
# :class: dropdown
# ````
#
# $a = 0$, so that $\hat a = 0$ and $\bar\gamma = 0$: the scale waits for $W_z$. And $W_z$ waits for the scale, as ever.
# Only the shift moves, 64 numbers, and no step changes that.

# %%
torch.manual_seed(0)
twice = attnlib.create("non_local", 64)
nn.init.zeros_(twice.out.weight)
nn.init.zeros_(twice.out.bias)
steps = torch.optim.SGD(twice.parameters(), lr=0.1)
start = [p.detach().clone() for p in twice.parameters()]
for _ in range(5):
    steps.zero_grad()
    x = torch.randn(2, 64, 5, 5)
    (torch.randn_like(x) * twice(x)).sum().backward()
    steps.step()
pairs_of = zip(start, twice.parameters(), strict=True)
moving = sum(int((a != b).sum()) for a, b in pairs_of)
print(f"{moving} parameters moved")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-twice", right=moving, wrong=[128, 0, 8480]
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise} Parameters without effect
# :label: non-local-exercise-biases
#
# *Hard, 15 minutes.* How many of the 8,480 parameters of an embedded Gaussian block with 64 channels never get a
# gradient, in whatever state the block is? And how many in the dot-product form? Answer with a list of the two.
#
# :::{dropdown} Hint
# Three biases are candidates. Ask of each which property it needs: a norm behind it, or weights that sum to one.
# :::
# ````

# %%
exercises.answer("non-local-exercise-biases", ...)  # your [a, b]

# %% [markdown]
# ````{solution-start} non-local-exercise-biases
# :class: dropdown
# ````
#
# What is the same at all positions of all images, the norm takes out again: $b_z$ never gets a gradient. Nor does
# $b_g$, because weights that sum to one pass it on unchanged; nor does $b_\phi$, which adds the same $\theta_i \cdot
# b_\phi$ to all scores of a position, and a softmax does not see that. In the dot product only $b_z$ is left: weights
# do not sum to one, and no softmax hides $b_\phi$.

# %%
without = []
for form in ("embedded", "dot"):
    block = attnlib.create("non_local", 64, pairwise=form).double()
    moved(block)
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64)
    (torch.randn_like(x) * block(x)).sum().backward()
    gradients = [p.grad.abs() for p in block.parameters()]
    without.append(sum(int((g < 1e-12).sum()) for g in gradients))
print(without)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
exercises.try_judge(
    "non-local-exercise-biases",
    right=without,
    wrong=[[64, 64], [128, 128]],
)

# %% [markdown]
# ````{solution-end}
# ````
