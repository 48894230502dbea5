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
# # SGE, deeper
#
# Two questions that [the chapter on SGE](sge.ipynb) leaves open: what does standardising do where there is little to
# compare, and what does a trained network do with its similarities?

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
import pandas as pd
import torch

import attnlib
from attnlib import check, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.training import Recipe, train

plots.use()

# %% [markdown]
# ## What does standardising do where there is little to compare?
#
# On a map of one pixel, on a constant map, on a faint one? First the size. The released deviation divides by $HW - 1$,
# which is called unbiased; the paper's formula, as recalled, by $HW$. How large can $z$ be at all? Most where one pixel
# stands out and all others are equal:
#
# $$|z_i| \le \frac{HW - 1}{\sqrt{HW}}.$$ (sge-deeper-bound)

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
unit = attnlib.create("sge", 12, groups=3).double()  # its logits are z
unit.weight.data, unit.bias.data = torch.ones(3), torch.zeros(3)

similarities = lambda module, x: torch.logit(module.gate(x).detach())
rows = []
for H, W in ((1, 2), (2, 2), (7, 7), (14, 14)):
    x = torch.zeros(1, 12, H, W, dtype=torch.float64)
    x[..., 0, 0] = 100  # one pixel stands out
    most, pixels = similarities(unit, x).max().item(), H * W
    check(
        f"bound on {H} x {W}", most, (pixels - 1) / pixels**0.5, atol=1e-4
    )
    larger = 100 * ((pixels / (pixels - 1)) ** 0.5 - 1)
    rows.append([f"{H} x {W}", larger, most])
columns = ["map", "unbiased larger by (%)", "largest z"]
plots.table(pd.DataFrame(rows, columns=columns), "By size", digits=2)

# %% [markdown]
# On two pixels $z$ comes out as $\pm 1 / \sqrt 2$, whatever the map. On one pixel the released formula is zero
# divided by zero; the package puts $z = 0$. On a constant map $d = 0$, and $\varepsilon$ should keep $z$ at zero.
# Does it? And on a map of little contrast, where does $\varepsilon$ begin to show?

# %% tags=["nbval-check-output"]
draw = lambda *shape: torch.randn(shape, dtype=torch.float64)
pixel = similarities(unit, draw(5, 12, 1, 1))
check("one pixel: z = 0", pixel, torch.zeros_like(pixel))
two = similarities(unit, draw(500, 12, 1, 2)).abs().median()
check("two pixels", two, 0.5**0.5, atol=1e-3)
constant = 100 * torch.rand(1, 12, 1, 1).expand(1, 12, 9, 7)
single = attnlib.create("sge", 12, groups=3)
single.load_state_dict(unit.state_dict())
noise = similarities(single, constant).abs().max()
exact = similarities(unit, constant.double()).abs().max()
faint = similarities(unit, 1e-3 * draw(1, 12, 9, 7)).std()
finding("by 15.5 % on", rows[1][1])
finding("and 1.0 %", rows[2][1])
finding("more than 0.3", noise > 0.3)
finding("less than 0.001", exact < 0.001)
finding("less than 0.1", faint < 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It makes noise. The unbiased deviation is larger by 15.5 % on four pixels and 1.0 % on 49: it matters little. But on a
# constant map with values up to 100, rounding in float32 makes $|z|$ more than 0.3 where nothing is to be seen; in
# double precision it is less than 0.001. And on a map whose own deviation is 0.001, that of $z$ is less than 0.1. The
# reason: $c$ is a product of two vectors, and $\varepsilon$ one fixed number for all sizes of it. So $z$ can be trusted
# on maps that are neither faint nor constant, as most are behind a batch norm.
# :::
#
# :::{admonition} Try it
# :class: try-it
# With constant maps of which level does rounding begin to show? Say whether it does at 1; then change `level` and
# run.
# :::

# %%
level = 1
shown = similarities(single, level / 100 * constant).abs().max()
print(f"values up to {level}: {shown:.3f}")

# %% [markdown]
# ## What does the network do with its similarities?
#
# A small network with SGE, trained as in the chapter, and 1,000 images that it has not seen. As in [SE's
# chapter](se.ipynb), exchange its gates, train nothing, and see what it loses. The gates may become a *constant* for
# each group, their mean over all images and pixels; or be computed with the *mean of another image*; or with $\gamma$
# *turned over*, so that what was let through is dimmed.

# %% mystnb={"code_prompt_show": "Train, and define the exchanges"} tags=["hide-input"]
trained = train(Recipe.named("smoke", attention="sge", seed=0))
model = trained.model.cpu().eval()
images, labels, _ = generate(1000, seed=7)
inputs, labels = trained.inputs(images), torch.tensor(labels)


def gate(sge, x, shift=0, sign=1):
    """The gate with the means of the images `shift` places before, and with gamma times `sign`."""
    x = x.unflatten(1, (sge.groups, -1))
    mu = x.mean((3, 4), keepdim=True).roll(shift, 0)
    c = (mu * x).sum(2)
    d = c.std((2, 3), keepdim=True)
    z = (c - c.mean((2, 3), keepdim=True)) / (d + 1e-5)
    gamma, beta = sge.weight.view(-1, 1, 1), sge.bias.view(-1, 1, 1)
    g = torch.sigmoid(sign * gamma * z + beta)
    return g.repeat_interleave(sge.channels // sge.groups, 1)


def accuracy(exchange):
    """Images named right, in per cent, with other gates."""

    def scale(sge, args, output):
        return args[0] * exchange(sge, args[0])

    sges = attention_modules(model).values()
    hooks = [sge.register_forward_hook(scale) for sge in sges]
    with torch.no_grad():
        right = model(inputs).argmax(1) == labels
    for hook in hooks:
        hook.remove()
    return 100 * right.double().mean().item()


# %%
exchanges = {
    "a constant": lambda sge, x: gate(sge, x).mean((0, 2, 3), True),
    "another image's mean": lambda sge, x: gate(sge, x, shift=1),
    "gamma turned over": lambda sge, x: gate(sge, x, sign=-1),
}
own = accuracy(gate)
lost = {what: own - accuracy(each) for what, each in exchanges.items()}
shown = pd.DataFrame(lost.items(), columns=["instead", "points lost"])
flat, other, over = lost.values()
finding("more than 4 points", over > 4)
finding("more than with constant gates", over > flat)
finding("more than 2", other > 2)
plots.table(shown, "What the network loses", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It relies on them. With $\gamma$ turned over it loses more than 4 points of accuracy, and more than with constant
# gates: wrong similarities are worse than none. With the mean of another image it loses more than 2.
# :::
