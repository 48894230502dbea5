"""Spatial group-wise enhancement: each pixel of a group is compared with the group's mean. Numbers of a small SGE."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.shapes import Picture

CHANNELS, GROUPS, PIXELS = 4, 2, 6
SIZE, TOP, PITCH, APART = 38, 78, 46, 14
REACH = 4  # standard deviations from paper to full colour


def pictures() -> list[Picture]:
    return [residual_block("sge-block", "SGE", "SGE scales the branch, pixel by pixel"), steps()]


def steps() -> Picture:
    x, mean, z, gate, y, gamma = numbers()
    picture = Picture(
        "sge-steps",
        height=320,
        title="What SGE does: average a group, compare every pixel with the average, gate",
        description="Two groups of two channels each. The mean vector of a group is compared with the vector at every "
        "pixel by an inner product, and the similarities are standardised over the map. A sigmoid of the similarity, "
        "scaled by gamma and shifted by beta, is the gate of the pixel for both channels of the group. With gamma "
        f"{gamma[0]:g}, the first group lets through what resembles its mean; with gamma {gamma[1]:g}, the second one "
        "lets through what does not.",
    )
    picture.also(**{"c": "statistic", "d": "statistic", "β": "weight"})
    columns = {"x": 37, "μ": 103, "z": 169, "g": 235, "y": 303}
    heads = (("average", "mean", 103), ("compare", "standardise", 169), ("gate", "sigmoid", 235))
    for words, small, centre in heads:
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, small, "small")
    kinds = (("x", "map"), ("μ", "statistic"), ("z", "statistic"), ("g", "gate"), ("y", "output"))
    for letter, kind in kinds:
        picture.symbol(columns[letter], 54, letter, kind)
    for letter, shape in (("x", "C×H×W"), ("μ", "C"), ("z", "G×H×W"), ("g", "G×H×W"), ("y", "C×H×W")):
        picture.text(columns[letter], 70, shape, "small")
    for c in range(CHANNELS):
        group, place = divmod(c, CHANNELS // GROUPS)
        middle = TOP + SIZE / 2 + PITCH * c + APART * group
        centre = TOP + SIZE / 2 + PITCH * (CHANNELS // GROUPS * group + 0.5) + APART * group
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(columns["x"] - SIZE / 2, middle - SIZE / 2, SIZE, x[c])
        picture.arrow((columns["x"] + SIZE / 2, middle), (columns["μ"] - 18, middle))
        picture.bar(columns["μ"] - 18, middle, mean[c], "statistic")
        picture.arrow((columns["μ"] + 18, middle), (columns["z"] - SIZE / 2, centre + (middle - centre) / 4))
        picture.arrow((columns["g"] + SIZE / 2, centre), (columns["y"] - SIZE / 2, middle))
        picture.tile(columns["y"] - SIZE / 2, middle - SIZE / 2, SIZE, y[c], "output")
        if place:
            continue
        picture.tile(columns["z"] - SIZE / 2, centre - SIZE / 2, SIZE, z[group], "statistic")
        picture.arrow((columns["z"] + SIZE / 2, centre), (columns["g"] - SIZE / 2, centre))
        picture.tile(columns["g"] - SIZE / 2, centre - SIZE / 2, SIZE, gate[group], "gate")
        picture.symbol(columns["g"] - 33, centre - 8, "γ", "weight")
        picture.text(columns["g"] - 0, centre + SIZE / 2 + 14, f"γ = {gamma[group]:g}".replace("-", "−"), "small")
        picture.text(columns["y"] - 34, centre + 4, "× x", "small")
    picture.text(170, 298, "one gate a pixel for all channels of a group")
    picture.text(170, 314, "γ below zero: what is unlike the mean passes", "small")
    return picture


def numbers() -> tuple:
    """x, the means, z, g, y as nested lists, and gamma; z is drawn from -REACH / 2 (paper) to REACH / 2 (full)."""
    x = patterns(CHANNELS, PIXELS)[[0, 3, 2, 1]]
    module = attnlib.create("sge", CHANNELS, groups=GROUPS)
    gamma = torch.tensor([2.0, -2.0])
    with torch.no_grad():
        module.weight.copy_(gamma)
        module.bias.zero_()
        gate, y = module.gate(x[None])[0, :: CHANNELS // GROUPS], module(x[None])[0]
    z = torch.logit(gate) / gamma[:, None, None]
    drawn = (z / REACH + 0.5).clamp(0, 1)
    return x.tolist(), x.mean((1, 2)).tolist(), drawn.tolist(), gate.tolist(), y.tolist(), gamma.tolist()
