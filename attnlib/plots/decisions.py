"""How strongly each operator of a switchable excitation (SEM) speaks, layer by layer."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor, nn

from attnlib.plots.maps import captured
from attnlib.plots.style import INK


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
    if ax is None:
        _, ax = plt.subplots(figsize=(max(5, 1.0 * len(modules) + 1.5), 3.6))
    sns.pointplot(
        pd.DataFrame(rows),
        x="layer",
        y="weight",
        hue="operator",
        estimator="median",
        errorbar=("pi", 90),
        dodge=0.3,
        linestyle="none",
        palette="colorblind",
        markers=["o", "s", "^"][: len({row["operator"] for row in rows})],
        ax=ax,
    )
    ax.axhline(0.5, color=INK, lw=1, ls="--")
    ax.set(xlabel="", ylabel="decision weight", ylim=(0, 1))
    ax.tick_params(axis="x", rotation=30)
    ax.legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
