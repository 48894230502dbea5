# ---
# jupyter:
#   attention_book:
#     kind: overview
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
# # Accuracy in short runs
#
# :::{admonition} Does attention help, when every module gets the same images, epochs and seeds?
# :class: question
#
# The runs at hand are short: a ResNet-20, 4,500 images of CIFAR-10, four epochs, three to eight seeds. In these runs
#
# **some modules beat no module.** Over eight seeds SE gains 2.42 points and a gate that is one half for every image
# 3.58; these two gains hold even when one allows for having compared 25 rows.
#
# **No module is shown to beat that constant gate.** Of 21 rows with a module two have the higher mean, by 0.05 and 0.01 points.
#
# **Three seeds rank little.** Of 276 pairs of rows 113 have a 95 % interval that leaves zero out, and 14 would if
# nothing differed. When one allows for having compared all pairs, two remain.
# :::
#
# :::{admonition} What you will be able to do
# :class: tip
# * read a table of accuracies with its spread, and say which differences it supports;
# * compare modules seed by seed, and allow for the number of comparisons;
# * tell what a module learns from what any constant gate would have given;
# * repeat each run, or add one, with a single command.
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
import re
from bisect import bisect_left
from collections import Counter
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from attnlib import finding, plots
from attnlib.data import load
from attnlib.networks import attention_modules
from attnlib.plots.equal_budget import short, standing_table
from attnlib.results import (
    complete_rounds,
    failed,
    measurements,
    records,
    report,
)
from attnlib.results.intervals import (
    bootstrap,
    paired,
    student,
    t_quantile,
)
from attnlib.results.standing import corrected, pairs, standing
from attnlib.training import Recipe
from attnlib.training.batches import Normalisation
from attnlib.training.network import build

plots.use()
BASELINES = ("none", "constant")

# %% [markdown]
# ## All of CIFAR-10
#
# The recipe `cifar10-cpu` trains ResNet-20 on all of CIFAR-10 for a few epochs, with every module at its paper's place and with constant
# gates, a seed of every row at a time. Its table stands here as soon as a round, one seed of every row, is complete.


# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
def what_is_said(runs):
    """What these runs say and do not say, in sentences for the page."""
    first, none = runs[0].recipe, report(runs)
    seeds = sorted({run.seed for run in runs})
    broken = [r for r in failed(first.name) if r.seed in seeds]
    if len(seeds) == 1:
        return "One seed of each row: single runs, which rank nothing."
    of_all = pairs(none)
    chance = round(0.05 * len(of_all["all"]))
    sentences = [
        f"{len(runs)} runs of {first.backbone}, {first.epochs} epochs on "
        f"{runs[0].train_images:,} images; {len(none.rows)} rows with the "
        f"seeds {', '.join(map(str, seeds))}; diverged: {len(broken)}.",
        f"Of {len(of_all['all'])} pairs of rows {len(of_all['apart'])} have "
        f"a 95 % interval that leaves zero out, where {chance} would by "
        f"chance; {len(of_all['surely apart'])} remain when all pairs are "
        "allowed for.",
        "What cannot be concluded: nothing is said of longer training, of "
        "other data or networks.",
        *re.findall(
            r"\d+ seeds are too few.*?points\)\.", none.conclusion
        ),
    ]
    return " ".join(sentences)


whole = complete_rounds("cifar10-cpu")
if not whole:
    missing = (
        "No complete round of the recipe `cifar10-cpu` is on file yet."
    )
    display(Markdown(missing))
else:
    compared = [report(whole, baseline) for baseline in BASELINES]
    modules = {r.label for r in compared[0].rows if r.kind == "module"}
    others = {r.label for r in compared[0].rows} - modules
    for rows, labels in (("controls", others), ("modules", modules)):
        caption = f"All of CIFAR-10: the {rows}"
        display(plots.report_table(compared, caption, labels))
    caption = "All of CIFAR-10: what the intervals say of the modules"
    display(standing_table(compared, caption))
    display(Markdown(what_is_said(whole)))

# %% mystnb={"code_prompt_show": "Draw the figure, once there is a round", "image": {"alt": "All of CIFAR-10: a row for each module and control, sorted by mean: a point for each seed's difference in accuracy to the plain network, a short line at their mean and a bar for Student's interval."}, "figure": {"caption": "All of CIFAR-10: every row minus the plain network, by seed."}} tags=["hide-input"]
if whole:
    plots.paired_differences(compared[0])
    plt.show()

