"""A map as a list of positions and back, and attention between such lists: what modules over all pixels share."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def to_positions(x: Float[Tensor, "N C *size"]) -> Float[Tensor, "N positions C"]:
    """The vectors of a map in flat order, each contiguous: the kernels that never hold all weights ask for that."""
    return x.flatten(2).transpose(1, 2).contiguous()


def to_map(y: Float[Tensor, "N positions C"], size: torch.Size) -> Float[Tensor, "N C *size"]:
    """A map of this size from its vectors."""
    return y.transpose(1, 2).unflatten(2, size)


def attend(
    query: Float[Tensor, "N queries width"],
    key: Float[Tensor, "N keys width"],
    value: Float[Tensor, "N keys C"],
    scale: float,
) -> Float[Tensor, "N queries C"]:
    """softmax(scale * query key^T) value, by a kernel that never holds all weights where there is one.

    The kernel of CPUs has no second derivatives and no forward mode; inside of
    `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)` the plain form is taken, which has both.
    """
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=scale)[:, 0]


def chosen_weights(
    query: Float[Tensor, "N queries width"],
    key: Float[Tensor, "N keys width"],
    scale: float,
    chosen: Int[Tensor, " Q"] | None = None,
) -> Float[Tensor, "N 1 Q keys"]:
    """softmax(scale * query key^T) for the chosen queries, or for all of them."""
    rows = query if chosen is None else query[:, chosen]
    return torch.softmax(scale * rows @ key.transpose(1, 2), -1)[:, None]
