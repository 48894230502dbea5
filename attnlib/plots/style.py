"""One look for every figure, and one colour for every module."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import seaborn as sns

from attnlib import registry

# Okabe and Ito's palette: told apart with any colour vision, and in grey by the markers that the plots add.
COLOURS = {
    "none": "#555555",
    "constant": "#999999",
    "se": "#0072B2",
    "nam": "#D55E00",
    "sa": "#009E73",
}
_SPARE = ("#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


@dataclass(frozen=True)
class Look:
    """How a family of modules is drawn, and what a legend calls it."""

    name: str
    colour: str
    marker: str


# For figures with more modules than there are colours; the modules' names stand beside their points.
LOOKS = {
    "none": Look("no attention", "#000000", "s"),
    "control": Look("control: a constant gate", "#777777", "D"),
    "scale": Look("scale attention", "#0072B2", "o"),
    "self": Look("self-attention", "#D55E00", "^"),
}


def colour(key: str) -> str:
    """The colour of a module; any other name, e.g. `sa(shuffle=False)`, gets a spare colour, always the same."""
    return COLOURS.get(key, _SPARE[sum(key.encode()) % len(_SPARE)])


def look(label: str) -> Look:
    """How the module of a recipe's label, e.g. `constant(value=0.0)`, is drawn: by its family.

    Raises:
        UnknownNameError: no such module.
    """
    key = label.partition("(")[0]
    return LOOKS["none" if key == "none" else registry.info(key).family]


def use() -> None:
    """Set the book's style for all figures that follow."""
    sns.set_theme(context="notebook", style="whitegrid", palette=list(COLOURS.values()))
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.titlesize": "medium",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.cmap": "viridis",
            "image.interpolation": "nearest",
        }
    )
