"""Functions of one number that keep their derivative under a complex step: what branches does so on the real part."""

import cmath


def sigmoid(z):
    return 1 / (1 + cmath.exp(-z))


def relu(z):
    return z if z.real > 0 else 0


def magnitude(z):
    """|z| of a real z; `abs` would take the step's size for a part of the value."""
    return z if z.real >= 0 else -z


def larger(a, b):
    """The maximum; the first where both are equal."""
    return b if b.real > a.real else a


def constant(z):
    """z without its step: what back-propagation does not look into."""
    return z.real


def zeros_like(u):
    """A map of zeros in the shape of u[n][c][i][j]."""
    return [[[[0 for _ in row] for row in plane] for plane in image] for image in u]
