"""Pictures with two objects of `shapes` each, and the number of its object for every pixel: data to segment.

With one object in a picture, the mean of the whole picture says which one it is. With two, it has to be known which
pixels belong together. Class and colours of the two can be asked for: two objects of one class, or two that look alike.
"""

import numpy as np

from attnlib.data.shapes import DISTANCE, GROUND, NOISE, ONE, outline

SIDE = 64
CLASSES = ("ground", "circle", "square", "triangle", "cross")
_CELL = 16  # of the ground's field of colours
_TURNS = 64
_ANGLE = 2 * np.pi * np.arange(_TURNS) / _TURNS
_COS, _SIN = (np.rint(ONE * f(_ANGLE)).astype(np.int32) for f in (np.cos, np.sin))


def scenes(
    count: int, seed: int, same_class: bool | None = None, same_colours: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `count` pictures of two objects that do not touch, turned and of any size between 16 and 24 pixels.

    Args:
        count: number of pictures N, at least 1.
        seed: a non-negative integer; the same seed gives the same bytes on every platform.
        same_class: whether the two objects of a picture have one class; None leaves it to chance.
        same_colours: whether they have the same colours.

    Returns:
        images: (N, 64, 64, 3) uint8, RGB.
        labels: (N, 64, 64) int64, indices into `CLASSES`; 0 is the ground.
        objects: (N, 64, 64) int64, 0 on the ground, 1 and 2 on the objects.

    Raises:
        ValueError: `count` or `seed` is out of range.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; ask for one picture or more")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}; numpy takes no negative seed")
    rng = np.random.Generator(np.random.PCG64(seed))

    def draw(low: int, high: int, *shape: int) -> np.ndarray:
        """Integers in [low, high), (count, *shape)."""
        return rng.integers(low, high, size=(count, *shape), dtype=np.int32)

    kinds = draw(1, len(CLASSES), 2)
    if same_class is not None:
        step = 0 if same_class else draw(1, len(CLASSES) - 1)
        kinds[:, 1] = 1 + (kinds[:, 0] - 1 + step) % (len(CLASSES) - 1)
    colours = 128 + draw(*DISTANCE, 2, 3) * (2 * draw(0, 2, 2, 3) - 1)
    if same_colours:
        colours[:, 1] = colours[:, 0]

    # Both centres lie 15 pixels or more from the middle of the picture, on opposite sides of it.
    towards, away = draw(0, _TURNS), draw(15 * ONE, 17 * ONE)
    middle = SIDE // 2 * ONE + draw(-ONE, ONE + 1, 2)
    apart = np.stack([_COS[towards], _SIN[towards]], 1) * away[:, None] // ONE
    radii, turns = draw(8 * ONE, 12 * ONE, 2), draw(0, _TURNS, 2)

    images = _ground(draw)
    labels = np.zeros((count, SIDE, SIDE), dtype=np.int64)
    objects = labels.copy()
    for number, centres in enumerate((middle + apart, middle - apart)):
        mask = _mask(kinds[:, number], centres, radii[:, number], turns[:, number])
        np.copyto(labels, kinds[:, number, None, None], where=mask)
        np.copyto(objects, number + 1, where=mask)
        np.copyto(images, colours[:, number, None, None], where=mask[..., None])
    images += draw(-NOISE, NOISE + 1, SIDE, SIDE, 3)
    return np.clip(images, 0, 255).astype(np.uint8), labels, objects


def _mask(kinds: np.ndarray, centres: np.ndarray, radii: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Where the object of each picture lies, (N, SIDE, SIDE) bool."""
    pixel = np.arange(SIDE, dtype=np.int32) * ONE
    dx, dy = pixel - centres[:, 0, None, None], pixel[:, None] - centres[:, 1, None, None]
    cos, sin, radius = (each[:, None, None] for each in (_COS[turns], _SIN[turns], radii))
    u, v = (dx * cos + dy * sin) // radius, (dy * cos - dx * sin) // radius
    mask = np.empty((len(kinds), SIDE, SIDE), dtype=bool)
    for kind, name in enumerate(CLASSES):
        if kind:
            mask[kinds == kind] = outline(name, u[kinds == kind], v[kinds == kind])
    return mask


def _ground(draw) -> np.ndarray:
    """Smooth fields of colour, (N, SIDE, SIDE, 3)."""
    knots = draw(*GROUND, SIDE // _CELL + 1, SIDE // _CELL + 1, 3)
    at, far = np.divmod(np.arange(SIDE, dtype=np.int32), _CELL)
    near = _CELL - far
    rows = knots[:, at] * near[:, None, None] + knots[:, at + 1] * far[:, None, None]
    return (rows[:, :, at] * near[:, None] + rows[:, :, at + 1] * far[:, None]) // _CELL**2
