"""Spatial group-wise enhancement: Li, Hu and Yang, arXiv 1905.09646, with the released code's deviation."""

import cmath

from tests.reference.layers import average, moments
from tests.reference.scalar import sigmoid, zeros_like

EPS = 1e-5


def sge(x, weight, bias, unbiased=True):
    """x_i sigmoid(gamma (c_i - mean(c)) / (std(c) + eps) + beta), c_i = g . x_i, for each image and group.

    weight[k] and bias[k] are gamma and beta of group k.
    """
    width = len(x[0]) // len(weight)
    y = zeros_like(x)
    for n, image in enumerate(x):
        for k in range(len(weight)):
            group = image[k * width : (k + 1) * width]
            standard = standardised(similarity(group), unbiased)
            for i in range(len(standard)):
                for j in range(len(standard[0])):
                    gate = sigmoid(weight[k] * standard[i][j] + bias[k])
                    for c in range(width):
                        y[n][k * width + c][i][j] = gate * group[c][i][j]
    return y, {}


def similarity(group):
    """c_i: each pixel's vector times the group's mean vector."""
    means = [average(plane) for plane in group]
    scores = []
    for i in range(len(group[0])):
        scores.append([])
        for j in range(len(group[0][0])):
            total = 0
            for c in range(len(group)):
                total += group[c][i][j] * means[c]
            scores[-1].append(total)
    return scores


def standardised(scores, unbiased):
    """Without its mean, over its deviation (of H W - 1 values or of H W) plus eps; 0 where there is one pixel."""
    values = [value for row in scores for value in row]
    if len(values) == 1:
        return [[0]]
    mean, variance = moments(values)
    degrees = len(values) - 1 if unbiased else len(values)
    deviation = cmath.sqrt(variance * len(values) / degrees)
    return [[(value - mean) / (deviation + EPS) for value in row] for row in scores]
