"""Stand-alone self-attention: where it stands in a bottleneck, and what one query does with its window."""

import torch

import attnlib
from book.figures.shapes import Picture

PIXELS, QUERY, SIDE = 7, (3, 2), 3


def pictures() -> list[Picture]:
    return [block(), window()]


def block() -> Picture:
    picture = Picture(
        "sasa-block",
        height=176,
        title="Where stand-alone self-attention stands in a bottleneck block",
        description="The input of a bottleneck block goes two ways. On the branch, a 1 by 1 convolution with norm and "
        "ReLU gives a narrow map x; attention in windows of s by s pixels, instead of the 3 by 3 convolution, gives "
        "y of the same shape; a norm with ReLU, a second 1 by 1 convolution and a norm follow. The shortcut has no "
        "layer. The two are added, and a ReLU follows.",
    )
    middle = 82
    picture.text(170, 18, "the one layer that looks around is attention")
    picture.arrow((4, middle), (24, middle))
    picture.box(24, middle - 27, 42, 54, "1 × 1", "norm", "ReLU")
    picture.arrow((66, middle), (112, middle))
    picture.symbol(88, middle - 8, "x", "map")
    picture.text(88, middle + 41, "C×H×W", "small")
    picture.box(112, middle - 27, 50, 54, "SASA", "s × s", wash="gate")
    picture.text(137, middle - 36, "was 3 × 3", "small")
    picture.arrow((162, middle), (206, middle))
    picture.symbol(184, middle - 8, "y", "output")
    picture.text(184, middle + 41, "C×H×W", "small")
    picture.box(206, middle - 20, 36, 40, "norm", "ReLU")
    picture.arrow((242, middle), (254, middle))
    picture.box(254, middle - 20, 36, 40, "1 × 1", "norm")
    picture.arrow((290, middle), (300, middle))
    picture.operator(309, middle, "+")
    picture.arrow((318, middle), (338, middle))
    picture.text(324, middle - 13, "ReLU", "small")
    picture.arrow((13, middle), (13, 150), (309, 150), (309, middle + 9))
    picture.text(161, 144, "shortcut", "small")
    picture.text(170, 170, "where the block has a stride, 2 × 2 means follow SASA", "small")
    return picture


