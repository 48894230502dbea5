"""IEBN: a batch norm whose scale each image sets for itself. Numbers of a small IEBN on a batch of two images."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.shapes import Picture

CHANNELS, PIXELS = 4, 6
SIZE, TOP, PITCH = 38, 92, 52
REACH = 4  # standard deviations from paper to full colour


def pictures() -> list[Picture]:
    return [block(), steps()]


def block() -> Picture:
    picture = Picture(
        "iebn-block",
        height=160,
        title="Where IEBN sits in a residual block",
        description="On the branch of a residual block each convolution is followed by IEBN, which stands in the place "
        "of a batch norm; a ReLU follows the first. The shortcut has no layer here, and keeps a plain batch norm where "
        "it has one. Branch and shortcut are added, and a ReLU follows.",
    )
    middle = 74
    picture.text(170, 18, "IEBN takes the place of the batch norms")
    picture.arrow((4, middle), (28, middle))
    picture.box(28, middle - 15, 38, 30, "conv")
    picture.arrow((66, middle), (84, middle))
    picture.box(84, middle - 18, 42, 36, "IEBN", wash="gate")
    picture.arrow((126, middle), (142, middle))
    picture.box(142, middle - 15, 40, 30, "ReLU")
    picture.arrow((182, middle), (196, middle))
    picture.box(196, middle - 15, 38, 30, "conv")
    picture.arrow((234, middle), (250, middle))
    picture.box(250, middle - 18, 42, 36, "IEBN", wash="gate")
    for right, letter, kind in ((75, "x", "map"), (242, "x", "map")):
        picture.symbol(right, middle - 8, letter, kind)
    picture.symbol(298, middle - 20, "y", "output")
    picture.arrow((292, middle), (302, middle))
    picture.operator(311, middle, "+")
    picture.arrow((320, middle), (338, middle))
    picture.text(326, middle - 14, "ReLU", "small")
    picture.arrow((16, middle), (16, 144), (311, 144), (311, middle + 9))
    picture.text(163, 138, "shortcut", "small")
    return picture


def steps() -> Picture:
    x, z, gate, normalised, y = numbers()
    picture = Picture(
        "iebn-steps",
        height=352,
        title="What IEBN does: a gate of the image's own mean inside a batch norm",
        description="Four channels of one image. The way of the gate: each channel is averaged over its pixels, and a "
        f"sigmoid with one weight and one bias makes the gates {', '.join(f'{g:.2f}' for g in gate)}. The way of the "
        "norm, below: the mean of the batch is subtracted and its deviation divided out. The normalised map is "
        "multiplied by scale and gate, and the shift is added.",
    )
    picture.also(**{"μ": "statistic", "ν": "statistic", "β": "weight"})
    columns = {"x": 37, "z": 104, "g": 168, "n": 232, "y": 303}
    for words, small, centre in (
        ("average", "this image", columns["z"]),
        ("gate", "sigmoid", columns["g"]),
        ("norm", "the batch", columns["n"]),
    ):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, small, "small")
    for letter, kind in (("x", "map"), ("z", "statistic"), ("g", "gate"), ("y", "output")):
        picture.symbol(columns[letter], 54, letter, kind)
    picture.symbol(columns["n"], 54, "x̂", "map")
    for place, shape in (("x", "C×H×W"), ("z", "C"), ("g", "C"), ("n", "C×H×W"), ("y", "C×H×W")):
        picture.text(columns[place], 70, shape, "small")
    picture.symbol(columns["g"] - 39, 86, "w", "weight")
    picture.symbol(columns["g"] - 24, 86, "b", "weight")
    for c in range(CHANNELS):
        middle = TOP + SIZE / 2 + PITCH * c
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(columns["x"] - SIZE / 2, middle - SIZE / 2, SIZE, x[c])
        picture.arrow((columns["x"] + SIZE / 2, middle), (columns["z"] - 18, middle))
        picture.bar(columns["z"] - 18, middle, z[c], "statistic")
        picture.arrow((columns["z"] + 18, middle), (columns["g"] - 18, middle))
        picture.bar(columns["g"] - 18, middle, gate[c], "gate")
        picture.tile(columns["n"] - SIZE / 2, middle - SIZE / 2, SIZE, normalised[c])
        picture.line((columns["g"] + 18, middle), (columns["n"] - SIZE / 2, middle), kind="line dashed")
        picture.arrow((columns["n"] + SIZE / 2, middle), (columns["y"] - SIZE / 2, middle))
        picture.text((columns["n"] + columns["y"]) / 2 - 1, middle - 6, "× γ g", "small")
        picture.tile(columns["y"] - SIZE / 2, middle - SIZE / 2, SIZE, y[c], "output")
    picture.symbol(columns["n"] + 36, TOP - 14, "γ", "weight")
    bottom = TOP + SIZE + PITCH * (CHANNELS - 1)
    picture.arrow(
        (columns["x"], bottom), (columns["x"], bottom + 20), (columns["n"], bottom + 20), (columns["n"], bottom)
    )
    picture.text(134, bottom + 36, "minus mean, over deviation, of the whole batch", "small")
    picture.text(170, bottom + 60, "the gate is the image's own, the norm is the batch's")
    return picture


def numbers() -> tuple:
    """x, the means, the gates, the normalised map and the output of the first image of a batch of two, as lists.

    The last two are drawn from -REACH / 2 (paper) to REACH / 2 (full colour).
    """
    x = torch.stack([patterns(CHANNELS, PIXELS), patterns(2 * CHANNELS, PIXELS)[CHANNELS:]])
    module = attnlib.create("iebn", CHANNELS)
    with torch.no_grad():
        module.gate_scale.copy_(torch.tensor([8.0, -6.0, 9.0, 5.0]))
        module.gate_shift.copy_(torch.tensor([-2.0, 2.5, -1.5, -3.5]))
        z, gate = x[0].mean((1, 2)), module.gate(x)[0, :, 0, 0]
        normalised, y = torch.nn.functional.batch_norm(x, None, None, training=True)[0], module(x)[0]
    drawn = [(each / REACH + 0.5).clamp(0, 1).tolist() for each in (normalised, y)]
    return x[0].tolist(), z.tolist(), gate.tolist(), *drawn
