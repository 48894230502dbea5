"""How strongly each operator of a switchable excitation (SEM) speaks, layer by layer."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor, nn

from attnlib.plots.maps import captured
from attnlib.plots.style import COLUMN, GATE, INK, MAP, WEIGHT

_OPERATORS = {"fc": (MAP, "o"), "cnn": (GATE, "s"), "ie": (WEIGHT, "^")}


def decision_weights(model: nn.Module, images: Float[Tensor, "N 3 H W"], ax: Axes | None = None) -> Axes:
    """Draw the decision weights of every SEM module; the model's mode is restored.

    A point is the median over the images, its bar holds the middle 90 per cent of them.

    Args:
        model: a network with SEM attached.
        images: as the model takes them, normalised.
        ax: where to draw; default a new figure.

    Raises:
        ValueError: a network without SEM.
    """
    from attnlib.networks import attention_modules
    from attnlib.scale_attention.sem import SEM  # a chapter depends on the files that its kernel loads

    modules = attention_modules(model)
    if not modules or not all(isinstance(module, SEM) for module in modules.values()):
        found = ", ".join(sorted({type(module).__name__ for module in modules.values()})) or "no attention"
        raise ValueError(f"decision weights are SEM's, and this network has {found}; build one with attention='sem'")
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), captured(model, lambda module, x: module.decision(x)) as weights:
            model(images)
    finally:
        model.train(training)
    rows = [
        {"layer": path, "operator": operator, "weight": weight}
        for path, decided in weights.items()
        for image in decided.tolist()
        for operator, weight in zip(modules[path].operators, image, strict=True)
    ]
    frame = pd.DataFrame(rows)
    operators = list(dict.fromkeys(frame["operator"]))
    if ax is None:
        _, ax = plt.subplots(figsize=(COLUMN, 0.75 * len(modules) + 1.3))
    for shift, (operator, (colour, marker)) in zip((-0.22, 0, 0.22), _OPERATORS.items(), strict=True):
        if operator not in operators:
            continue
        weights = frame[frame["operator"] == operator].groupby("layer", sort=False)["weight"]
        low, middle, high = (weights.quantile(share).to_numpy() for share in (0.05, 0.5, 0.95))
        heights = [layer + shift for layer in range(len(modules))]
        ax.hlines(heights, low, high, color=colour, lw=2)
        ax.plot(middle, heights, marker, color=colour, ms=6, label=operator)
    ax.axvline(0.5, color=INK, lw=1, ls="--")
    ax.set_yticks(range(len(modules)), modules)
    ax.set(xlabel="decision weight", xlim=(0, 1), ylim=(len(modules) - 0.5, -0.5))
    ax.grid(visible=False, axis="y")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return ax
