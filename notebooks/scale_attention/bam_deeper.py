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
# # BAM, deeper
#
# Three questions that [the chapter on BAM](bam.ipynb) leaves open: why might one multiply where the paper adds, which
# pixels does a spatial gate see, and do the costs in the paper's tables come out? And its gradients, tried.

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

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch

import attnlib
from attnlib import check, exercises, finding, plots

plots.use()
paper = attnlib.paper("bam")

# %% [markdown]
# ## Why might one multiply where the paper adds?
#
# The norms at the ends of the branches are a hint: the paper's equations have them, the
# released code has none. Its network draws a convolution's weights with the variance 2 over the number of outputs
# (times the size of the kernel), and $f_4$ has *one* output: variance 2. A unit behind a norm and a ReLU has the mean
# square $\tfrac12$ (exactly, where what enters the ReLU is symmetric about zero), and there are $h$ of them, so that
#
# $$\mathbb{E}\, t^2 = h \cdot 2 \cdot \tfrac12 = h.$$ (bam-deeper-start)
#
# In ResNet-50, where $h$ is 16, 32 and 64, that is a $t$ of about 4, 6 and 8, far out on the sigmoid. The channel
# branch keeps PyTorch's weights, of variance $1 / (3 h)$, so that $\mathbb{E}\, s^2 = \tfrac16$. Added to such a $t$,
# it is lost.


# %%
def fresh(C, seed, **chosen):
    """s, t of a fresh module of the released network."""
    torch.manual_seed(seed)
    bam = attnlib.create("bam", C, **chosen)
    bam.network_init_()
    x = torch.relu(torch.randn(4, C, 14, 14))
    with torch.no_grad():
        s = bam.channel_branch(x.mean((2, 3)))[:, :, None, None]
        return s, bam.spatial_branch(x)


