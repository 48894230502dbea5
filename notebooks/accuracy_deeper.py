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
# # More from short runs
#
# :::{admonition} What do short runs say of one rate for all, of augmentation, of wrong labels?
# :class: question
#
# The runs are those of [Accuracy in short runs](accuracy.ipynb), `cifar10-slice`: 4,500 images of CIFAR-10, four epochs, three seeds here.
#
# **One rate for all is not fair to all.** SASA in both convolutions of a block starts with a gradient more than 100 times as long, and ends at
# 20.7 %.
#
# **SEM and residual attention do not show here what is claimed for them.** SEM does not gain without augmentation
# (-4.60 points), and with 70 % wrong labels residual attention is 2.01 points lower than no module. Neither gain
# changes in a way that three seeds could see.
# :::

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Install attnlib where it is missing"}
# Where attnlib is missing (Colab, a bare kernel), this installs it.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "..[chapters]"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
from math import sqrt

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from attnlib import finding, paper, plots
from attnlib.data import load
from attnlib.results import records
from attnlib.results.intervals import paired, student
from attnlib.training import Recipe
from attnlib.training.batches import Normalisation
from attnlib.training.network import build

plots.use()
recipe = Recipe.named("cifar10-slice")
runs = [  # of the three seeds that every row has
    run
    for run in records(recipe.name)
    if run.recipe.backbone == recipe.backbone and run.seed < 3
]

# %% [markdown]
# ## One rate for all
#
# All networks are trained at the plain network's learning rate. That is fair in budget, not in fit: where the gradient is
# many times larger, the same rate takes steps that are many times longer. Here is the gradient of the first step, on 32 generated images.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Mean test accuracy against the length of the first gradient on a logarithmic axis. Most rows lie between 0.7 and 6; SASA in one convolution of a block at 17 and in both at 500, with 46 and 21 per cent accuracy."}, "figure": {"caption": "Accuracy by the length of the first gradient; grey points are the other rows.", "name": "accuracy-gradient"}} tags=["hide-input"]
shapes = load("shapes", "test")
means = [
    getattr(shapes.images / 255, of)(axis=(0, 1, 2)).tolist()
    for of in ("mean", "std")
]
images = Normalisation(*means)(torch.tensor(shapes.images[:32]))
labels = torch.tensor(shapes.labels[:32])


def first_gradient(recipe):
    """Its length over all parameters of the recipe's network."""
    network = build(recipe, classes=10, image_size=32)
    torch.nn.functional.cross_entropy(network(images), labels).backward()
    gradients = [
        p.grad for p in network.parameters() if p.grad is not None
    ]
    return sqrt(sum(each.square().sum().item() for each in gradients))


start = {
    run.recipe.label: first_gradient(run.recipe)
    for run in runs
    if run.seed == 0
}
mean = {
    label: np.mean(
        [100 * r.final.accuracy for r in runs if r.recipe.label == label]
    )
    for label in start
}
once, twice = (
    "sasa(placement=layer3.*.conv2)",
    "sasa(placement=layer3.*.conv?)",
)
named = {
    "none": ("none", (8, 0)),
    "constant(value=0.0)": ("constant 0", (8, 0)),
    once: ("sasa, one a block", (-4, -12)),
    twice: ("sasa, two a block", (4, 12)),
}
styles = plots.looks(named)
_, axis = plt.subplots(figsize=(plots.COLUMN, 3.4))
for label, length in start.items():
    place = length, mean[label]
    look = {"marker": "o", "color": plots.FAINT, "alpha": 0.6, "ms": 5}
    if label in named:
        look = styles[label].points(ls="", ms=8)
        name, offset = named[label]
        side = {
            "ha": "right" if label == twice else "left",
            "va": "center",
        }
        axis.annotate(
            name, place, offset, textcoords="offset points", **side
        )
    axis.plot(*place, **look)
