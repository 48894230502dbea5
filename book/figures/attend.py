"""What all attention over positions has in common: one query looks at every position of a map."""

from collections.abc import Sequence

from book.figures.shapes import Picture

SIZE = 96


def one_query(
    picture: Picture,
    top: float,
    x: Sequence[Sequence[float]],
    weights: Sequence[Sequence[float]],
    query: tuple[int, int],
) -> None:
    """Draw a map, the weights that one of its positions gives to all, and lines to the two heaviest.

    Args:
        picture: to draw into, 130 px high from `top`.
        top: y of the maps' upper edge.
        x: the map, one channel.
        weights: of the query, the largest 1.
        query: row and column.
    """
    cell = SIZE / len(x)
    left, right = 20, 222

    def centre(origin: float, place: tuple[int, int]) -> tuple[float, float]:
        return origin + (place[1] + 0.5) * cell, top + (place[0] + 0.5) * cell

    picture.tile(left, top, SIZE, x)
    picture.tile(right, top, SIZE, weights, "gate")
    places = [(i, j) for i in range(len(x)) for j in range(len(x))]
    for place in sorted(places, key=lambda p: -weights[p[0]][p[1]])[:2]:
        picture.wire(centre(left, query), centre(right, place), 2 * weights[place[0]][place[1]], "gate")
    picture.outline(left + query[1] * cell, top + query[0] * cell, cell, cell, kind="mark")
    picture.outline(right + query[1] * cell, top + query[0] * cell, cell, cell, kind="mark")
