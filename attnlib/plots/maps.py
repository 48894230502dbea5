"""Maps over images: what a module multiplies, where it looks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from attnlib.plots.style import COLUMN


@contextmanager
def captured(model: nn.Module, read: Callable[[nn.Module, Tensor], Any]) -> Iterator[dict[str, Any]]:
    """While the block runs, `read(module, x)` of every attached attention module at each forward pass, by path.

    >>> with torch.no_grad(), captured(model, lambda module, x: module.gate(x)) as gates:
    ...     model(images)
    >>> gates["layer1.0.bn2"].shape
    """
    from attnlib.networks import attention_modules

    found: dict[str, Any] = {}
    hooks = []
    for path, module in attention_modules(model).items():

        def note(module: nn.Module, args: tuple[Tensor, ...], path: str = path) -> None:
            found[path] = read(module, args[0])

        hooks.append(module.register_forward_pre_hook(note))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def show_maps(
    images: np.ndarray,
    maps: Sequence[Tensor | np.ndarray],
    titles: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
    label: str = "",
) -> Figure:
    """A row for each image: the image itself, then each of its maps, all on one colour scale.

    Args:
        images: uint8 (N, H, W, 3).
        maps: arrays (N, h, w), drawn beside the images in this order.
        titles: one for each map.
        limits: ends of the colour scale; default the smallest and the largest value of all maps.
        label: of the colour bar.
    """
    arrays = [np.asarray(m.detach().cpu() if isinstance(m, Tensor) else m, dtype=float) for m in maps]
    low, high = limits or (min(a.min() for a in arrays), max(a.max() for a in arrays))
    rows, columns = len(images), 1 + len(arrays)
    side = min(1.25, (COLUMN - 0.9) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns + 0.9, side * rows + 0.35), squeeze=False)
    for i, row in enumerate(axes):
        row[0].imshow(images[i])
        for axis, array in zip(row[1:], arrays, strict=True):
            drawn = axis.imshow(array[i], vmin=low, vmax=high)
    for axis, title in zip(axes[0], ("image", *titles), strict=False):
        axis.set_title(title, fontsize=9.5)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes[:, -1], label=label, fraction=0.1)
    return figure


def overlay(image: np.ndarray, heat: Tensor, ax: Axes, title: str = "") -> None:
    """Draw `heat` (h, w), stretched to the image's size and to [0, 1], over a grey copy of the image (H, W, 3)."""
    grown = F.interpolate(heat[None, None].float().cpu(), size=image.shape[:2], mode="bilinear", align_corners=False)[
        0, 0
    ]
    span = (grown.max() - grown.min()).clamp_min(1e-12)
    ax.imshow(image.mean(-1), cmap="gray")
    ax.imshow(((grown - grown.min()) / span).numpy(), alpha=0.5, cmap="inferno")
    ax.set_title(title, fontsize=9.5)
    ax.set_axis_off()