# %% mystnb={"code_prompt_show": "Draw the figure, once there is a round", "image": {"alt": "All of CIFAR-10: the same differences to the constant gate of one half."}, "figure": {"caption": "All of CIFAR-10: every row minus the constant gate of one half, by seed."}} tags=["hide-input"]
if whole:
    plots.paired_differences(compared[1])
    plt.show()

# %% [markdown]
# ## The slice: five thousand images
#
# All findings below are on the recipe `cifar10-slice`: a tenth of CIFAR-10, of which 500 images are held back, and four
# epochs. A run takes minutes on one processor core. It is far from what a network can reach: the best rows are right on
# half of the test images. Three rules make the runs comparable:
#
# * *One seed, one start.* Under one seed all networks begin with the same weights outside of their attention and see the images in the same order. So runs are compared seed by seed. The images are the same under every seed.
# * *The test set is read once*, after the last epoch. What has to be chosen is chosen on the images held back (the protocol `clean`).
# * *Nothing is tuned for a module.* The rate, the decay and the schedule are those of the plain network. A module that needs others is at a disadvantage; [the next page](accuracy_deeper.ipynb) shows it for SASA.
#
# {term}`Controls <control>` are networks with a constant gate: no attention. Each is what some modules are before they
# have learned: `constant` halves the branches, as a sigmoid of zero does; 0.731 is the sigmoid of one, where SA and SGE
# begin; 0.269 in the norms that of minus one, where IEBN does; 0 cuts the branches off. Where a module has no place of
# its own in a ResNet for small images (a segmentation head, a layer of a GAN), the label says where it was put.

# %% mystnb={"code_prompt_show": "The recipe, and how the runs were made"} tags=["nbval-check-output", "hide-cell"]
recipe = Recipe.named("cifar10-slice")
varied = {"attention", "attention_args", "placement", "seed"}
choices = {
    field: value
    for field, value in recipe.model_dump().items()
    if field not in varied and value not in (None, ())
}
runs = [
    run
    for run in records(recipe.name)
    if run.recipe.backbone == recipe.backbone
]
minutes = [run.provenance.seconds / 60 for run in runs]
choices["runs"] = len(runs)
choices["seeds of a row"] = ", ".join(
    f"{seeds}: {rows} rows"
    for seeds, rows in Counter(
        Counter(run.recipe.label for run in runs).values()
    ).items()
)
choices["made on"] = ", ".join(
    sorted(
        {
            f"{r.provenance.device}, PyTorch {r.provenance.torch}"
            for r in runs
        }
    )
)
choices["minutes of a run"] = f"{min(minutes):.1f} to {max(minutes):.1f}"
choices["commits of this code"] = len({r.provenance.commit for r in runs})
plots.table(
    pd.DataFrame(
        {"what": list(choices), "value": list(map(str, choices.values()))}
    ),
    "The recipe cifar10-slice",
)

