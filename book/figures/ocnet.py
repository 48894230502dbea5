"""OCNet: a pixel beside its object context, and what one transform for queries and keys makes of the weights."""

import torch

import attnlib
from book.figures.shapes import Picture

SIZE, BLOCKS = 96, ((1, 1), (4, 5))  # of a map's side on the page; corners of two blocks of 3 x 3 pixels
QUERY = (2, 2)
BRIGHT = (0.9, 0.9, 0.6, 0.1)  # the four pixels of the matrices


def pictures() -> list[Picture]:
    return [block(), look()]


def block() -> Picture:
    picture = Picture(
        "ocnet-block",
        height=258,
        title="Base-OC",
        description="The map x goes three ways. One transform f gives q, which serves as queries and as keys; their "
        "products go through a softmax and give the weights A. W_v gives the values v, which A mixes. W_c, which "
        "starts at zero, makes the context c of it. The context stands beside x itself, and a 1 by 1 convolution with "
        "norm and leaky ReLU makes the output y of both.",
    )
    picture.text(170, 16, "a pixel, and beside it what resembles it")
    top, middle, low = 70, 138, 212
    picture.symbol(16, middle - 8, "x", "map")
    picture.text(24, middle + 17, "C×H×W", "small")
    picture.line((4, middle), (48, middle))
    picture.line((48, top), (48, low))
    for letter, sub, y in (("f", "", top), ("W", "v", middle)):
        picture.arrow((48, y), (62, y))
        picture.box(62, y - 14, 34, 28, wash="weight")
        picture.symbol(79, y + 5, letter, "weight", sub=sub)
    picture.text(79, 46, "1 × 1, ABN", "small")
    picture.line((96, top), (118, top))
    picture.symbol(106, top - 8, "q", "statistic")
    picture.arrow((118, top), (118, top - 14), (140, top - 14))
    picture.arrow((118, top), (118, top + 14), (140, top + 14))
    picture.box(140, top - 25, 58, 50, "q · q", "softmax", wash="gate")
    picture.text(169, 38, "queries = keys", "small")
    picture.arrow((198, top), (226, top), (226, middle - 9))
    picture.symbol(212, top - 8, "A", "gate")
    picture.arrow((96, middle), (217, middle))
    picture.symbol(156, middle - 8, "v", "map")
    picture.operator(226, middle, "Σ")
    picture.arrow((235, middle), (258, middle))
    picture.box(258, middle - 14, 36, 28, wash="weight")
    picture.symbol(276, middle + 5, "W", "weight", sub="c")
    picture.text(276, middle - 22, "starts at 0", "small")
    picture.arrow((294, middle), (308, middle), (308, 178), (276, 178), (276, low - 20))
    picture.symbol(318, middle + 4, "c", "map")
    picture.arrow((48, low), (252, low))
    picture.text(148, low - 7, "x itself", "small")
    picture.box(252, low - 20, 48, 40, "1 × 1", "ABN", wash="weight")
    picture.arrow((300, low), (336, low))
    picture.symbol(318, low - 8, "y", "output")
    picture.text(170, 250, "ABN is a norm with a leaky ReLU behind it", "small")
    return picture


def look() -> Picture:
    x, weights, scores, rows = numbers()
    picture = Picture(
        "ocnet-look",
        height=318,
        title="What one pixel takes, and from whom",
        description="Above, a map with two equal blocks and a pixel in the first. Its weights are as large on the "
        "second block as on its own. Below, the scores of four pixels, a symmetric matrix, and their weights after "
        "the softmax of each row, which are not symmetric. Scores: "
        + "; ".join(" ".join(f"{s:.1f}" for s in row) for row in scores)
        + ". Weights: "
        + "; ".join(" ".join(f"{w:.2f}" for w in row) for row in rows)
        + ".",
    )
    picture.text(68, 15, "two equal objects", "small")
    picture.text(270, 15, "the weights of one pixel", "small")
    picture.symbol(68, 33, "x", "map")
    picture.symbol(270, 33, "A", "gate")
    left, right, cell = 20, 222, SIZE / 8
    picture.tile(left, 40, SIZE, x)
    picture.tile(right, 40, SIZE, weights, "gate")
    for row, column in BLOCKS:
        start = left + (QUERY[1] + 0.5) * cell, 40 + (QUERY[0] + 0.5) * cell
        picture.wire(start, (right + (column + 0.5) * cell, 40 + (row + 1.5) * cell), 1, "gate")
    picture.outline(left + QUERY[1] * cell, 40 + QUERY[0] * cell, cell, cell, kind="mark")
    picture.text(170, 40 + SIZE + 24, "what is alike weighs alike, wherever it lies")
    top, cell = 200, 25
    picture.text(20 + 2 * cell, top - 24, "scores of four pixels", "small")
    picture.symbol(20 + 2 * cell, top - 7, "S", "statistic")
    picture.matrix(20, top, cell, scores, "statistic", digits=1)
    picture.arrow((20 + 4 * cell + 8, top + 2 * cell), (206, top + 2 * cell))
    picture.text(166, top + 2 * cell - 8, "softmax", "small")
    picture.text(166, top + 2 * cell + 18, "of a row", "small")
    picture.text(214 + 2 * cell, top - 24, "their weights", "small")
    picture.symbol(214 + 2 * cell, top - 7, "A", "gate")
    picture.matrix(214, top, cell, rows, "gate", digits=2)
    picture.text(20 + 2 * cell, top + 4 * cell + 15, "symmetric", "small")
    picture.text(214 + 2 * cell, top + 4 * cell + 15, "not symmetric", "small")
    return picture


def numbers() -> tuple:
    """A map with two equal blocks, the weights of one pixel (largest 1), scores and weights of four pixels."""
    x = torch.full((8, 8), 0.1)
    for row, column in BLOCKS:
        x[row : row + 3, column : column + 3] = 0.9
    with torch.no_grad():
        weights = _base(4.0).weights(_features(x), queries=torch.tensor([QUERY[0] * 8 + QUERY[1]]))[0, 0, 0]
        module, four = _base(1.5), _features(torch.tensor([BRIGHT]))
        q = module.context.query(four)[0].flatten(1)
        scores = q.T @ q * module.context.scale
        rows = module.weights(four)[0, 0]
        assert torch.allclose(rows, scores.softmax(-1), atol=1e-6)
    return tuple(each.tolist() for each in (x, (weights / weights.max()).view(8, 8), scores, rows))


def _features(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x, 1 - x])[None]


def _base(scale: float) -> torch.nn.Module:
    """Base-OC whose transform multiplies by `scale` alone."""
    module = attnlib.create("base_oc", 2, key_channels=2).eval()
    with torch.no_grad():
        module.context.query[0].weight.copy_(scale * torch.eye(2)[..., None, None])
        module.context.query[0].bias.zero_()
    return module
