"""Squeeze-and-Excitation: where it sits, and what it does. The numbers are those of a small SE with fixed weights."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.shapes import Picture

ROWS = 4
PIXELS = 6


def pictures() -> list[Picture]:
    return [residual_block("se-block", "SE", "SE scales the branch, never the shortcut"), steps()]


def steps() -> Picture:
    x, z, hidden, gate, y, first, second = numbers()
    picture = Picture(
        "se-steps",
        height=334,
        title="What SE does: squeeze, excite, scale",
        description=f"Four channels of a map x. Squeeze: each is averaged to one number, {listed(z)}. Excite: two "
        f"hidden units look at all four means, and give each channel a gate between 0 and 1: {listed(gate)}. Scale: "
        "each channel is multiplied by its gate, as a whole, and comes out fainter where the gate is short.",
    )
    picture.also(b_1="weight", b_2="weight")
    top, pitch, size = 78, 50, 40
    middles = [top + size / 2 + pitch * c for c in range(ROWS)]
    columns = {"x": 38, "z": 104, "W": 161, "g": 218, "y": 304}
    for words, centre in (("squeeze", 72), ("excite", columns["W"]), ("scale", 264)):
        picture.text(centre, 15, words, "head")
    picture.text(72, 31, "mean", "small")
    picture.text(columns["W"], 31, "two layers", "small")
    picture.text(264, 31, "multiply", "small")
    kinds = (("x", "map", "C×H×W"), ("z", "statistic", "C"), ("g", "gate", "C"), ("y", "output", "C×H×W"))
    for letter, kind, shape in kinds:
        picture.symbol(columns[letter], 54, letter, kind)
        picture.text(columns[letter], 70, shape, "small")
    picture.symbol(columns["W"] - 14, 54, "W", "weight", sub="1")
    picture.symbol(columns["W"] + 14, 54, "W", "weight", sub="2")
    picture.text(columns["W"], 70, "C / r", "small")
    nodes = [(columns["W"], middles[0] + pitch * (0.9 + 1.2 * k)) for k in range(len(hidden))]
    for c, middle in enumerate(middles):
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(18, middle - 20, size, x[c])
        picture.arrow((58, middle), (86, middle))
        picture.bar(86, middle, z[c], "statistic")
        for k, node in enumerate(nodes):
            picture.wire((122, middle), node, first[k][c])
            picture.wire(node, (200, middle), second[c][k])
        picture.bar(200, middle, gate[c], "gate")
        picture.arrow((236, middle), (253, middle))
        picture.arrow((271, middle), (284, middle))
        picture.tile(284, middle - 20, size, y[c], "output")
        picture.text(334, middle + 4, c + 1, "small")
    for node, value in zip(nodes, hidden, strict=True):
        picture.node(*node, "weight", filled=value > 0)
    picture.operator(262, middles[0], "×", rows=ROWS, pitch=pitch)
    bus = middles[-1] + 38
    picture.arrow((38, middles[-1] + 20), (38, bus), (262, bus), (262, middles[-1] + 9))
    picture.text(150, bus - 6, "x itself, unchanged", "small")
    picture.text(170, bus + 22, "no pixel moves: a channel is turned down as a whole")
    picture.text(170, bus + 40, "thick line: large weight; dashed: negative", "small")
    return picture


def numbers() -> tuple:
    """The map, its means, the hidden units, the gates, the output and both matrices, as nested lists."""
    x = patterns(ROWS, PIXELS)
    module = attnlib.create("se", ROWS, reduction=2, bias=False)
    first = torch.tensor([[1.4, -0.9, 0.7, 0.5], [-0.8, 1.3, -0.6, 1.2]])
    second = torch.tensor([[3.0, -1.4], [-2.6, 0.6], [1.2, 0.3], [-1.2, -2.8]])
    with torch.no_grad():
        module.reduce.weight.copy_(first[..., None, None])
        module.expand.weight.copy_(second[..., None, None])
        z = x.mean((1, 2))
        hidden = torch.relu(first @ z)
        gate = module.gate(x[None])[0, :, 0, 0]
        y = module(x[None])[0]
    return tuple(value.tolist() for value in (x, z, hidden, gate, y, first, second))


def listed(values: list[float]) -> str:
    """0.25, 0.50 and 0.75"""
    *most, last = (f"{value:.2f}" for value in values)
    return f"{', '.join(most)} and {last}"
