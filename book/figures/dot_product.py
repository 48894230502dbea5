"""Self-attention: which positions are alike, and what each takes from the others. Numbers of a small module."""

import torch

from attnlib.self_attention.dot_product import attention_weights, scaled_dot_product, self_similarity
from book.figures.attend import SIZE, one_query
from book.figures.shapes import Picture

POSITIONS, CHANNELS, WIDTH = 4, 3, 2
PIXELS, QUERY = 8, (2, 2)


def pictures() -> list[Picture]:
    return [look(), steps()]


def look() -> Picture:
    x, weights = similarity()
    picture = Picture(
        "dot_product-look",
        height=172,
        title="One query looks at all positions",
        description="Left, a map with two bright blobs far apart; a position in the first is marked: the query. Right, "
        "the weights that it gives to all positions: large in both blobs, small elsewhere. Lines lead from the query "
        "to the heaviest positions: what is alike is near, however far away it stands.",
    )
    picture.text(68, 15, "a map, and one query", "small")
    picture.text(270, 15, "its weights", "small")
    picture.symbol(68, 34, "x", "map")
    picture.symbol(270, 34, "A", "gate")
    one_query(picture, 42, x, weights, QUERY)
    picture.text(170, 42 + SIZE + 26, "alike counts, near does not")
    return picture


def steps() -> Picture:
    x, q, k, v, weights, y = numbers()
    row = " and ".join((", ".join(f"{w:.2f}" for w in weights[1][:-1]), f"{weights[1][-1]:.2f}"))
    picture = Picture(
        "dot_product-steps",
        height=326,
        title="Query, key, value: ask, compare, mix",
        description="Four positions, one row each, are projected to queries, keys and values by three matrices. Every "
        "query is compared with every key; a softmax makes each row of the result, the weights A, add up to one. The "
        f"second row is marked: {row}. The output is the values, mixed by these weights.",
    )
    picture.also(**{"d": "-"})
    cell, wide = 16, 27
    height = POSITIONS * cell
    for words, below, centre in (
        ("ask", "project", 74),
        ("compare", "softmax(q kᵀ / √d)", 196),
        ("mix", "sum of values", 300),
    ):
        picture.text(centre, 15, words, "head")
        picture.text(centre, 31, below, "small")
    tops = {"q": 62, "k": 148, "v": 234}
    middle = tops["k"] + height / 2
    picture.symbol(32, tops["k"] - 8, "x", "map")
    picture.matrix(8, tops["k"], cell, x, "map")
    picture.text(32, tops["k"] + height + 15, "HW × C", "small")
    for (letter, top), values, kind in zip(tops.items(), (q, k, v), ("statistic", "statistic", "map"), strict=True):
        here = top + height / 2
        picture.arrow((56, middle), *(() if here == middle else ((70, middle), (70, here))), (104, here))
        picture.symbol(88, here - 7, "W", "weight", sub=letter)
        picture.symbol(120, top - 8, letter, kind)
        picture.matrix(104, top, cell, values, kind)
    weights_top = (tops["q"] + tops["k"] + height) / 2 - 2 * wide
    weights_middle = weights_top + 2 * wide
    left = 160
    for letter in ("q", "k"):
        here = tops[letter] + height / 2
        picture.arrow((136, here), (left, here))
    picture.symbol(left + 2 * wide, weights_top - 8, "A", "gate")
    picture.matrix(left, weights_top, wide, weights, "gate", digits=2)
    picture.outline(left, weights_top + wide, 4 * wide, wide, kind="mark")
    picture.outline(104, tops["q"] + cell, 2 * cell, cell, kind="mark")
    picture.text(left + 2 * wide, weights_top + 4 * wide + 15, "a row adds up to one", "small")
    picture.operator(285, weights_middle, "Σ")
    picture.line((left + 4 * wide, weights_middle), (276, weights_middle))
    picture.arrow((136, tops["v"] + height / 2), (285, tops["v"] + height / 2), (285, weights_middle + 9))
    picture.arrow((294, weights_middle), (304, weights_middle))
    picture.symbol(320, weights_middle - height / 2 - 8, "y", "output")
    picture.matrix(304, weights_middle - height / 2, cell, y, "output")
    picture.outline(304, weights_middle - height / 2 + cell, 2 * cell, cell, kind="mark")
    picture.text(170, 318, "marked: one query, its weights, its output")
    return picture


def similarity() -> tuple:
    """A map with two blobs, and the weights of one query by likeness alone, the largest drawn as 1."""
    i, j = torch.meshgrid(torch.arange(PIXELS), torch.arange(PIXELS), indexing="ij")
    blobs = [torch.exp(-((i - a) ** 2 + (j - b) ** 2) / 2.5) for a, b in (QUERY, (5, 5))]
    x = (blobs[0] + blobs[1]).clamp(max=1)
    features = torch.stack([x, 1 - x]).flatten(1).T  # two channels: blob, ground
    weights = attention_weights(5 * features, features, scale=1.0)[QUERY[0] * PIXELS + QUERY[1]].view(PIXELS, PIXELS)
    assert torch.allclose(attention_weights(features, features, scale=1.0) @ features, self_similarity(features))
    return x.tolist(), (weights / weights.max()).tolist()


def numbers() -> tuple:
    """x, q, k, v, A and y of four positions, all between 0 and 1 so that they can be drawn."""
    x = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.8, 0.1], [0.8, 0.2, 0.6], [0.1, 0.9, 0.9]])
    to_query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 0.1]])
    to_key = torch.tensor([[0.9, 0.1], [0.0, 0.9], [0.1, 0.0]])
    to_value = torch.tensor([[0.0, 0.3], [0.9, 0.0], [0.1, 0.7]])
    q, k, v = x @ to_query, x @ to_key, x @ to_value
    sharp = 6 * q  # the drawn queries are a sixth of the ones compared, so that they fit into 0 to 1
    weights, y = attention_weights(sharp, k), scaled_dot_product(sharp, k, v)
    return tuple(value.tolist() for value in (x, q, k, v, weights, y))
