"""Gather-Excite: Hu et al., arXiv 1810.12348, and the prototxts its authors released."""

from tests.reference.layers import apply, average, batch_norm, convolution, pointwise
from tests.reference.scalar import relu, sigmoid, zeros_like

MOMENTUM = 0.05  # the released layers keep 0.95


def gather_excite_free(x, extent=0):
    """GE-theta-minus: x sigmoid(interp(mean of the window)); global with extent 0."""
    gathered = [[[[average(plane)]] if extent == 0 else windows(plane, extent) for plane in image] for image in x]
    return excited(x, gathered), {}


def gather_excite(x, training, kernels, norms, w_1=None, b_1=None, w_2=None, b_2=None, extent=0):
    """GE-theta, and GE-theta-plus where there are w_1 and w_2: depthwise kernels, each with its batch norm.

    `kernels` and `norms` are dictionaries from a layer's number to its kernel or its norm.
    """
    gathered, new = x, {}
    stride, padding = (1, 0) if extent == 0 else (2, 1)
    for number, layer in enumerate(kernels):
        if number > 0:
            gathered = apply(relu, gathered)
        gathered = convolution(gathered, kernels[layer], stride=stride, padding=padding, groups=len(x[0]))
        gathered, new[layer] = batch_norm(gathered, norms[layer], training, MOMENTUM)
    if w_1 is not None:
        hidden = pointwise(apply(relu, gathered), w_1, b_1)
        gathered = pointwise(apply(relu, hidden), w_2, b_2)
    return excited(x, gathered), {"norms": new}


def windows(plane, extent):
    """Means of the windows of 2 extent - 1 pixels on a side around every extent-th pixel, over the pixels inside."""
    height, width = len(plane), len(plane[0])
    means = []
    for i in range(0, height, extent):
        means.append([])
        for j in range(0, width, extent):
            total, count = 0, 0
            for a in range(height):
                for b in range(width):
                    if -extent < a - i < extent and -extent < b - j < extent:
                        total += plane[a][b]
                        count += 1
            means[-1].append(total / count)
    return means


def excited(x, gathered):
    """x sigmoid of the gathered map, each pixel from row floor(i h / H) and column floor(j w / W)."""
    y = zeros_like(x)
    for n, image in enumerate(x):
        for c, plane in enumerate(image):
            small = gathered[n][c]
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    logit = small[i * len(small) // len(plane)][j * len(small[0]) // len(row)]
                    y[n][c][i][j] = value * sigmoid(logit)
    return y
