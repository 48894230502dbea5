"""Multiply-adds as torch's own counter has them."""

from unittest.mock import patch

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attnlib.scale_attention import pooled_gate
from attnlib.self_attention import local


def flop_counter_macs(model: nn.Module, *inputs: torch.Tensor) -> int:
    """Half of torch's FLOPs of a pass in evaluation mode.

    Everything runs in its readable form: the counter does not see the products inside torch's fused attention kernels
    and our local attention, and of our banded convolutions it counts the products with zeros too. Products of a matrix
    and a vector it never counts.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            patch.object(local, "_eager", return_value=False),
            patch.object(pooled_gate, "pays", return_value=False),
            sdpa_kernel(SDPBackend.MATH),
            torch.no_grad(),
            FlopCounterMode(display=False) as counter,
        ):
            model.eval()(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2