# %% [markdown]
# ```sh
# attnlib train --recipe cifar10-slice --attention se --seed 0 --out runs/se-0
# snakemake --cores 2 cifar10-slice
# ```
#
# The first makes one run, the second all that have no record yet; [Training](../book/training.md) says more.
#
# ### What eight seeds say
#
# Seven rows have eight seeds. *95 %* is Student's {term}`interval <confidence interval>` of the mean difference over
# common seeds; *corrected* is the same with Bonferroni's correction for all 25 rows that are compared with the
# baseline: all 25 such intervals hold their true values at once in 95 % of all cases or more.

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
found = report(runs)
beside_constant = report(runs, "constant")
row = {row.label: row for row in found.rows}
versus = {row.label: row for row in beside_constant.rows}
sure = corrected(found)
most = max(len(each.seeds) for each in found.rows)
longest = {each.label for each in found.rows if len(each.seeds) == most}
finding("Over 8 seeds", most)
gain = {
    key: (row[key].difference, *row[key].student)
    for key in row
    if row[key].student
}
words = gain["se"][0], 95, *gain["se"][1:]
finding("2.42 points (95 % interval 1.85 to 3.00", *words)
finding("3.58 (2.07 to 5.10", *gain["constant"])
finding("3.63 (1.81 to 5.44", *gain["nam"])
finding("corrected 1.26 to 3.58", *sure["se"])
finding("corrected 0.51 to 6.65", *sure["constant"])
finding("corrected -0.05 to 7.30", *sure["nam"])
finding("on all of them", min(row["se"].differences) > 0)
finding("1.24 points with SA", row["sa"].difference, sure["sa"][0] < 0)
caption = "Seven rows with eight seeds"
plots.report_table(found, caption, longest)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Over 8 seeds SE is better than the plain network on all of them, by 2.42 points (95 % interval 1.85 to 3.00, corrected 1.26 to
# 3.58). The gate that is one half for every image gains more, 3.58 (2.07 to 5.10, corrected 0.51 to 6.65). NAM gains
# 3.63 (1.81 to 5.44, corrected -0.05 to 7.30): as much, but less evenly, so that it just fails the correction. The
# smallest gain is 1.24 points with SA; corrected it is not told from zero.
# :::

# %% [markdown]
# ### Beside no module, all rows
#
# The other rows have three seeds. Two rows lie so far below that they would squeeze everything together, and are left out of this figure: branches that are cut off (`constant 0`), and SASA in place of both convolutions of a block.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "A row for each module and control, sorted by mean: a point for each seed's difference in accuracy to the plain network, a short line at the mean and a bar for Student's interval, beside a dashed line at zero. Rows with eight seeds have short bars, rows with three long ones, most of which cross zero."}, "figure": {"caption": "Every row minus the plain network, by seed. Bold: the interval leaves zero out even when corrected for all rows.", "name": "accuracy-none"}} tags=["hide-input"]
FAR = -10
far = [each.label for each in found.rows if (each.difference or 0) < FAR]
drawn = [run for run in runs if run.recipe.label not in far]
near = report(drawn)
plots.paired_differences(near)
said = standing(found)
count = len(sure)
few = [r for r in found.rows if r.student and len(r.seeds) < most]
finding("Six of 25 rows", len(said["above"]) == 6, count == 25)
finding("all with eight seeds", {*said["above"]} == longest - {"none"})
finding("Five lie below", len(said["below"]) == 5)
finding("1.25 of 25", 0.05 * count, count)
finding(
    "`constant 0` alone",
    set(said["surely below"]) == {"constant(value=0.0)"},
)
eca = row["eca"]
finding("3.62 points on three seeds", eca.difference, len(eca.seeds) == 3)
finding(
    "as much as the constant",
    abs(eca.difference - row["constant"].difference) < 0.1,
)
finding("-0.91 to 8.16", *eca.student)
level = 1 - 0.05 / count
finding("5.2 times", t_quantile(2, level) / t_quantile(2))
finding("2.0 times", t_quantile(7, level) / t_quantile(7))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Six of 25 rows have an interval above zero, all with eight seeds; by chance 1.25 of 25 would leave zero out. Five lie
# below, all with three seeds; corrected, `constant 0` alone. ECA gains 3.62 points on three seeds, as much as the
# constant on eight, and its interval is -0.91 to 8.16: three seeds cannot say that it gains. Nor does the correction
# help them: it makes an interval of three seeds 5.2 times as long, one of eight 2.0 times. All rows share the runs of
# the plain network: one lucky run of it moves all of them.
# :::
#
# ## Beside a constant gate
#
# What a gate gains that a constant gains as well is not due to attention. So the same runs again, beside the gate that is one half for every channel, pixel and image.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "The same rows minus the constant gate of one half: four modules lie at zero, all others below it; no bar lies above zero."}, "figure": {"caption": "Every row minus the constant gate of one half, by seed. Bold: the interval leaves zero out even when corrected. No bar lies wholly above zero.", "name": "accuracy-constant"}} tags=["hide-input"]
plots.paired_differences(report(drawn, "constant"))
of_modules = standing(beside_constant, "module")
total = sum(
    len(of_modules[which]) for which in ("above", "neither", "below")
)
higher = [
    r.label
    for r in beside_constant.rows
    if r.kind == "module" and r.difference > 0
]
finding("Of 21 rows with a module", total)
finding(
    "0.05 points with NAM and 0.01 with ECA",
    versus["nam"].difference,
    versus["eca"].difference,
    {*higher} == {"nam", "eca"},
)
finding("none has an interval above zero", of_modules["above"] == [])
finding("12 have one below", len(of_modules["below"]))
finding("SA and SEM", {*of_modules["surely below"]} == {"sa", "sem"})
finding("-0.98 to 1.07", *versus["nam"].student)
finding("3.66 points", versus["triplet"].student[1])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Of 21 rows with a module two have a higher mean than the constant, by 0.05 points with NAM and 0.01 with ECA; none has
# an interval above zero; 12 have one below, of which SA and SEM stay below when corrected. NAM, with eight seeds, is
# known best: -0.98 to 1.07. So what its gates know of the image is worth a point at most, beside a factor that knows
# nothing. For Triplet, from three seeds, 3.66 points cannot be excluded.
# :::

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
equal = of_modules["neither"]
finding(
    "Nine rows", len(equal) == 9, {"se", "nam", "eca", "cbam"} < {*equal}
)
widest = max(
    (versus[label].student for label in equal), key=lambda e: e[1] - e[0]
)
finding(
    "-9.34 to 0.82",
    *widest,
    widest == versus["asp_oc(placement=layer3)"].student,
)
caption = "What the intervals say of 21 rows with a module"
standing_table([found, beside_constant], caption)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Nine rows are not told apart from the constant, SE, NAM, ECA and CBAM among them. That is not to be equal to it: for
# ASP-OC the interval is -9.34 to 0.82.
# :::
#
# ## What three seeds can show
#
# How much do such runs rank? Take all pairs of rows but for the two that are far off, each pair over its common seeds:

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Bars for the six rows with eight seeds besides the plain network: in how many of the 56 ways to take three of the eight seeds the interval of the difference to the plain network leaves zero out. 50 for SE, 35 for the constant gate, 15 for NAM, 5, 5 and 3 for the others."}, "figure": {"caption": "Of the 56 ways to take three of eight seeds: in how many the difference to the plain network has an interval that leaves zero out.", "name": "accuracy-three"}} tags=["hide-input"]
accuracies = {
    r.label: dict(zip(r.seeds, r.accuracies)) for r in found.rows
}
ways = [*combinations(range(most), 3)]


def of_three(one, other):
    """Means and intervals of the difference, for all choices of three."""
    gains = [*paired(accuracies[one], accuracies[other]).values()]
    chosen = [[gains[seed] for seed in way] for way in ways]
    return [(np.mean(three), *student(three)) for three in chosen]


def left_zero_out(one, other):
    return sum(low * high > 0 for _, low, high in of_three(one, other))


wins = {
    label: left_zero_out(label, "none")
    for label in sorted(longest - {"none"})
}
wins = dict(sorted(wins.items(), key=lambda item: item[1]))
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
for place, (label, times) in enumerate(wins.items()):
    axis.barh(place, times, 0.6, color=plots.colour(label))
    axis.annotate(f" {times}", (times, place), va="center")
axis.set_yticks(range(len(wins)), map(short, wins))
axis.set(xlabel="of 56 ways to take three seeds", xlim=(0, 56))
axis.grid(visible=False, axis="y")
of_pairs = pairs(report(drawn))
together = len(of_pairs["all"])
finding("Of 276 pairs 113", together, len(of_pairs["apart"]))
finding("14 would by chance", 0.05 * together)
finding("Two remain", len(of_pairs["surely apart"]) == 2)
norms = "constant(placement=*bn?, value=0.2689414213699951)"
told = {("se", "none"), (norms, "sge")}
finding("the constant 0.269 in the norms", 0.2689414)
finding("SE above no module", {*of_pairs["surely apart"]} == told)
finding(
    "50 of 56 ways for SE and 15 for NAM",
    wins["se"],
    len(ways),
    wins["nam"],
)
gains = {
    key: np.std(row[key].differences, ddof=1) for key in ("se", "nam")
}
finding("0.69 points with SE and 2.17 with NAM", *gains.values())
turned = [mean for mean, *_ in of_three("constant", "se") if mean < 0]
finding("8 of the 56", len(turned), len(ways))
quoted = r"within ([\d.]+) points of each other, or ([\d.]+) points"
distance = re.search(quoted, found.conclusion)
finding("2.47 points, or 4.90", *map(float, distance.groups()))
finding("first nine rows", found.rows[0].mean - found.rows[8].mean < 2.47)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Of 276 pairs 113 have a 95 % interval that leaves zero out; 14 would by chance if nothing differed. Two remain when
# all pairs are allowed for: SE above no module, and the constant 0.269 in the norms above SGE. If all rows scatter
# alike, two means of three seeds are told apart from a distance of 2.47 points, or 4.90 where the pair is chosen
# because of its means; the first nine rows lie closer together than that, and their order says nothing. Which three
# seeds one has decides much: the gain over no module leaves zero out in 50 of 56 ways for SE and 15 for NAM, whose gain
# is larger but scatters by more: 0.69 points with SE and 2.17 with NAM. And in 8 of the 56 SE would have come out above
# the constant.
# :::
#
# ## What a gate is at the start
#
# Four epochs are short, and most of these modules are gates in the residual branches. Before it has learned anything, a gate is a constant: it makes every branch smaller
# by some factor. How much of the table is that factor? Here is the mean over the layers of $\lVert y \rVert / \lVert x \rVert$ at the initial weights, on 32 generated
# images, for all that gate the map $x$ of a residual branch, controls among them, and accuracies over the three seeds that all rows have. No module is a factor of one.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Mean test accuracy against the factor by which a module changes the length of the map that it is given, at the initial weights: constant gates as grey diamonds joined by a line that is highest near one half; modules as points, CBAM at 0.25 and ECA, NAM and Triplet at 0.5 near it or above, SGE at 0.73, GE at 0.5 and SEM at 0.1 below it."}, "figure": {"caption": "Accuracy by the factor at the start: constant gates with their standard deviation, and modules. The constants are best near one half, and most modules that start there are near them.", "name": "accuracy-factor"}} tags=["hide-input"]
shapes = load("shapes", "test")
means = [
    getattr(shapes.images / 255, of)(axis=(0, 1, 2)).tolist()
    for of in ("mean", "std")
]
images = Normalisation(*means)(torch.tensor(shapes.images[:32]))


def at_the_start(recipe):
    """The mean factor by which the modules of a network scale."""
    network, factors = build(recipe, classes=10, image_size=32), []

    def note(module, given, made):
        factors.append((made.norm() / given[0].norm()).item())

    for module in attention_modules(network).values():
        module.register_forward_hook(note)
    with torch.no_grad():
        network(images)
    return np.mean(factors) if factors else 1.0


together = complete_rounds(recipe.name)  # the seeds that all rows have
common = {r.label: r for r in report(together).rows}
elsewhere = ("iebn", "bam", "non_local", "sasa")
gated = {
    run.recipe.label: at_the_start(run.recipe)
    for run in runs
    if run.seed == 0
    and run.recipe.placement is None
    and run.recipe.attention not in elsewhere
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 4.2))
constants = sorted(
    (factor, common[label].mean, common[label].deviation)
    for label, factor in gated.items()
    if common[label].kind != "module"
)
x, y, spread = zip(*constants)
look = {"color": plots.FAINT, "label": "constant gates, and no module"}
axis.errorbar(x, y, spread, fmt="D-", **look)
beside = {
    "sem": (8, 0),
    "cbam": (-8, 0),
    "eca": (-8, 6),
    "triplet": (8, 4),
    "nam": (-8, -8),
    "se": (8, 0),
    "ge": (8, 0),
    "sa": (8, 0),
    "sge": (8, 0),
    "sa(shuffle=False)": (8, 0),
}
modules = [label for label in gated if common[label].kind == "module"]
styles = plots.looks(modules)
for label in modules:
    place = gated[label], common[label].mean
    axis.plot(*place, **styles[label].points(ls="", ms=7))
    offset = beside.get(label, (8, 0))
    side = {"ha": "right" if offset[0] < 0 else "left", "va": "center"}
    name = short(label).replace("shuffle=False", "unshuffled")
    axis.annotate(name, place, offset, textcoords="offset points", **side)
