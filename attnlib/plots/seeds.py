"""What a comparison says after two, three, four ... seeds."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from attnlib.plots.style import COLUMN, FAINT, look
from attnlib.results.intervals import student


def as_seeds_come(differences: Sequence[float], label: str) -> Axes:
    """Each seed's difference of two networks as an open point; beside it the mean so far with its 95 % interval.

    Args:
        differences: by seed, in the order in which they came; two or more.
        label: of the module in whose colour and marker they are drawn.

    Raises:
        UnknownNameError: no such module.
        ValueError: fewer than two differences.
    """
    if len(differences) < 2:
        raise ValueError(f"an interval takes two differences or more, got {len(differences)}; run more seeds")
    style, shift = look(label), 0.12
    counts = range(2, len(differences) + 1)
    _, ax = plt.subplots(figsize=(COLUMN, 3.4))
    ax.axhline(0, color=FAINT, lw=1)
    places = [seed - shift for seed in range(1, len(differences) + 1)]
    ax.plot(places, differences, **style.points(ls="", mfc="none", label="this seed alone"))
    for n in counts:
        ax.plot([n + shift] * 2, student(differences[:n]), color=style.colour, lw=2)
    means = [sum(differences[:n]) / n for n in counts]
    ax.plot([n + shift for n in counts], means, **style.points(ls="", label="mean so far, interval"))
    ax.set(xlabel="number of seeds", xticks=range(1, len(differences) + 1))
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax
