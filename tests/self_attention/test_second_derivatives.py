"""Gradient penalties and forward mode on a CPU, whose kernel has neither: in the plain form, which is asked for."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnlib import create


@pytest.mark.parametrize("key", ["dot_product", "non_local", "base_oc", "sagan"])
def test_the_plain_form_has_second_derivatives_and_forward_mode(key):
    torch.manual_seed(0)
    module = create(key, 8, **({"heads": 2} if key == "dot_product" else {})).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        assert gradgradcheck(module, x)
        assert gradcheck(module, x, check_forward_ad=True, check_batched_grad=True)
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(module(forward_ad.make_dual(x, torch.ones_like(x)))).tangent
    assert tangent.isfinite().all()
