"""Multiply-adds as torch's own counter has them."""

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attnlib.self_attention import local


def flop_counter_macs(model: nn.Module, *inputs: torch.Tensor) -> int:
    """Half of torch's FLOPs of a pass in evaluation mode.

    It sees neither the products inside torch's fused attention kernels nor those of our own local attention, so that
    both run in their readable form here; products of a matrix and a vector it never counts.
    """
    eager, local._eager = local._eager, lambda tensors: False
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            model.eval()(*inputs)
    finally:
        local._eager = eager
        torch.backends.mha.set_fastpath_enabled(fast_path)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2
