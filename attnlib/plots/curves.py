"""Learning curves from records."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnlib.plots import style
from attnlib.plots.style import COLUMN, FAINT, INK, looks

if TYPE_CHECKING:
    from attnlib.training.record import Record


def learning_curves(records: Sequence["Record"], floor: float | None = None, ax: Axes | None = None) -> Axes:
    """Accuracy per epoch: a line for each run, a colour for each module; held-out accuracy solid, training dotted.

    The training accuracy is the mean over the epoch, while the network learns, so that it lags behind.

    Args:
        records: runs to draw; several seeds of one module share its colour and label.
        floor: an accuracy to draw as a level line, e.g. that of a linear model.
        ax: where to draw; default a new figure.

    Raises:
        ValueError: no record.
    """
    if not records:
        raise ValueError("no record to draw; a chapter without a record says so and draws nothing")
    if ax is None:
        _, ax = plt.subplots(figsize=(COLUMN, 3.2))
    styles = looks(record.recipe.label for record in records)
    labelled = set()
    for record in records:
        key = record.recipe.label
        epochs = [entry.epoch for entry in record.epochs]
        label = None if key in labelled else key
        labelled.add(key)
        held_out = [100 * entry.held_out_accuracy for entry in record.epochs]
        ax.plot(epochs, held_out, **styles[key].points(ms=4, label=label))
        ax.plot(epochs, [100 * entry.train_accuracy for entry in record.epochs], ":", lw=1, color=styles[key].colour)
    if floor is not None:
        ax.axhline(100 * floor, color=INK, lw=1, ls="--", label="linear model")
    ax.set(xlabel="epoch", ylabel="accuracy (%)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    styles = {"held-out images": {"ls": "-", "marker": "o", "ms": 3}, "training images": {"ls": ":", "lw": 1}}
    handles = [plt.Line2D([], [], color=FAINT, label=name, **style) for name, style in styles.items()]
    ax.legend(handles=ax.get_legend_handles_labels()[0] + handles, frameon=False)
    return ax


def curves_beside(panels: Mapping[str, Sequence["Record"]]) -> Figure | None:
    """Learning curves in a panel for each title, on one scale; a panel without a record is named and left out.

    Args:
        panels: the runs to draw, by the title of their panel.

    Returns:
        The figure; None where no panel has a record, nothing is drawn then.
    """
    for title, runs in panels.items():
        if not runs:
            print(f"{title}: no record of these runs yet, so nothing is drawn.")
    drawn = {title: runs for title, runs in panels.items() if runs}
    if not drawn:
        return None
    figure, axes = style.panels(len(drawn), sharex=True, sharey=True)
    for ax, (title, runs) in zip(axes, drawn.items(), strict=True):
        learning_curves(runs, ax=ax).set_title(title)
        ax.label_outer()
    return figure
