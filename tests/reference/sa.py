"""Shuffle attention: Zhang and Yang, arXiv 2102.00240."""

import cmath

from tests.reference.scalar import sigmoid, zeros_like

EPS = 1e-5


def sa(x, w_1, b_1, w_2, b_2, scale, shift, groups, shuffle=True):
    """Per group: x_k1 sigmoid(W_1 s_k + b_1) beside x_k2 sigmoid(W_2 GN(x_k2) + b_2); then the channel shuffle.

    `scale` and `shift` belong to GN, which has one group per channel.
    """
    channels, half = len(x[0]), len(x[0]) // (2 * groups)
    y = zeros_like(x)
    for n, image in enumerate(x):
        for group in range(groups):
            for c in range(half):
                first = 2 * half * group + c
                second = first + half
                y[n][first] = channel_gated(image[first], w_1[c], b_1[c])
                y[n][second] = spatially_gated(image[second], w_2[c], b_2[c], scale[c], shift[c])
    if not shuffle:
        return y, {}
    mixed = zeros_like(x)
    for n in range(len(x)):
        for i in range(channels // 2):
            for j in range(2):
                mixed[n][2 * i + j] = y[n][i + j * channels // 2]
    return mixed, {}


def channel_gated(plane, weight, bias):
    s, _ = moments(plane)
    return [[value * sigmoid(weight * s + bias) for value in row] for row in plane]


def spatially_gated(plane, weight, bias, scale, shift):
    mean, variance = moments(plane)
    gated = []
    for row in plane:
        gated.append([])
        for value in row:
            normal = scale * (value - mean) / cmath.sqrt(variance + EPS) + shift
            gated[-1].append(value * sigmoid(weight * normal + bias))
    return gated


def moments(plane):
    """Mean and biased variance over the map."""
    count, mean, variance = len(plane) * len(plane[0]), 0, 0
    for row in plane:
        for value in row:
            mean += value
    mean = mean / count
    for row in plane:
        for value in row:
            variance += (value - mean) * (value - mean)
    return mean, variance / count
