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
# # ECA, deeper
#
# What [the chapter](eca.ipynb) leaves out: the gradients, what no kernel can see, ECA against a bottleneck and groups of
# equal size, a kernel without ends, and what the paper prints of costs.

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

import attnlib
from attnlib import check, exercises, finding, plots

plots.use()
paper = attnlib.paper("eca")

# %% [markdown]
# ## The gradients
#
# A bar over a quantity is the derivative of the loss by it. Through product and sigmoid it is as in SE:
#
# $$\bar g_c = \sum_{i,j} \bar y_c(i, j)\, x_c(i, j),$$ (eca-back-gate)
#
# $$\bar s_c = g_c\, (1 - g_c)\, \bar g_c.$$ (eca-back-logit)
#
# In {eq}`eca-slide` the mean $z_c$ occurs in $k$ logits. Logit $c'$ has it with weight $w_j$ where
# $c' + j - 1 - m = c$, so that
#
# $$\bar z_c = \sum_{j=1}^{k} w_j\, \bar s_{c - j + 1 + m}.$$ (eca-back-squeeze)
#
# That is the same kernel, read backwards. Each weight acts at every channel and image, and collects from all of them:
#
# $$\bar w_j = \sum_{n,\, c} \bar s_{nc}\, z_{n,\, c + j - 1 - m}.$$ (eca-back-weight)
#
# A pixel has the share $1 / HW$ in its mean. So the map receives
#
# $$\bar x_c(i, j) = g_c\, \bar y_c(i, j) + \frac{\bar z_c}{HW}.$$ (eca-gradient)
#
# Written out step by step, against automatic differentiation:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64, requires_grad=True)
eca = attnlib.create("eca", 32, kernel_size=5).double()
upstream = torch.randn_like(x)  # dL / dy
wanted = [x, eca.conv.weight]
auto_x, auto_w = torch.autograd.grad((upstream * eca(x)).sum(), wanted)

m, w = 2, eca.conv.weight.detach().flatten()
with torch.no_grad():
    z = x.mean((2, 3))
    gate = eca.gate(x)
    back_g = (upstream * x).sum((2, 3))
    back_s = (gate * (1 - gate))[:, :, 0, 0] * back_g
    around = F.pad(back_s, (m, m)).unfold(1, 5, 1)  # m before and after
    back_z = around @ w.flip(0)  # the kernel, read backwards
    means = F.pad(z, (m, m)).unfold(1, 5, 1)
    back_w = (back_s[:, :, None] * means).sum((0, 1))
    by_hand = gate * upstream + back_z[:, :, None, None] / (9 * 7)
check("gradient of x", by_hand, auto_x, atol=1e-12)
check("gradient of w", back_w, auto_w.flatten(), atol=1e-12)

# %% [markdown]
# ## What no kernel can do
#
# The chapter's three sentences, tried with a random kernel of five weights: far channels are not heard, equal windows have
# equal gates, and turned signs turn the gates.


# %% tags=["nbval-check-output"]
def gates(z):
    """The gates for channel means z: maps of one pixel each."""
    return eca.gate(z[:, :, None, None])[:, :, 0, 0]


far, next_door = z.clone(), z.clone()
far[:, 9] += 3
next_door[:, 2] += 3  # channel 2 is in the window of channel 1
check("far: gates 0 to 6 stay", gates(far)[:, :7], gates(z)[:, :7])
moved = (gates(next_door) - gates(z)).abs()[:, 1].min()
finding("the gate next door moves", moved > 0.01)

pattern = torch.tensor([[1.0, -2.0, 0.5, 3.0]]).double().repeat(1, 8)
inner = gates(pattern)[:, 4:28].view(6, 4)  # away from both ends
check("equal windows, equal gates", inner[:5], inner[1:], atol=1e-15)
check("signs turned", gates(-z), 1 - gates(z), atol=1e-12)
se = attnlib.create("se", 32, reduction=4).double()
named = se.gate(torch.ones(1, 32, 1, 1).double()).flatten()
finding("SE tells them apart", named.std() > 0.01)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# What happens in channel 9 never reaches the gates 0 to 6; a change within the window does, and the gate next door moves.
# In an image whose means repeat, the gates repeat: ECA does not know one channel from another. In an image whose means
# are all the same, SE tells them apart.
# :::
#
# This is also what a slid kernel has over one scale for each channel, the diagonal: its gate can open *because the one next
# door is strong*. And SE has both over ECA: it hears the far ones, and it knows which channel is which.
#
# ## Against a bottleneck and groups of equal size
#
# Leave the non-linearities out. Then a gate's logits are $s = M z$, and the forms differ in where the matrix $M$ may have
# entries: on the diagonal, in a band, in blocks, or as a product of two thin matrices. The paper tries all of them. Here
# they are for 16 channels, with random weights; the *rank* is how many independent numbers of $z$ come through.


