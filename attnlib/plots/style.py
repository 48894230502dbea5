"""One look for every figure: a colour and a marker for every module, and letters that follow the page's theme."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from attnlib import registry
from attnlib.plots import colours

# The colours of words and quantities; in an SVG each of them is light or dark as the page is (attnlib/plots/svg.py).
INK, FAINT, PAPER = colours.INK.light, colours.FAINT.light, colours.PAPER.light
MAP, STATISTIC, WEIGHT, GATE, OUTPUT = (ink.light for ink in colours.QUANTITIES.values())

COLUMN = 4.8  # inches: a figure this wide keeps its letters above 9 px on a phone of 390 px
PANEL = 2.6  # inches: the usual height of one of several panels


@dataclass(frozen=True)
class Look:
    """How a module is drawn.

    Attributes:
        name: as a legend calls it.
        colour: of its points, lines and bars.
        marker: of its points.
        line: "-" for the module as it is, another style for a variant of it.
        filled: whether its markers are filled; those of variants are open.
    """

    name: str
    colour: str
    marker: str
    line: str = "-"
    filled: bool = True

    def points(self, **more: Any) -> dict[str, Any]:
        """Arguments of `ax.plot` that draw it: ax.plot(x, y, **look("se").points(ls="")); `more` goes first."""
        face = self.colour if self.filled else PAPER
        mine = {"color": self.colour, "marker": self.marker, "ls": self.line, "mfc": face, "mec": self.colour}
        return mine | more


LOOKS = {key: Look(key, *pair) for key, pair in colours.PALETTE.items()}
COLOURS = {key: look.colour for key, look in LOOKS.items()}
# What sets the variants of one module apart in one plot: line and, from the fourth on, another marker.
_VARIANTS = [(line, marker) for marker in ("", *"h8pdH<>") for line in ("--", "-.", ":")]


def colour(label: str) -> str:
    """The colour of a module; a variant of it, e.g. `sa(shuffle=False)`, has the same one, see `look`.

    Raises:
        UnknownNameError: no such module.
    """
    return look(label).colour


def look(label: str, variant: int = 0) -> Look:
    """How a key, or the label of a recipe such as `constant(value=0.0)`, is drawn.

    A module with arguments is a variant: in the module's colour, with open markers and a broken line. Where several
    variants of a module stand in one plot, `looks` numbers them.

    Raises:
        UnknownNameError: no such module.
        ValueError: variant is below 0 or above 23.
    """
    key, arguments, _ = label.partition("(")
    if key not in LOOKS:
        registry.info(key)  # says what is near
        raise ValueError(f"{key!r} has no colour yet; give it a pair that no other has in attnlib/plots/colours.py")
    if not arguments:
        return LOOKS[key]
    if not 0 <= variant < len(_VARIANTS):
        raise ValueError(f"variant must be 0 to {len(_VARIANTS) - 1}, got {variant}; draw small multiples instead")
    line, marker = _VARIANTS[variant]
    return Look(label, LOOKS[key].colour, marker or LOOKS[key].marker, line, filled=False)


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """The look of every label of one plot, no two alike; variants of a module are numbered by their labels' order."""
    unique = sorted(set(labels))
    found = {}
    for label in unique:
        siblings = [other for other in unique if "(" in other and other.partition("(")[0] == label.partition("(")[0]]
        found[label] = look(label, siblings.index(label) if "(" in label else 0)
    return found


def panels(count: int, height: float = PANEL, **arguments: Any) -> tuple[Figure, np.ndarray]:
    """A figure of panels one under the other, as wide as a phone's column: figure, axes = panels(3, sharex=True).

    Args:
        count: number of panels.
        height: of each, in inches.
        arguments: of `plt.subplots`.

    Raises:
        ValueError: fewer than one panel.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}")
    figure, axes = plt.subplots(count, 1, figsize=(COLUMN, height * count), squeeze=False, **arguments)
    return figure, axes[:, 0]


def use(vector: bool = True) -> None:
    """Set the book's style for all figures that follow, and show them as SVG.

    Args:
        vector: False shows them as pixels, at twice the resolution, for a figure that is too large as an SVG.
    """
    sns.set_theme(context="notebook", style="whitegrid", palette=[*COLOURS.values()])
    plt.rcParams.update(
        {
            "figure.figsize": (COLUMN, 3.2),
            "figure.dpi": 100,
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "axes.edgecolor": FAINT,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 10.5,
            "axes.labelsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.sans-serif": ["DejaVu Sans"],  # wider than what most pages have, so that nothing overlaps there
            "font.size": 10,
            "grid.color": FAINT,
            "grid.alpha": 0.3,
            "grid.linewidth": 0.6,
            "legend.facecolor": "none",
            "legend.fontsize": 9.5,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "image.cmap": "viridis",
            "image.composite_image": False,
            "image.interpolation": "none",  # an SVG holds an image's own pixels, and the browser enlarges them
            "savefig.facecolor": "none",
            "savefig.pad_inches": 0.03,
            "svg.fonttype": "none",
            "svg.hashsalt": "attnlib",
        }
    )
    matplotlib.backend_bases.register_backend("svg", "attnlib.plots.svg")
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        from matplotlib_inline.config import InlineBackend

        InlineBackend.instance(parent=shell).figure_formats = {"svg" if vector else "retina"}
