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

# Ten colours with a contrast of 3 or more on white and on black, every two of them apart by 10 or more in CIEDE2000 for
# normal sight, protanopia, deuteranopia and tritanopia (tests/plots/test_palette.py computes it).
_GREY, _SILVER = "#666666", "#949494"
_BLUE, _VIOLET, _PLUM, _MAUVE = "#8778ff", "#8700ff", "#785a87", "#a587b4"
_RED, _ORANGE, _GREEN, _MOSS = "#d20000", "#f0690f", "#4ba569", "#4b784b"

# A colour and a marker for each key, no pair twice. The modules of one group stand in one plot more often than others,
# and have ten different colours with the two controls; modules of two groups may share a colour, never its marker.
GROUPS = {
    "controls": {"none": (_GREY, "s"), "constant": (_SILVER, "D")},
    "a factor for each channel, or cheap ones": {
        "se": (_BLUE, "o"),
        "eca": (_RED, "^"),
        "sem": (_PLUM, "P"),
        "iebn": (_MAUVE, "X"),
        "nam": (_ORANGE, "v"),
        "sa": (_GREEN, "*"),
    },
    "a factor for each channel and position": {
        "residual_attention": (_VIOLET, "^"),
        "ge": (_PLUM, "v"),
        "bam": (_ORANGE, "<"),
        "cbam": (_MOSS, "o"),
        "sge": (_MAUVE, "P"),
        "triplet": (_GREEN, "X"),
    },
    "self-attention": {
        "dot_product": (_VIOLET, "o"),
        "non_local": (_RED, "v"),
        "sagan": (_ORANGE, "*"),
        "sasa": (_GREEN, "^"),
        "sasa_stem": (_MOSS, "P"),
        "base_oc": (_BLUE, "X"),
        "pyramid_oc": (_PLUM, "<"),
        "asp_oc": (_MAUVE, ">"),
    },
}
PALETTE = {key: pair for group in GROUPS.values() for key, pair in group.items()}
