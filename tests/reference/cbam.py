"""Convolutional block attention: Woo et al., arXiv 1807.06521, and the code its authors released."""

from tests.reference.layers import convolution, pointwise, product
from tests.reference.pooled_gate import max_and_mean, norm_logits, pooled_logits
from tests.reference.scalar import relu, sigmoid, zeros_like


def cbam(x, training=False, channel=None, spatial=None, order="channel-first", channel_pools=("avg", "max")):
    """x M_c(x), then M_s of that; or the other order; or sigmoid of both logits' sum.

    `channel` holds w_0, w_1 and perhaps b_0, b_1; `spatial` a kernel `weight`, perhaps a `norm` and a `descriptor`.
    """
    statistics = {}
    parts = ["channel", "spatial"] if order != "spatial-first" else ["spatial", "channel"]
    if order == "parallel":
        logits = zeros_like(x)
        add_channel_logits(logits, x, channel_pools, **channel)
        statistics["spatial"] = add_spatial_logits(logits, x, training, **spatial)
        return gated(x, logits), statistics
    for part in parts:
        logits = zeros_like(x)
        if part == "channel" and channel is not None:
            add_channel_logits(logits, x, channel_pools, **channel)
            x = gated(x, logits)
        if part == "spatial" and spatial is not None:
            statistics["spatial"] = add_spatial_logits(logits, x, training, **spatial)
            x = gated(x, logits)
    return x, statistics


def gated(x, logits):
    y = zeros_like(x)
    for n, image in enumerate(x):
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    y[n][c][i][j] = value * sigmoid(logits[n][c][i][j])
    return y


def add_channel_logits(logits, x, pools, w_0, w_1, b_0=None, b_1=None):
    """The shared layers run once for each pool; their outputs add up."""
    for n, image in enumerate(x):
        pooled = [max_and_mean([value for row in plane for value in row]) for plane in image]
        for pool in pools:
            z = [largest if pool == "max" else mean for largest, mean in pooled]
            hidden = [relu(h) for h in product(w_0, z, b_0)]
            outputs = product(w_1, hidden, b_1)
            add(logits[n], lambda c, i, j, outputs=outputs: outputs[c])


def add_spatial_logits(logits, x, training, weight, norm=None, descriptor=None):
    if descriptor is not None:
        one = pointwise(x, descriptor)
        maps, new = norm_logits(convolution(one, weight, padding=len(weight[0][0]) // 2), norm, training)
    else:
        pooled = [
            [
                [max_and_mean([plane[i][j] for plane in image]) for j in range(len(image[0][0]))]
                for i in range(len(image[0]))
            ]
            for image in x
        ]
        maps, new = pooled_logits(pooled, weight, norm, training)
    for n, plane in enumerate(maps):
        add(logits[n], lambda c, i, j, plane=plane: plane[i][j])
    return {"norm": new}


def add(image, index):
    """What `index` gives at c, i, j is added to image[c][i][j]."""
    for c, plane in enumerate(image):
        for i, row in enumerate(plane):
            for j in range(len(row)):
                row[j] += index(c, i, j)