axis.set(xlabel="factor at the start", ylabel="test accuracy (%)")
axis.legend(frameon=False, loc="lower right")
at_half = [label for label in modules if abs(gated[label] - 0.5) < 0.03]
finding(
    "36.6 % with 0, 53.7 with one half, 52.0 with 0.731 and 50.0 with 1",
    constants[0][1],
    0,
    constants[1][1],
    constants[2][1],
    0.731,
    constants[3][1],
    1,
)
finding(
    "Five modules", {*at_half} == {"eca", "triplet", "nam", "se", "ge"}
)
finding("within 0.03 of one half", len(at_half) == 5)
apart = [k for k in at_half if versus[k].student[1] < 0]
finding(
    "GE alone",
    apart == ["ge"],
    all(versus[k].student[0] < 0 for k in at_half),
)
finding(
    "3.86 points (5.93 to 1.79)",
    -versus["ge"].difference,
    *(-end for end in versus["ge"].student),
)
at_one = {
    r.label: r
    for r in report(runs, "constant(value=0.7310585786300049)").rows
}
finding(
    "SGE lies 4.24 points (8.26 to 0.22)",
    -at_one["sge"].difference,
    *(-end for end in at_one["sge"].student),
)
finding("a tenth", abs(gated["sem"] - 0.1) < 0.01)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# A constant does much by itself: 36.6 % with 0, 53.7 with one half, 52.0 with 0.731 and 50.0 with 1, which is no module. Five modules begin
# within 0.03 of one half (ECA, NAM, Triplet, SE, GE); of these GE alone is told from the constant, and it is worse, by
# 3.86 points (5.93 to 1.79). SGE begins at 0.731 as SA does, and SGE lies 4.24 points (8.26 to 0.22) below that constant. So the factor
# accounts for most of what is gained here, and not for all that is lost. SEM begins at a tenth, further down than any other.
# :::
#
# ## Accuracy against cost
#
# Equal epochs are not equal cost. First the multiply-adds that a module adds to the network:

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy against added multiply-adds in per cent. Eight rows are named, the others grey. The dashed front leads from SASA, which takes multiply-adds away, to NAM at zero; Non-local, ASP-OC and Residual Attention stand far to the right and lower."}, "figure": {"caption": "Accuracy over three common seeds by added multiply-adds; the axis is linear between -0.01 and 0.01. Bold: on the front.", "name": "accuracy-macs"}} tags=["hide-input"]
once = "sasa(placement=layer3.*.conv2)"
named = ["none", "constant", "se", "eca", "cbam", "triplet", "non_local"]
level = report([run for run in together if run.recipe.label not in far])
added = plots.added_macs(drawn)
axis = plots.pareto(
    level, added, "multiply-adds added to ResNet-20 (%)", named
)
axis.set_xscale("symlog", linthresh=0.01)
ticks = [-1, 0, 0.1, 10]
axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
axis.minorticks_off()
of_modules = [r for r in near.rows if r.kind == "module"]
free = [
    r.label
    for r in of_modules
    if added[r.label] < 0.01 and added[r.label] >= 0
]
finding(
    "Nine of 20 rows with a module add less than 0.01 %",
    len(free) == 9,
    len(of_modules) == 20,
)
bold = {t.get_text() for t in axis.texts if t.get_fontweight() == "bold"}
front = {"nam", "sasa\nlayer3.*.conv2"}
finding("NAM with 53.8 %", common["nam"].mean, bold == front)
finding("ECA has 53.7 for 0.002 %", common["eca"].mean, added["eca"])
finding("SASA with 46.4 % and 7.1 % less", common[once].mean, -added[once])
finding("18.6 % of Non-local", added["non_local"])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# By this measure gates are free: Nine of 20 rows with a module add less than 0.01 % of multiply-adds. The front has two
# rows, NAM with 53.8 % and SASA with 46.4 % and 7.1 % less to compute; ECA has 53.7 for 0.002 %, which is not to be
# told from NAM. The 18.6 % of Non-local buy nothing here.
# :::
#
# Time is another cost. A gate has next to no multiply-adds, but it reads and writes the whole map:

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Test accuracy against the measured time that a module adds to a training step, in per cent. The front leads from no module over the constant gate and ECA to NAM; Triplet, with nearly the same accuracy, adds 85 per cent."}, "figure": {"caption": "Accuracy over three common seeds by the time added to a training step. Bold: on the front.", "name": "accuracy-time"}} tags=["hide-input"]
steps = measurements("cpu-training")
# By the ratios to the plain network, which ran in turn with each module.
times = {
    each["attention"]: 100 * (each["ratio"] - 1) for each in steps.rows
}
times["none"] = 0
named = ["se", "nam", "cbam", "triplet", "sge"]
axis = plots.pareto(
    level, times, "time added to a training step (%)", named
)
bold = {t.get_text() for t in axis.texts if t.get_fontweight() == "bold"}
front = {"none", "constant", "eca", "nam"}
finding("2.4 % for the constant", times["constant"], bold == front)
finding("12.2 % with ECA and 19.8 % with NAM", times["eca"], times["nam"])
dearer = common["nam"].mean - common["constant"].mean
finding("at most 0.13", dearer, common["eca"].mean < common["nam"].mean)
finding(
    "85 % with Triplet and 76 % with SGE", times["triplet"], times["sge"]
)
finding("no multiply-adds", added["sge"] == 0)
print(steps.where().replace("; ", "\n"))
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# By time nothing is free. The front begins with 2.4 % for the constant; 12.2 % with ECA and 19.8 % with NAM buy at most 0.13
# points more, which three seeds do not show. It is 85 % with Triplet and 76 % with SGE, which adds no multiply-adds at all: its cost is traffic of
# memory, which [the page on costs](costs.ipynb) counts.
# :::
#
# The constant 0.731, SA without its shuffle and SASA once a block have no measured time.
#
# ## Larger tables
#
# The same questions can be put with thirty epochs and more, and with the papers' own recipes under the protocol `paper` (all training images, test accuracy after every epoch, as the papers do). They take a GPU.

