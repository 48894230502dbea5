# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Accuracy at equal budget
#
# Does attention help, when every module gets the same images, the same epochs and the same seeds? Most published
# accuracies rest on one run each and on the best epoch by test accuracy. The runs on this page have several seeds, a
# plain network and constant gates beside the modules, and are judged by their last epoch.
#
# :::{admonition} What you will be able to do
# :class: tip
# * read a table of accuracies with its spread, and say which differences it supports;
# * compare modules seed by seed, and say when that is better than comparing two means;
# * weigh accuracy against multiply-adds and against measured time;
# * tell what a module learns from what any constant gate would have given;
# * repeat each run, or add one, with a single command.
# :::
#
# Every number below is read from records of runs or computed from them while the page is made. Where a record is
# missing, the page says so.

# %% tags=["hide-input"]
import textwrap
from collections import Counter
from math import sqrt

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display

from attnlib import list_modules, paper, plots
from attnlib.data import load
from attnlib.networks import attention_modules
from attnlib.results import complete_rounds, measurements, records, report
from attnlib.results.intervals import bootstrap, paired, student, t_quantile
from attnlib.training import Recipe, train
from attnlib.training.batches import Normalisation
from attnlib.training.network import build

plots.use()


def say(text):
    """Print a text in lines that fit the page."""
    print(textwrap.fill(text, 88))


def listed(words):
    return ", ".join(words) or "none"


def held_out(epoch):
    return epoch.held_out_accuracy


# %% [markdown]
# ## How the runs were made
#
# This is the recipe of the first table, with every choice it makes. A tenth of CIFAR-10, 500 of its 5,000 images held back,
# and four epochs are minutes on one processor core, so that anyone can repeat them; they are far from what a network can reach.

# %% tags=["nbval-check-output", "hide-input"]
recipe = Recipe.named("cifar10-slice")
varied = {"attention", "attention_args", "placement", "seed"}
choices = {
    field: value
    for field, value in recipe.model_dump().items()
    if field not in varied and value not in (None, ())
}
plots.table(
    pd.DataFrame({"field": list(choices), "value": [str(v) for v in choices.values()]}),
    "The recipe cifar10-slice",
)

# %% [markdown]
# Three rules make the runs comparable:
#
# * *One seed, one start.* Under one seed all networks begin with the same weights outside of their attention and see the
#   images in the same order. So runs are compared seed by seed: what a lucky order gives to both would cancel in the
#   difference. Whether it does here is asked in the last exercise. The images themselves are the same under every seed.
# * *The test set is read once.* A tenth of the training images is held back; what has to be chosen is chosen on these
#   (the protocol `clean`). The headline is the accuracy after the last epoch. That of the best epoch by validation stands
#   beside it; it is of the held-back images, few and others, so that the two columns do not compare.
# * *Nothing is tuned for a module.* The rate, the decay and the schedule are those of the plain network. A module that
#   needs others is at a disadvantage here.
#
# One command makes one run, the other all that have no record yet; [Training](../book/training.md) says more:
#
# ```sh
# attnlib train --recipe cifar10-slice --attention se --seed 0 --out runs/se-0
# snakemake --cores 2 cifar10-slice
# ```

# %% tags=["nbval-check-output", "hide-input"]
runs = [  # of the seeds that every attention has; some chapters compare over more
    run
    for run in complete_rounds("cifar10-slice")
    if run.recipe.backbone == recipe.backbone
]
say(f"{len(runs)} runs on file, {len({run.recipe.label for run in runs})} attentions.")
where = {
    f"{of.device}, {of.threads} thread{'s' if of.threads > 1 else ''}, PyTorch {of.torch}"
    for of in (run.provenance for run in runs)
}
say(f"Made on: {listed(sorted(where))}.")
last = sum(run.epochs[-1] == max(run.epochs, key=held_out) for run in runs)
say(f"The last epoch is the best by validation in {last} of {len(runs)} runs.")
minutes = [run.provenance.seconds / 60 for run in runs]
say(f"A run took {min(minutes):.1f} to {max(minutes):.1f} minutes.")
seen = {run.recipe.attention for run in runs}
say(
    f"Modules without a record: {listed(key for key in list_modules() if key not in seen)}."
)

