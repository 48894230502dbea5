"""A few steps of SGD on given batches, for checks that two networks learn the same."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def sgd_steps(
    network: nn.Module,
    images: Float[Tensor, "steps batch channels height width"],
    labels: Int[Tensor, "steps batch"],
    learning_rate: float = 0.02,
    weight_decay: float = 1e-3,
) -> dict[str, Tensor]:
    """The weights and norms after a step of SGD with momentum 0.9 on each batch; the network keeps them.

    Args:
        network: from images to logits (batch, classes).
        images: a batch for each step.
        labels: their classes.
    """
    sgd = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9, weight_decay=weight_decay)
    for batch, right in zip(images, labels, strict=True):
        sgd.zero_grad()
        F.cross_entropy(network(batch), right).backward()
        sgd.step()
    return network.state_dict()