axis.set(xscale="log", xlabel="length of the first gradient")
axis.set(ylabel="test accuracy (%)")
times = {label: length / start["none"] for label, length in start.items()}
finding("more than 100 times", times[twice] > 100)
finding("4 to 8 times", 4 < times[once] < 8)
finding(
    "less than 3 times",
    max(v for k, v in times.items() if k not in (once, twice)) < 3,
)
finding("20.7 % are right", mean[twice])
finding("46.4 %", mean[once])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With SASA in place of both convolutions of each block of the last stage the first gradient is more than 100 times as long as the plain
# network's, and 20.7 % are right after training; with one SASA a block it is 4 to 8 times as long, and 46.4 %. All other rows have
# less than 3 times the plain network's. One row fits, and proves nothing: its authors train SASA with a warm-up of ten epochs. Its
# accuracy here says that it learns little at this rate in this time, and nothing about what it can learn.
# :::
#
# ## With and without augmentation
#
# SEM's paper is quoted as saying that without data augmentation the module is better than the plain network and than SE
# (known second-hand). If that is because it regularises, its gain should be larger without crops and flips than with
# them. [Its chapter](scale_attention/sem.ipynb) has the accuracies after the last epoch; here are the curves, and the
# test of this one claim. The runs: `snakemake --cores 2 augmentation`.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels of learning curves, without augmentation and with crops and flips: held-out accuracy solid and training accuracy dotted against the epoch, for no attention, SE and SEM. SEM is lowest in both."}, "figure": {"caption": "Learning curves without and with crops and flips, every seed a line. Training accuracies are means over an epoch, so that they lag.", "name": "accuracy-augmented"}} tags=["hide-input"]
panels = {
    "without augmentation": "cifar10-slice",
    "with crops and flips": "cifar10-slice-augmented",
}
by_panel = {
    title: [
        run
        for key in ("none", "se", "sem")
        for run in records(name, key)
        if run.recipe.backbone == recipe.backbone and run.seed < 3
    ]
    for title, name in panels.items()
}
plots.curves_beside(by_panel)
plt.show()


# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
def by_seed(of, attention):
    """Accuracies in per cent, by seed."""
    chosen = [run for run in of if run.recipe.attention == attention]
    return {run.seed: 100 * run.final.accuracy for run in chosen}


def in_words(differences):
    """The mean of some differences with Student's interval."""
    values = [*differences.values()]
    low, high = student(values)
    return f"{np.mean(values):.2f} ({low:.2f} to {high:.2f})"


gains = {
    f"{one} minus {other}": [
        paired(by_seed(of, one), by_seed(of, other))
        for of in by_panel.values()
    ]
    for one, other in (("se", "none"), ("sem", "none"), ("sem", "se"))
}
lines = {
    what: [in_words(each) for each in (*pair, paired(*pair))]
    for what, pair in gains.items()
}
columns = [*panels, "the first minus the second"]
both = [[*paired(*pair).values()] for pair in gains.values()]
ends = [student(each) for each in both]
sem = [[*each.values()] for each in gains["sem minus none"]]
finding("4.60 points below the plain network without", -np.mean(sem[0]))
finding("3.64 with", -np.mean(sem[1]))
finding("-0.96 points (-6.61 to 4.68)", np.mean(both[1]), *ends[1])
finding("None of the three", all(low < 0 < high for low, high in ends))
plots.table(
    pd.DataFrame(lines, columns).T.rename_axis("difference").reset_index(),
    "Points of test accuracy over three common seeds, with 95 % intervals",
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Here SEM does not gain: it is 4.60 points below the plain network without augmentation and 3.64 with it, on three seeds each. Its gain is
# not larger without: -0.96 points (-6.61 to 4.68). None of the three differences of gains is told from zero. Four epochs are
# too few to overfit much, so that this is a weak test: it could show an effect of seven points or more.
# :::
#
# ## Wrong labels
#
# The authors of residual attention print that their network loses less than a ResNet where training labels are wrong,
# and the more so, the more of them are. [Its chapter](scale_attention/residual_attention.ipynb) has our runs at five
# shares of wrong labels beside the printed figures; no interval leaves zero out. One question is left: does the gap
# between the two networks *grow* with the share? The runs: `snakemake --cores 2 label-noise`.


# %% mystnb={"code_prompt_show": "Show the code"} tags=["hide-input"]
def gap(name):
    """Accuracy with residual attention minus that of no module, by seed."""
    of_level = [
        run
        for run in records(name)
        if run.recipe.backbone == recipe.backbone and run.seed < 3
    ]
    keys = "residual_attention", "none"
    return paired(*(by_seed(of_level, key) for key in keys))


without, most = gap(recipe.name), gap(f"{recipe.name}-noise70")
grown = [*paired(most, without).values()]
ends = [-np.mean([*each.values()]) for each in (without, most)]
finding(
    "2.16 points lower without wrong labels, 2.01 with 70 %", *ends, 70
)
finding(
    "0.15 points, interval -9.60 to 9.90", np.mean(grown), *student(grown)
)
printed = paper("residual_attention").table("table-5")
lead = printed["resnet164_err"] - printed["attention92_err"]
finding(
    "0.78 points with 10 %, 1.46 with 70",
    lead.iloc[0],
    10,
    lead.iloc[-1],
    70,
)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With the module the network is 2.16 points lower without wrong labels, 2.01 with 70 %. The gap does not change in a
# way that these runs could see: by 0.15 points, interval -9.60 to 9.90, from three seeds. In print the module's lead
# grows with the share (0.78 points with 10 %, 1.46 with 70), in single runs of networks that differ in more than
# attention. Three seeds of short runs neither support this nor speak against it.
# :::
