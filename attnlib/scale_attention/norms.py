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


def check_local(part: str, norm: nn.Module) -> None:
    """Refuse a synchronised norm of which only parameters and statistics are read: it would not synchronise.

    Raises:
        ValueError: nn.SyncBatchNorm in train mode, in one of several processes.
    """
    distributed = torch.distributed
    if (
        isinstance(norm, nn.SyncBatchNorm)
        and norm.training
        and distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    ):
        raise ValueError(
            f"{part} computes its statistics itself, so that nn.SyncBatchNorm in its norm's place would not "
            "synchronise them; keep the plain norm there (convert_sync_batchnorm on the other layers alone): each "
            "process then has statistics of its own"
        )
