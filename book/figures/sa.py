"""Shuffle attention: two halves of each group are gated in two ways, then channels move. Numbers of a small SA."""

import torch

import attnlib
from attnlib.scale_attention.sa import shuffle_channels
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.shapes import Picture

CHANNELS, GROUPS, PIXELS = 8, 2, 6
SIZE, PITCH, GAP, LEFT = 28, 37, 14, 28


def pictures() -> list[Picture]:
    return [residual_block("sa-block", "SA", "SA scales the branch and reorders its channels"), steps()]


def steps() -> Picture:
    x, z, gate, gated, order = numbers()
    sources = ", ".join(map(str, order))
    picture = Picture(
        "sa-steps",
        height=418,
        title="What SA does: split, gate each half in its own way, shuffle",
        description="Eight channels in two groups of four. The first two channels of a group are averaged, and get one "
        "gate each; the last two are normalised, and get a gate at every pixel. Every channel is multiplied by its "
        f"gate. Then the channels are shuffled: in the output they stand in the order {sources}, so that neighbours "
        "come from different groups.",
    )
    places = [LEFT + PITCH * c + GAP * (c // 4) for c in range(CHANNELS)]
    middles = [place + SIZE / 2 for place in places]
    halves = [(middles[c] + middles[c + 1]) / 2 for c in range(0, CHANNELS, 2)]
    rows = {"x": 62, "z": 132, "g": 202, "gated": 272, "y": 350}

    for group in range(GROUPS):
        first, last = places[4 * group], places[4 * group + 3] + SIZE
        picture.text((first + last) / 2, 14, f"group {group}", "head")
        picture.line((first, 20), (last, 20), kind="thin")
        picture.text(halves[2 * group], 36, "which?", "small")
        picture.text(halves[2 * group + 1], 36, "where?", "small")
        for half, words in enumerate(("mean", "normalise")):
            picture.text(halves[2 * group + half], 118, words, "small")
            for letter, shift in (("W", -15), ("b", 15)):
                picture.symbol(halves[2 * group + half] + shift, 188, letter, "weight", sub=str(half + 1))
        picture.text(halves[2 * group], 258, "× x", "small")
        picture.text(halves[2 * group + 1], 258, "× x", "small")
    for row, letter, kind in (("x", "x", "map"), ("z", "z", "statistic"), ("g", "g", "gate"), ("y", "y", "output")):
        picture.symbol(12, rows[row] + SIZE / 2 + 4, letter, kind)
    picture.symbol(8, rows["gated"] + SIZE / 2 + 4, "g", "gate")
    picture.symbol(17, rows["gated"] + SIZE / 2 + 4, "x", "map")

    for c, (place, middle) in enumerate(zip(places, middles, strict=True)):
        picture.text(middle, rows["x"] - 6, c, "small")
        picture.tile(place, rows["x"], SIZE, x[c])
        if c % 4 < 2:
            picture.bar(place, rows["z"] + 10, z[c][0][0], "statistic", length=SIZE)
            picture.bar(place, rows["g"] + 10, gate[c][0][0], "gate", length=SIZE)
        else:
            picture.tile(place, rows["z"], SIZE, z[c], "statistic")
            picture.tile(place, rows["g"], SIZE, gate[c], "gate")
        picture.tile(place, rows["gated"], SIZE, gated[c], "output")
        target = order.index(c)
        kind = "line" if c < CHANNELS // 2 else "line dashed"
        picture.arrow((middle, rows["gated"] + SIZE), (middles[target], rows["y"]), kind=kind)
    for target, c in enumerate(order):
        picture.tile(places[target], rows["y"], SIZE, gated[c], "output")
        picture.text(middles[target], rows["y"] + SIZE + 14, c, "small")
    picture.text(170, rows["y"] + SIZE + 34, "the shuffle: neighbours come from different groups")
    return picture


def numbers() -> tuple:
    """x, z, g and g x as nested lists, and for each place of the output the channel that moves there.

    The normalised maps are drawn from -2.5 (paper) to 2.5 (full colour), everything else from 0 to 1.
    """
    x = patterns(CHANNELS, PIXELS)
    module = attnlib.create("sa", CHANNELS, groups=GROUPS, shuffle=False)
    with torch.no_grad():
        module.channel_weight.copy_(torch.tensor([6.0, -5.0]))
        module.channel_bias.copy_(torch.tensor([-2.0, 2.0]))
        module.spatial_weight.copy_(torch.tensor([1.5, -1.5]))
        module.spatial_bias.zero_()
        gate, gated = module.gate(x[None])[0], module(x[None])[0]
    normalised = torch.nn.functional.instance_norm(x[None])[0]
    first_half = torch.arange(CHANNELS) % 4 < 2
    z = torch.where(first_half[:, None, None], x.mean((1, 2), keepdim=True), normalised / 5 + 0.5).clamp(0, 1)
    order = shuffle_channels(torch.arange(CHANNELS).view(1, -1, 1, 1)).flatten().tolist()
    return x.tolist(), z.tolist(), gate.tolist(), gated.tolist(), order
