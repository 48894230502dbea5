"""Residual attention: Wang et al., arXiv 1704.06904, equations 1 to 6, Figure 2, and the authors' ImageNet files.

Layers are found in `state` by the module's own names: "before.0.branch.2.weight" is the first convolution of the first
unit, whose branch is norm, ReLU, 1 x 1, norm, ReLU, 3 x 3, norm, ReLU, 1 x 1.
"""

import cmath

from tests.reference.layers import EPS, apply, batch_norm, convolution, moments, pointwise
from tests.reference.scalar import larger, relu, sigmoid, zeros_like


def residual_attention(x, state, training, p=1, t=2, r=1, levels=1, activation="mixed", learning="residual"):
    """p units, then (1 + M) T or M T, then p units; the running statistics of every norm under their names."""
    act, statistics = ACTIVATIONS[activation], {}
    layers = (state, training, statistics)
    x = units("before", p, x, layers)
    trunk = units("trunk", t, x, layers)
    mask = act(hourglass(x, r, levels, layers))
    y = zeros_like(x)
    for n, image in enumerate(trunk):
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    y[n][c][i][j] = mask[n][c][i][j] * value
                    if learning == "residual":
                        y[n][c][i][j] += value
    return units("after", p, y, layers), statistics


def hourglass(x, r, levels, layers):
    """What the mask branch computes before its activation; a level counts the poolings on the way to it."""
    state, _, _ = layers
    maps = [x]
    for level in range(1, levels + 1):
        if level < levels:
            maps.append(units(f"mask.down.{level - 1}", r, pooled(maps[level - 1]), layers))
        else:
            y = units("mask.lowest", 2 * r, pooled(maps[level - 1]), layers)
    for level in range(levels - 1, 0, -1):
        skip = unit(f"mask.skip.{level - 1}", maps[level], layers)
        y = units(f"mask.up.{level - 1}", r, added(skip, enlarged(y, maps[level])), layers)
    y = activated("mask.head.0", enlarged(y, x), layers)
    y = activated("mask.head.3", pointwise(y, matrix(state["mask.head.2.weight"])), layers)
    return pointwise(y, matrix(state["mask.head.5.weight"]))


def units(name, count, x, layers):
    for k in range(count):
        x = unit(f"{name}.{k}", x, layers)
    return x


def unit(name, x, layers):
    """x + W_3 relu(norm(W_2 relu(norm(W_1 relu(norm(x))))))."""
    state, _, _ = layers
    y = pointwise(activated(f"{name}.branch.0", x, layers), matrix(state[f"{name}.branch.2.weight"]))
    y = convolution(activated(f"{name}.branch.3", y, layers), state[f"{name}.branch.5.weight"], padding=1)
    y = pointwise(activated(f"{name}.branch.6", y, layers), matrix(state[f"{name}.branch.8.weight"]))
    return added(x, y)


def matrix(kernels):
    """A 1 x 1 convolution's kernels without their last two axes."""
    return [[kernel[0][0] for kernel in row] for row in kernels]


def activated(name, x, layers):
    """relu(norm(x)); what the norm has seen goes into the statistics."""
    state, training, statistics = layers
    norm = {
        "scale": state[f"{name}.weight"],
        "shift": state[f"{name}.bias"],
        "mean": state[f"{name}.running_mean"],
        "variance": state[f"{name}.running_var"],
        "batches": state[f"{name}.num_batches_tracked"],
    }
    y, new = batch_norm(x, norm, training)
    statistics[f"{name}.running_mean"] = new["mean"]
    statistics[f"{name}.running_var"] = new["variance"]
    statistics[f"{name}.num_batches_tracked"] = new["batches"]
    return apply(relu, y)


def added(x, y):
    total = zeros_like(x)
    for n, image in enumerate(x):
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    total[n][c][i][j] = value + y[n][c][i][j]
    return total


def pooled(x):
    """The first maximum of each 3 x 3 window, two apart; the last window may reach beyond the map."""
    y = []
    for image in x:
        y.append([])
        for plane in image:
            height, width = len(plane), len(plane[0])
            y[-1].append([])
            for i in range(0, height - 1, 2):
                row = []
                for j in range(0, width - 1, 2):
                    largest = plane[i][j]
                    for a in range(3):
                        for b in range(3):
                            if i + a < height and j + b < width:
                                largest = larger(largest, plane[i + a][j + b])
                    row.append(largest)
                y[-1][-1].append(row)
    return y


def enlarged(y, like):
    """Bilinear interpolation to the size of `like`; corners stay corners."""
    height, width = len(like[0][0]), len(like[0][0][0])
    z = []
    for image in y:
        z.append([])
        for plane in image:
            rows = []
            for i in range(height):
                above, below, a = neighbours(i, len(plane), height)
                row = []
                for j in range(width):
                    left, right, b = neighbours(j, len(plane[0]), width)
                    upper = (1 - b) * plane[above][left] + b * plane[above][right]
                    lower = (1 - b) * plane[below][left] + b * plane[below][right]
                    row.append((1 - a) * upper + a * lower)
                rows.append(row)
            z[-1].append(rows)
    return z


def neighbours(i, small, large):
    """The two of `small` points around point i of `large`, and how far on the way from one to the other it is."""
    first, rest = i * (small - 1) // (large - 1), i * (small - 1) % (large - 1)
    return first, first + 1 if rest else first, rest / (large - 1)


def channel(z):
    """f_2: each position's channels over their length, equation 5; a zero vector has nothing to be divided by."""
    mask = zeros_like(z)
    for n, image in enumerate(z):
        for i in range(len(image[0])):
            for j in range(len(image[0][0])):
                square, real = 0, 0
                for plane in image:
                    square += plane[i][j] * plane[i][j]
                    real += plane[i][j].real * plane[i][j].real
                length = cmath.sqrt(square) if real > 0 else 1
                for c, plane in enumerate(image):
                    mask[n][c][i][j] = plane[i][j] / length
    return mask


def spatial(z):
    """f_3: the sigmoid of each map over its standard deviation, equation 6."""
    mask = zeros_like(z)
    for n, image in enumerate(z):
        for c, plane in enumerate(image):
            mean, variance = moments([value for row in plane for value in row])
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    mask[n][c][i][j] = sigmoid((value - mean) / cmath.sqrt(variance + EPS))
    return mask


def mixed(z):
    """f_1, equation 4."""
    return apply(sigmoid, z)


ACTIVATIONS = {"mixed": mixed, "channel": channel, "spatial": spatial}
