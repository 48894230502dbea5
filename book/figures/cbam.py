"""CBAM: a gate for each channel from means and maxima, then a gate for each pixel. Numbers of a small CBAM."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.se import listed
from book.figures.shapes import Picture

CHANNELS, PIXELS, KERNEL = 3, 8, 3
SIZE = 40


def pictures() -> list[Picture]:
    return [residual_block("cbam-block", "CBAM", "CBAM scales the branch, never the shortcut"), steps()]


def steps() -> Picture:
    x, z, m, first, second, gate, u, p, a, kernel, spatial, y = numbers()
    picture = Picture(
        "cbam-steps",
        height=524,
        title="What CBAM does: a gate for each channel, then a gate for each pixel",
        description="Above, the channel half. Each of three channels of a map x is pooled twice, to its mean "
        f"({listed(z)}) and to its maximum ({listed(m)}). Means and maxima pass through the same two layers, one after "
        f"the other; the two answers are added and give each channel a gate: {listed(gate)}. Multiplied by it, the "
        "channels become the map u. Below, the spatial half. At each pixel the maximum and the mean over the channels "
        "of u are kept, two maps. One kernel over both gives each pixel a gate, and every channel of u is multiplied "
        "by this one map.",
    )
    picture.also(b_1="weight", b_2="weight", γ="weight", β="weight")
    _channel_half(picture, x, z, m, first, second, gate, u)
    _spatial_half(picture, u, p, a, kernel, spatial, y)
    return picture


def _channel_half(picture: Picture, x: list, z: list, m: list, first: list, second: list, gate: list, u: list) -> None:
    top, pitch = 74, 58
    middles = [top + 24 + pitch * c for c in range(CHANNELS)]
    picture.text(170, 14, "1. Which channels? The same two layers, twice", "head")
    for centre, letter in ((38, "x"), (304, "u")):
        picture.symbol(centre, 44, letter, "map")
        picture.text(centre, 60, "C×H×W", "small")
    picture.symbol(94, 44, "z", "statistic")
    picture.symbol(116, 44, "m", "statistic")
    picture.text(105, 60, "C each", "small")
    picture.symbol(148, 44, "W", "weight", sub="1")
    picture.symbol(176, 44, "W", "weight", sub="2")
    picture.text(162, 60, "C / r", "small")
    picture.symbol(226, 44, "g", "gate", sub="c")
    picture.text(226, 60, "C", "small")
    nodes = [(163, middles[0] + 30), (163, middles[-1] - 26)]
    for c, middle in enumerate(middles):
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(18, middle - SIZE / 2, SIZE, x[c])
        picture.arrow((58, middle), (84, middle - 13))
        picture.arrow((58, middle), (84, middle + 13))
        picture.bar(86, middle - 13, z[c], "statistic")
        picture.bar(86, middle + 13, m[c], "statistic")
        for node, shift in zip(nodes, (-13, 13), strict=True):
            picture.wire((122, middle + shift), node, first[0][c])
            picture.wire(node, (208, middle), second[c][0])
        picture.bar(208, middle, gate[c], "gate")
        picture.arrow((244, middle), (257, middle))
        picture.arrow((275, middle), (284, middle))
        picture.tile(284, middle - SIZE / 2, SIZE, u[c])
        picture.text(334, middle + 4, c + 1, "small")
    for node in nodes:
        picture.node(*node, "weight", filled=True)
    picture.operator(266, middles[0], "×", rows=CHANNELS, pitch=pitch)
    bus = middles[-1] + 34
    picture.arrow((38, middles[-1] + SIZE / 2), (38, bus), (266, bus), (266, middles[-1] + 9))


def _spatial_half(picture: Picture, u: list, p: list, a: list, kernel: list, spatial: list, y: list) -> None:
    head, top, pitch = 278, 338, 48
    middles = [top + SIZE / 2 + pitch * c for c in range(CHANNELS)]
    middle = middles[1]
    picture.text(170, head, "2. Which pixels? Pool over channels, convolve", "head")
    columns = {"u": 38, "p": 104, "w": 168, "g": 228, "y": 304}
    for letter, kind, shape in (("u", "map", "C×H×W"), ("y", "output", "C×H×W")):
        picture.symbol(columns[letter], head + 28, letter, kind)
        picture.text(columns[letter], head + 44, shape, "small")
    picture.symbol(columns["g"], head + 28, "g", "gate", sub="ij")
    picture.text(columns["g"], head + 44, "H×W", "small")
    picture.symbol(columns["w"], head + 28, "w", "weight")
    picture.text(columns["w"], head + 44, "7×7 each", "small")
    for c, row in enumerate(middles):
        picture.text(8, row + 4, c + 1, "small")
        picture.tile(18, row - SIZE / 2, SIZE, u[c])
        picture.tile(284, row - SIZE / 2, SIZE, y[c], "output")
        picture.text(334, row + 4, c + 1, "small")
        picture.line((58, row), (70, middle))
        picture.arrow((275, row), (284, row))
    above, below = middle - 30, middle + 30
    for row, values, letter, words, weights in (
        (above, p, "p", "maximum", kernel[0]),
        (below, a, "a", "mean", kernel[1]),
    ):
        label = row - SIZE / 2 - 6 if row == above else row + SIZE / 2 + 15
        picture.symbol(84, label, letter, "statistic", anchor="start")
        picture.text(97, label, words, "small", anchor="start")
        picture.arrow((70, middle), (84, row))
        picture.tile(84, row - SIZE / 2, SIZE, values, "statistic")
        picture.arrow((124, row), (155, row))
        picture.tile(156, row - 12, 24, weights, "weight")
        picture.line((180, row), (198, middle))
    picture.arrow((198, middle), (208, middle))
    picture.tile(208, middle - SIZE / 2, SIZE, spatial, "gate")
    picture.arrow((248, middle), (257, middle))
    picture.operator(266, middles[0], "×", rows=CHANNELS, pitch=pitch)
    bus = middles[-1] + 32
    picture.arrow((38, middles[-1] + SIZE / 2), (38, bus), (266, bus), (266, middles[-1] + 9))
    picture.text(170, bus + 20, "one map of gates for all channels (drawn: a 3×3 kernel)")


def numbers() -> tuple:
    """Map, means, maxima, both layers, channel gate, gated map, pooled maps, kernel, spatial gate, output, as lists."""
    x = patterns(CHANNELS, PIXELS)
    module = attnlib.create("cbam", CHANNELS, reduction=CHANNELS, kernel_size=KERNEL, bias=False).eval()
    first, second = torch.tensor([[1.2, -0.9, 0.8]]), torch.tensor([[2.2], [-2.0], [0.4]])
    bump = torch.tensor([[0.3, 0.6, 0.3], [0.6, 1.0, 0.6], [0.3, 0.6, 0.3]])
    kernel = torch.stack([bump, 0.6 * bump])
    with torch.no_grad():
        module.channel_gate.reduce.weight.copy_(first)
        module.channel_gate.expand.weight.copy_(second)
        module.spatial_gate.conv.weight.copy_(kernel)
        module.spatial_gate.norm.bias.fill_(-4)
        z, m = x.mean((1, 2)), x.amax((1, 2))
        gate = torch.sigmoid(module.channel_gate(z[None], m[None]))[0, :, 0, 0]
        u = x * gate[:, None, None]
        p, a = u.amax(0), u.mean(0)
        spatial = torch.sigmoid(module.spatial_gate(torch.stack([p, a])[None]))[0, 0]
        y = module(x[None])[0]
    values = (x, z, m, first, second, gate, u, p, a, kernel, spatial, y)
    return tuple(value.tolist() for value in values)
