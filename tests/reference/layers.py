"""The layers that several references are built from, in loops: x[n][c][i][j], weight[o][c][a][b]."""

import cmath

EPS = 1e-5


def convolution(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """A convolution with zero padding, as networks mean it: the kernel is not flipped."""
    height, width = len(x[0][0]), len(x[0][0][0])
    kernel_height, kernel_width = len(weight[0][0]), len(weight[0][0][0])
    rows = (height + 2 * padding - dilation * (kernel_height - 1) - 1) // stride + 1
    columns = (width + 2 * padding - dilation * (kernel_width - 1) - 1) // stride + 1
    inside, outside = len(weight[0]), len(weight) // groups
    y = []
    for image in x:
        y.append([])
        for o, kernel in enumerate(weight):
            start = o // outside * inside
            plane = []
            for i in range(rows):
                plane.append([])
                for j in range(columns):
                    total = 0 if bias is None else bias[o]
                    for c in range(inside):
                        source = image[start + c]
                        for a in range(kernel_height):
                            row = i * stride - padding + a * dilation
                            if 0 <= row < height:
                                for b in range(kernel_width):
                                    column = j * stride - padding + b * dilation
                                    if 0 <= column < width:
                                        total += kernel[c][a][b] * source[row][column]
                    plane[-1].append(total)
            y[-1].append(plane)
    return y


def pointwise(x, matrix, bias=None):
    """A 1 x 1 convolution: matrix[o][c] at every pixel."""
    y = []
    for image in x:
        y.append([])
        for o, weights in enumerate(matrix):
            plane = []
            for i in range(len(image[0])):
                plane.append([])
                for j in range(len(image[0][0])):
                    total = 0 if bias is None else bias[o]
                    for c in range(len(weights)):
                        total += weights[c] * image[c][i][j]
                    plane[-1].append(total)
            y[-1].append(plane)
    return y


def product(matrix, vector, bias=None):
    """matrix[o][c] times vector[c], plus bias[o]."""
    y = []
    for o, weights in enumerate(matrix):
        total = 0 if bias is None else bias[o]
        for c in range(len(weights)):
            total += weights[c] * vector[c]
        y.append(total)
    return y


def batch_norm(x, norm, training, momentum=0.1):
    """Normalise each channel by the batch's mean and biased variance, or by the running ones.

    `norm` holds scale, shift, mean, variance and batches. Returns the map and the new mean, variance (unbiased) and
    batches.
    """
    mean, variance = norm["mean"], norm["variance"]
    new = {"mean": mean, "variance": variance, "batches": norm["batches"]}
    if training:
        mean, variance = [], []
        new = {"mean": [], "variance": [], "batches": norm["batches"] + 1}
        for c in range(len(x[0])):
            values = [value for image in x for row in image[c] for value in row]
            m, v = moments(values)
            mean.append(m)
            variance.append(v)
            new["mean"].append((1 - momentum) * norm["mean"][c] + momentum * m)
            unbiased = v * len(values) / (len(values) - 1)
            new["variance"].append((1 - momentum) * norm["variance"][c] + momentum * unbiased)
    y = []
    for image in x:
        y.append([])
        for c, plane in enumerate(image):
            scale = norm["scale"][c] / cmath.sqrt(variance[c] + EPS)
            y[-1].append([[(value - mean[c]) * scale + norm["shift"][c] for value in row] for row in plane])
    return y, new


def moments(values):
    """Mean and biased variance."""
    mean = 0
    for value in values:
        mean += value
    mean = mean / len(values)
    variance = 0
    for value in values:
        variance += (value - mean) * (value - mean)
    return mean, variance / len(values)


def shares(scores):
    """exp(s) over the total of exp(s): each score's share."""
    largest = scores[0].real
    for score in scores:
        largest = score.real if score.real > largest else largest
    parts, total = [], 0
    for score in scores:
        part = cmath.exp(score - largest)
        parts.append(part)
        total += part
    return [part / total for part in parts]


def average(plane):
    """Mean over a map."""
    total = 0
    for row in plane:
        for value in row:
            total += value
    return total / (len(plane) * len(plane[0]))


def apply(function, x):
    """A function of one number at every entry."""
    return [[[[function(value) for value in row] for row in plane] for plane in image] for image in x]
