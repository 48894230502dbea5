"""Multiply-adds as torch's own counter has them."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attnlib import kernels


class _Unnamed(FlopCounterMode):
    """Counts all operations as those of one module, without a hook."""

    def __init__(self, **options):
        super().__init__(**options)
        self.mod_tracker = _Everything()


class _Everything(nullcontext):
    parents = frozenset({"Global"})


def flop_counter_macs(model: nn.Module, *inputs: torch.Tensor) -> int:
    """Half of torch's FLOPs of a pass in evaluation mode.

    Ours run in their readable forms, and as they run where no hook looks on: the counter's own, which give the layers'
    names, would let sasa_stem call layers in place of reading their weights, which takes more. Products inside of
    torch's fused attention it does not see; those of a matrix and a vector it never counts.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            sdpa_kernel(SDPBackend.MATH),
            torch.no_grad(),
            kernels.off(),
            _Unnamed(display=False) as counter,
        ):
            model.eval()(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2
