"""The shortest training loop, for toys of seconds: no data set, no recipe, no record."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fit(
    network: nn.Module,
    draw: Callable[[], tuple[Tensor, Tensor]],
    steps: int,
    learning_rate: float = 3e-3,
) -> nn.Module:
    """Train a network on fresh examples by Adam, with one cycle of the learning rate; it comes back in evaluation mode.

    Args:
        network: from inputs to the logits of their classes, the classes second.
        draw: a batch of inputs and of right classes, another with each call.
        steps: so many batches.
        learning_rate: its highest value.

    Raises:
        ValueError: `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
    network.train()
    for _ in range(steps):
        inputs, right = draw()
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), right).backward()
        optimizer.step()
        schedule.step()
    return network.eval()
