"""What several backbones share, and the copy of a network that may be tried out."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.base import check_count


def blocks_per_stage(depth: int, layers: int, extra: int) -> int:
    """n of a network of `depth` = layers n + extra layers.

    Raises:
        TypeError: `depth` is not an integer.
        ValueError: there is no such n of 1 or more; the message names the nearest depths that have one.
    """
    check_count("depth", depth)
    n, rest = divmod(depth - extra, layers)
    if rest or n < 1:
        near = sorted({layers * max(nearest, 1) + extra for nearest in (n, n + 1)})
        raise ValueError(
            f"depth={depth} is not {layers}n + {extra} with n >= 1 blocks a stage; choose {' or '.join(map(str, near))}"
        )
    return n


def fan_out_init_(model: nn.Module, classifier_std: float | None = None) -> None:
    """Convolutions from N(0, 2 / (k^2 C_out)), all biases 0; norms keep their ones and zeros.

    C_out counts all groups. Weights of linear layers come from N(0, classifier_std^2); None leaves torch's own.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Linear) and classifier_std is not None:
            nn.init.normal_(module.weight, std=classifier_std)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def copy_modules(model: nn.Module, tensor: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of the modules alone (modes and hooks included) that holds `tensor(t)` for each parameter and buffer t.

    What is done to the copy, or left on it by an error half-way, never reaches the model.
    """
    held = {id(t): tensor(t) for t in (*model.parameters(), *model.buffers())}
    for value in (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)):
        if value.is_meta or not value.is_leaf:  # a plain attribute that cannot be copied, or has no values
            held[id(value)] = tensor(value.detach())
    return copy.deepcopy(model, held)


def without_values(tensor: Tensor) -> Tensor:
    """A tensor, or parameter, of the same kind on the meta device."""
    meta = torch.empty_like(tensor, device="meta")
    return nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta
