"""The book's colours as data, for pictures, equations, plots and pages. It imports no library.

`QUANTITIES` has a colour for each kind of quantity, one for light and one for dark paper: in a mechanism picture, an
equation, a comment and a plot the same colour is the same kind of thing.
"""

from typing import NamedTuple


class Ink(NamedTuple):
    """One colour as it is on light and on dark paper."""

    light: str
    dark: str


INK = Ink("#1f2933", "#e4e7eb")  # lines and words
FAINT = Ink("#52606d", "#a5b1bd")  # words of the second rank
PAPER = Ink("#fefefe", "#14181e")  # what a figure stands on; not pure white, which may be part of a photograph

QUANTITIES = {
    "map": Ink("#2f6aa8", "#7fb0e6"),  # x: what comes in, and whatever has its shape and content
    "statistic": Ink("#1a7d71", "#5fd0c3"),  # z, mu, q, k: computed from the map, in order to decide
    "weight": Ink("#7a4fa3", "#c49bea"),  # W, b, gamma: learned, the same for every image
    "gate": Ink("#b84a0c", "#ff9d5c"),  # g, A: the decision, from the image at hand
    "output": Ink("#a8215c", "#ff92bb"),  # y: what goes out
}
