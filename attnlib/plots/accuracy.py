"""Final accuracies of recorded runs: every seed a point, and the same numbers as a table."""

import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from attnlib.plots.style import COLUMN, INK, PAPER, looks
from attnlib.plots.tables import Table, table
from attnlib.results.words import shown

if TYPE_CHECKING:
    from attnlib.training.record import Record


_MAY_DIFFER = {"attention", "attention_args", "placement", "sparsity", "seed"}


def final_accuracies(records: Sequence["Record"], varied: Collection[str] = ()) -> pd.DataFrame:
    """One row per run: attention (with its arguments), seed, accuracy in per cent.

    Args:
        records: the runs.
        varied: fields of the recipe in which they may differ besides, because a figure shows what these do.

    Raises:
        ValueError: the runs differ in more than that, the attention and the seed, so that their accuracies do not
            compare.
    """
    for record in records:
        first, recipe = records[0].recipe, record.recipe
        for field in first.differing_fields(recipe):
            if field not in _MAY_DIFFER and field not in varied:
                raise ValueError(
                    f"these runs do not compare: {field} is {getattr(first, field)!r} in one and "
                    f"{getattr(recipe, field)!r} in another; draw each recipe on its own"
                )
    rows = [{"attention": r.recipe.label, "seed": r.seed, "accuracy": 100 * r.final.accuracy} for r in records]
    return pd.DataFrame(rows, columns=["attention", "seed", "accuracy"])


def accuracies(records: Sequence["Record"], ax: Axes | None = None) -> Axes | None:
    """Draw the last-epoch accuracy of every run, a point per seed and a bar at the mean; without a record say so."""
    if not records:
        print("No record of these runs yet, so nothing is drawn.")
        return None
    frame = final_accuracies(records)
    names = list(frame["attention"].unique())
    if ax is None:
        _, ax = plt.subplots(figsize=(COLUMN, 0.45 * len(names) + 1.3))
    styles = looks(names)
    for position, (name, runs) in enumerate(frame.groupby("attention", sort=False)):
        style = styles[name]
        face = style.colour if style.filled else PAPER
        heights = [position] * len(runs)
        ax.scatter(runs["accuracy"], heights, s=45, marker=style.marker, color=face, edgecolors=style.colour, zorder=3)
        ax.plot([runs["accuracy"].mean()] * 2, [position - 0.3, position + 0.3], color=INK, lw=1.5)
    ax.set_yticks(range(len(names)), [shown(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    recipe = records[0].recipe
    title = f"{recipe.name}: {recipe.backbone} on {recipe.data}, {recipe.epochs} epochs, protocol {recipe.protocol}"
    ax.figure.suptitle(textwrap.fill(title, 56), fontsize=10)  # wider than the axes where labels are long
    ax.set(xlabel="test accuracy after the last epoch (%)", ylabel="")
    return ax


def noise_robustness(records: Sequence["Record"], ax: Axes | None = None) -> Axes | None:
    """Draw accuracy against the share of wrong training labels: a point per seed, a line through the means.

    Without a record of a run with wrong labels, say so and draw nothing.

    Args:
        records: runs of recipes that differ in `label_noise` and, so as to be told apart, in their name.
        ax: where to draw; default a new figure.

    Raises:
        ValueError: the recipes differ in anything else but the attention and the seed.
    """
    if not any(record.recipe.label_noise for record in records):
        print("No record of a run with wrong labels yet, so nothing is drawn.")
        return None
    frame = final_accuracies(records, varied={"name", "label_noise"})
    frame["noise"] = [100 * record.recipe.label_noise for record in records]
    if ax is None:
        _, ax = plt.subplots(figsize=(COLUMN, 3.2))
    styles = looks(frame["attention"])
    for name, runs in frame.groupby("attention", sort=False):
        means = runs.groupby("noise")["accuracy"].mean()
        ax.plot(runs["noise"], runs["accuracy"], **styles[name].points(ls="", ms=4, alpha=0.45))
        ax.plot(means.index, means, **styles[name].points(ms=7, label=shown(name)))
    ax.set(xlabel="training labels that are wrong (%)", ylabel="test accuracy, last epoch (%)")
    ax.legend(frameon=False)
    return ax


def accuracy_table(records: Sequence["Record"], caption: str) -> Table:
    """Mean and standard deviation over seeds with the count of seeds; a single run is called so and has no spread."""
    groups = final_accuracies(records).groupby("attention", sort=False)["accuracy"]
    rows = [
        {
            "attention": name,
            "accuracy (%)": runs.mean(),
            "standard deviation": runs.std() if len(runs) > 1 else None,
            "runs": f"{len(runs)} seeds" if len(runs) > 1 else "single run",
        }
        for name, runs in groups
    ]
    return table(pd.DataFrame(rows), caption, digits=2)
