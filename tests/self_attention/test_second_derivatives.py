"""Gradient penalties, forward mode and batches of gradients: kernels have none of them, and the plain form steps in."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from attnlib import create
from attnlib.self_attention.positions import attention

MODULES = ["dot_product", "non_local", "base_oc", "sagan"]


def built(key):
    torch.manual_seed(0)
    arguments = {"dot_product": {"heads": 2}, "sagan": {"form": "text"}}.get(key, {})
    module = create(key, 8, **arguments).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module, torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)


def inputs():
    torch.manual_seed(0)
    return [torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]


def by_torch(*tensors):
    return F.scaled_dot_product_attention(*tensors, scale=0.7)


def ours(*tensors):
    return attention(*tensors, 0.7)


def penalty(of, tensors):
    gradients = torch.autograd.grad(of(*tensors).square().sum(), tensors, create_graph=True)
    return sum(each.square().sum() for each in gradients)


@pytest.mark.parametrize("key", MODULES)
def test_modules_have_second_derivatives_and_forward_mode(key):
    module, x = built(key)
    assert gradgradcheck(module, x)
    assert gradcheck(module, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)


@pytest.mark.parametrize("key", MODULES)
def test_a_gradient_penalty_reaches_all_weights(key):
    module, x = built(key)
    gradient = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)[0]
    gradient.square().sum().backward()
    # A weight decides on the gradient, but for constants that are added behind everything else.
    reached = [name for name, each in module.named_parameters() if each.grad is not None and each.grad.any()]
    assert any("query" in name or "theta" in name for name in reached)
    assert any("value" in name or name.startswith("g.") for name in reached)


def test_what_torch_func_and_tracers_do_with_it():
    tensors = inputs()
    plain = [each.detach() for each in tensors]
    alone = vmap(grad(lambda *one: ours(*(each[None] for each in one)).square().sum()))(*plain)
    torch.testing.assert_close(alone, torch.autograd.grad(by_torch(*tensors).square().sum(), tensors[0])[0])
    assert hessian(lambda query: ours(query, *plain[1:]).sum())(plain[0]).isfinite().all()
    torch.testing.assert_close(make_fx(ours)(*plain)(*plain), by_torch(*plain))
    traced = make_fx(lambda *each: penalty(ours, [one.requires_grad_() for one in each]))(*plain)
    torch.testing.assert_close(traced(*plain), penalty(ours, tensors))


def test_first_derivatives_are_the_kernels_own_and_come_as_often_as_asked_for():
    tensors = inputs()
    expected = torch.autograd.grad(by_torch(*tensors).square().sum(), tensors)
    y = ours(*tensors).square().sum()
    for _ in range(2):
        assert all(map(torch.equal, torch.autograd.grad(y, tensors, retain_graph=True), expected))
    for reentrant in (False, True):
        y = checkpoint(ours, *tensors, use_reentrant=reentrant).square().sum()
        y.backward()
        assert all(torch.equal(each.grad, right) for each, right in zip(tensors, expected, strict=True))
        for each in tensors:
            each.grad = None
    only = torch.autograd.grad(ours(tensors[0].detach(), tensors[1], tensors[2].detach()).square().sum(), tensors[1])
    assert torch.equal(only[0], expected[1])


def test_under_autocast():
    tensors = [each.detach().float().requires_grad_() for each in inputs()]
    with torch.autocast("cpu", torch.bfloat16):
        y, expected = ours(*tensors), by_torch(*tensors)
        assert torch.equal(y, expected)
        assert y.dtype == torch.bfloat16
    loss = torch.autograd.grad(y.float().square().sum(), tensors, create_graph=True)
    right = torch.autograd.grad(expected.float().square().sum(), tensors)
    torch.testing.assert_close([*loss], [*right], atol=0.05, rtol=0.05)
    sum(each.square().sum() for each in loss).backward()
    assert all(each.grad.isfinite().all() and each.grad.dtype == torch.float32 for each in tensors)
