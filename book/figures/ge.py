"""Gather-Excite: one channel gathered over three extents. The values are those of a GE without parameters."""

import torch

import attnlib
from book.figures.residual import residual_block
from book.figures.shapes import Picture

PIXELS, HIGH = 12, 3.0
EXTENTS = (2, 4, 0)
TILE, SMALL, TOP, PITCH = 62, 46, 78, 78
# The gathered value that is marked, row and column; of the global extent there is one only.
MARKED = {2: (3, 2), 4: (1, 1), 0: (0, 0)}


def pictures() -> list[Picture]:
    return [residual_block("ge-block", "GE", "GE scales the branch, pixel by pixel"), steps()]


def steps() -> Picture:
    picture = Picture(
        "ge-steps",
        height=372,
        title="What GE does: gather over a window, excite, scale; for three extents",
        description="One channel of twelve by twelve pixels, with an object and a stray bright pixel, in three rows. "
        "With extent 2 each gathered value is the mean of a window of three by three pixels and gates a cell of two by "
        "two; with extent 4, of seven by seven and four by four; the global extent takes one mean and gates all pixels "
        "alike. The gate is the sigmoid of the gathered value. The marked window is centred on the first pixel of its "
        "cell, so that it reaches further up and to the left than down and to the right.",
    )
    picture.also(**{"K": "weight"})
    columns = {"x": 73, "z": 151, "g": 225, "y": 306}
    for words, small, centre in (("gather", "mean", 112), ("excite", "sigmoid, resize", 189), ("scale", "× x", 266)):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, small, "small")
    kinds = (("x", "map", "H×W"), ("z", "statistic", "h×w"), ("g", "gate", "H×W"), ("y", "output", "H×W"))
    for letter, kind, shape in kinds:
        picture.symbol(columns[letter], 54, letter, kind)
        picture.text(columns[letter], 70, shape, "small")
    x = channel()
    for row, extent in enumerate(EXTENTS):
        top, middle = TOP + PITCH * row, TOP + PITCH * row + TILE / 2
        z, gate, y = of_extent(x, extent)
        picture.text(2, middle + 4, f"e = {extent}" if extent else "global", anchor="start")
        left = {letter: centre - TILE / 2 for letter, centre in columns.items()}
        ends = [columns["z"] - SMALL / 2, columns["z"] + SMALL / 2]
        picture.tile(left["x"], top, TILE, (x / HIGH).tolist())
        picture.arrow((left["x"] + TILE, middle), (ends[0], middle))
        picture.tile(ends[0], middle - SMALL / 2, SMALL, (z / HIGH).tolist(), "statistic")
        picture.arrow((ends[1], middle), (left["g"], middle))
        picture.tile(left["g"], top, TILE, gate.tolist(), "gate")
        picture.arrow((left["g"] + TILE, middle), (left["y"], middle))
        picture.tile(left["y"], top, TILE, (y / HIGH).tolist(), "output")
        mark(picture, extent, len(z), left["x"], ends[0], left["g"], top)
    picture.text(170, 326, "marked: the window of one value, and the pixels it gates")
    picture.text(170, 344, "a small window sees even a stray pixel;", "small")
    picture.text(170, 360, "the mean of the whole map says nothing of where", "small")
    return picture


def mark(picture: Picture, extent: int, gathered: int, x: float, z: float, g: float, top: float) -> None:
    """Frame one gathered value, its window in x and the cell that it gates."""
    pixel, cell = TILE / PIXELS, SMALL / gathered
    spans = [window(u, extent) for u in MARKED[extent]]
    (first, rows), (start, columns) = [(low, high - low) for low, high in spans]
    picture.outline(x + start * pixel, top + first * pixel, columns * pixel, rows * pixel, "mark")
    row, column = MARKED[extent]
    picture.outline(z + column * cell, top + (TILE - SMALL) / 2 + row * cell, cell, cell, "mark")
    side = TILE / gathered
    picture.outline(g + column * side, top + row * side, side, side, "mark")


def window(u: int, extent: int) -> tuple[int, int]:
    """The pixels [first, last) that the gathered value u is the mean of, along one axis."""
    if not extent:
        return 0, PIXELS
    return max(0, extent * u - extent + 1), min(PIXELS, extent * u + extent)


def channel() -> torch.Tensor:
    """An object of two strengths on a ground of zero, and a stray pixel."""
    x = torch.zeros(PIXELS, PIXELS)
    x[2:7, 3:8] = 0.7 * HIGH
    x[3:6, 4:7] = HIGH
    x[9, 2] = HIGH
    return x


def of_extent(x: torch.Tensor, extent: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gathered values, gates of all pixels and the output."""
    module = attnlib.create("ge", 1, extent=extent)
    batch = x[None, None]
    return module.gather(batch)[0, 0], module.gate(batch)[0, 0].expand(PIXELS, PIXELS), module(batch)[0, 0]
