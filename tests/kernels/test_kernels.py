"""Kernels of scale attention equal the forms to read, can be switched off, and stand back where they do not serve."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad, gradgradcheck

from attnlib import create, kernels
from attnlib.kernels import passes
from attnlib.kernels.triplet import WIDEST_BAND, convolved_in_bands
from tests.cases import CASES
from tests.harness import draw, has_statistics, sample, statistics_of

MODULES = {"iebn": {}, "sa": {"groups": 2}, "triplet": {"kernel_size": 3}}
every_kernel = pytest.mark.parametrize("key", MODULES)

LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda x: torch.stack([x, x], -1)[..., 0],
    "expanded": lambda x: x[:, :, :1].expand(-1, -1, x.shape[2], -1),
    "one image": lambda x: x[:1],
    "no image": lambda x: x[:0],
    "ties": lambda x: x.round().relu(),
    "constant": lambda x: torch.ones_like(x),
}


@pytest.fixture(autouse=True)
def tiny_chunks(monkeypatch):
    """Chunks of two images, so that there are several, the last of them shorter."""
    monkeypatch.setattr(passes, "CHUNK", 2 * 4 * 5 * 7 * 8)


def built(key, **options):
    torch.manual_seed(0)
    module = create(key, 4, **MODULES[key]).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.train(options.get("training", True))


@pytest.mark.filterwarnings("ignore:var_mean")  # of no image: there is nothing to be wrong
@pytest.mark.parametrize("case", [case for case in CASES if case.key in MODULES], ids=str)
def test_a_module_equals_its_form_to_read(case):
    shapes = [(5, *case.shape[1:])] if case.tied else [(5, *case.shape[1:]), (3, 9, 7), (3, 1, 6), (3, 5, 1)]
    for training in {False, has_statistics(case.create())}:
        for layout in LAYOUTS.values():
            for shape in shapes:
                x = layout(sample(case, *shape))
                if training and len(x) < 2:
                    continue
                found, expected = outcome(case, x, training), None
                with kernels.off():
                    expected = outcome(case, x, training)
                for one, other in zip(found, expected, strict=True):
                    torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def outcome(case, x, training):
    """Output, gradients of the map and the parameters, statistics."""
    module, leaf = case.build().train(training), x.detach().requires_grad_()
    y = module(leaf)
    (draw(y.shape, seed=2) * y).sum().backward()
    return [y, leaf.grad, *(p.grad for p in module.parameters()), *statistics_of(module).values()]


@every_kernel
def test_it_runs_until_it_is_switched_off(key):
    def ran():
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            built(key)(x)
        return any(event.key.startswith("_") for event in seen.key_averages())

    x = draw((2, 4, 5, 7), seed=0).requires_grad_()
    assert ran()
    with kernels.off():
        assert not ran()
        with kernels.off():
            pass
        assert not ran()
    assert ran()


@every_kernel
@pytest.mark.parametrize("training", [True, False])
def test_gradients_can_be_differentiated_again(key, training):
    module = built(key, training=training)
    assert gradgradcheck(module, draw((2, 4, 2, 3), seed=0).requires_grad_(), fast_mode=True)


@every_kernel
def test_an_input_that_needs_no_gradient_leaves_the_parameters_theirs(key):
    gradients = []
    for needed in (False, True):
        module, x = built(key), draw((3, 4, 5, 7), seed=1)
        module(x.requires_grad_(needed)).square().sum().backward()
        gradients.append([parameter.grad for parameter in module.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@every_kernel
def test_nobody_else_s_gradient_is_written_into(key):
    module, x, given = built(key), draw((3, 4, 5, 7), seed=1).requires_grad_(), draw((3, 4, 5, 7), seed=2)
    before = given.clone()
    module(x).backward(given, retain_graph=True)
    assert torch.equal(given, before)
    once = x.grad.clone()
    x.grad = None
    (module(x) + x).backward(given)
    torch.testing.assert_close(x.grad, once + given)


@every_kernel
def test_transforms_get_their_derivatives(key):
    module = built(key, training=False)
    x, direction, weighting = (draw((2, 4, 2, 3), seed) for seed in range(3))
    with forward_ad.dual_level():
        along = forward_ad.unpack_dual(module(forward_ad.make_dual(x, direction))).tangent
    gradient = torch.func.grad(lambda x: (weighting * module(x)).sum())(x)
    torch.testing.assert_close((weighting * along).sum(), (gradient * direction).sum())
    leaf = x.clone().requires_grad_()
    (weighting * module(leaf)).sum().backward()
    torch.testing.assert_close(leaf.grad, gradient)
    each = torch.func.vmap(module)(torch.stack([x, direction]))
    torch.testing.assert_close(each, torch.stack([module(x), module(direction)]))
    beside = torch.func.vmap(lambda noise: module(x) + noise)(direction[None])
    torch.testing.assert_close(beside[0], module(x) + direction)


def test_the_variance_of_a_far_off_map_keeps_its_digits():
    torch.manual_seed(0)
    module, x = create("iebn", 3), 1e4 + draw((2, 3, 9, 7), seed=0).float()
    module.train()(x)
    variance = x.double().var((0, 2, 3))
    torch.testing.assert_close(module.norm.running_var.double(), 0.9 + 0.1 * variance, atol=0, rtol=1e-3)


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("shape", [(2, 9, 7), (1, 5, 11), (3, 1, 6), (2, 1, 1), (0, 4, 3), (1, 65, 66)], ids=str)
def test_the_convolution_in_bands_is_the_convolution(kernel_size, shape):
    z, weight = draw((shape[0], 2, *shape[1:]), seed=1), draw((1, 2, kernel_size, kernel_size), seed=2)
    results = []
    for convolve in (convolved_in_bands, lambda z, w: F.conv2d(z, w, padding=kernel_size // 2)):
        leaves = z.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(*leaves)
        (y * draw(y.shape, seed=3)).sum().backward()
        results.append([y, *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


def test_bands_are_for_maps_with_a_short_side(monkeypatch):
    ran, convolve = [], F.conv1d
    monkeypatch.setattr(F, "conv1d", lambda *a, **k: (ran.append(a[0].shape), convolve(*a, **k))[1])
    weight = torch.zeros(1, 2, 7, 7)
    for size in ((80, WIDEST_BAND), (WIDEST_BAND, 80), (WIDEST_BAND + 1, WIDEST_BAND + 1)):
        convolved_in_bands(torch.zeros(1, 2, *size), weight)
    assert len(ran) == 2


# Where they serve.


def test_plain_tensors_are_served():
    assert kernels.serves(torch.randn(2), None, nn.Parameter(torch.randn(2)))
    assert kernels.serves(torch.randn(2, dtype=torch.float64), layers=[nn.Linear(2, 2)])
    assert kernels.serves(torch.empty(2, device="meta"), torch.randn(2, dtype=torch.bfloat16), anywhere=True)


@pytest.mark.parametrize(
    "tensors",
    [
        (torch.empty(2, device="meta"),),
        (torch.randn(2, dtype=torch.bfloat16),),
        (torch.randn(2), torch.randn(2, dtype=torch.float64)),
    ],
    ids=["meta", "bfloat16", "two types"],
)
def test_other_tensors_are_not(tensors):
    assert not kernels.serves(*tensors)


def test_hooks_on_a_layer_or_on_all_are_seen():
    x, layer = torch.randn(2), nn.Linear(2, 2)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not kernels.serves(x)
    handle.remove()
    layer.register_forward_hook(lambda *_: None)
    assert not kernels.serves(x, layers=[layer])


def test_what_traces_or_transforms_gets_the_form_to_read():
    answers = {}

    def ask(name):
        def function(x):
            answers.setdefault(name, kernels.serves(x))  # a trace runs once more, untraced, to check itself
            return x + 0

        return function

    x = torch.randn(2)
    torch.jit.trace(ask("trace"), x)
    torch.func.vmap(ask("vmap"))(x)
    torch.func.grad(lambda x: ask("grad")(x).sum())(x)
    with forward_ad.dual_level():
        ask("forward mode")(forward_ad.make_dual(x, x))
    with torch.autocast("cpu", torch.bfloat16):
        ask("autocast")(x)
    assert answers == dict.fromkeys(("trace", "vmap", "grad", "forward mode", "autocast"), False)


@pytest.mark.export  # torch.compile cannot pass through a type checker
def test_what_is_compiled_gets_the_form_to_read():
    x = torch.randn(2)
    compiled = torch.compile(lambda x: x + kernels.serves(x), backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), x)
