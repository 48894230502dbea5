"""Modules of one recipe beside each other: a table, accuracy against a cost, and paired differences."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from attnlib.plots.style import FAINT, INK, looks
from attnlib.plots.tables import Table, table
from attnlib.results.words import shown

if TYPE_CHECKING:
    from attnlib.results.comparison import Report
    from attnlib.results.rows import Row
    from attnlib.training.record import Record


def report_table(report: "Report", caption: str) -> Table:
    """A line for each attention: seeds, accuracy and its spread, parameters, and the difference to the baseline.

    The best epoch has the accuracy on the images by which it was chosen, under their name. The intervals are 95 %
    intervals of the mean difference in points.
    """
    rows = [
        {
            "attention": shown(row.label),
            "kind": row.kind,
            "runs": f"{len(row.seeds)} seeds" if len(row.seeds) > 1 else "single run",
            "accuracy (%)": row.mean,
            "standard deviation": row.deviation,
            f"{row.best_of}, best epoch (%)": row.best_mean,
            "parameters": row.parameters,
            f"minus {report.baseline}": row.difference,
            "Student's interval": _interval(row.student),
            "bootstrap": _interval(row.bootstrap),
        }
        for row in report.rows
    ]
    return table(pd.DataFrame(rows), caption, digits=2)


def _interval(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def added_macs(records: Sequence["Record"]) -> dict[str, float]:
    """Multiply-adds of one image that each label adds to its backbone, in per cent of the backbone's.

    Modules at their paper's place are looked up in the table of costs; those with arguments or at another place are
    counted. A backbone has the number of classes that it usually has.
    """
    recipes = {record.recipe.label: record.recipe for record in records}
    return {label: 100 * (_macs(recipe) / _macs(_plain(recipe)) - 1) for label, recipe in recipes.items()}


def _plain(recipe):
    return recipe.model_copy(update={"attention": "none", "attention_args": {}, "placement": None})


def _macs(recipe) -> int:
    from attnlib.results.network_costs import costs

    table = costs().set_index(["network", "module"])["macs"]
    pair = (recipe.backbone, recipe.attention)
    if pair in table.index and not recipe.attention_args and recipe.placement is None:
        return int(table[pair])
    from attnlib import networks
    from attnlib.profiling.cost import profile

    model = networks.create(
        recipe.backbone, attention=recipe.attention, attention_args=recipe.attention_args, placement=recipe.placement
    )
    return profile(model, networks.image_size(recipe.backbone)).macs


def pareto(report: "Report", costs: Mapping[str, float], xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw accuracy against a cost: small points for seeds, a large one for their mean, a line for the Pareto front.

    The front joins the means that no other mean beats at the same or a lower cost. Labels stand right of the axes, by
    mean, and do not overlap.

    Args:
        report: of the runs of one recipe.
        costs: of each label that is to be drawn; rows of the report without one are left out.
        xlabel: what the cost is, with its unit.
        ax: where to draw; default a new figure, as high as the labels need.

    Raises:
        ValueError: no row of the report has a cost.
    """
    rows = sorted((row for row in report.rows if row.label in costs), key=lambda row: row.mean)
    if not rows:
        raise ValueError(
            f"no row of the report has a cost: rows are {', '.join(row.label for row in report.rows)}; "
            f"costs are given for {', '.join(costs) or 'nothing'}"
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 0.22 * len(rows) + 1.8))
    front = _front(rows, costs)
    ax.step(
        [costs[row.label] for row in front],
        [row.mean for row in front],
        where="post",
        color=INK,
        lw=1,
        ls="--",
        label="Pareto front of the means",
    )
    styles = looks(row.label for row in rows)
    for height, row in zip(np.linspace(0, 1, len(rows)), rows, strict=True):
        style = styles[row.label]
        cost = costs[row.label]
        points = [cost] * len(row.accuracies)
        ax.plot(points, row.accuracies, **style.points(ls="", ms=3.5, alpha=0.45))
        ax.plot(cost, row.mean, **style.points(ls="", ms=8))
        ax.annotate(
            shown(row.label),
            (cost, row.mean),
            xytext=(1.05, height),
            textcoords="axes fraction",
            va="center",
            fontsize="small",
            fontweight="bold" if row in front else "normal",
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6, "zorder": 0, "relpos": (0, 0.5)},
        )
    ax.set(xlabel=xlabel, ylabel="test accuracy, last epoch (%)")
    _legend(ax, *ax.get_legend_handles_labels()[0])
    return ax


def _front(rows: Sequence["Row"], costs: Mapping[str, float]) -> list["Row"]:
    """The rows whose mean is higher than that of every row at the same or a lower cost, cheapest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (costs[row.label], -row.mean)):
        if not front or row.mean > front[-1].mean:
            front.append(row)
    return front


def paired_differences(report: "Report", ax: Axes | None = None) -> Axes:
    """Draw each label's accuracy minus the baseline's under the same seed: points for seeds, bars for intervals.

    The bar is Student's 95 % interval of the mean, the short line across it the mean; one seed has a point alone. The
    bootstrap's interval is in the table: from three seeds it is the range of the points. Labels are sorted by mean;
    colour and marker are the module's, as everywhere.

    Args:
        report: of the runs of one recipe.
        ax: where to draw; default a new figure, as high as the labels need.

    Raises:
        ValueError: no label shares a seed with the baseline.
    """
    rows = sorted((row for row in report.rows if row.differences), key=lambda row: row.difference)
    if not rows:
        raise ValueError(
            f"no difference to draw: no run shares a seed with the baseline {report.baseline!r}; rows are "
            f"{', '.join(row.label for row in report.rows)}"
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 0.32 * len(rows) + 1.8))
    styles = looks(row.label for row in rows)
    for height, row in enumerate(rows):
        style = styles[row.label]
        if row.student is not None:
            ax.plot(row.student, [height] * 2, color=style.colour, lw=4, alpha=0.4, solid_capstyle="butt")
        ax.plot([row.difference] * 2, [height - 0.3, height + 0.3], color=INK, lw=1.5)
        heights = [height] * len(row.differences)
        ax.plot(row.differences, heights, **style.points(ls="", ms=6))
    ax.axvline(0, color=INK, lw=1, ls="--")
    ax.set_yticks(range(len(rows)), [shown(row.label) for row in rows])
    ax.set(xlabel=f"accuracy minus that of {shown(report.baseline)}, same seed (points)", ylabel="")
    ax.grid(visible=False, axis="y")
    interval = plt.Line2D([], [], color=FAINT, lw=4, alpha=0.4, label="Student's 95 % interval")
    mean = plt.Line2D([], [], ls="", marker="|", ms=11, mew=1.5, color=INK, label="mean")
    _legend(ax, interval, mean)
    return ax


def _legend(ax: Axes, *handles: Artist) -> None:
    """What there is to name besides the modules, whose names stand beside their points: below the axes."""
    ax.figure.legend(handles=handles, frameon=False, ncols=3, loc="outside lower center")
