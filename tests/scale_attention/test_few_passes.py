"""CBAM, BAM and Triplet attention in few passes against their readable forms, which tracing switches on."""

import pytest
import torch
import torch.nn.functional as F

from attnlib import create
from attnlib.scale_attention.fused import fusable
from attnlib.scale_attention.pooled_gate import WIDEST_BAND, convolve_in_bands, pays
from tests.harness import draw

MODULES = {
    "cbam": {"reduction": 2},
    "cbam, spatial gate first": {"reduction": 2, "order": "spatial-first"},
    "cbam, parallel": {"reduction": 2, "order": "parallel"},
    "bam": {"reduction": 2},
    "bam, sum": {"reduction": 2, "combine": "sum"},
    "triplet": {},
    "triplet, two branches": {"channel_height": False},
}
every_module = pytest.mark.parametrize("name", MODULES)


def build(name):
    torch.manual_seed(0)
    module = create(name.split(",")[0], 6, **MODULES[name]).double().train()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def everything(name, x, readable, monkeypatch):
    """Output, gradients of x and of all parameters, and statistics, in one form or the other."""
    module, leaf = build(name), x.clone(memory_format=torch.preserve_format).requires_grad_()
    with monkeypatch.context() as patch:
        if readable:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert fusable(leaf) is not readable
        y = module(leaf)
        (y * draw(y.shape, seed=2)).sum().backward()
    return [y, leaf.grad, *(parameter.grad for parameter in module.parameters()), *module.buffers()]


def equal(name, x, monkeypatch):
    for fast, plain in zip(*(everything(name, x, readable, monkeypatch) for readable in (False, True)), strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-12)


@every_module
@pytest.mark.parametrize("shape", [(3, 6, 9, 7), (2, 6, 8, 8), (2, 6, 1, 6), (3, 6, 5, 1), (40, 6, 60, 30)], ids=str)
def test_any_size_also_more_than_fits_in_one_chunk(name, shape, monkeypatch):
    equal(name, draw(shape, seed=1), monkeypatch)


@every_module
def test_where_maxima_tie(name, monkeypatch):
    x = draw((4, 6, 9, 7), seed=1).relu()
    x[1], x[2, :, 3:] = 0, 1.5
    equal(name, x, monkeypatch)


@every_module
@pytest.mark.parametrize("layout", ["channels_last", "strided", "expanded"])
def test_any_layout(name, layout, monkeypatch):
    x = draw((3, 6, 9, 7), seed=1)
    layouts = {
        "channels_last": x.to(memory_format=torch.channels_last),
        "strided": torch.stack([x, x], -1)[..., 0],
        "expanded": x[:, :, :1].expand(-1, -1, 9, -1),
    }
    assert not layouts[layout].is_contiguous()
    equal(name, layouts[layout], monkeypatch)


@every_module
def test_second_derivatives(name):
    module = build(name).eval()
    x = draw((2, 6, 3, 4), seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(module, x, atol=1e-6, fast_mode=True)


@every_module
def test_an_input_that_needs_no_gradient(name):
    module, x = build(name), draw((3, 6, 9, 7), seed=1)
    module(x).square().sum().backward()
    found = [parameter.grad for parameter in module.parameters()]
    other = build(name)
    other(x.requires_grad_()).square().sum().backward()
    for ours, expected in zip(found, other.parameters(), strict=True):
        torch.testing.assert_close(ours, expected.grad, atol=1e-12, rtol=1e-12)


# The convolution in bands.


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("shape", [(2, 9, 7), (1, 5, 11), (3, 1, 6), (2, 1, 1), (0, 4, 3)], ids=str)
@pytest.mark.parametrize("maps", [1, 2])
def test_the_convolution_in_bands_is_the_convolution(kernel_size, shape, maps):
    z = draw((shape[0], maps, *shape[1:]), seed=1)
    weight = draw((1, maps, kernel_size, kernel_size), seed=2)
    results = []
    for convolve in (convolve_in_bands, lambda z, w: F.conv2d(z, w, padding=kernel_size // 2)):
        leaves = z.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(*leaves)
        (y * draw(y.shape, seed=3)).sum().backward()
        results.append([y, *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


def test_bands_are_for_maps_with_a_short_side():
    weight = torch.zeros(1, 2, 7, 7)
    assert pays(torch.zeros(1, 2, 300, WIDEST_BAND), weight)
    assert pays(torch.zeros(1, 2, WIDEST_BAND, 300), weight)
    assert not pays(torch.zeros(1, 2, WIDEST_BAND + 1, WIDEST_BAND + 1), weight)
