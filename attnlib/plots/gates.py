"""Gates by class and channel, and pairs of numbers with and without a module."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from attnlib.plots.style import COLUMN, look, panels


def gates_by_class(
    gates: Mapping[str, Float[Tensor, "N ..."]], labels: Int[Tensor, " N"], classes: Sequence[str]
) -> Figure:
    """The mean gate of each class (rows) and channel (columns), a panel for each entry of `gates`, titled by its key.

    Args:
        gates: (N, C) or (N, C, 1, 1), by the panel's title.
        labels: class of each image.
        classes: their names.
    """
    figure, axes = panels(len(gates), height=2.3)
    for axis, (title, gate) in zip(axes, gates.items(), strict=True):
        means = torch.stack([gate[labels == k].flatten(1).mean(0) for k in range(len(classes))])
        drawn = axis.pcolormesh(means, vmin=0, vmax=1, cmap="viridis", rasterized=True)
        axis.set_yticks([k + 0.5 for k in range(len(classes))], classes)
        axis.set(title=title, xlabel="channel")
        axis.invert_yaxis()
        axis.grid(False)
    figure.colorbar(drawn, ax=list(axes), label="mean gate", location="bottom", fraction=0.03)
    return figure


def dumbbells(rows: Mapping[str, Mapping[str, float]], label: str, digits: int = 2) -> Axes:
    """A line for each row, from one number to the next, each in the colour of its key and with its value above.

    >>> dumbbells({"shorter recipe": {"none": 24.80, "se": 23.29}}, "top-1 error (%)")

    Args:
        rows: {row: {key of a module, or "none": number}}.
        label: of the axis.
        digits: decimals of the values.
    """
    _, axis = plt.subplots(figsize=(COLUMN, 0.55 * len(rows) + 0.9))
    for at, values in enumerate(rows.values()):
        axis.plot(list(values.values()), [at] * len(values), color="0.6", lw=1, zorder=1)
        for key, value in values.items():
            axis.plot(value, at, **look(key).points(ls="", zorder=2))
            text = f"{look(key).name} {value:.{digits}f}"
            axis.annotate(text, (value, at), (0, 7), textcoords="offset points", ha="center", fontsize=9)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(ylim=(len(rows) - 0.5, -0.8), xlabel=label)
    axis.margins(x=0.2)
    return axis
