"""Mean and standard deviation of the pixels, for normalisation."""

import numpy as np
from jaxtyping import UInt8


def channel_statistics(images: UInt8[np.ndarray, "N H W 3"]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels, in units of the full range (0 to 1).

    Computed from histograms, so that 150 MB of images need no copy in floating point and the sums are exact.
    """
    values = np.arange(256)
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        share = counts / counts.sum()
        mean = float(share @ values)
        means.append(mean / 255)
        deviations.append(float(share @ (values - mean) ** 2) ** 0.5 / 255)
    return means, deviations
