"""Instance enhancement batch normalization: Liang et al., arXiv 1908.04008."""

from tests.reference.layers import average, batch_norm
from tests.reference.scalar import sigmoid


def iebn(x, training, norm, gate_scale, gate_shift, momentum=0.1):
    """(gamma delta) x-hat + beta with delta = sigmoid(gamma-hat m + beta-hat), m the mean of the raw channel.

    `norm` holds gamma as scale, beta as shift, and the running mean, variance and batches.
    """
    ones, nothing = [1 for _ in norm["scale"]], [0 for _ in norm["scale"]]
    normal, new = batch_norm(x, norm | {"scale": ones, "shift": nothing}, training, momentum)
    y = []
    for n, image in enumerate(x):
        y.append([])
        for c, plane in enumerate(image):
            delta = sigmoid(gate_scale[c] * average(plane) + gate_shift[c])
            gain, shift = norm["scale"][c] * delta, norm["shift"][c]
            y[-1].append([[gain * value + shift for value in row] for row in normal[n][c]])
    return y, {"norm": new}