# %% [markdown]
# Some modules have no place of their own in a ResNet for small images: a segmentation head, a layer of a GAN. The label then
# says where they were put, e.g. `placement=layer3`, behind the last stage. `sasa_stem` has no place here: its stride would
# shrink the map.
#
# Controls are networks with a constant gate: no attention. Each is what some modules are before they have learned:
# `constant` halves the branches, as a sigmoid of zero does; 0.731 is the sigmoid of one, where SA and SGE begin; 0.269 that
# of minus one, where IEBN does; 0 cuts the branches off.
#
# ## The table
#
# `minus none` is the mean difference to the plain network over common seeds, in points. The two intervals of that mean are
# Student's, which is as wide as 95 % asks for if differences are normally distributed, and the bootstrap's. From three
# seeds the bootstrap's is just the range of the three differences and covers less than its name says; the exercises
# show how much less.

# %% tags=["nbval-check-output", "hide-input"]
found = report(runs)
for note in found.notes:
    say(note)
plots.report_table(found, "CIFAR-10, 4,500 training images, four epochs")

# %% [markdown]
# **What can be concluded.** These sentences are computed from the table:

# %% tags=["nbval-check-output", "hide-input"]
say(found.conclusion)

# %% [markdown]
# ## Differences, seed by seed
#
# `constant(value=0.0)` cuts the residual branches off, so that only the stem and the shortcuts are left: it shows what
# these are worth. What lies more than ten points below the plain network, as it does, would squeeze everything else
# together, and is left out of the figures of differences and costs.

# %% mystnb={"image": {"alt": "A row for each module and control, sorted by mean: a point for each seed's difference in accuracy to the plain network, a short line at their mean and a bar for Student's interval, beside a dashed line at zero."}} tags=["hide-input"]
FAR = -10
far = [row.label for row in found.rows if (row.difference or 0) < FAR]
say(f"Left out: {listed(far)}.")
drawn = [run for run in runs if run.recipe.label not in far]
shown = report(drawn)
if len(shown.rows) > 1:
    plots.paired_differences(shown)
    plt.show()
by_seed = {}
for row in shown.rows:
    for seed, difference in zip(
        row.paired_seeds or (), row.differences or (), strict=True
    ):
        by_seed.setdefault(seed, []).append(difference)
for seed, differences in sorted(by_seed.items()):
    say(
        f"Seed {seed}: the mean over {len(differences)} rows is {np.mean(differences):+.2f}."
    )

# %% [markdown]
# **What to see.** A point is one seed. Look for bars that do not touch the dashed line, and then compare them with the grey
# rows: what a constant gate gains too is not due to attention. A bar much longer than the spread of its points is what
# three seeds are worth. All rows share the runs of the plain network: where one seed's mean over all rows stands out, it
# is that run of the plain network which was lucky or unlucky, and it lengthens every bar.
#
# ## One rate for all
#
# All networks are trained at the plain network's learning rate. That is fair in budget, not in fit: where the gradient is
# many times larger, the same rate takes steps that are many times longer. Here is the gradient of the first step,
# before anything is learned, on 32 generated images:

# %% mystnb={"image": {"alt": "Mean test accuracy against the length of the first gradient on a logarithmic axis, a point for each attention; those whose gradient is more than three times as long as the plain network's, in another colour, and those far below it carry their label."}} tags=["hide-input"]
shapes = load("shapes", "test")
colours = Normalisation(
    *(
        getattr(shapes.images / 255, of)(axis=(0, 1, 2)).tolist()
        for of in ("mean", "std")
    )
)
images, labels = (torch.tensor(part[:32]) for part in (shapes.images, shapes.labels))


def first_gradient(recipe):
    """Its length over all parameters of the recipe's network."""
    network = build(recipe, classes=10, image_size=32)
    torch.nn.functional.cross_entropy(network(colours(images)), labels).backward()
    squares = (
        p.grad.square().sum().item() for p in network.parameters() if p.grad is not None
    )
    return sqrt(sum(squares))


