"""NAM: a batch norm's scales, read as shares, say how far the gates may leave one half. Numbers of a small NAM."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.se import listed
from book.figures.shapes import Picture

ROWS, PIXELS = 4, 6
SCALES = (2.4, 0.3, 1.2, 0.1)


def pictures() -> list[Picture]:
    return [residual_block("nam-block", "NAM", "NAM scales the branch, never the shortcut"), steps()]


def steps() -> Picture:
    x, z, share, gate, y = numbers()
    picture = Picture(
        "nam-steps",
        height=334,
        title="What NAM does: normalise, weigh by the share of the scale, gate every value",
        description=f"Four channels of a map x are normalised to z. Each channel has a share w of all scales, "
        f"{listed(share)}. The gate is the sigmoid of w times z, one at every value: where the share is large the gate "
        "follows the picture, where it is small it stays near one half. The gate multiplies x.",
    )
    picture.also(**{"γ": "weight", "β": "weight", "μ": "statistic", "ν": "statistic"})
    top, pitch, size = 78, 50, 40
    middles = [top + size / 2 + pitch * c for c in range(ROWS)]
    columns = {"x": 38, "z": 104, "w": 165, "g": 226, "y": 306}
    for words, below, centre in (
        ("normalise", "batch norm", 71),
        ("weigh", "sigmoid", 165),
        ("scale", "multiply", 266),
    ):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, below, "small")
    kinds = (
        ("x", "map", "C×H×W"), ("z", "statistic", "C×H×W"), ("w", "weight", "C"), ("g", "gate", "C×H×W"),
        ("y", "output", "C×H×W"),
    )  # fmt: skip
    for letter, kind, shape in kinds:
        picture.symbol(columns[letter], 54, letter, kind)
        picture.text(columns[letter], 70, shape, "small")
    for c, middle in enumerate(middles):
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(18, middle - 20, size, x[c])
        picture.arrow((58, middle), (84, middle))
        picture.tile(84, middle - 20, size, z[c], "statistic")
        picture.arrow((124, middle), (147, middle))
        picture.bar(147, middle, share[c], "weight")
        picture.arrow((183, middle), (206, middle))
        picture.tile(206, middle - 20, size, gate[c], "gate")
        picture.arrow((246, middle), (257, middle))
        picture.arrow((275, middle), (286, middle))
        picture.tile(286, middle - 20, size, y[c], "output")
        picture.text(334, middle + 4, c + 1, "small")
    picture.operator(266, middles[0], "×", rows=ROWS, pitch=pitch)
    bus = middles[-1] + 38
    picture.arrow((38, middles[-1] + 20), (38, bus), (266, bus), (266, middles[-1] + 9))
    picture.text(150, bus - 6, "x itself, unchanged", "small")
    picture.text(170, bus + 22, "a small share leaves the gate at one half")
    picture.text(170, bus + 40, "shares add up to one", "small")
    return picture


def numbers() -> tuple:
    """x, z, shares, gates and output; z is drawn from -4 (paper) to 4 (full colour), everything else from 0 to 1."""
    x = patterns(ROWS, PIXELS)
    module = attnlib.create("nam", ROWS).train()  # the batch is this one image
    with torch.no_grad():
        module.channel_norm.weight.copy_(torch.tensor(SCALES))
        share = module.scale_weights(module.channel_norm.weight)
        gate, y = module.gate(x[None])[0], module(x[None])[0]
        z = module.channel_norm(x[None])[0]
    return x.tolist(), (z / 8 + 0.5).clamp(0, 1).tolist(), share.tolist(), gate.tolist(), y.tolist()
