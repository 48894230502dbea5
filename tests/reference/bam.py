"""Bottleneck attention: Park et al., arXiv 1807.06514, and the code its authors released."""

from tests.reference.layers import apply, average, batch_norm, convolution, pointwise, product
from tests.reference.scalar import relu, sigmoid, zeros_like


def bam(x, training, channel, spatial, dilation=4, combine="product"):
    """x + x sigmoid(M_c M_s), or sigmoid(M_c + M_s); a norm at a branch's end is its entry `out`."""
    new_channel, new_spatial = {}, {}

    # Vectors go through `batch_norm` as maps of one pixel.
    hidden = [
        [[[h]] for h in product(channel["w_0"], [average(plane) for plane in image], channel["b_0"])] for image in x
    ]
    hidden, new_channel["norm"] = batch_norm(hidden, channel["norm"], training)
    hidden = apply(relu, hidden)
    m_c = [
        [[[m]] for m in product(channel["w_1"], [plane[0][0] for plane in image], channel["b_1"])] for image in hidden
    ]
    if "out" in channel:
        m_c, new_channel["out"] = batch_norm(m_c, channel["out"], training)

    u = pointwise(x, spatial["f_0"], spatial["b_0"])
    for k in range(3):
        if k > 0:
            u = convolution(u, spatial[f"f_{k}"], spatial[f"b_{k}"], padding=dilation, dilation=dilation)
        u, new_spatial[f"norm_{k}"] = batch_norm(u, spatial[f"norm_{k}"], training)
        u = apply(relu, u)
    m_s = pointwise(u, spatial["f_3"], spatial["b_3"])
    if "out" in spatial:
        m_s, new_spatial["out"] = batch_norm(m_s, spatial["out"], training)

    y = zeros_like(x)
    for n, image in enumerate(x):
        for c, plane in enumerate(image):
            for i, row in enumerate(plane):
                for j, value in enumerate(row):
                    a, b = m_c[n][c][0][0], m_s[n][0][i][j]
                    y[n][c][i][j] = value + value * sigmoid(a * b if combine == "product" else a + b)
    return y, {"channel": new_channel, "spatial": new_spatial}