# %% mystnb={"code_prompt_show": "All recipes, and the runs of each on file"} tags=["nbval-check-output", "hide-cell"]
on_file = Counter(run.recipe.name for run in records())
named = [Recipe.named(name) for name in Recipe.names()]
known = {each.name: each for each in named}
known |= {run.recipe.name: run.recipe for run in records()}
lines = [
    {
        "recipe": name,
        "network": each.backbone,
        "epochs": each.epochs,
        "protocol": each.protocol,
        "runs": on_file[name],
    }
    for name, each in sorted(known.items())
]
plots.table(pd.DataFrame(lines), "Recipes, and the runs on file")

# %% mystnb={"code_prompt_show": "Show the code"} tags=["nbval-check-output", "hide-input"]
long = [each for each in known.values() if each.epochs >= 30]
print(
    f"{len(long)} recipes of thirty epochs or more, "
    f"{sum(on_file[each.name] > 0 for each in long)} with a run on file."
)

# %% [markdown]
# Nothing is filled in by hand. To add runs, on a machine with a GPU:
#
# ```sh
# attnlib train --recipe equal-budget --attention se --seed 0 --out runs/eb-se-0 --device cuda
# snakemake -n equal-budget                                  # the full plan
# snakemake --cores 4 --resources gpu_slots=4 equal-budget   # what has no record
# snakemake --cores 4 --resources gpu_slots=4 papers
# ```
#
# A run that was stopped goes on where it was when the command is given again.
#
# ## What these runs cannot show
#
# * *Long training.* In four epochs on a tenth of the images a module is rewarded for learning fast. Gates that start near a constant change the size of the residual branches, and this alone makes a network learn faster or slower. What is left of it after two hundred epochs, these runs do not say.
# * *Small differences.* The table is blind below two points and more. Published gains on CIFAR are often smaller than that.
# * *Other images.* All runs share their training images and their test images; the intervals cover initial weights and order alone.
# * *The best of many.* Whichever of twenty modules stands on top of a table is there partly by luck.
# * *Other tasks.* Modules that mix far-away positions were made for detection, segmentation or large images. On images of 32 pixels, a few convolutions see nearly everything.
# * *Tuned training.* A paper tunes its recipe around its module; here no module has that advantage, and some would gain by it.
#
# ## Exercises
#
# ```{exercise} Significant by luck
# :label: accuracy-exercise-luck
#
# *Medium, 15 minutes.* Twenty modules that do nothing at all are compared with the plain network over three seeds. Their differences are normal
# with mean zero. How many of Student's intervals leave zero out, on average, and how many bootstrap intervals? How probable is it that at least one of twenty Student intervals does? Take the twenty as independent.
# ```
#
# ````{solution-start} accuracy-exercise-luck
# :class: dropdown
# ````
#
# Student's interval is as wide as it says: 5 % of 20 is one module. The bootstrap interval of three numbers is their
# range, which leaves zero out when all three lie on one side of it, with probability $2 / 2^3 = 1/4$: five modules. At
# least one Student interval does with probability $1 - 0.95^{20} = 64\,\%$. That is why this page shows Student's.