# %%
def forms(C=16, k=3, group=4, hidden=2):
    """{name: (number of weights, the matrix M)}"""
    steps = [
        torch.ones(C - abs(o)).diag(o)
        for o in range(-(k // 2), k // 2 + 1)
    ]
    shared = sum(w * step for w, step in zip(torch.randn(k), steps))
    own = torch.randn(C, C) * sum(steps)
    blocks = torch.block_diag(*torch.randn(C // group, group, group))
    thin = torch.randn(C, hidden) @ torch.randn(hidden, C)
    return {
        "one scale each": (C, torch.diag(torch.randn(C))),
        "ECA, k = 3": (k, shared),
        "ECA-NS, k = 3": (k * C, own),
        "groups of 4": (group * C, blocks),
        "bottleneck of 2": (2 * hidden * C, thin),
        "full matrix": (C * C, torch.randn(C, C)),
    }


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Six matrices of 16 by 16. One scale each: the diagonal. ECA and ECA-NS: a band of three, with equal entries along the band for ECA. Groups: four blocks. Bottleneck and full matrix: all entries."}, "figure": {"caption": "Which channel (column) each gate (row) hears in six forms, with weights and rank.", "name": "eca-forms"}}
torch.manual_seed(0)
six = forms()
rank = {n: int(torch.linalg.matrix_rank(M)) for n, (_, M) in six.items()}
heard = {n: int((M != 0).sum(1).max()) for n, (_, M) in six.items()}
figure, axes = plt.subplots(3, 2, figsize=(plots.COLUMN, 7.2))
for axis, (name, (weights, matrix)) in zip(axes.flat, six.items()):
    axis.imshow(matrix.abs().clamp(max=2), cmap="Purples", vmin=0, vmax=2)
    axis.set_title(
        f"{name}\n{weights} weights, rank {rank[name]}", fontsize=10
    )
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
size = {name: weights for name, (weights, _) in six.items()}
finding(
    "three weights reach rank 16",
    size["ECA, k = 3"] == 3,
    rank["ECA, k = 3"] == 16,
)
finding(
    "64 weights buy either",
    size["groups of 4"] == size["bottleneck of 2"] == 64,
)
finding(
    "4 channels and rank 16", heard["groups of 4"], rank["groups of 4"]
)
finding(
    "16 channels and rank 2",
    heard["bottleneck of 2"],
    rank["bottleneck of 2"],
)
plt.show()

# %% [markdown]
# **How to read it.** A dark cell in row $c$ and column $d$ says that gate $c$ listens to channel $d$.
#
# :::{admonition} Finding
# :class: finding
# The same 64 weights buy either groups, which hear 4 channels and rank 16, or a bottleneck, which hears 16 channels and
# rank 2. ECA's three weights reach rank 16: no number of $z$ is lost, and each gate hears three of them. That is what
# "without dimensionality reduction" means. What it does not say is why the three should be neighbours.
# :::

# %% [markdown]
# ## What the paper prints
#
# Printed costs beside the same figures recomputed, in the paper's units:

# %% tags=["nbval-check-output"]
rows = [
    f"Table 3: ResNet-50 {m}"
    for m in ("baseline", "SENet", "CBAM", "ECA-Net")
]
plots.costs(
    paper.costs(rows), "Costs printed in the ECA paper, recomputed"
)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Hold the finding against the data"}
every = paper.costs(lambda cell: cell.table.startswith("Table"))
judged = every[every["agrees"].notna()]
finding("Of the 79 costs", len(judged))
finding("71 agree", judged["agrees"].sum())
theirs = attnlib.paper("se").costs(lambda c: c.table.startswith("Table"))
theirs = theirs[theirs["agrees"].notna()]
finding("paper's 42 it was 23", len(theirs), theirs["agrees"].sum())
others = judged[judged["agrees"] == False]["row"]  # noqa: E712
finding("None of the others", not others.str.contains("ECA").any())
cbam = judged[judged["row"].eq("ResNet-50 CBAM")]
printed, counted = cbam.iloc[0][["published", "measured"]]
finding("26.77 for CBAM, which has 26.79", printed, counted)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Of the 79 costs in this paper's tables that can be recomputed, 71 agree to the printed digit, once its units and its
# profiler are known; of the SE paper's 42 it was 23. None of the others is in a row of ECA. One is CBAM's: 26.77 for CBAM,
# which has 26.79, is SE's number.
# :::
#
# ## One more exercise
#
# ````{exercise} Without ends
# :label: eca-exercise-circle
#
# *Medium, 15 minutes.* The first and the last channel hear fewer others than the rest. Close the order to a circle, so
# that they are neighbours, as a form in the library timm does. Write `gate(x, w)` that returns these gates, (N, C), for a
# map (N, C, H, W) and a kernel (k,) with an odd k up to C.
#
# :::{dropdown} Hint
# `torch.roll` turns the channels around; the kernel is a sum over $k$ turned copies. Which way does the first weight look?
# :::
# ````

# %%
exercises.answer("eca-exercise-circle", ...)  # your function for the dots

# %% [markdown]
# ````{solution-start} eca-exercise-circle
# :class: dropdown
# ````
#
# The first weight looks $m$ channels back, so the means move $m$ places forward. Now no channel can be told from another,
# not even by its distance from an end: turn the channels, and the gates turn with them.


# %%
def circular_gate(x, w):
    m, z = len(w) // 2, x.mean((2, 3))
    s = sum(w[j] * z.roll(m - j, 1) for j in range(len(w)))
    return torch.sigmoid(s)


maps, kernel = x.detach(), torch.randn(5).double()
turned = circular_gate(maps.roll(7, 1), kernel)
expected = circular_gate(maps, kernel).roll(7, 1)
check("turned channels, turned gates", turned, expected, atol=1e-12)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Right and wrong answers"}
wrong = [
    lambda x, w: circular_gate(x, w.flip(0)),  # the kernel flipped
    lambda x, w: (
        attnlib.create("eca", x.shape[1]).double().gate(x)[..., 0, 0]
    ),
]
exercises.try_judge(
    "eca-exercise-circle", right=circular_gate, wrong=wrong
)

# %% [markdown]
# ````{solution-end}
# ````
