"""Normalization-based attention: Liu et al., arXiv 2111.12419, and the code its authors released."""

import cmath

from tests.reference.layers import moments
from tests.reference.scalar import constant, magnitude, sigmoid, zeros_like

EPS, MOMENTUM = 1e-5, 0.1


def nam(x, training, channel=None, spatial=None, detach_scale=True, signed=False):
    """x sigmoid(w B(x)) over channels, then the same over positions; either may be left out.

    `channel` and `spatial` hold a batch norm each: scale, shift, mean, variance and batches (how many it has seen).
    Returns the output and the norms' new mean, variance and batches, under the same two names.
    """
    statistics = {}
    for part, norm in (("channel", channel), ("spatial", spatial)):
        if norm is not None:
            index = channel_index if part == "channel" else position_index
            x, statistics[part] = gated(x, norm, index, training, detach_scale, signed)
    return x, statistics


def channel_index(c, i, j, width):
    return c


def position_index(c, i, j, width):
    return i * width + j


def gated(x, norm, index, training, detach_scale, signed):
    """x sigmoid(w B(x)), where all values with the same index share a mean, a variance, a scale and a shift."""
    size, width = len(norm["scale"]), len(x[0][0][0])
    groups = [[] for _ in range(size)]
    for image in x:
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    groups[index(c, i, j, width)].append(value)
    mean, variance = norm["mean"], norm["variance"]
    new = {"mean": mean, "variance": variance, "batches": norm["batches"]}
    if training:
        mean, variance = [], []
        new = {"mean": [], "variance": [], "batches": norm["batches"] + 1}
        for k, group in enumerate(groups):
            m, v = moments(group)
            mean.append(m)
            variance.append(v)
            unbiased = v * len(group) / (len(group) - 1)
            new["mean"].append((1 - MOMENTUM) * norm["mean"][k] + MOMENTUM * m)
            new["variance"].append((1 - MOMENTUM) * norm["variance"][k] + MOMENTUM * unbiased)
    weight = weights(norm["scale"], detach_scale, signed)
    y = zeros_like(x)
    for n, image in enumerate(x):
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    k = index(c, i, j, width)
                    normal = (value - mean[k]) / cmath.sqrt(variance[k] + EPS)
                    z = norm["scale"][k] * normal + norm["shift"][k]
                    y[n][c][i][j] = value * sigmoid(weight[k] * z)
    return y, new


def weights(scale, detach_scale, signed):
    """Each scale's share: of the sum of their magnitudes as released, of their plain sum as printed."""
    share, total = [], 0
    for value in scale:
        part = value if signed else magnitude(value)
        part = constant(part) if detach_scale else part
        share.append(part)
        total += part
    return [part / total for part in share]
