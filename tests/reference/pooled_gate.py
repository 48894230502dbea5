"""The 2-to-1 convolution behind the gates of CBAM and Triplet attention, as their authors released it."""

from tests.reference.layers import batch_norm, convolution
from tests.reference.scalar import larger

MOMENTUM = 0.01


def max_and_mean(values):
    """The first of the largest values, and the mean of all."""
    largest, total = values[0], 0
    for value in values:
        largest = larger(largest, value)
        total += value
    return largest, total / len(values)


def pooled_logits(pooled, weight, norm, training):
    """BN(f([max; mean])) for pooled[n][a][b] = (max, mean); returns logits[n][a][b] and the norm's new statistics."""
    channels = [[[[pair[k] for pair in row] for row in image] for k in range(2)] for image in pooled]
    return norm_logits(convolution(channels, weight, padding=len(weight[0][0]) // 2), norm, training)


def norm_logits(maps, norm, training):
    """One channel, normalised where there is a norm; its channel axis is dropped."""
    new = None
    if norm is not None:
        maps, new = batch_norm(maps, norm, training, MOMENTUM)
    return [image[0] for image in maps], new
