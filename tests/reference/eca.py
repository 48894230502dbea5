"""Efficient channel attention: Wang et al., arXiv 1910.03151, equations of Sections 3.2 and 3.3."""

from tests.reference.layers import average
from tests.reference.scalar import sigmoid, zeros_like


def eca(x, w, shared=True):
    """x_i sigmoid(sum_j w_j y_j over the k neighbours of i); one kernel w[0][0], or w[i][0] for each channel i."""
    y = zeros_like(x)
    for n, image in enumerate(x):
        means = [average(plane) for plane in image]
        for i, plane in enumerate(image):
            kernel = w[0][0] if shared else w[i][0]
            gate = sigmoid(slid(means, kernel, i))
            for a, row in enumerate(plane):
                for b, value in enumerate(row):
                    y[n][i][a][b] = gate * value
    return y, {}


def slid(values, kernel, i):
    """The kernel with its middle at entry i, its first weight on the entry before; zeros beyond both ends."""
    total, reach = 0, len(kernel) // 2
    for j in range(len(values)):
        if -reach <= j - i <= reach:
            total += values[j] * kernel[j - i + reach]
    return total
