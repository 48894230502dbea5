"""Efficient channel attention: one short kernel slides over the channels' means. Numbers of a small ECA."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.se import listed
from book.figures.shapes import Picture

ROWS, PIXELS = 6, 6
KERNEL = (2.5, -3.5, 1.5)
MARKED = 2  # the channel, counted from 0, whose window is marked


def pictures() -> list[Picture]:
    return [residual_block("eca-block", "ECA", "ECA scales the branch, never the shortcut"), steps()]


def steps() -> Picture:
    x, z, gate, y = numbers()
    first, own, last = (f"{weight:g}" for weight in KERNEL)
    picture = Picture(
        "eca-steps",
        height=446,
        title="What ECA does: average, slide one kernel over the averages, scale",
        description=f"Six channels of a map x. Each is averaged to one number: {listed(z)}. One kernel of three "
        f"weights, {first}, {own} and {last}, slides over these numbers: the gate of a channel is the sigmoid of a "
        "weighted sum of its own average and those of the channels before and after it, and of zero beyond both ends. "
        f"The gates are {listed(gate)}. Each channel is multiplied by its gate. The window of channel "
        f"{MARKED + 1} is marked.",
    )
    top, pitch, size = 92, 48, 38
    middles = [top + size / 2 + pitch * c for c in range(ROWS)]
    columns = {"x": 37, "z": 104, "w": 165, "g": 226, "y": 305}
    for words, below, centre in (
        ("squeeze", "mean", 71),
        ("slide", "k weights", columns["w"]),
        ("scale", "multiply", 266),
    ):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, below, "small")
    for letter, kind, shape in (("x", "map", "C×H×W"), ("z", "statistic", "C"), ("w", "weight", "k"),
                                ("g", "gate", "C"), ("y", "output", "C×H×W")):  # fmt: skip
        picture.symbol(columns[letter], 54, letter, kind)
        picture.text(columns[letter], 70, shape, "small")
    window = middles[MARKED - 1] - 14, middles[MARKED + 1] + 26
    picture.outline(81, window[0], 46, window[1] - window[0], "mark")
    ends = {-1: middles[0] - 32, ROWS: middles[-1] + 38}
    for middle in ends.values():
        picture.text(104, middle + 4, "0", "small")
    sources = dict(enumerate(middles)) | ends
    for c, middle in enumerate(middles):
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(18, middle - size / 2, size, x[c])
        picture.arrow((18 + size, middle), (86, middle))
        picture.bar(86, middle, z[c], "statistic")
        for j, weight in enumerate(KERNEL, start=-1):
            start = 124 if c + j not in ends else 112
            picture.wire((start, sources[c + j]), (206, middle), weight / 1.1 if c == MARKED else weight / 4)
        picture.bar(208, middle, gate[c], "gate")
        picture.arrow((244, middle), (257, middle))
        picture.arrow((275, middle), (286, middle))
        picture.tile(286, middle - size / 2, size, y[c], "output")
        picture.text(334, middle + 4, c + 1, "small")
    for j, below in enumerate((15, -6, -4), start=1):  # between the wires
        picture.symbol(columns["w"], middles[MARKED - 2 + j] + below, "w", "weight", sub=str(j))
    picture.operator(266, middles[0], "×", rows=ROWS, pitch=pitch)
    bus = middles[-1] + 52
    picture.arrow((37, middles[-1] + size / 2), (37, bus), (266, bus), (266, middles[-1] + 9))
    picture.text(180, bus - 6, "x itself, unchanged", "small")
    picture.text(170, bus + 22, "the same three weights for every channel")
    picture.text(170, bus + 40, f"{first}, {own}, {last}; dashed: negative; 0 beyond the ends", "small")
    return picture


def numbers() -> tuple:
    """The map, its means, the gates and the output, as nested lists."""
    x = patterns(ROWS, PIXELS)
    module = attnlib.create("eca", ROWS, kernel_size=len(KERNEL))
    with torch.no_grad():
        module.conv.weight.copy_(torch.tensor(KERNEL).view(1, 1, -1))
        z, gate, y = x.mean((1, 2)), module.gate(x[None])[0, :, 0, 0], module(x[None])[0]
    return tuple(value.tolist() for value in (x, z, gate, y))
