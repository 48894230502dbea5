"""Ten shapes on a cluttered ground, with a mask of the object: the data every chapter can train on without a download.

The class is the outline alone. Position, size, rotation, colours and texture are drawn independently of it, so that a
linear model on raw pixels finds next to nothing, and a network has to find the object before it can name it: this is
what attention is for, and the mask says whether it looked there.

Everything is computed in integers from one PCG64 stream: the same seed gives the same bytes on every processor.
"""

import math

import numpy as np

SIZE = 32
CLASSES = ("circle", "ring", "square", "frame", "triangle", "cross", "star", "crescent", "bar", "angle")

# Fixed point: ONE is a length of 1. Sines are rounded to integers here, so that no platform's libm shows in the images.
ONE = 1 << 10
_TURNS = 64
_COS = np.array([round(ONE * math.cos(2 * math.pi * k / _TURNS)) for k in range(_TURNS)], dtype=np.int32)
_SIN = np.array([round(ONE * math.sin(2 * math.pi * k / _TURNS)) for k in range(_TURNS)], dtype=np.int32)
_PIXEL = np.arange(SIZE, dtype=np.int32)

# How hard it is; all in steps of a pixel's value.
GROUND = (98, 158)  # range of the ground's colours
DISTANCE = (70, 128)  # of each channel of the object from 128, the middle of that range
NOISE = 8  # of every pixel, up or down
STROKES = 2  # laid over the ground, in any colour


def _within(u: np.ndarray, v: np.ndarray, sides: int, distance: float) -> np.ndarray:
    """How many of the half planes of a regular polygon hold the point (u, v); `distance` is the polygon's inradius."""
    held = np.zeros(u.shape, dtype=np.int8)
    for k in range(sides):
        angle = 2 * math.pi * k / sides
        held += u * round(ONE * math.cos(angle)) + v * round(ONE * math.sin(angle)) <= round(distance * ONE * ONE)
    return held


def outline(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether the points (u, v) lie in the shape called `name`; they are integers, ONE is the object's radius."""
    squared = u * u + v * v
    widest = np.maximum(np.abs(u), np.abs(v))
    disc = squared <= ONE * ONE
    match name:
        case "circle":
            return disc
        case "ring":
            return disc & (squared >= (0.55 * ONE) ** 2)
        case "square":
            return widest <= 0.85 * ONE
        case "frame":
            return (widest <= 0.9 * ONE) & (widest >= 0.5 * ONE)
        case "triangle":
            return _within(u, v, sides=3, distance=0.55) == 3
        case "cross":
            return (widest <= ONE) & (np.minimum(np.abs(u), np.abs(v)) <= 0.3 * ONE)
        case "star":  # a pentagram is where at least four of the five half planes hold
            return _within(u, v, sides=5, distance=0.38) >= 4
        case "crescent":
            return disc & ((u - 0.6 * ONE) ** 2 + v * v >= (0.8 * ONE) ** 2)
        case "bar":
            return (np.abs(u) <= ONE) & (np.abs(v) <= 0.35 * ONE)
        case "angle":
            return (widest <= 0.85 * ONE) & ((u <= -0.25 * ONE) | (v <= -0.25 * ONE))


class _Draw:
    """Uniform integers for a batch of images, 32 bits wide: half the time and memory of numpy's default."""

    def __init__(self, count: int, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.count = count

    def __call__(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Integers in [low, high), (count, *shape)."""
        return self.rng.integers(low, high, size=(self.count, *shape), dtype=np.int32)


def _masks(labels: np.ndarray, draw: _Draw) -> np.ndarray:
    """The objects, (N, SIZE, SIZE) bool: a random centre, radius and rotation for each label."""
    radius = draw(8 * ONE, 12 * ONE, 1, 1)
    x0, y0 = draw(10 * ONE, 22 * ONE, 1, 1), draw(10 * ONE, 22 * ONE, 1, 1)
    turn = draw(0, _TURNS, 1, 1)
    dx, dy = _PIXEL * ONE - x0, _PIXEL[:, None] * ONE - y0
    u = (dx * _COS[turn] + dy * _SIN[turn]) // radius
    v = (dy * _COS[turn] - dx * _SIN[turn]) // radius
    masks = np.empty((len(labels), SIZE, SIZE), dtype=bool)
    for label, name in enumerate(CLASSES):
        chosen = labels == label
        masks[chosen] = outline(name, u[chosen], v[chosen])
    return masks


def _ground(draw: _Draw) -> np.ndarray:
    """Cluttered grounds, (N, SIZE, SIZE, 3) int32: a smooth field of colour with strokes laid over it."""
    cell = 8
    knots = draw(*GROUND, SIZE // cell + 1, SIZE // cell + 1, 3)
    at, far = _PIXEL // cell, _PIXEL % cell
    near = cell - far
    rows = knots[:, at] * near[:, None, None] + knots[:, at + 1] * far[:, None, None]
    ground = (rows[:, :, at] * near[:, None] + rows[:, :, at + 1] * far[:, None]) // cell**2

    x, y = _PIXEL - SIZE // 2, _PIXEL[:, None] - SIZE // 2
    for _ in range(STROKES):  # two pixels thick: edges that belong to no object
        turn = draw(0, _TURNS, 1, 1)
        across = x * _COS[turn] + y * _SIN[turn] - draw(-16 * ONE, 16 * ONE, 1, 1)
        along = y * _COS[turn] - x * _SIN[turn] - draw(-24 * ONE, 12 * ONE, 1, 1)
        stroke = (np.abs(across) <= ONE) & (along >= 0) & (along <= 12 * ONE)
        np.copyto(ground, draw(0, 256, 1, 1, 3), where=stroke[..., None])
    return ground


def generate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `count` images; their classes are balanced to within one image and in random order.

    Args:
        count: number of images N, at least 1.
        seed: a non-negative integer; the same seed gives the same bytes on every platform.

    Returns:
        images: (N, 32, 32, 3) uint8, RGB.
        labels: (N,) int64, indices into `CLASSES`.
        masks: (N, 32, 32) bool, true on the object.

    Raises:
        ValueError: `count` or `seed` is out of range.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; ask for one image or more")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}; numpy takes no negative seed")
    draw = _Draw(count, seed)
    labels = draw.rng.permutation(np.arange(count) % len(CLASSES))
    masks = _masks(labels, draw)
    images = _ground(draw)
    # Every channel of the object lies outside the ground's range, above or below it: the object can always be seen,
    # while neither light nor dark, red nor blue says which one it is.
    side = draw(0, 2, 1, 1, 3) * 2 - 1
    np.copyto(images, 128 + side * draw(*DISTANCE, 1, 1, 3), where=masks[..., None])
    images += draw(-NOISE, NOISE + 1, SIZE, SIZE, 3)
    return np.clip(images, 0, 255).astype(np.uint8, order="C"), labels, masks
