"""The two families: which positions may take from which, and what each makes of a hole. Numbers of small modules."""

import torch
from torch import Tensor

import attnlib
from attnlib.self_attention.dot_product import attention_weights
from book.figures.patterns import patterns
from book.figures.shapes import Picture

POSITIONS, PIXELS, HOLE = 6, 6, (2, 2)
WINDOW = {-1: 0.45, 0: 0.9, 1: 0.6}  # of a convolution: what a position takes from its neighbours


def pictures() -> list[Picture]:
    return [matrix(), hole()]


def matrix() -> Picture:
    picture = Picture(
        "two_families-matrix",
        height=232,
        title="The same equation, three kinds of matrix",
        description="Three squares of six rows and six columns. A row is a position of the output, a column one of the "
        "input. Convolution: three diagonals, the same in every row. Scale attention: the middle diagonal alone, with "
        "other values in each row. Self-attention: every cell may be filled, each row in its own way.",
    )
    picture.text(170, 16, "what position i takes from position j")
    cell, top = 15, 76
    wide = POSITIONS * cell
    panels = {
        "convolution": (convolution(), "weight", "near, and fixed"),
        "scale": (scale(), "gate", "itself alone"),
        "self-attention": (mixing(), "gate", "any, its choice"),
    }
    for number, (name, (values, kind, words)) in enumerate(panels.items()):
        left = 28 + number * (wide + 16)
        centre = left + wide / 2
        picture.text(centre, top - 30, name, "head")
        picture.text(centre, top - 7, "j", "small")
        picture.matrix(left, top, cell, values.tolist(), kind)
        picture.text(centre, top + wide + 19, words, "small")
    picture.text(15, top + wide / 2 + 4, "i", "small")
    picture.text(80, top + wide + 44, "the same for", "small")
    picture.text(80, top + wide + 58, "every image", "small")
    picture.text(238, top + wide + 44, "computed from", "small")
    picture.text(238, top + wide + 58, "the image", "small")
    picture.line((135, top + wide + 32), (135, top + wide + 62), kind="thin")
    return picture


def hole() -> Picture:
    x, scaled, mixed = filled()
    size, cell = 92, 92 / PIXELS
    picture = Picture(
        "two_families-hole",
        height=256,
        title="A map with a hole, scaled and mixed",
        description="Left, a map in which one position is empty. Scaled by a gate it comes out fainter, and the empty "
        "position is still empty. Mixed by self-attention, that position holds an average of what the others hold.",
    )
    rows = {"scale": (34, "× gate", scaled, "the hole stays"), "move": (150, "Σ over positions", mixed, "it is filled")}
    left, right, middle = 18, 226, 126
    picture.symbol(left + size / 2, middle - size / 2 - 8, "x", "map")
    picture.tile(left, middle - size / 2, size, x)
    picture.outline(left + HOLE[1] * cell, middle - size / 2 + HOLE[0] * cell, cell, cell, kind="mark")
    picture.text(left + size / 2, middle + size / 2 + 17, "one position is empty", "small")
    for top, words, values, outcome in rows.values():
        centre = top + size / 2
        picture.arrow((left + size, middle), (132, middle), (132, centre), (right, centre))
        picture.text(178, centre - 8, words, "small")
        picture.text(178, centre + 18, outcome, "small")
        picture.tile(right, top, size, values, "output")
        picture.outline(right + HOLE[1] * cell, top + HOLE[0] * cell, cell, cell, kind="mark")
    picture.symbol(right + size / 2, 26, "y", "output")
    return picture


def convolution() -> Tensor:
    """A band: the same few weights in every row."""
    rows = torch.zeros(POSITIONS, POSITIONS)
    for offset, weight in WINDOW.items():
        rows += torch.diag(torch.full((POSITIONS - abs(offset),), weight), offset)
    return rows


def scale() -> Tensor:
    """The gates of SGE, which differ from position to position, on the diagonal."""
    x = patterns(2, POSITIONS)[:, :1]
    module = attnlib.create("sge", 2, groups=1)
    with torch.no_grad():
        module.weight.fill_(1.5)
        module.bias.fill_(0.0)
        return torch.diag(module.gate(x[None])[0, 0, 0])


def mixing() -> Tensor:
    """Weights by likeness between six positions."""
    x = patterns(3, POSITIONS)[:, 1]
    weights = attention_weights(4 * x.T, x.T, scale=1.0)
    return weights / weights.max()


def filled() -> tuple:
    """A map with a hole, what SE gives and what self-attention by likeness gives, first channel of each."""
    x = patterns(2, PIXELS)
    x[:, HOLE[0], HOLE[1]] = 0
    se = attnlib.create("se", 2, reduction=1)
    for parameter in se.expand.parameters():  # logits of zero, gates of one half
        torch.nn.init.zeros_(parameter)
    rows = x.flatten(1).T
    with torch.no_grad():
        scaled = se(x[None])[0, 0]
        mixed = (attention_weights(8 * rows, rows, scale=1.0) @ rows)[:, 0].view(PIXELS, PIXELS)
    return x[0].tolist(), scaled.tolist(), mixed.tolist()