def window() -> Picture:
    x, content, place, weights = numbers()
    rows = "; ".join(" ".join(f"{w:.2f}" for w in row) for row in weights)
    picture = Picture(
        "sasa-window",
        height=336,
        title="What one query does with its window",
        description="A map of 7 by 7 pixels; one pixel, the query, is marked, and a window of 3 by 3 pixels around it. "
        "Nine offsets have a vector r each, put together from three vectors of rows, rho, and three of columns, kappa. "
        "For each pixel of the window, query times key says what is there and query times r where it lies. Their sum "
        f"goes through a softmax over the nine. The weights are, row by row, {rows}. The output y is the sum of the "
        "values of the window, weighted.",
    )
    picture.also(W_Q="weight", W_K="weight", W_V="weight", s="-", d="-", c="-", **{"W": "-"})

    # The map, its query, its window; lines to the window's grid of offsets.
    top, left, cell = 62, 12, 15
    size, reach = PIXELS * cell, SIDE // 2
    window_x, window_y = left + (QUERY[1] - reach) * cell, top + (QUERY[0] - reach) * cell
    picture.text(left + size / 2, 15, "a map", "head")
    picture.text(left + size / 2, 32, "one query, one window", "small")
    picture.symbol(left + size / 2, top - 8, "x", "map")
    picture.tile(left, top, size, x)
    picture.outline(left + QUERY[1] * cell, top + QUERY[0] * cell, cell, cell, kind="mark")
    picture.outline(window_x, window_y, SIDE * cell, SIDE * cell, kind="mark")

    grid, side = 210, 36
    for corner in (0, SIDE):
        y = window_y + corner * cell
        picture.line((window_x + SIDE * cell, y), (grid - 30, top + corner * side), kind="thin")
    picture.text(grid + 1.5 * side, 15, "where a key lies", "head")
    picture.text(grid + 1.5 * side, 32, "offset: row, column", "small")
    for n, step in enumerate(("−1", "0", "1")):
        middle = (n + 0.5) * side
        picture.symbol(grid + middle, top - 8, "κ", "weight", sub=step)
        picture.symbol(grid - 16, top + middle + 4, "ρ", "weight", sub=step)
    for i in range(SIDE):
        for j in range(SIDE):
            picture.outline(grid + j * side, top + i * side, side, side)
            picture.text(grid + (j + 0.5) * side, top + (i + 0.5) * side + 4, f"{signed(i)},{signed(j)}", "small")
    picture.outline(grid + side, top + side, side, side, kind="mark")

    # What is there, where it lies, the shares.
    low, small = 226, 27
    wide = SIDE * small
    lefts = (8, 118, 251)
    picture.symbol(lefts[0] + wide / 2 - 9, low - 8, "q", "statistic")
    picture.symbol(lefts[0] + wide / 2 + 9, low - 8, "k", "statistic")
    picture.text(lefts[0] + wide / 2, low - 8, "·")
    picture.symbol(lefts[1] + wide / 2 - 9, low - 8, "q", "statistic")
    picture.symbol(lefts[1] + wide / 2 + 9, low - 8, "r", "weight")
    picture.text(lefts[1] + wide / 2, low - 8, "·")
    picture.symbol(lefts[2] + wide / 2, low - 8, "A", "gate")
    for words, x0 in zip(("what is there", "where it lies", "weights"), lefts, strict=True):
        picture.text(x0 + wide / 2, low - 26, words, "head")
    picture.matrix(lefts[0], low, small, content, "statistic", digits=1)
    picture.matrix(lefts[1], low, small, place, "weight", digits=1)
    picture.matrix(lefts[2], low, small, weights, "gate", digits=2)
    picture.text((lefts[0] + wide + lefts[1]) / 2, low + wide / 2 + 4, "+")
    picture.arrow((lefts[1] + wide + 4, low + wide / 2), (lefts[2] - 4, low + wide / 2))
    picture.text((lefts[1] + wide + lefts[2]) / 2, low + wide / 2 - 7, "softmax", "small")
    picture.symbol(58, 328, "y", "output")
    picture.text(68, 328, "is the sum over the window of", anchor="start")
    picture.symbol(250, 328, "A", "gate")
    picture.symbol(262, 328, "v", "map")
    return picture


def signed(n: int) -> str:
    return ("−1", "0", "1")[n]


def numbers() -> tuple:
    """A map, and for one query q . k, q . r and the weights of a small SASA, all between 0 and 1."""
    i, j = torch.meshgrid(torch.arange(PIXELS), torch.arange(PIXELS), indexing="ij")
    x = torch.exp(-((i - 2.3) ** 2 + (j - 2.6) ** 2) / 4)
    sasa = attnlib.create("sasa", 2, kernel_size=SIDE, heads=1)
    with torch.no_grad():
        for layer, scale in ((sasa.query, 1.1), (sasa.key, 1.0), (sasa.value, 1.0)):
            layer.weight.copy_(scale * torch.eye(2)[..., None, None])
        sasa.row.copy_(torch.tensor([[[0.9, 0.4, 0.1]]]))
        sasa.column.copy_(torch.tensor([[[0.1, 0.2, 0.8]]]))
        features = torch.stack([x, 1 - x])[None]
        place = QUERY[0] * PIXELS + QUERY[1]
        weights = sasa.weights(features, queries=torch.tensor([place]))[0, 0, 0]
        q = sasa.query(features)[0].flatten(1)[:, place]
        k = sasa.key(features)[0, :, QUERY[0] - 1 : QUERY[0] + 2, QUERY[1] - 1 : QUERY[1] + 2]
        content = torch.einsum("c,cij->ij", q, k)
        relative = q[0] * sasa.row[0, 0, :, None] + q[1] * sasa.column[0, 0]
        assert torch.allclose(weights, (content + relative).flatten().softmax(0), atol=1e-6)
    return tuple(value.tolist() for value in (x, content, relative, weights.view(SIDE, SIDE)))
