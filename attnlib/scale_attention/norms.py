"""What batch norms inside a module cannot take, refused before any of them has counted the batch."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def check_values(part: str, module: nn.Module, values: int | Tensor, shape: torch.Size) -> None:
    """Refuse a map of this shape where a norm in `module` that is in train mode gets fewer than two values a channel.

    Each norm is asked, not `module`: a network with frozen norms is in train mode without them. `values` is a tensor
    where torch.jit.trace looks on.

    Raises:
        ValueError: fewer than two values to normalise by.
    """
    training = any(layer.training for layer in module.modules() if isinstance(layer, _BatchNorm))
    if training and values < 2:
        raise ValueError(
            f"{part} needs 2 or more values per channel in train mode and has {values}, got shape {tuple(shape)}; "
            "use a larger batch, or eval mode"
        )


def check_affine(part: str, norm: nn.Module, *names: str) -> None:
    """Refuse what stands in a norm's place without the parameters that the module's equations take from it.

    Raises:
        ValueError: one of `names`, "weight" or "bias", is missing, as on a wrapper, or None, as without affine=True.
    """
    for name in names:
        if getattr(norm, name, None) is None:
            raise ValueError(
                f"{part} reads the {name} of its norm, which {type(norm).__name__} does not have; wrap the whole "
                f"module instead, or let the wrapper show its layer's {name}"
            )


@torch.no_grad()
def track(norm: nn.Module, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as a batch norm layer does, from the biased variance of `count` values."""
    share = counted(norm)
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_((variance * (count / (count - 1))).to(norm.running_var), share)


def counted(norm: nn.Module) -> float:
    """Count one more batch; its share in the running statistics: momentum, or where it is None that of an average."""
    norm.num_batches_tracked.add_(1)
    return 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
