"""One look for every figure, and one colour for every module."""

import matplotlib.pyplot as plt
import seaborn as sns

# Okabe and Ito's palette: told apart with any colour vision, and in grey by the markers that the plots add.
COLOURS = {
    "none": "#555555",
    "constant": "#999999",
    "se": "#0072B2",
    "nam": "#D55E00",
    "sa": "#009E73",
}
_SPARE = ("#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


def colour(key: str) -> str:
    """The colour of a module; any other name, e.g. `sa(shuffle=False)`, gets a spare colour, always the same."""
    return COLOURS.get(key, _SPARE[sum(key.encode()) % len(_SPARE)])


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
