"""Two plots for the sets: numbers as colours, and images in a row."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np


def heatmap(
    values, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None, title: str = "", digits: int = 2
) -> None:
    """A matrix as colours with its numbers written into it.

    Args:
        values: (rows, columns), a tensor or an array.
        rows: a name for each row.
        columns: a name for each column.
        title: what is shown.
        digits: decimals of the numbers.
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"values must be a matrix, got the shape {values.shape}; take one of them, such as values[0]")
    height, width = values.shape
    _, axes = plt.subplots(figsize=(1.2 + 0.7 * width, 0.9 + 0.5 * height))
    picture = axes.imshow(values, cmap="viridis", aspect="auto")
    middle = (values.min() + values.max()) / 2
    if height * width <= 150:
        for (i, j), value in np.ndenumerate(values):
            axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color="w" if value < middle else "k")
    axes.set_xticks(range(width), columns if columns is not None else range(width))
    axes.set_yticks(range(height), rows if rows is not None else range(height))
    axes.set_title(title)
    plt.colorbar(picture)
    plt.show()


def pictures(images, titles: Sequence[str] | None = None) -> None:
    """Images or maps in a row.

    Args:
        images: (N, H, W) or (N, H, W, 3), a tensor or an array.
        titles: a title for each.
    """
    images = np.asarray(images)
    _, axes = plt.subplots(1, len(images), figsize=(1.6 * len(images), 1.9), squeeze=False)
    for number, (axis, image) in enumerate(zip(axes[0], images, strict=True)):
        axis.imshow(image, cmap="viridis")
        axis.axis("off")
        axis.set_title(titles[number] if titles is not None else "", fontsize=9)
    plt.show()