def at_an_end(logits):
    """Share of gates within a fiftieth of 1 or of 2."""
    g = torch.sigmoid(logits)
    return 100 * ((g < 0.02) | (g > 0.98)).double().mean().item()


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Make the table"}
rows = []
for C in (256, 512, 1024):
    ends = []
    for seed in range(6):
        s, t = fresh(C, seed)
        a, b = fresh(C, seed, output_norm=True)
        square = (t**2).mean().item() / (C // 16)
        ends.append(
            [square, *map(at_an_end, (s + t, s * t, a + b, a * b))]
        )
    rows.append([C, *torch.tensor(ends).mean(0).tolist()])
names = ["C", "t² / h", "s + t", "s t", "norms, s + t", "norms, s t"]
start = pd.DataFrame(rows, columns=names)
finding("more than a quarter", min(start["s + t"]) > 25)
finding("less than a fifth", max(start["s t"]) < 20)
finding("less than a fiftieth", start.iloc[:, 4:].max().max() < 2)
finding("between a half and twice", start["t² / h"].between(0.5, 2).all())
plots.table(start, "Fresh modules: gates at an end of their range (%)", 1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Because without norms a sum begins at its ends. In fresh modules of ResNet-50's widths $t^2$ is between a half and
# twice $h$. Added as released, without norms, more than a quarter of all gates stand within a fiftieth of 1 or 2 before
# training has begun; multiplied, less than a fifth. With the paper's norms at the ends it is less than a fiftieth in
# both forms.
# :::
#
# So whoever takes the released code and only turns the product into a sum, as a reader of its repository proposes, does
# not get the paper's module. The paper's sum comes with its norms: `combine="sum", output_norm=True`.
#
# ## Which pixels does a spatial gate see?
#
# Two 3 by 3 convolutions with gaps of $d$, all weights one: how many ways lead from each pixel of a map to the middle
# one?

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Three maps of 19 by 19 pixels. With gaps of 1 the pixels that are seen are a full square of 5 by 5 about the middle; with gaps of 2 and 4 they are 25 single pixels that lie 2 and 4 apart."}, "figure": {"caption": "Ways from each pixel to the middle one through two 3 by 3 convolutions with gaps.", "name": "bam-deeper-reach"}}
_, axes = plt.subplots(1, 3, figsize=(plots.COLUMN, 2.2))
kernel = torch.ones(1, 1, 3, 3)
for axis, d in zip(axes, (1, 2, 4), strict=True):
    x = torch.zeros(1, 1, 19, 19)
    t = x.requires_grad_(True)
    for _ in range(2):
        t = torch.conv2d(t, kernel, padding=d, dilation=d)
    (ways,) = torch.autograd.grad(t[0, 0, 9, 9], x)
    axis.imshow(ways[0, 0], cmap="viridis")
    axis.set(title=f"d = {d}", xticks=[], yticks=[])
finding("25 pixels in each", (ways > 0).sum())
finding("in 9 ways", ways.max())
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It is 25 pixels in each, the middle one in 9 ways. With the paper's $d = 4$ they lie four apart: a wide gap sees
# farther, and misses what lies between.
# :::
#
# So a spatial logit depends on the pixels whose row and column differ from its own by multiples of four, and on no
# other. The map falls into sixteen such sets of pixels, and none hears of another. Change 15 of 16 pixels at random,
# and the logit stays as it was:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
bam = attnlib.create("bam", 32, reduction=8).double().eval()
row, column = torch.meshgrid(
    torch.arange(14), torch.arange(14), indexing="ij"
)
own = (row % 4 == 2) & (column % 4 == 1)  # those of the pixel (6, 5)
x = torch.rand(1, 32, 14, 14, dtype=torch.float64)
changed = torch.where(own, x, torch.rand_like(x))
t, after = (bam.spatial_branch(v)[0, 0, 6, 5] for v in (x, changed))
check("t, with the other pixels changed", after, t, atol=1e-12)
own[6, 5] = False
changed = torch.where(own, torch.rand_like(x), x)
moved = bam.spatial_branch(changed)[0, 0, 6, 5] - t
finding("more than 0.001", moved.abs() > 1e-3)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the few pixels of its own set changed, the same logit moves by more than 0.001.
# :::
#
# That is in evaluation; in training the batch norms mix all pixels. And each pixel of a late map has seen a part of the
# image already, so that the gaps hide less of the *image* than of the map.
#
# ## Are the gradients right?
#
# {eq}`bam-back-sum` and {eq}`bam-back-product`, by hand against automatic differentiation in double precision:

# %% tags=["nbval-check-output"]
x = torch.randn(2, 8, 5, 7, dtype=torch.float64)
upstream = torch.randn_like(x)  # dL / dy
s = torch.randn(2, 8, 1, 1, dtype=torch.float64, requires_grad=True)
t = torch.randn(2, 1, 5, 7, dtype=torch.float64, requires_grad=True)
for name, logit, to_s, to_t in (
    ("sum", s + t, 1, 1),
    ("product", s * t, t, s),
):
    g = torch.sigmoid(logit)
    y = x * (1 + g)
    automatic = torch.autograd.grad((upstream * y).sum(), (s, t))
    back = (upstream * x * g * (1 - g)).detach()  # at the logit
    by_hand = (to_s * back).sum((2, 3), True), (to_t * back).sum(1, True)
    for letter, ours, reference in zip("st", by_hand, automatic):
        check(f"{name}: at {letter}", ours, reference, atol=1e-12)

# %% [markdown]
# ## Do the costs in the paper's tables come out?
#
# Recalled, not read; the networks are built as the tables need it: the paper's form of the module (the sum, and a norm
# at the end of each branch), and the stride in the first 1 by 1 convolution. The released code differs in both.

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Make the table"}
recalled = paper.costs()
others = recalled["table"].str.startswith("README")
recalled = recalled[~others]
off = recalled[~recalled["agrees"]].copy()
finding("50 of 58", recalled["agrees"].sum(), len(recalled))
dear = off.set_index(["row", "column"]).loc[("reduction 4", "gflops")]
finding("1.37 recalled and 1.50 counted", dear.published, dear.measured)
off = off[["row", "column", "published", "measured"]]
plots.table(off, "Costs that do not come out to the last digit", 4)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Nearly all do: 50 of 58 come out to the last digit. The largest gap is that of ResNet-50 with $r = 4$: 1.37 recalled
# and 1.50 counted, in billions of multiply-adds.
# :::
#
# ## What did others find?
#
# On ImageNet, with one recipe for all networks, and not by BAM's authors; this BAM multiplies its branches.

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Make the table"}
elsewhere = paper.table("pytorchinsight").set_index("model")["top1"]
rows = [
    [name, elsewhere[name], elsewhere[f"BAM-{name}"]]
    for name in ("ResNet-50", "ResNet-101")
]
gains = [with_bam - plain for _, plain, with_bam in rows]
finding("0.51 points in ResNet-50 and 0.02", *gains)
columns = ["network", "plain", "with BAM"]
plots.table(pd.DataFrame(rows, columns=columns), "Top-1 accuracy (%)", 2)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# There BAM gains 0.51 points in ResNet-50 and 0.02 in ResNet-101. Each number is a single run.
# :::
#
# ## Exercise
#
# ````{exercise} The best sum
# :label: bam-exercise-additive
#
# *Medium, 15 minutes.* Write a function of logits (N, C, H, W) that returns, for each image, the closest ones in mean
# square that are a sum of a number for each channel and a number for each pixel.
#
# :::{dropdown} Hint
# Means over pixels, means over channels; what do both contain?
# :::
# ````

# %%
exercises.answer("bam-exercise-additive", ...)  # your function

# %% [markdown]
# ````{solution-start} bam-exercise-additive
# :class: dropdown
# ````
#
# Channel mean plus pixel mean contains the mean of all twice. What is left over sums to zero in every channel and at
# every pixel, so that no number for one of them brings the fit nearer.


# %%
def additive(v):
    both = v.mean((2, 3), keepdim=True) + v.mean(1, keepdim=True)
    return both - v.mean((1, 2, 3), keepdim=True)


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [
    lambda v: v.mean((2, 3), keepdim=True) + v.mean(1, keepdim=True),
    lambda v: v.mean((2, 3), keepdim=True) * v.mean(1, keepdim=True),
]
exercises.try_judge("bam-exercise-additive", right=additive, wrong=wrong)

# %% [markdown]
# ````{solution-end}
# ````