recipes = {run.recipe.label: run.recipe for run in runs if run.seed == 0}
lengths = {label: first_gradient(recipe) for label, recipe in recipes.items()}
long = {label for label, length in lengths.items() if length > 3 * lengths["none"]}
fig, ax = plt.subplots()
for row in found.rows:
    if row.label in lengths:
        ax.scatter(
            lengths[row.label], row.mean, color="C3" if row.label in long else "C0"
        )
    if row.label in long or row.label in far:
        place = (lengths[row.label], row.mean)
        side = -1 if row.label in long else 1
        ax.annotate(
            plots.shown(row.label),
            place,
            (8 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
        )
ax.set(xscale="log", xlabel="length of the first gradient", ylabel="test accuracy (%)")
plt.show()
for label in sorted(long, key=lengths.get):
    say(f"{label}: {lengths[label] / lengths['none']:.0f} times the plain network's.")

# %% [markdown]
# **What to see.** Whether what is far below the others is also far to the right; one point that is both fits, and proves
# nothing. Stand-alone self-attention compares unscaled queries and keys, so that its softmax is steep from the start; its
# authors trained it with a warm-up of ten epochs. Its accuracy here says that it learns little at this rate in this
# time, and nothing about what it can learn.
#
# ## What a gate is at the start
#
# Four epochs are short, and most of these modules are gates in the residual branches. Before it has learned anything, a
# gate is a constant: it makes every branch smaller by some factor. How much of the table is that factor? Here is the mean
# over the layers of $\lVert y \rVert / \lVert x \rVert$ at the initial weights, for all that gate the map $x$ of a residual
# branch, controls among them. IEBN, BAM, Non-local and SASA are left out: they act behind norms, between the stages, by
# adding to the map, or in place of a convolution.

# %% mystnb={"image": {"alt": "Mean test accuracy against the factor by which a module changes the length of the map that it is given, at the initial weights: constant gates as grey diamonds joined by a line, modules as points with labels."}} tags=["hide-input"]
in_blocks = [
    row
    for row in found.rows
    if row.label in recipes
    and recipes[row.label].placement is None
    and row.label.partition("(")[0] not in ("none", "iebn", "bam", "non_local", "sasa")
]


def first_factor(recipe):
    """Mean over the layers of the length of what a module gives, divided by that of what it is given."""
    network, factors = build(recipe, classes=10, image_size=32), []

    def note(module, given, made):
        factors.append((made.norm() / given[0].norm()).item())

    for module in attention_modules(network).values():
        module.register_forward_hook(note)
    with torch.no_grad():
        network(colours(images))
    return sum(factors) / len(factors)


factors = {row.label: first_factor(recipes[row.label]) for row in in_blocks}
fig, ax = plt.subplots()
constants = sorted(
    (factors[row.label], row.mean) for row in in_blocks if row.kind == "control"
)
spreads = {row.mean: row.deviation for row in in_blocks if row.kind == "control"}
ax.errorbar(
    *zip(*constants, strict=True),
    yerr=[spreads[mean] for _, mean in constants],
    fmt="D-",
    color="#777777",
    label="constant gates, with their standard deviation",
)
together = {}  # points that lie on each other share a label
for row in in_blocks:
    if row.kind == "module":
        place = factors[row.label], row.mean
        ax.plot(*place, "o", color="#0072B2")
        names = together.setdefault((round(place[0], 1), round(place[1])), (place, []))[
            1
        ]
        names.append(plots.shown(row.label))
for place, names in together.values():
    right = place[0] > 0.6
    ax.annotate(
        ", ".join(names),
        place,
        (-7 if right else 7, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        size="small",
    )
ax.set(xlabel="factor of the map's length at the start", ylabel="test accuracy (%)")
ax.legend()
plt.show()
gates = {row.label: row for row in in_blocks if row.kind == "control"}
for label in gates:
    alike = [
        row.label
        for row in in_blocks
        if abs(factors[row.label] - factors[label]) < 0.03
    ]
    several = [run for run in runs if run.recipe.label in alike]
    beside = report(several, label).rows if len(alike) > 1 else []
    apart = [
        f"{plots.shown(row.label)} ({row.difference:+.1f})"
        for row in beside
        if row.kind == "module" and row.student and row.student[0] * row.student[1] > 0
    ]
    modules = sum(row.kind == "module" for row in beside)
    if modules:
        say(
            f"Of {modules} modules that start at the factor of {plots.shown(label)}, the interval "
            f"of the difference to it leaves 0 out for: {listed(apart)}."
        )

# %% [markdown]
# **What to see.** Where a point lies within the scatter of the line of constant gates, the factor at the start is enough to
# account for its accuracy, and these runs do not show that what the gate learns about images adds to it in so short a
# time. A point far from the line is a module that does something else. The line has few points; between them it is a
# guess.
#
# ## Accuracy against cost
#
# Equal epochs are not equal cost. First the multiply-adds that a module adds to the network:

# %% mystnb={"image": {"alt": "Test accuracy against added multiply-adds in per cent, on an axis that is linear near zero and logarithmic beyond. Small points for seeds, large ones for means, a dashed stair where more than one mean is on the Pareto front, and a label for each module to the right, joined to its mean by a line."}} tags=["hide-input"]
ax = plots.pareto(
    shown, plots.added_macs(drawn), f"multiply-adds added to {recipe.backbone} (%)"
)
ax.set_xscale("symlog", linthresh=0.01)
limits = ax.get_xlim()
ticks = [-10, -1, -0.1, 0, 0.1, 1, 10]
ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
ax.minorticks_off()
ax.set_xlim(limits)
plt.show()
added = plots.added_macs(drawn)
free = [row for row in shown.rows if row.kind == "module" and added[row.label] < 0.1]
modules = sum(row.kind == "module" for row in shown.rows)
say(
    f"{len(free)} of {modules} modules add less than 0.1 % to the multiply-adds of {recipe.backbone}."
)

# %% [markdown]
# **What to see.** Bold labels are the means that nothing at the same or a lower cost beats, and a dashed stair joins them
# where they are several. Many gates stand at zero or next to it: by this measure they are free. The front is made of
# means of few runs, and another set of seeds moves it.
#
# Time is another cost. A gate has next to no multiply-adds, but it reads and writes the whole map:

# %% mystnb={"image": {"alt": "Test accuracy against the measured time that a module adds to a training step, in per cent of the plain network's, drawn as before, with a dashed stair for the Pareto front."}} tags=["hide-input"]
try:
    steps = measurements("cpu-training")
except ValueError:
    say("No measured step times on file; `python -m benchmarks.training` makes them.")
else:
    # By the ratios to the plain network, which ran in turn with each module: the machine's speed drifts.
    times = {row["attention"]: 100 * (row["ratio"] - 1) for row in steps.rows}
    times["none"] = 0
    plots.pareto(shown, times, "time added to a training step (%)")
    plt.show()
    labels = (row.label for row in shown.rows if row.label not in times)
    say(f"Without a measured time: {listed(map(plots.shown, labels))}.")
    say(f"Steps of {steps.settings['batch_size']} images; {steps.where()}.")

# %% [markdown]
# **What to see.** Where a module that is free by multiply-adds stands far to the right here, its cost is traffic of
# memory or the start of many small operations; the traffic [the page on costs](costs.ipynb) counts as elementwise work.
#
# ## With and without augmentation
#
# SEM's paper is quoted as saying that without data augmentation the module is better than the plain network and than SE
# (known second-hand, see [the ledger](../book/ledger.md)). If that is because it regularises, its gain should be larger
# without crops and flips than with them. The runs: `snakemake --cores 2 augmentation`.

# %% mystnb={"image": {"alt": "Two panels of learning curves, without augmentation and with crops and flips: held-out accuracy solid and training accuracy dotted against the epoch, in one colour each for no attention, SE and SEM."}} tags=["hide-input"]
compared = ("none", "se", "sem")
panels = {
    "without augmentation": "cifar10-slice",
    "with crops and flips": "cifar10-slice-augmented",
}
by_panel = {
    title: [
        run
        for key in compared
        for run in records(name, key)
        if run.recipe.backbone == recipe.backbone
    ]
    for title, name in panels.items()
}
if plots.curves_beside(by_panel):
    plt.show()


# %% tags=["nbval-check-output", "hide-input"]
def by_seed_of(of, label):
    """Accuracies in per cent, by seed."""
    return {
        run.seed: 100 * run.final.accuracy for run in of if run.recipe.label == label
    }


def line(where, what, differences):
    """A row of a table: the mean of some differences with Student's interval."""
    values = list(differences.values())
    low, high = student(values) if len(values) > 1 else (None, None)
    mean = np.mean(values) if values else None
    return {
        "runs": where,
        "difference": what,
        "seeds": len(values),
        "points": mean,
        "from": low,
        "to": high,
    }


columns = ["runs", "difference", "seeds", "points", "from", "to"]
pairs = (("se", "none"), ("sem", "none"), ("sem", "se"))
gains = {
    (title, one, other): paired(by_seed_of(of, one), by_seed_of(of, other))
    for title, of in by_panel.items()
    for one, other in pairs
}
rows = [
    line(title, f"{one} minus {other}", gain)
    for (title, one, other), gain in gains.items()
]
for one, other in pairs:
    without, augmented = (gains[title, one, other] for title in panels)
    rows.append(
        line("first minus second", f"{one} minus {other}", paired(without, augmented))
    )
plots.table(
    pd.DataFrame(rows, columns=columns),
    "Points of test accuracy over common seeds, with Student's interval",
    digits=2,
)

# %% [markdown]
# **What to see.** Read the table: a gain that is larger without augmentation is positive in the rows *first minus second*,
# and shown by the runs where the interval leaves 0 out; of nine intervals, 0.45 would by chance. The curves show how far
# the networks have come. Dotted values are means over an epoch in which the network still learns, so that they lag, and
# are of harder images where these are augmented: the gap between solid and dotted is no measure here. Four epochs are too
# few to overfit much, so that this is a weak test: it could show a large effect, and cannot rule out one that needs longer
# training.
#
# ## Wrong labels
#
# Residual Attention's authors replace a share of the training labels by random other ones and find that their network
# loses less than a ResNet. What they print:

# %% tags=["nbval-check-output", "hide-input"]
names = {
    "noise": "wrong labels (%)",
    "resnet164_err": "ResNet-164, error (%)",
    "attention92_err": "Attention-92, error (%)",
}
plots.table(
    paper("residual_attention").table("table-5").rename(columns=names),
    "Residual Attention, Table 5: CIFAR-10",
    digits=2,
)

# %% [markdown]
# Here their module goes between the stages of a ResNet-20; this is not their network. The runs:
# `snakemake --cores 2 label-noise`.

# %% mystnb={"image": {"alt": "Test accuracy against the share of wrong training labels: a line through the means of no attention and one of residual attention, with a point for each seed, above a dashed line at chance."}} tags=["hide-input"]
noise = [
    run
    for run in records()
    if run.recipe.name == "cifar10-slice"
    or run.recipe.name.startswith("cifar10-slice-noise")
    if run.recipe.attention in ("none", "residual_attention")
    and run.recipe.backbone == recipe.backbone
]
ax = plots.noise_robustness(noise)
if ax:
    ax.axhline(10, color="black", lw=1, ls="--")
    plt.show()
say(f"{len(noise)} runs.")

# %% tags=["nbval-check-output", "hide-input"]
gaps = {}
for level in sorted({run.recipe.label_noise for run in noise}):
    of_level = [run for run in noise if run.recipe.label_noise == level]
    with_module = {
        run.seed: 100 * run.final.accuracy
        for run in of_level
        if run.recipe.attention == "residual_attention"
    }
    gaps[f"{level:.0%} wrong"] = paired(with_module, by_seed_of(of_level, "none"))
first, *others = gaps
rows = [
    line(level, "residual attention minus none", gap) for level, gap in gaps.items()
]
rows += [
    line(f"{level} minus {first}", "of that gap", paired(gaps[level], gaps[first]))
    for level in others
]
plots.table(
    pd.DataFrame(rows, columns=columns),
    "Points of test accuracy over common seeds, with Student's interval",
    digits=2,
)

# %% [markdown]
# **What to see.** The dashed line is chance. Near it every difference shrinks, so that two lines which come closer there
# say nothing of robustness, and neither does the one that starts higher. A network that is more robust has a gap that
# grows with the share of wrong labels: look at the last rows of the table, and at whether their intervals leave 0 out. One
# in twenty would by chance, and all of them share the runs without wrong labels.
#
# ## IEBN against a constant gain
#
# An untrained IEBN is a batch norm whose scale is multiplied by $\sigma(-1) \approx 0.269$, the same for every image. Is
# its gain due to what the gate learns about images, or to the smaller scale at the start? The control puts that constant
# behind every batch norm that IEBN replaces. At the start the two networks compute the same function. Then they part:
# IEBN's gate learns, and comes to depend on the image, and it leaves the norm's bias alone where the constant scales it
# too.

# %% mystnb={"image": {"alt": "Test accuracy of every run of the plain network, of the network with a constant gain behind its norms, and of that with IEBN, a point for each seed and a bar at each mean."}} tags=["hide-input"]
gain = [
    run for run in runs if run.recipe.attention == "constant" and run.recipe.placement
]
plain = [run for run in runs if run.recipe.label == "none"]
iebn = [run for run in runs if run.recipe.label == "iebn"]
missing = {"plain network": plain, "constant gain": gain, "IEBN": iebn}
say(f"Without a record: {listed(name for name, of in missing.items() if not of)}.")
if gain and iebn:
    plots.accuracies([*plain, *gain, *iebn])
    plt.show()

# %% tags=["nbval-check-output", "hide-input"]
against = report([*gain, *iebn], gain[0].recipe.label) if gain and iebn else None
if against:
    row = next(row for row in against.rows if row.label == "iebn")
    interval = (
        row.student
        and f"Student's interval {row.student[0]:.2f} to {row.student[1]:.2f}"
    )
    say(
        f"IEBN minus the constant gain: {row.difference:+.2f} points over "
        f"{len(row.differences)} seeds, {interval or 'a single run'}."
    )
    for row in report([*plain, *gain, *iebn]).rows:
        if row.student:
            low, high = row.student
            say(
                f"{plots.shown(row.label)} minus no attention: {row.difference:+.2f} points, "
                f"Student's interval {low:.2f} to {high:.2f}."
            )
else:
    say("The difference cannot be computed yet.")

# %% [markdown]
# **What to see.** Only the distance between IEBN and the constant gain can be due to attention. If its interval holds zero,
# these runs do not show that attention adds anything; the interval says how much it could still add or cost. And where
# the intervals against no attention hold zero too, they show no gain that there is to explain.
#
# ## What SEM decides
#
# SEM weighs three ways to make a gate, for every image and in every layer. For want of a trained CIFAR network that is
# small enough to be filed, this cell trains the smoke network on generated shapes. It shows how to look, and no more: no
# sentence rests on it.

# %% mystnb={"image": {"alt": "For each of the small network's SEM layers, the median decision weight of the operators fc, cnn and ie as points, with bars that hold the middle ninety per cent of the images, around a dashed line at one half."}} tags=["hide-input"]
trained = train(Recipe.named("smoke", attention="sem"))
model = trained.model.cpu()
ax = plots.decision_weights(model, trained.inputs(shapes.images[:200]))
ax.set_title("smoke network on generated shapes")
plt.show()

# %% [markdown]
# **What to see.** A point away from one half is an operator that a layer prefers or neglects; a tall bar is one that it
# weighs differently from image to image. The paper's claim is that trained networks show both.
#
# ## Larger tables
#
# The same questions with all of CIFAR, thirty epochs and more, and the papers' own recipes under the protocol `paper`
# (all training images, test accuracy after every epoch, as the papers do). They need a GPU. Here is what is on file:

# %% tags=["nbval-check-output", "hide-input"]
tables = {}
for run in records():
    tables.setdefault((run.recipe.name, run.recipe.backbone), []).append(run)
named = {(name, Recipe.named(name).backbone) for name in Recipe.names()}
rows = []
for name, backbone in sorted(tables.keys() | named):
    on_file = tables.get((name, backbone), [])
    described = on_file[0].recipe if on_file else Recipe.named(name)
    seeds = Counter(run.recipe.label for run in on_file).values()
    rows.append(
        {
            "recipe": name,
            "network": backbone,
            "epochs": described.epochs,
            "protocol": described.protocol,
            "attentions": len(seeds),
            "runs": len(on_file),
            "seeds": f"{min(seeds)} to {max(seeds)}" if seeds else "none",
        }
    )
plots.table(pd.DataFrame(rows), "Recipes, and the runs of each that have a record")

# %% [markdown]
# A row without runs is one that nobody has run yet; nothing is filled in by hand. To add some, on a machine with a GPU:
#
# ```sh
# attnlib train --recipe equal-budget --attention se --seed 0 --out runs/eb-se-0 --device cuda
# snakemake -n equal-budget                                  # the full plan
# snakemake --cores 4 --resources gpu_slots=4 equal-budget   # what has no record
# snakemake --cores 4 --resources gpu_slots=4 papers
# ```
#
# A run that was stopped goes on where it was when the command is given again. A finished record is filed and appears
# here the next time the page is made:

# %% mystnb={"image": {"alt": "For one recipe and network, the test accuracy of every recorded run as a point, a row for each attention, with a bar at each mean."}} tags=["hide-input"]
larger = {
    (name, backbone): of_table
    for name, backbone in tables
    if not name.startswith("cifar10-slice")
    if (
        of_table := [
            run
            for run in complete_rounds(name)
            if run.recipe.backbone == backbone
        ]
    )
}
if not larger:
    say("No record of a larger run yet, so nothing is drawn.")
for (name, backbone), of_table in larger.items():
    if any(run.recipe.label == "none" for run in of_table):
        result = report(of_table)
        display(plots.report_table(result, f"{name}, {backbone}"))
        say(result.conclusion)
    else:
        display(plots.accuracy_table(of_table, f"{name}, {backbone}"))
        say(f"{name}, {backbone}: no run of the plain network to compare with.")
    plots.accuracies(sorted(of_table, key=lambda run: -run.final.accuracy))
    plt.show()

# %% [markdown]
# ## What these runs cannot show
#
# * *Long training.* In four epochs on a tenth of the images a module is rewarded for learning fast. Gates that start near a
#   constant change the size of the residual branches, and this alone makes a network learn faster or slower. What is
#   left of it after two hundred epochs, these runs do not say.
# * *Small differences.* The conclusion above names the distance below which two means cannot be ranked. Published gains on
#   CIFAR are often smaller than that.
# * *Other images.* All runs share their training images and their test images; the intervals cover initial weights and
#   order alone.
# * *The best of many.* Whichever of twenty modules stands on top of a table is there partly by luck.
# * *Other tasks.* Modules that mix far-away positions were made for detection, segmentation or large images. On images of
#   32 pixels, a few convolutions see nearly everything.
# * *Tuned training.* A paper tunes its recipe around its module; here no module has that advantage, and some would gain
#   by it.
#
# ## Exercises
#
# ```{exercise} Significant by luck
# :label: accuracy-exercise-luck
#
# Twenty modules that do nothing at all are compared with the plain network over three seeds. Their differences are normal
# with mean zero. How many of Student's intervals leave zero out, on average, and how many bootstrap intervals? How
# probable is it that at least one of twenty Student intervals does? Take the twenty as independent.
# ```
#
# ````{solution-start} accuracy-exercise-luck
# :class: dropdown
# ````
#
# Student's interval is as wide as it says: 5 % of 20 is one module. The bootstrap interval of three numbers is their
# range, which leaves zero out when all three lie on one side of it, with probability $2 / 2^3 = 1/4$: five modules. At
# least one Student interval does with probability $1 - 0.95^{20} = 64\,\%$.

# %% tags=["nbval-check-output"]
samples = np.random.default_rng(0).normal(size=(200_000, 3))
margin = t_quantile(2) * samples.std(axis=1, ddof=1) / np.sqrt(3)
of_student = abs(samples.mean(axis=1)) > margin
of_bootstrap = (samples.min(axis=1) > 0) | (samples.max(axis=1) < 0)
first = samples[0].tolist()  # the library's intervals are these
assert np.isclose(np.subtract(*student(first)), -2 * margin[0])
assert bootstrap(first) == (min(first), max(first))
for name, out in {"Student": of_student, "bootstrap": of_bootstrap}.items():
    print(f"{name:<10}{out.mean():4.0%} leave zero out: {20 * out.mean():.1f} of 20")
print(f"at least one of Student's: {1 - 0.95**20:.0%}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} How many seeds?
# :label: accuracy-exercise-seeds
#
# Take the paired differences in the table as guesses of how much such differences scatter, and of these guesses the median.
# How many seeds would be needed for the half-width of Student's interval to be half a point? And a quarter of a point?
# ```
#
# ````{solution-start} accuracy-exercise-seeds
# :class: dropdown
# ````
#
# The half-width is $t_{n-1}\, s / \sqrt n$. For large $n$ half the width takes four times the seeds; for a few seeds less
# than that, because $t_{n-1}$ falls as well. A single scatter is a guess from a few numbers, which is why the smallest and
# the largest of the table are printed beside the median; the truth may well be the same for nearly all of them. An
# attention whose interval leaves 0 out is often one whose few differences happen to lie close together.


# %% tags=["nbval-check-output"]
def seeds_needed(scatter, half_width):
    n = 2
    while t_quantile(n - 1) * scatter / np.sqrt(n) > half_width:
        n += 1
    return n


scatters = {
    row.label: np.std(row.differences, ddof=1)
    for row in found.rows
    if row.student and row.kind != "plain"
}
ordered = sorted(scatters, key=scatters.get)
wanted = {
    "smallest": ordered[0],
    "median": ordered[len(ordered) // 2],
    "largest": ordered[-1],
}
for name, label in wanted.items():
    needed = [seeds_needed(scatters[label], width) for width in (0.5, 0.25)]
    print(
        f"{name} ({plots.shown(label)}): scatter {scatters[label]:.2f}, seeds {needed}"
    )

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Is pairing worth it?
# :label: accuracy-exercise-pairing
#
# Had the seeds not been shared, the difference of two means would scatter by the sum of both variances, and its interval
# would have twice the degrees of freedom. Compare the half-widths of the two intervals for every module. When does
# pairing make an interval narrower, and when does it not?
# ```
#
# ````{solution-start} accuracy-exercise-pairing
# :class: dropdown
# ````
#
# $\operatorname{Var}(a - b) = \operatorname{Var} a + \operatorname{Var} b - 2 \operatorname{Cov}(a, b)$: pairing
# helps where a seed that is good for the plain network is good for the other too. But $k$ pairs leave $k - 1$ degrees of
# freedom, two groups of $k$ leave $2 (k - 1)$: with three seeds $t$ is 4.30 instead of 2.78, and the variance has to fall
# below 0.42 of the unpaired one before pairing pays. From three seeds the covariance is itself very uncertain, so that the
# ratios below are scattered around their true values.

# %% tags=["nbval-check-output"]
plain_accuracies = next(row for row in found.rows if row.label == "none").accuracies
ratios = {
    row.label: np.var(row.differences, ddof=1)
    / (np.var(row.accuracies, ddof=1) + np.var(plain_accuracies, ddof=1))
    for row in found.rows
    if row.student
}
k = len(plain_accuracies)
widths = {
    label: t_quantile(k - 1) / t_quantile(2 * (k - 1)) * sqrt(ratio)
    for label, ratio in ratios.items()
}
print(f"{len(ratios)} attentions, {k} seeds; paired / unpaired:")
for name, of in {"variance": ratios, "half-width": widths}.items():
    low, middle, high = np.quantile(list(of.values()), [0, 0.5, 1])
    print(f"  {name}: smallest {low:.2f}, median {middle:.2f}, largest {high:.2f}")
narrower = sum(width < 1 for width in widths.values())
print(f"pairing narrows the interval of {narrower} of {len(widths)}")

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Further reading
#
# * [The ledger](../book/ledger.md) has what the papers claim about accuracy, and which records would settle it.
# * [What attention costs](costs.ipynb) counts parameters, multiply-adds and memory of all networks;
#   [all modules side by side](side_by_side.ipynb) measures the modules' time.
