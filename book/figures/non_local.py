"""The non-local block: every position takes from all, and the result is added to what was there."""

from book.figures.attend import SIZE, one_query
from book.figures.dot_product import QUERY, similarity
from book.figures.shapes import Picture


def pictures() -> list[Picture]:
    return [block(), look()]


def block() -> Picture:
    picture = Picture(
        "non_local-block",
        height=272,
        title="The non-local block",
        description="The map x goes four ways. Theta, phi and g, 1 by 1 convolutions to half the channels, give "
        "queries, keys and values. Queries and keys are compared, and the weights A, whose rows add up to one, mix the "
        "values to y. W_z, a 1 by 1 convolution, brings y back to C channels; a batch norm whose scale starts at zero "
        "follows; the result is added to x itself, which gives the output z.",
    )
    picture.text(170, 16, "what comes in is kept; what is far away is added")
    rows = {"θ": 56, "ϕ": 104, "g": 152}
    middle = 104
    picture.symbol(16, middle - 8, "x", "map")
    picture.text(24, middle + 17, "C", "small")
    picture.line((4, middle), (38, middle))
    picture.line((38, rows["θ"]), (38, 236))
    for (letter, y), kind in zip(rows.items(), ("statistic", "statistic", "map"), strict=True):
        picture.arrow((38, y), (58, y))
        picture.box(58, y - 14, 34, 28, wash="weight")
        picture.symbol(75, y + 5, letter, kind)
    picture.text(75, 184, "C / 2", "small")
    picture.arrow((92, rows["θ"]), (142, rows["θ"]), (142, 66))
    picture.arrow((92, rows["ϕ"]), (142, rows["ϕ"]), (142, 94))
    picture.box(112, 66, 60, 28, "softmax", wash="gate")
    picture.arrow((172, 80), (196, 80), (196, 143))
    picture.symbol(208, 84, "A", "gate")
    picture.operator(196, 152, "Σ")
    picture.arrow((92, rows["g"]), (187, rows["g"]))
    picture.arrow((205, 152), (228, 152))
    picture.symbol(216, 144, "y", "map")
    picture.box(228, 138, 36, 28, wash="weight")
    picture.symbol(246, 157, "W", "weight", sub="z")
    picture.arrow((264, 152), (278, 152))
    picture.box(278, 138, 40, 28, "norm")
    picture.text(298, 128, "starts at 0", "small")
    picture.arrow((298, 166), (298, 227))
    picture.operator(298, 236, "+")
    picture.arrow((38, 236), (289, 236))
    picture.text(160, 230, "x itself, unchanged", "small")
    picture.arrow((307, 236), (336, 236))
    picture.symbol(322, 228, "z", "output")
    picture.text(170, 264, "at the start z = x: the norm's scale is zero")
    return picture


def look() -> Picture:
    x, weights = similarity()
    picture = Picture(
        "non_local-look",
        height=172,
        title="One position looks at all others",
        description="Left, a map with two bright blobs far apart; a position in the first is marked. Right, the "
        "weights that it gives to all positions: large in both blobs, small elsewhere, whatever the distance.",
    )
    picture.text(68, 15, "a map, and one position", "small")
    picture.text(270, 15, "its weights", "small")
    picture.symbol(68, 34, "x", "map")
    picture.symbol(270, 34, "A", "gate")
    one_query(picture, 42, x, weights, QUERY)
    picture.text(170, 42 + SIZE + 26, "no distance enters: far away is as near as next door")
    return picture
