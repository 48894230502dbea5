"""Triplet attention: three gates, each blind along one axis, and their mean. Numbers of a small module."""

import torch

import attnlib
from attnlib.scale_attention.triplet import BRANCHES
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.shapes import Picture

CHANNELS, PIXELS, KERNEL = 3, 8, 3
CELL, SIZE = 5, 40  # a plane's cell; a channel's tile


def pictures() -> list[Picture]:
    return [residual_block("triplet-block", "TAM", "Triplet attention (TAM) scales the branch"), steps()]


def steps() -> Picture:
    x, planes, kernels, gates, total, y = numbers()
    picture = Picture(
        "triplet-steps",
        height=540,
        title="What triplet attention does: three gates over three pairs of axes, and their mean",
        description="Above, three branches read the same map x of three channels. The first pools over the rows and "
        "keeps a maximum and a mean for each channel and column; the second pools over the columns and keeps them for "
        "each row and channel; the third pools over the channels and keeps them for each row and column. In each "
        "branch one kernel over both planes gives a plane of gates of the same size. Below, the mean of the three "
        "gates makes a map for each channel, which multiplies the channel: a pixel is let through by its column, its "
        "row and its place.",
    )
    picture.also(γ="weight", β="weight", n="statistic", t="statistic")
    _branches(picture, x, planes, kernels, gates)
    _product(picture, x, total, y)
    return picture


def _branches(picture: Picture, x: list, planes: list, kernels: list, gates: list) -> None:
    middles = [98, 190, 288]
    picture.text(170, 14, "1. Pool one axis away, convolve the other two", "head")
    picture.symbol(28, 40, "x", "map")
    picture.text(28, 55, "C×H×W", "small")
    picture.symbol(116, 40, "p", "statistic")
    picture.text(136, 40, "and", "small")
    picture.symbol(156, 40, "a", "statistic")
    picture.text(136, 55, "max, mean", "small")
    picture.symbol(206, 40, "w", "weight")
    picture.text(206, 55, "7×7 each", "small")
    picture.symbol(282, 40, "g", "gate")
    for c in range(CHANNELS):
        top = middles[1] - SIZE / 2 + 46 * (c - 1)
        picture.tile(14, top, SIZE, x[c])
        picture.text(6, top + SIZE / 2 + 4, c + 1, "small")
        picture.line((54, top + SIZE / 2), (64, middles[1]))
    for middle, name, away, (largest, mean), (first, second), gate in zip(
        middles, ("C–W", "H–C", "H–W"), "HWC", planes, kernels, gates, strict=True
    ):
        height, width = CELL * len(largest), CELL * len(largest[0])
        apart = max(height / 2 + 4, 15)  # of the two planes' middles from the row's middle
        picture.arrow((64, middles[1]), (64, middle), (136 - width / 2 - 12, middle))
        picture.text(94 - width / 4, middle - 6, f"over {away}", "small")
        for sign, plane, weights in ((-1, largest, first), (1, mean, second)):
            centre = middle + sign * apart
            picture.matrix(136 - width / 2, centre - height / 2, CELL, plane, "statistic")
            picture.arrow((136 + width / 2 + 2, centre), (193, centre))
            picture.matrix(195, centre - 10.5, 7, weights, "weight")
            picture.line((217, centre), (236, middle))
        picture.line((136 - width / 2 - 12, middle - apart), (136 - width / 2 - 12, middle + apart))
        for sign in (-1, 1):
            picture.arrow((136 - width / 2 - 12, middle + sign * apart), (136 - width / 2 - 2, middle + sign * apart))
        picture.arrow((236, middle), (282 - width / 2 - 2, middle))
        picture.matrix(282 - width / 2, middle - height / 2, CELL, gate, "gate")
        picture.text(282, middle + max(height / 2, 12) + 14, name, "small")


def _product(picture: Picture, x: list, total: list, y: list) -> None:
    head, pitch = 364, 46
    columns = {"x": 94, "g": 170, "y": 246}
    picture.text(170, head, "2. Multiply by the mean of the three gates", "head")
    picture.symbol(columns["x"], head + 24, "x", "map")
    picture.text(columns["g"] - 8, head + 24, "mean of", "small", anchor="end")
    picture.symbol(columns["g"] + 3, head + 24, "g", "gate")
    picture.symbol(columns["y"], head + 24, "y", "output")
    for c in range(CHANNELS):
        middle = head + 54 + pitch * c
        picture.text(64, middle + 4, c + 1, "small")
        picture.tile(columns["x"] - SIZE / 2, middle - SIZE / 2, SIZE, x[c])
        picture.operator(132, middle, "×")
        picture.tile(columns["g"] - SIZE / 2, middle - SIZE / 2, SIZE, total[c], "gate")
        picture.arrow((columns["g"] + SIZE / 2 + 2, middle), (columns["y"] - SIZE / 2 - 2, middle))
        picture.tile(columns["y"] - SIZE / 2, middle - SIZE / 2, SIZE, y[c], "output")


def numbers() -> tuple:
    """Map, pooled planes, kernels and gate of each branch, mean of the gates, output, as lists."""
    x = patterns(CHANNELS, PIXELS)
    module = attnlib.create("triplet", CHANNELS, kernel_size=KERNEL).eval()
    bump = torch.tensor([[0.2, 0.4, 0.2], [0.4, 1.0, 0.4], [0.2, 0.4, 0.2]])
    planes, kernels, gates = [], [], []
    with torch.no_grad():
        for name, branch in module.branches.items():
            axis = BRANCHES[name]
            kernel = torch.stack([bump, 0.7 * bump])
            branch.conv.weight.copy_(kernel)
            z = torch.cat([x[None].amax(axis, True), x[None].mean(axis, True)], axis).transpose(1, axis)
            logits = branch.conv(z)
            branch.norm.running_mean.copy_(logits.mean())
            branch.norm.running_var.copy_(logits.var() / 4)
            planes.append(z[0].tolist())
            kernels.append(kernel.tolist())
            gates.append(torch.sigmoid(branch(z))[0, 0].tolist())
        total, y = module.gate(x[None])[0], module(x[None])[0]
    return x.tolist(), planes, kernels, gates, total.tolist(), y.tolist()
