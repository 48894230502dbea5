"""Triplet attention: Misra et al., arXiv 2010.03045, and the code its authors released."""

from tests.reference.pooled_gate import max_and_mean, pooled_logits
from tests.reference.scalar import sigmoid, zeros_like


def triplet(x, training, channel_width=None, channel_height=None, spatial=None):
    """The mean of x g_CW, x g_HC and x g_HW over the branches given, each a kernel `weight` and a `norm`."""
    channels, height, width = len(x[0]), len(x[0][0]), len(x[0][0][0])
    y, statistics, count = zeros_like(x), {}, 0
    for name, branch in (("channel_width", channel_width), ("channel_height", channel_height), ("spatial", spatial)):
        if branch is None:
            continue
        count += 1
        pooled = []
        for image in x:
            if name == "channel_width":  # over H, at (c, j)
                rows = [
                    [max_and_mean([image[c][i][j] for i in range(height)]) for j in range(width)]
                    for c in range(channels)
                ]
            elif name == "channel_height":  # over W, at (i, c)
                rows = [[max_and_mean(image[c][i]) for c in range(channels)] for i in range(height)]
            else:  # over C, at (i, j)
                rows = [
                    [max_and_mean([image[c][i][j] for c in range(channels)]) for j in range(width)]
                    for i in range(height)
                ]
            pooled.append(rows)
        logits, new = pooled_logits(pooled, branch["weight"], branch["norm"], training)
        statistics[name] = {"norm": new}
        for n, image in enumerate(x):
            for c in range(channels):
                for i in range(height):
                    for j in range(width):
                        a, b = {"channel_width": (c, j), "channel_height": (i, c), "spatial": (i, j)}[name]
                        y[n][c][i][j] += image[c][i][j] * sigmoid(logits[n][a][b])
    return [[[[value / count for value in row] for row in plane] for plane in image] for image in y], statistics
