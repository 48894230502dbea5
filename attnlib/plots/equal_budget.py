"""Modules of one recipe beside each other: a table, accuracy against a cost, and paired differences."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from attnlib.plots.style import COLUMN, FAINT, INK, looks
from attnlib.plots.tables import Table, table
from attnlib.results.rows import Comparison
from attnlib.results.standing import corrected, standing
from attnlib.results.words import shown

if TYPE_CHECKING:
    from attnlib.results.comparison import Report
    from attnlib.results.rows import Row
    from attnlib.training.record import Record


def report_table(reports: "Report | Sequence[Report]", caption: str, labels: Collection[str] | None = None) -> Table:
    """A line for each attention: seeds, accuracy and its spread, and the difference to each baseline.

    A difference is the mean over common seeds, in points; beside it stand Student's 95 % interval, and the same with
    Bonferroni's correction for all rows that are compared with that baseline.

    Args:
        reports: one report, or several of the same runs with different baselines.
        caption: what the table shows.
        labels: of the rows that are shown; default all. The correction stays that for all rows of the report.
    """
    reports = [reports] if isinstance(reports, Comparison) else list(reports)
    lines = {
        row.label: {
            "attention": short(row.label),
            "seeds": len(row.seeds),
            "accuracy (%)": row.mean,
            "deviation": row.deviation,
        }
        for row in reports[0].rows
        if labels is None or row.label in labels
    }
    for report in reports:
        sure = corrected(report)
        for row in (row for row in report.rows if row.label in lines):
            against = f"minus {short(report.baseline)}"
            lines[row.label] |= {
                against: row.difference,
                f"{against}, 95 %": _interval(row.student),
                f"{against}, corrected": _interval(sure.get(row.label)),
            }
    return table(pd.DataFrame([*lines.values()]), caption, digits=2)


def standing_table(reports: "Sequence[Report]", caption: str, kind: str | None = "module") -> Table:
    """What the intervals say of the modules, a column for each baseline: their number, and their names where few.

    Args:
        reports: of the same runs, with different baselines.
        caption: what the table shows.
        kind: of the rows that are counted; None for all.
    """
    columns = {f"beside {short(report.baseline)}": standing(report, kind) for report in reports}
    lines = {
        "above": "interval above 0",
        "surely above": "… also corrected",
        "neither": "interval holds 0",
        "below": "interval below 0",
        "surely below": "… also corrected",
    }
    rows = [
        {"": words} | {beside: _named(found[which]) for beside, found in columns.items()}
        for which, words in lines.items()
    ]
    return table(pd.DataFrame(rows), caption)


def short(label: str) -> str:
    """A recipe's label without the words that its values explain: "constant 0.731", "sasa layer3.*.conv2"."""
    name, _, arguments = shown(label).partition("(")
    return " ".join([name, arguments.rstrip(")").replace("placement=", "").replace("value=", "")]).strip()


def _named(labels: Sequence[str]) -> str:
    if not labels:
        return "none"
    if len(labels) > 8:
        return str(len(labels))
    return f"{len(labels)}: {', '.join(map(short, labels))}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.2f}\u00a0to\u00a0{ends[1]:.2f}"


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


def pareto(
    report: "Report",
    costs: Mapping[str, float],
    xlabel: str,
    named: Collection[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against a cost: a point for each mean, and a line for the Pareto front.

    The front joins the means that no other mean beats at the same or a lower cost. Its rows and those of `named` have
    the look of their module, small points for their seeds and a label right of the axes; all others are grey points.

    Args:
        report: of the runs of one recipe.
        costs: of each label that is to be drawn; rows of the report without one are left out.
        xlabel: what the cost is, with its unit.
        named: labels to name besides those of the front; where there are more than eight in all, nothing is told apart.
        ax: where to draw; default a new figure.

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
        _, ax = plt.subplots(figsize=(COLUMN, 3.8))
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
    told = [row for row in rows if row in front or row.label in named]
    others = [row for row in rows if row not in told]
    grey = {"ls": "", "marker": "o", "color": FAINT, "alpha": 0.6}
    ax.plot([costs[row.label] for row in others], [row.mean for row in others], **grey, ms=5, label="other rows")
    styles = looks(row.label for row in told)
    for height, row in zip(np.linspace(0.03, 0.97, len(told)), told, strict=True):
        style = styles[row.label]
        cost = costs[row.label]
        points = [cost] * len(row.accuracies)
        ax.plot(points, row.accuracies, **style.points(ls="", ms=3.5, alpha=0.45))
        ax.plot(cost, row.mean, **style.points(ls="", ms=8))
        ax.annotate(
            _stacked(row.label),
            (cost, row.mean),
            xytext=(1.05, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9.5,
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
    colour and marker are the module's, as everywhere. A label is bold where the interval also leaves 0 out with
    Bonferroni's correction for all rows of the report.

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
        _, ax = plt.subplots(figsize=(COLUMN, 0.33 * len(rows) + 1.4))
    styles = looks(row.label for row in rows)
    for height, row in enumerate(rows):
        style = styles[row.label]
        if row.student is not None:
            ax.plot(row.student, [height] * 2, color=style.colour, lw=4, alpha=0.4, solid_capstyle="butt")
        ax.plot([row.difference] * 2, [height - 0.3, height + 0.3], color=INK, lw=1.5)
        heights = [height] * len(row.differences)
        ax.plot(row.differences, heights, **style.points(ls="", ms=5))
    ax.axvline(0, color=INK, lw=1, ls="--")
    ax.set_yticks(range(len(rows)), [_stacked(row.label) for row in rows], linespacing=0.9)
    sure = standing(report)
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.label in sure["surely above"] + sure["surely below"] else "normal")
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set(xlabel=f"points above {short(report.baseline)}, same seed", ylabel="")
    ax.grid(visible=False, axis="y")
    interval = plt.Line2D([], [], color=FAINT, lw=4, alpha=0.4, label="Student's 95 % interval")
    mean = plt.Line2D([], [], ls="", marker="|", ms=11, mew=1.5, color=INK, label="mean")
    _legend(ax, interval, mean)
    return ax


def _stacked(label: str) -> str:
    """The label over two lines where it has values, so that it leaves room for the axes."""
    return short(label).replace(" ", "\n", 1)


def _legend(ax: Axes, *handles: Artist) -> None:
    """What there is to name besides the modules, whose names stand beside their points: below the axes."""
    ax.figure.legend(handles=handles, frameon=False, ncols=2, loc="outside lower center")