# %% tags=["nbval-check-output"]
samples = np.random.default_rng(0).normal(size=(200_000, 3))
margin = t_quantile(2) * samples.std(axis=1, ddof=1) / np.sqrt(3)
of_student = abs(samples.mean(axis=1)) > margin
of_bootstrap = (samples.min(axis=1) > 0) | (samples.max(axis=1) < 0)
first = samples[0].tolist()  # the library's intervals are these
assert np.isclose(np.subtract(*student(first)), -2 * margin[0])
assert bootstrap(first) == (min(first), max(first))
for name, out in {
    "Student": of_student,
    "bootstrap": of_bootstrap,
}.items():
    print(f"{name}: {out.mean():.0%}, {20 * out.mean():.1f} of 20")
print(f"at least one of Student's: {1 - 0.95**20:.0%}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} How many seeds?
# :label: accuracy-exercise-seeds
#
# *Medium, 15 minutes.* Take the paired differences to the plain network as guesses of how much such differences scatter, and of these
# guesses the median. How many seeds would be needed for the half-width of Student's interval to be half a point? And a quarter of a point?
# ```
#
# ````{solution-start} accuracy-exercise-seeds
# :class: dropdown
# ````
#
# The half-width is $t_{n-1}\, s / \sqrt n$. For large $n$ half the width takes four times the seeds; for a few seeds less
# than that, because $t_{n-1}$ falls as well. A single scatter is a guess from a few numbers, which is why the smallest and
# the largest are printed beside the median; the truth may well be the same for nearly all of them. An
# attention whose interval leaves 0 out is often one whose few differences happen to lie close together.


# %% tags=["nbval-check-output"]
def seeds_needed(scatter, half_width):
    def narrow(n):
        return t_quantile(n - 1) * scatter / np.sqrt(n) <= half_width

    counts = range(2, 10_000)
    return counts[bisect_left(counts, True, key=narrow)]


scatters = sorted(
    np.std(r.differences, ddof=1) for r in found.rows if r.student
)
for name, place in {"smallest": 0, "median": 12, "largest": 24}.items():
    scatter = scatters[place]
    needed = [seeds_needed(scatter, width) for width in (0.5, 0.25)]
    print(f"{name}: scatter {scatter:.2f}, seeds {needed}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Is pairing worth it?
# :label: accuracy-exercise-pairing
#
# *Hard, 20 minutes.* Had the seeds not been shared, the difference of two means would scatter by the sum of both variances, and its interval
# would have twice the degrees of freedom. Compare the half-widths of the two intervals for every row, over the three
# seeds that all rows have. When does pairing make an interval narrower, and when does it not?
# ```
#
# ````{solution-start} accuracy-exercise-pairing
# :class: dropdown
# ````
#
# $\operatorname{Var}(a - b) = \operatorname{Var} a + \operatorname{Var} b - 2 \operatorname{Cov}(a, b)$: pairing
# helps where a seed that is good for the plain network is good for the other too. But $k$ pairs leave $k - 1$ degrees of
# freedom, two groups of $k$ leave $2 (k - 1)$: with three seeds $t$ is 4.30 instead of 2.78, and the variance has to fall
# below 0.42 of the unpaired one before pairing pays. From three seeds the covariance is itself very uncertain, so that the ratios below are scattered around their true values.

# %% tags=["nbval-check-output"]
rounds = report(complete_rounds(recipe.name))
of_plain = next(r.accuracies for r in rounds.rows if r.label == "none")
k = len(of_plain)
ratios = [
    np.var(r.differences, ddof=1)
    / (np.var(r.accuracies, ddof=1) + np.var(of_plain, ddof=1))
    for r in rounds.rows
    if r.student
]
longer = t_quantile(k - 1) / t_quantile(2 * (k - 1))
widths = longer * np.sqrt(ratios)
print(f"{len(ratios)} rows, {k} seeds; paired / unpaired:")
for name, of in {"variance": ratios, "half-width": widths}.items():
    low, middle, high = np.quantile(of, [0, 0.5, 1])
    print(f"  {name}: {low:.2f}, median {middle:.2f}, at most {high:.2f}")
print(f"narrower in {(widths < 1).sum()} of {len(widths)}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Further reading
#
# * [More from short runs](accuracy_deeper.ipynb): one rate for all, augmentation, wrong labels.
# * [The ledger](../book/ledger.md) has what the papers claim about accuracy, and which records would settle it.
# * [What attention costs](costs.ipynb) counts parameters, multiply-adds and memory of all networks;
#   [all modules side by side](side_by_side.ipynb) measures the modules' time.
# * [SA](scale_attention/sa.ipynb) compares two networks that a theorem says are equal, seed by seed.
