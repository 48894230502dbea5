"""SAGAN's self-attention: Zhang et al., arXiv 1805.08318, and the layer of its authors' code."""

from tests.reference.layers import pointwise, shares
from tests.reference.positions import inner, mixture, planes, pooled, vectors


def sagan(x, w_f, w_g, w_h, w_v, gamma, form="released"):
    """y_j = x_j + gamma W_v sum_i beta_{j,i} W_h x_i: f gives the keys, g the queries; no scale, no biases."""
    keys, queries, values = pointwise(x, w_f), pointwise(x, w_g), pointwise(x, w_h)
    if form == "released":
        keys = [[pooled(plane, 2, 2) for plane in image] for image in keys]
        values = [[pooled(plane, 2, 2) for plane in image] for image in values]
    mixed = []
    for n in range(len(x)):
        f, h = vectors(keys[n]), vectors(values[n])
        o = [mixture(shares([inner(key, query) for key in f]), h) for query in vectors(queries[n])]
        mixed.append(planes(o, len(x[n][0][0])))
    o = pointwise(mixed, w_v)
    y = []
    for n, image in enumerate(x):
        y.append([])
        for c, plane in enumerate(image):
            rows = []
            for i, row in enumerate(plane):
                rows.append([value + gamma * o[n][c][i][j] for j, value in enumerate(row)])
            y[-1].append(rows)
    return y, {}
