"""Residual attention: a trunk, a mask from an hourglass, and one plus the mask. Values are those of a drawn example."""

import torch
import torch.nn.functional as F

from book.figures.shapes import Picture

PIXELS = 12
TILE, SMALL = 58, 36


def pictures() -> list[Picture]:
    return [block(), steps()]


def block() -> Picture:
    picture = Picture(
        "residual_attention-block",
        height=190,
        title="Where residual attention sits: modules one behind the other in a stage",
        description="A stage of a network: a residual unit that sets the width, then attention modules one behind the "
        "other. A module has p residual units, then two branches: a trunk of t residual units, and a mask branch that "
        "goes down by pooling and up again. The trunk is multiplied by one plus the mask, and p residual units follow.",
    )
    picture.text(170, 16, "a stage: a unit, then modules one after the other")
    picture.arrow((4, 42), (24, 42))
    picture.box(24, 28, 40, 28, "unit")
    for left in (86, 166, 246):
        picture.arrow((left - 22, 42), (left, 42))
        picture.box(left, 28, 58, 28, "module", wash="gate" if left == 166 else "")
    picture.arrow((304, 42), (336, 42))
    picture.line((166, 56), (8, 84), kind="thin")
    picture.line((224, 56), (332, 84), kind="thin")
    picture.outline(8, 84, 324, 102, "thin")
    picture.arrow((8, 112), (22, 112))
    picture.box(22, 98, 46, 28, "p units")
    picture.arrow((68, 112), (112, 112))
    picture.box(112, 98, 62, 28, "t units")
    picture.arrow((174, 112), (229, 112))
    picture.symbol(200, 104, "T", "map")
    picture.operator(238, 112, "×")
    picture.arrow((247, 112), (270, 112))
    picture.symbol(258, 104, "y", "output")
    picture.box(270, 98, 46, 28, "p units")
    picture.arrow((316, 112), (332, 112))
    picture.arrow((90, 112), (90, 160), (104, 160))
    picture.box(104, 144, 78, 32, "down, up", wash="gate")
    picture.arrow((182, 160), (238, 160), (238, 121))
    picture.text(203, 154, "1 +", "small")
    picture.symbol(224, 154, "M", "gate")
    return picture


def steps() -> Picture:
    trunk, low, mask = numbers()
    picture = Picture(
        "residual_attention-steps",
        height=292,
        title="What one plus a mask does to the trunk, and what the mask alone does",
        description="One channel of the trunk with an object and a stray pixel. Pooled, it becomes a coarse map; "
        "brought back up and through a sigmoid, it is a mask between 0 and 1, high around the object. The trunk times "
        "one plus the mask has the object stronger and nothing weaker; the trunk times the mask alone has everything "
        "weaker.",
    )
    columns = {"T": 38, "z": 112, "M": 186, "y": 292}
    for words, small, centre in (("down", "pooling", 75), ("up", "sigmoid", 148), ("scale", "multiply", 240)):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, small, "small")
    for letter, kind in (("T", "map"), ("z", "statistic"), ("M", "gate"), ("y", "output")):
        picture.symbol(columns[letter], 54, letter, kind)
    tops = (70, 168)
    middle = (tops[0] + tops[1] + TILE) / 2
    left = columns["T"] - TILE / 2
    picture.tile(left, middle - TILE / 2, TILE, trunk.tolist())
    picture.arrow((columns["T"] + TILE / 2, middle), (columns["z"] - SMALL / 2, middle))
    picture.tile(columns["z"] - SMALL / 2, middle - SMALL / 2, SMALL, low.tolist(), "statistic")
    picture.arrow((columns["z"] + SMALL / 2, middle), (columns["M"] - TILE / 2, middle))
    picture.tile(columns["M"] - TILE / 2, middle - TILE / 2, TILE, mask.tolist(), "gate")
    for top, words, factor in zip(tops, ("(1 + M) T", "M T"), (1 + mask, mask), strict=True):
        picture.arrow((columns["M"] + TILE / 2, middle), (columns["y"] - TILE / 2, top + TILE / 2))
        picture.tile(columns["y"] - TILE / 2, top, TILE, (factor * trunk / 2).tolist(), "output")
        picture.text(columns["y"], top + TILE + 15, words, "small")
    picture.text(170, 266, "of y, full colour is twice that of T")
    picture.text(170, 284, "the mask is made of what T is made of, drawn here as T", "small")
    return picture


def numbers() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A channel of the trunk, what is left of it at the lowest level, and a mask; all between 0 and 1."""
    trunk = torch.full((PIXELS, PIXELS), 0.25)
    trunk[2:7, 3:8] = 0.7
    trunk[3:6, 4:7] = 0.95
    trunk[9, 2] = 0.95
    low = F.avg_pool2d(trunk[None, None], 3)
    up = F.interpolate(low, (PIXELS, PIXELS), mode="bilinear", align_corners=True)[0, 0]
    return trunk, low[0, 0], torch.sigmoid(10 * (up - 0.5))
