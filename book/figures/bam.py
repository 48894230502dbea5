"""BAM: a logit for each channel and one for each pixel, added or multiplied. Numbers of a small BAM."""

import torch

from book.figures.patterns import patterns
from book.figures.se import listed
from book.figures.shapes import Picture

CHANNELS, PIXELS = 3, 8
SIZE, PITCH = 42, 58
REACH = 4.0  # a logit is drawn from -REACH / 2 (paper) to REACH / 2 (full colour)


def pictures() -> list[Picture]:
    return [block(), steps()]


def block() -> Picture:
    picture = Picture(
        "bam-block",
        height=226,
        title="Where BAM sits in a ResNet: between the stages",
        description="Four stages of residual blocks in a row, and a BAM behind each of the first three; in ResNet-50 "
        "the maps there have 256, 512 and 1024 channels of 56, 28 and 14 pixels a side. Below, one such place: the sum "
        "and the ReLU of a stage's last block give the map x, BAM turns it into y, and the next stage reads y twice, "
        "in its branch and in its shortcut, each time by a convolution and a batch norm.",
    )
    picture.text(170, 16, "BAM scales what all later stages read")
    width, gap, middle = 34, 13, 58
    widths = iter((("256", "56×56"), ("512", "28×28"), ("1024", "14×14")))
    for place in range(7):
        left = 12 + (width + gap) * place
        if place:
            picture.arrow((left - gap, middle), (left, middle))
        if place % 2:
            picture.box(left, middle - 17, width, 34, "BAM", wash="gate")
            for line, words in enumerate(next(widths)):
                picture.text(left + width / 2, middle + 33 + 14 * line, words, "small")
        else:
            picture.box(left, middle - 17, width, 34, "stage", str(place // 2 + 1))
    picture.arrow((2, middle), (12, middle))
    picture.arrow((328, middle), (338, middle))
    upper, lower, row = 142, 196, 169
    picture.arrow((4, row), (17, row))
    picture.operator(26, row, "+")
    picture.arrow((35, row), (74, row))
    picture.text(54, row - 8, "ReLU", "small")
    picture.symbol(84, row - 8, "x", "map")
    picture.line((74, row), (94, row))
    picture.arrow((94, row), (108, row))
    picture.box(108, row - 19, 44, 38, "BAM", wash="gate")
    picture.line((152, row), (188, row))
    picture.symbol(170, row - 8, "y", "output")
    for height, words in ((upper, "branch"), (lower, "shortcut")):
        picture.arrow((188, row), (188, height), (206, height))
        picture.box(206, height - 17, 44, 34, "conv", "norm")
        picture.arrow((250, height), (290, height))
        picture.text(294, height + 4, words, "small", anchor="start")
    return picture


def steps() -> Picture:
    x, z, s, t, added, multiplied, y = numbers()
    picture = Picture(
        "bam-steps",
        height=330,
        title="What BAM does: a logit for each channel, a logit for each pixel, added or multiplied",
        description=f"Three channels of a map x. Their means ({listed(z)}) give each channel a logit s, "
        f"{s[0]:.1f}, {s[1]:.1f} and {s[2]:.1f}. Convolutions with gaps give each pixel a logit t, one map for all "
        "channels. On the right the gates of every channel and pixel, one plus a sigmoid. Where the two are added, all "
        "channels have the same pattern, lighter where s is low. Where they are multiplied, a channel with s near zero "
        "has the gate 1.5 everywhere, and a channel with a negative s has the pattern of t turned over. The map times "
        "the gates is the output y.",
    )
    picture.also(**{"f": "weight", "W_1": "weight", "W_2": "weight", "b_1": "weight", "b_2": "weight"})
    columns = {"x": 37, "z": 90, "s": 140, "sum": 206, "product": 258, "y": 309}
    heads = (("channels", 115), ("added", 206), ("times", 258))
    for words, centre in heads:
        picture.text(centre, 118, words, "head")
    for letter, kind, place, shape in (
        ("x", "map", "x", "C×H×W"),
        ("z", "statistic", "z", "C"),
        ("s", "statistic", "s", "C"),
    ):
        picture.symbol(columns[place], 136, letter, kind)
        picture.text(columns[place], 152, shape, "small")
    for place, sign in (("sum", "+"), ("product", "·")):
        centre = columns[place]
        picture.symbol(centre - 12, 136, "s", "statistic")
        picture.text(centre, 136, sign)
        picture.symbol(centre + 12, 136, "t", "statistic")
        picture.text(centre, 152, "1 + σ", "small")
    picture.symbol(columns["y"], 136, "y", "output")
    picture.text(columns["y"], 152, "C×H×W", "small")
    picture.text(115, 16, "pixels", "head")
    picture.text(115, 34, "1×1, two 3×3", "small")
    picture.text(115, 49, "with gaps, 1×1", "small")
    top = 160
    picture.tile(columns["sum"] + 26 - SIZE / 2, 30, SIZE, t, "statistic")
    picture.symbol(columns["sum"] + 26, 20, "t", "statistic")
    picture.text(columns["sum"] + 54, 54, "H×W", "small", anchor="start")
    picture.arrow((64, top + SIZE / 2), (64, 60), (columns["sum"] + 26 - SIZE / 2, 60))
    picture.line((columns["sum"] + 26, 72), (columns["sum"] + 26, 84))
    for place in ("sum", "product"):
        picture.arrow((columns["sum"] + 26, 84), (columns[place], 84), (columns[place], 104))
    for c in range(CHANNELS):
        middle = top + SIZE / 2 + PITCH * c
        picture.text(8, middle + 4, c + 1, "small")
        picture.tile(columns["x"] - SIZE / 2, middle - SIZE / 2, SIZE, x[c])
        picture.arrow((columns["x"] + SIZE / 2, middle), (columns["z"] - 18, middle))
        picture.bar(columns["z"] - 18, middle, z[c], "statistic")
        for other in range(CHANNELS):
            above = top + SIZE / 2 + PITCH * other
            picture.wire((columns["z"] + 18, above), (columns["s"] - 18, middle), 1.0 if c == other else -0.4)
        picture.outline(columns["s"] - 18, middle - 10, 36, 20)
        picture.text(columns["s"], middle + 4, f"{s[c]:.1f}".replace("-", "−"))
        picture.arrow((columns["s"] + 18, middle), (columns["sum"] - SIZE / 2, middle))
        picture.tile(columns["sum"] - SIZE / 2, middle - SIZE / 2, SIZE, added[c], "gate")
        picture.tile(columns["product"] - SIZE / 2, middle - SIZE / 2, SIZE, multiplied[c], "gate")
        picture.arrow((columns["product"] + SIZE / 2, middle), (columns["y"] - SIZE / 2, middle))
        picture.tile(columns["y"] - SIZE / 2, middle - SIZE / 2, SIZE, y[c], "output")
    return picture


def numbers() -> tuple:
    """x, its means, s, and t, the added and the multiplied gates less one, and y / 2 of the latter, as lists."""
    x = patterns(CHANNELS, PIXELS)
    s = torch.tensor([1.8, 0.0, -1.8])
    i, j = torch.meshgrid(torch.arange(PIXELS), torch.arange(PIXELS), indexing="ij")
    t = 3.6 * torch.exp(-((i - 2.5) ** 2 + (j - 2.5) ** 2) / 7) - 1.6
    added = torch.sigmoid(s[:, None, None] + t)
    multiplied = torch.sigmoid(s[:, None, None] * t)
    y = x * (1 + multiplied) / 2
    drawn = (t / REACH + 0.5).clamp(0, 1)
    values = (x, x.mean((1, 2)), s, drawn, added, multiplied, y)
    return tuple(value.tolist() for value in values)
