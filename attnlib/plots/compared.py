"""What modules add to a network, quantity by quantity."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from attnlib.plots.style import FAINT, INK, looks, panels

Added = tuple[str, str, float, float, float, str]  # quantity, module, low, middle and high in percent, its words


def added_costs(rows: Sequence[Added], network: str) -> Figure:
    """Draw what each module adds, in percent of the plain network: a panel for each quantity, a line for each module.

    Args:
        rows: quantity, label of the module, lower end, value and upper end in percent, and the words beside the point.
        network: its name, for the axis.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("no difference to draw: there is no module beside the plain network")
    quantities = list(dict.fromkeys(row[0] for row in rows))
    modules = list(dict.fromkeys(row[1] for row in rows))
    figure, axes = panels(len(quantities), height=0.27 * len(modules) + 0.75, layout="constrained")
    styles = looks(modules)
    for ax, quantity in zip(axes, quantities, strict=True):
        for _, module, low, middle, high, words in (row for row in rows if row[0] == quantity):
            place, style = modules.index(module), styles[module]
            ax.plot([low, high], [place] * 2, color=style.colour, lw=4, alpha=0.4, solid_capstyle="butt")
            ax.plot(middle, place, **style.points(ls="", ms=6))
            ax.annotate(words, (high, place), (7, 0), textcoords="offset points", va="center", fontsize=9.5)
        ax.axvline(0, color=INK, lw=1, ls="--")
        ax.set_yticks(range(len(modules)), modules)
        ax.set_ylim(len(modules) - 0.4, -0.6)
        ax.margins(x=0.3)
        ax.grid(visible=True, axis="x", color=FAINT, alpha=0.3, lw=0.6)
        ax.grid(visible=False, axis="y")
        ax.set_title(quantity, loc="left", fontsize=10.5)
    axes[-1].set_xlabel(f"% more than plain {network}")
    return figure
