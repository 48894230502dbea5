"""Measured ratios of time: every size a point, the geometric mean a bar."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from attnlib.plots.style import INK


def geometric_means(rows: pd.DataFrame) -> pd.DataFrame:
    """The geometric mean of the ratios over the sizes: a row for each module, a column for each pass."""
    logs = rows.assign(log=np.log(rows["ratio"])).groupby(["module", "pass"], sort=False)["log"].mean()
    return np.exp(logs).unstack("pass")


def ratios(rows: pd.DataFrame, axes: list[Axes] | np.ndarray | None = None) -> np.ndarray:
    """Draw the ratios of one mode and one opponent: a panel for each pass, a line for each module.

    Args:
        rows: with module, size, pass and ratio; the modules come in this order.
        axes: where to draw, one for each pass; default a new figure.

    Raises:
        ValueError: no rows.
    """
    if rows.empty:
        raise ValueError("no ratio to draw: these rows are empty; see the modes and opponents that were measured")
    passes = list(dict.fromkeys(rows["pass"]))
    modules = list(dict.fromkeys(rows["module"]))
    if axes is None:
        height = 0.32 * len(modules) + 1.4
        _, axes = plt.subplots(1, len(passes), figsize=(8.5, height), sharey=True, squeeze=False)
        axes = axes[0]
    means = geometric_means(rows)
    for ax, which in zip(axes, passes, strict=True):
        part = rows[rows["pass"] == which]
        sns.stripplot(
            part, x="ratio", y="module", hue="size", order=modules, jitter=False, size=6, alpha=0.85, ax=ax, legend=None
        )
        for position, module in enumerate(modules):
            ax.plot([means.loc[module, which]] * 2, [position - 0.32, position + 0.32], color=INK, lw=2)
        ax.axvline(1, color=INK, lw=1, ls="--")
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set(title=which, xlabel="ours / theirs", ylabel="")
    _legend(axes[-1], list(dict.fromkeys(rows["size"])))
    return np.asarray(axes)


def _legend(ax: Axes, sizes: list[str]) -> None:
    colours = sns.color_palette(n_colors=len(sizes))
    handles = [plt.Line2D([], [], ls="", marker="o", color=c, label=s) for c, s in zip(colours, sizes, strict=True)]
    handles.append(plt.Line2D([], [], color=INK, lw=2, label="geometric mean"))
    ax.legend(handles=handles, title="C x H x W", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
