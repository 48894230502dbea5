"""The fused forms equal their readable forms, stand back where they do not serve, and keep no copy of the map."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from attnlib import create
from attnlib.scale_attention import fused
from attnlib.scale_attention.fused import fusable, gated, gated_in_turn, moments, pooled, self_gated
from tests.cases import CASES
from tests.harness import draw, has_statistics, sample, statistics_of

FUSED = ("nam", "sa", "sge", "cbam", "bam", "triplet", "iebn")


def strided(x):
    return torch.stack([x, x], -1)[..., 0]


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": strided,
    "one image": lambda x: x[:1],
    "no image": lambda x: x[:0],
    "ties": lambda x: x.round().relu(),
    "constant": lambda x: torch.ones_like(x),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())


@pytest.fixture
def tiny_chunks(monkeypatch):
    """Chunks of two images, so that there are several, the last of them shorter."""
    monkeypatch.setattr(fused, "CHUNK", 2 * 6 * 5 * 7 * 8)


def readably(function, *arguments):
    """What the readable forms give: they serve under a trace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.jit, "is_tracing", lambda: True)
        return function(*arguments)


def results(function, *tensors):
    """The outputs, one after the other, and the gradients of a random weighting of them."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    outputs = flat(function(*leaves))
    total = sum((draw(output.shape, seed) * output).sum() for seed, output in enumerate(outputs))
    return [*outputs, *torch.autograd.grad(total, leaves)]


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


# The functions.

MAP = (5, 6, 5, 7)
FUNCTIONS = {
    "moments": (moments, []),
    "pooled over pixels": (lambda x: pooled(x, (2, 3)), []),
    "pooled three ways": (lambda x: pooled(x, 1, 2, 3), []),
    "pooled, gated already": (lambda x, gate: pooled(x, 1, 3, gate=gate), [(5, 6, 1, 1)]),
    "pooled over pixels, one gate for all images": (lambda x, gate: pooled(x, (2, 3), gate=gate), [(1, 1, 5, 7)]),
    "gated_in_turn, once": (gated_in_turn, [(5, 1, 5, 7)]),
    "gated_in_turn, twice": (gated_in_turn, [(1, 6, 1, 1), (5, 1, 5, 7)]),
    "gated": (gated, [(5, 6, 1, 1)]),
    "gated, one gate for all images": (gated, [(1, 1, 5, 7)]),
    "gated by three": (gated, [(5, 1, 5, 7), (5, 6, 1, 7), (5, 6, 5, 1)]),
    "self_gated": (self_gated, [(5, 6, 1, 1), (5, 6, 1, 1)]),
    "self_gated, one scale for all images": (self_gated, [(1, 6, 1, 1), (1, 6, 1, 1)]),
    "moments, then gated": (lambda x: gated(x := moments(x)[0], x.mean((2, 3), keepdim=True)), []),
    "moments into scale and shift": (lambda x: self_gated(*moments(x)), []),
    "pooled into a gate": (lambda x: (lambda x, pair: gated(x, pair[0], pair[1]))(*pooled(x, 1)), []),
}
every_function = pytest.mark.parametrize(("function", "shapes"), FUNCTIONS.values(), ids=FUNCTIONS.keys())


@pytest.mark.filterwarnings("ignore:var_mean")  # of no image: there is nothing to be wrong
@every_function
@every_layout
def test_a_function_equals_its_readable_form(function, shapes, layout, tiny_chunks):
    x = layout(draw(MAP, seed=9))
    others = [draw((min(shape[0], len(x)) if shape[0] > 1 else 1, *shape[1:]), seed=8) for shape in shapes]
    assert_same(results(function, x, *others), readably(results, function, x, *others))


@every_function
def test_its_gradients_can_be_differentiated_again(function, shapes):
    # Of two images and small maps, to keep the finite differences few.
    inputs = tuple(draw(shape, 7)[:2, :4, :2, :2].clone().requires_grad_() for shape in [MAP, *shapes])
    assert gradcheck(lambda *inputs: tuple(flat(function(*inputs))), inputs)
    assert gradgradcheck(lambda *inputs: tuple(flat(function(*inputs))), inputs)


def test_of_equal_maxima_the_first_alone_gets_the_gradient():
    x = torch.zeros(1, 2, 2, 2, requires_grad=True)
    for dim, first in ((1, x.new_tensor([[[1, 1], [1, 1]], [[0, 0], [0, 0]]])), ((2, 3), None)):
        (gradient,) = torch.autograd.grad(pooled(x, dim)[1][1].sum(), x)
        expected = x.new_tensor([[[1, 0], [0, 0]]] * 2) if first is None else first
        assert torch.equal(gradient[0], expected)


def test_the_variance_of_a_far_off_map_keeps_its_digits():
    x = 1e4 + draw((2, 3, 9, 7), seed=0).float()
    _, _, variance = moments(x)
    exact = x.double().var((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(variance.double(), exact, atol=0, rtol=1e-3)


def test_a_gradient_of_somebody_else_s_is_not_written_into():
    x, other = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4, requires_grad=True)
    handed_on, mean, _ = moments(x)
    given = torch.randn(2, 3, 4, 4)
    before = given.clone()
    torch.autograd.backward([handed_on + other, mean], [given, torch.ones_like(mean)])
    assert torch.equal(given, before)
    assert torch.equal(other.grad, before)
    torch.testing.assert_close(x.grad, before + 1 / 16)


# The modules that are made of them.


@pytest.mark.filterwarnings("ignore:var_mean")
@pytest.mark.parametrize("case", [case for case in CASES if case.key in FUSED], ids=str)
def test_a_module_equals_its_readable_form(case, tiny_chunks):
    for training in {False, has_statistics(case.create())}:
        for layout in LAYOUTS.values():
            x = layout(sample(case, 5, *case.shape[1:]))
            if training and len(x) < 2:
                continue

            def run(x=x, training=training):
                module = case.build().train(training)
                found = results(lambda x, *_: module(x), x)
                gradients = [parameter.grad for parameter in module.parameters()]
                return found + gradients + list(statistics_of(module).values())

            assert_same(run(), readably(run))


MODULES = {"nam": {}, "sa": {"groups": 2}, "sge": {"groups": 2}}


@pytest.mark.parametrize("key", MODULES)
def test_a_module_s_gradients_can_be_differentiated_again(key):
    torch.manual_seed(0)
    module = create(key, 4, **MODULES[key]).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    assert gradgradcheck(module, draw((2, 4, 2, 3), seed=0).requires_grad_())


@pytest.mark.parametrize("key", ["sa", "sge"])
def test_forward_mode_and_torch_func_get_their_derivatives(key):
    torch.manual_seed(0)
    module = create(key, 4, **MODULES[key]).double().eval()
    x, direction, weighting = (draw((2, 4, 2, 3), seed) for seed in range(3))
    with forward_ad.dual_level():
        along = forward_ad.unpack_dual(module(forward_ad.make_dual(x, direction))).tangent
    gradient = torch.func.grad(lambda x: (weighting * module(x)).sum())(x)
    torch.testing.assert_close((weighting * along).sum(), (gradient * direction).sum())
    leaf = x.clone().requires_grad_()
    (weighting * module(leaf)).sum().backward()
    torch.testing.assert_close(leaf.grad, gradient)


@pytest.mark.parametrize(("key", "maps"), [("nam", 1), ("sa", 1), ("sge", 1.5)])
def test_nothing_as_large_as_the_map_is_kept_beside_it(key, maps):
    """Gates are computed again; SGE keeps a similarity for each group, here of two channels."""
    x = torch.randn(4, 4, 16, 16, requires_grad=True)
    kept = {}
    output = create(key, 4, **MODULES[key])(x)
    node = output.grad_fn if key != "sge" else output.grad_fn.next_functions[0][0]
    seen = [node]
    for node in seen:
        seen += [after for after, _ in node.next_functions if after is not None and after not in seen]
        held = [*getattr(node, "saved_tensors", ()), *getattr(node, "statistics", ())]
        kept |= {tensor.data_ptr(): tensor.numel() for tensor in held}
    assert sum(kept.values()) <= maps * x.numel() + 200


# Where they do not serve.


def test_plain_tensors_are_fused():
    assert fusable(torch.randn(2), nn.Parameter(torch.randn(2)))
    assert fusable(torch.randn(2, dtype=torch.float64))


@pytest.mark.parametrize(
    "tensors",
    [
        (torch.empty(2, device="meta"),),
        (torch.randn(2, dtype=torch.bfloat16),),
        (torch.randn(2, dtype=torch.complex64),),
        (torch.randn(2), torch.randn(2, dtype=torch.float64)),
    ],
    ids=["meta", "bfloat16", "complex", "two types"],
)
def test_other_tensors_are_not(tensors):
    assert not fusable(*tensors)


def test_what_traces_or_transforms_gets_the_readable_form():
    answers = {}

    def ask(name):
        def function(x):
            answers.setdefault(name, fusable(x))  # a trace runs once more, untraced, to check itself
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
    compiled = torch.compile(lambda x: x + fusable(x), backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), x)
