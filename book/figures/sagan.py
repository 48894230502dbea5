"""SAGAN's layer: a non-local look whose output enters through one scalar, and the two forms it has, text and code."""

import torch
import torch.nn.functional as F

from attnlib.self_attention.dot_product import attention_weights
from book.figures.dot_product import PIXELS, QUERY, similarity
from book.figures.shapes import Picture


def pictures() -> list[Picture]:
    return [block(), forms()]


def block() -> Picture:
    picture = Picture(
        "sagan-block",
        height=288,
        title="SAGAN's attention layer",
        description="The map x goes four ways. W_q, W_k and W_v, 1 by 1 convolutions, give queries and keys of C / 8 "
        "channels and values; in the code the values have C / 2 channels, and keys and values are pooled 2 by 2. "
        "Queries and keys are compared; the weights A, whose rows add up to one, mix the values. W_o brings the "
        "result back to C channels, one learned scalar gamma, which starts at zero, multiplies it, and it is added to "
        "x itself. That gives y.",
    )
    picture.text(170, 16, "what comes in is kept; γ lets the rest in")
    rows = {"q": 56, "k": 104, "v": 152}
    middle = 104
    picture.symbol(14, middle - 8, "x", "map")
    picture.text(18, middle + 17, "C", "small")
    picture.line((4, middle), (30, middle))
    picture.line((30, rows["q"]), (30, 250))
    widths = {"q": "C / 8", "k": "C / 8", "v": "C / 8, C / 2"}
    for letter, y in rows.items():
        picture.arrow((30, y), (46, y))
        picture.box(46, y - 14, 34, 28, wash="weight")
        picture.symbol(63, y + 5, "W", "weight", sub=letter)
    for letter, (x, y) in {"q": (63, 36), "k": (63, 84), "v": (69, 182)}.items():
        picture.text(x, y, widths[letter], "small")
    for letter in "kv":
        picture.arrow((80, rows[letter]), (92, rows[letter]))
        picture.box(92, rows[letter] - 11, 34, 22, "pool")
    picture.text(109, 129, "code", "small")
    picture.arrow((80, rows["q"]), (164, rows["q"]), (164, 66))
    picture.symbol(140, rows["q"] - 8, "q", "statistic")
    picture.arrow((126, rows["k"]), (164, rows["k"]), (164, 94))
    picture.symbol(142, rows["k"] + 18, "k", "statistic")
    picture.box(134, 66, 60, 28, "softmax", wash="gate")
    picture.arrow((194, 80), (212, 80), (212, 143))
    picture.symbol(224, 84, "A", "gate")
    picture.operator(212, 152, "Σ")
    picture.arrow((126, rows["v"]), (203, rows["v"]))
    picture.symbol(142, rows["v"] + 18, "v", "map")
    picture.arrow((221, 152), (240, 152))
    picture.box(240, 138, 36, 28, wash="weight")
    picture.symbol(258, 157, "W", "weight", sub="o")
    picture.arrow((276, 152), (306, 152), (306, 191))
    picture.operator(306, 200, "×")
    picture.symbol(282, 205, "γ", "weight")
    picture.text(244, 204, "starts at 0", "small")
    picture.arrow((306, 209), (306, 241))
    picture.operator(306, 250, "+")
    picture.arrow((30, 250), (297, 250))
    picture.text(150, 244, "x itself, unchanged", "small")
    picture.arrow((315, 250), (338, 250))
    picture.symbol(327, 241, "y", "output")
    picture.text(170, 280, "at the start y = x: γ is zero")
    return picture


def forms() -> Picture:
    x, weights = similarity()
    pooled, mixture = pooled_weights()
    size, top = 88, 42
    picture = Picture(
        "sagan-forms",
        height=288,
        title="The layer of the text and the layer of the code",
        description="Left, a map of 8 by 8 positions with two blobs; one position, the query, is marked. Above right, "
        "the text's layer: 64 weights, one for each position. Below right, the code's layer: the keys are pooled 2 by "
        f"2, and 16 weights are left, the largest {mixture:.2f}.",
    )
    picture.text(62, 15, "a map, one query", "small")
    picture.symbol(62, 34, "x", "map")
    picture.tile(18, top, size, x)
    cell = size / PIXELS
    mark = 18 + QUERY[1] * cell, top + QUERY[0] * cell
    picture.text(268, 15, "the text: 64 keys", "small")
    picture.symbol(268, 34, "A", "gate")
    picture.tile(224, top, size, weights, "gate")
    picture.text(268, 152, "the code: 16 keys", "small")
    picture.tile(224, 162, size, pooled, "gate")
    start = mark[0] + cell / 2, mark[1] + cell / 2
    picture.arrow(start, (220, top + size / 2))
    picture.arrow(start, (220, 162 + size / 2))
    picture.outline(*mark, cell, cell, kind="mark")
    picture.text(90, 206, "every query asks;", "small")
    picture.text(90, 222, "a quarter of the keys", "small")
    picture.text(90, 238, "is left to answer", "small")
    picture.text(170, 280, "coarser where it looks, not where it stands")
    return picture


def pooled_weights() -> tuple[list[list[float]], float]:
    """The weights of the same query when keys are max-pooled 2 x 2, the largest drawn as 1; and that largest one."""
    x = torch.tensor(similarity()[0])
    features = torch.stack([x, 1 - x])
    queries, keys = 5 * features.flatten(1).T, F.max_pool2d(features, 2).flatten(1).T
    weights = attention_weights(queries, keys, scale=1.0)[QUERY[0] * PIXELS + QUERY[1]]
    half = PIXELS // 2
    return (weights / weights.max()).view(half, half).tolist(), weights.max().item()
