"""Measured ratios of time: every size a point, the geometric mean a bar."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from attnlib.plots.style import GATE, INK, MAP, OUTPUT, STATISTIC, WEIGHT, panels


def geometric_means(rows: pd.DataFrame) -> pd.DataFrame:
    """The geometric mean of the ratios over the sizes: a row for each module, a column for each pass."""
    logs = rows.assign(log=np.log(rows["ratio"])).groupby(["module", "pass"], sort=False)["log"].mean()
    return np.exp(logs).unstack("pass")


def ratios(
    rows: pd.DataFrame, xlabel: str = "time of ours / theirs", axes: list[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw the ratios of one mode and one opponent: a panel for each pass, a line for each module.

    Args:
        rows: with module, size, pass and ratio; the modules come in this order.
        xlabel: what the ratio is of what.
        axes: where to draw, one for each pass; default a new figure, with the panels one under the other.

    Raises:
        ValueError: no rows, or more than five sizes.
    """
    if rows.empty:
        raise ValueError("no ratio to draw: these rows are empty; see the modes and opponents that were measured")
    passes = list(dict.fromkeys(rows["pass"]))
    modules = list(dict.fromkeys(rows["module"]))
    sizes = list(dict.fromkeys(rows["size"]))
    if len(sizes) > len(_SIZES):
        raise ValueError(f"at most {len(_SIZES)} sizes can be told apart, these rows have {len(sizes)}; draw fewer")
    if axes is None:
        _, axes = panels(len(passes), height=0.27 * len(modules) + 0.8, sharex=True)
    means = geometric_means(rows)
    for ax, which in zip(axes, passes, strict=True):
        part = rows[rows["pass"] == which]
        for size, (colour, marker) in zip(sizes, _SIZES, strict=False):
            of_size = part[part["size"] == size].set_index("module")["ratio"]
            ax.plot(of_size, [modules.index(m) for m in of_size.index], marker, color=colour, ms=5.5, alpha=0.85)
        for position, module in enumerate(modules):
            ax.plot([means.loc[module, which]] * 2, [position - 0.36, position + 0.36], color=INK, lw=2)
        ax.axvline(1, color=INK, lw=1, ls="--")
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_yticks(range(len(modules)), modules)
        ax.set_ylim(len(modules) - 0.4, -0.6)
        ax.set(title=which.replace("+", " and "))
    axes[-1].set_xlabel(xlabel)
    _legend(axes[-1], sizes)
    return np.asarray(axes)


# One colour and one marker for each size of the map, told apart by the colour-blind and on black.
_SIZES = ((MAP, "o"), (GATE, "s"), (STATISTIC, "^"), (WEIGHT, "D"), (OUTPUT, "v"))


def _legend(ax: Axes, sizes: list[str]) -> None:
    handles = [
        plt.Line2D([], [], ls="", marker=marker, color=colour, label=size.replace("x", " x "))
        for size, (colour, marker) in zip(sizes, _SIZES, strict=False)
    ]
    handles.append(plt.Line2D([], [], color=INK, lw=2, label="geometric mean"))
    ax.figure.legend(handles=handles, title="C x H x W", frameon=False, loc="outside lower center", ncols=3)
