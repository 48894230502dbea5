"""What every module does alike: its refusals, memory, precisions, state and symmetries."""

import copy
import io
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnlib import create, info
from attnlib.base import ScaleAttention
from tests.cases import (
    CASES,
    FIRST,
    cases_with,
    every_case,
    every_mode,
    every_module,
    modes_with,
    sampled_cases,
    sampled_modes,
)
from tests.harness import sample, statistics_of

# Refusals: the value, the rule and the fix, before anything changes.


SPOILED = {
    "no batch": (lambda x: x[0], ValueError, r"got rank \d and shape .*unsqueeze\(0\)"),
    "no map": (lambda x: x.flatten(1), ValueError, r"\(N, \d+, [THLW, ]+\), got rank 2"),
    "channels": (lambda x: torch.cat([x, x], 1), ValueError, r"expected (\d+) channels at axis 1, got .*channels=\d+"),
    "no row": (lambda x: x[:, :, :0], ValueError, r"at least one pixel, got shape"),
    "no column": (lambda x: x[..., :0], ValueError, r"at least one pixel, got shape"),
    "int64": (lambda x: x.long(), TypeError, r"floating-point map, got torch.int64; .*x.float\(\)"),
    "bool": (lambda x: x > 0, TypeError, r"floating-point map, got torch.bool"),
    "complex": (lambda x: x.to(torch.complex128), TypeError, r"floating-point map, got torch.complex128"),
    "numpy": (lambda x: x.numpy(), TypeError, r"expected a tensor \(N, \d+, [THLW, ]+\), got ndarray"),
}


@sampled_modes
def test_a_wrong_map_is_refused_and_nothing_counted(case, training, own_errors):
    module = case.build().train(training)
    before = copy.deepcopy(module.state_dict())
    look = module.gate if isinstance(module, ScaleAttention) else module.weights
    for spoil, error, says in SPOILED.values():
        for call in (module, look):
            with pytest.raises(error, match=says):
                call(spoil(sample(case, *case.shape)))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@cases_with(case for case in CASES if case.smallest > 1)
def test_a_map_smaller_than_the_smallest_is_refused_with_its_size(case, own_errors):
    short = [case.smallest] * (len(case.shape) - 2) + [case.smallest - 1]
    with pytest.raises(ValueError, match=rf"{case.smallest}\b.*got|got.*{case.smallest}\b"):
        case.build()(sample(case, 2, *short))


@every_module
@pytest.mark.parametrize(
    ("channels", "error"), [(0, ValueError), (-4, ValueError), (8.0, TypeError), ("8", TypeError), (True, TypeError)]
)
def test_impossible_channels_are_refused(case, channels, error, own_errors):
    arguments = info(case.key).arguments_for(case.channels, case.shape[1:], **case.arguments)
    with pytest.raises(error, match=rf"channels must be .*got {channels!r}; pass a whole number"):
        create(case.key, channels, **arguments)


# Memory: inputs stay as they are, whatever their strides.


@every_mode
def test_the_input_is_not_changed(case, training):
    x = sample(case, *case.shape).requires_grad_()
    before, version = x.detach().clone(), x._version
    case.build().train(training)(x).sum().backward()
    assert torch.equal(x, before)
    assert x._version == version


@every_mode
def test_strides_do_not_matter(case, training):
    x = sample(case, *case.shape)
    expected = case.build().train(training)(x)
    strided = torch.stack([x, x], -1).transpose(0, 1).contiguous().transpose(0, 1)[..., 0]
    assert not strided.is_contiguous()
    for same in (strided, x.movedim(1, -1).contiguous().movedim(-1, 1)):  # the second is channels_last
        torch.testing.assert_close(case.build().train(training)(same), expected, atol=1e-12, rtol=1e-12)


CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


@modes_with(case for case in CASES if len(case.shape) + 1 in CHANNELS_LAST)
def test_channels_last_is_kept(case, training):
    x = sample(case, *case.shape)
    layout = CHANNELS_LAST[x.dim()]
    assert case.build().train(training)(x.to(memory_format=layout)).is_contiguous(memory_format=layout)


# Shapes: whatever has enough pixels, and the gate as documented.


@pytest.mark.filterwarnings("ignore:var_mean")  # of no image: there is nothing to be wrong
@every_case
def test_single_images_smallest_maps_and_no_image(case):
    usual, least = case.shape[1:], (case.smallest,) * len(case.shape[1:])
    for batch, size in ((1, usual), (3, least), (1, least), (0, usual)):
        module, x = case.build(size).eval(), sample(case, batch, *size)
        y = module(x)
        assert y.isfinite().all()
        assert y.shape[0] == batch
        if case.keeps_shape:
            assert y.shape == x.shape
        if case.gate_range is not None:
            assert module.gate(x).expand_as(x).shape == x.shape


@every_mode
def test_a_map_without_contrast_has_finite_gradients(case, training):
    module = case.build().train(training)
    x = torch.full((2, case.channels, *case.shape[1:]), 3.0, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (x, *module.parameters()))


# Precision.


@every_mode
def test_float32_is_close_to_float64(case, training):
    x = sample(case, *case.shape)
    expected = case.build().train(training)(x)
    output = case.build(dtype=torch.float32).train(training)(x.float())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output.double(), expected, atol=case.single, rtol=case.single)


@every_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_gives_the_documented_type(case, training, dtype):
    x = sample(case, *case.shape)
    expected = case.build().train(training)(x.to(dtype).double())
    module = case.build(dtype=torch.float32).train(training)
    x = x.to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(x)
        gate = None if case.gate_range is None else module.gate(x)
    assert output.dtype == (dtype if case.keeps_type else torch.bfloat16)
    assert gate is None or gate.dtype == output.dtype
    torch.testing.assert_close(output.double(), expected, atol=case.half, rtol=case.half)
    output.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())


@every_mode
def test_a_bfloat16_module_is_close_to_float64(case, training):
    x = sample(case, *case.shape, dtype=torch.bfloat16)
    module = case.build(dtype=torch.bfloat16).train(training)
    output = module(x)
    assert output.dtype == torch.bfloat16
    assert all(not b.is_floating_point() or b.dtype == torch.bfloat16 for b in statistics_of(module).values())
    exact = case.build(dtype=torch.bfloat16).double().train(training)
    torch.testing.assert_close(output.double(), exact(x.double()), atol=2 * case.half, rtol=2 * case.half)


# State.


@sampled_cases
def test_state_dict_goes_through_a_file(case):
    module, other = case.build(seed=0), case.build(seed=1)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = sample(case, *case.shape)
    assert torch.equal(other.eval()(x), module.eval()(x))


@sampled_cases
def test_a_whole_module_goes_to_another_process(case):
    module, x = case.build().eval(), sample(case, *case.shape)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))


@every_mode
def test_the_output_may_be_changed_in_place(case, training):
    """As ReLU(inplace=True) behind the module does."""
    gradients = []
    for in_place in (False, True):
        module, x = case.build().train(training), sample(case, *case.shape).requires_grad_()
        y = module(x)
        (y.mul_(2) if in_place else 2 * y).sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


@sampled_modes
def test_one_seed_gives_one_result(case, training):
    def run():
        torch.manual_seed(5)
        module = case.create().train(training)
        module.network_init_()
        return [module(sample(case, *case.shape, dtype=torch.float32)), *module.state_dict().values()]

    assert all(torch.equal(first, second) for first, second in zip(run(), run(), strict=True))


@sampled_cases
def test_a_copy_is_independent(case):
    module = case.build()
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    fresh = case.build()
    assert all(torch.equal(tensor, fresh.state_dict()[name]) for name, tensor in module.state_dict().items())


def test_the_repr_tells_all_variants_apart():
    described = [repr(case.build()) for case in CASES]
    assert len(set(described)) == len(CASES)


# Properties.

GATED = [case for case in CASES if case.gate_range is not None]
ALIKE = [case for case in CASES if case.pixels_alike]
NOT_ALIKE = [case for case in CASES if not case.pixels_alike and case.keeps_shape]
SELF = [case for case in CASES if info(case.key).family == "self"]
DISTRIBUTIONS = [case for case in SELF if case.rows_sum_to_one]


def only_if_any(cases):
    """Where the cases of one module are chosen, a property may concern none of them."""
    return pytest.mark.skipif(not cases, reason="none of the chosen cases")


@st.composite
def drawn(draw_from, cases):
    """A case, N, the sides of a map that it takes, and a seed."""
    case = draw_from(st.sampled_from(cases))
    sides = st.integers(case.smallest, case.smallest + 7)
    size = draw_from(st.tuples(*[sides] * (len(case.shape) - 1)))
    return case, draw_from(st.integers(1, 4)), size, draw_from(st.integers(0, 99))


@given(drawn(CASES))
def test_images_of_a_batch_do_not_meet_in_eval_mode(example):
    case, batch, size, seed = example
    module, x = case.build(size, seed=seed).eval(), sample(case, batch, *size, seed=seed)
    alone = torch.cat([module(image[None]) for image in x])
    torch.testing.assert_close(module(x), alone, atol=1e-12, rtol=1e-12)


@only_if_any(GATED)
@given(drawn(GATED), st.sampled_from([1e-3, 1.0, 1e3]))
def test_gates_stay_within_their_range(example, scale):
    case, batch, size, seed = example
    module = case.build(size, torch.float32, seed).eval()
    x = scale * sample(case, batch, *size, dtype=torch.float32, seed=seed)
    low, high = case.gate_range
    gate = module.gate(x)
    assert gate.dtype == x.dtype
    assert ((low <= gate) & (gate <= high)).all()


@only_if_any(ALIKE)
@given(drawn(ALIKE))
def test_exchanging_pixels_exchanges_the_output_s_pixels(example):
    case, batch, size, seed = example
    order = torch.randperm(math.prod(size), generator=torch.Generator().manual_seed(seed))

    def exchange(u):
        return u.flatten(2)[..., order].view_as(u)

    module, x = case.build(size, seed=seed).eval(), sample(case, batch, *size, seed=seed)
    torch.testing.assert_close(module(exchange(x)), exchange(module(x)), atol=1e-12, rtol=1e-12)


@cases_with(NOT_ALIKE)
def test_pixels_that_are_not_alike_are_told_apart(case):
    """The mark `pixels_alike=False` has to be earned."""
    module, x = case.build().eval(), sample(case, *case.shape)
    y = module(x)
    order = torch.randperm(x[0, 0].numel(), generator=torch.Generator().manual_seed(0))
    exchanged = module(x.flatten(2)[..., order].view_as(x))
    assert not torch.allclose(exchanged, y.flatten(2)[..., order].view_as(y), atol=1e-6)


# Where self-attention looks.


def matrices(weights):
    """The weights as a list, one matrix a cell or branch."""
    return weights if isinstance(weights, list) else [weights]


@cases_with(SELF)
def test_weights_of_chosen_queries_are_those_rows_of_all(case):
    queries = torch.tensor([4, 0, 4])
    module, x = case.build().eval(), sample(case, *case.shape)
    everything = matrices(module.weights(x))
    assert all(weights.dim() == 4 and weights.shape[0] == x.shape[0] for weights in everything)
    if len(everything) == 1:
        chosen = matrices(module.weights(x, queries))[0]
        torch.testing.assert_close(chosen, everything[0][:, :, queries], atol=1e-12, rtol=1e-12)


@only_if_any(DISTRIBUTIONS)
@given(drawn(DISTRIBUTIONS))
def test_each_row_of_the_weights_is_a_distribution(example):
    case, batch, size, seed = example
    for weights in matrices(case.build(size, seed=seed).eval().weights(sample(case, batch, *size, seed=seed))):
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)), atol=1e-12, rtol=0)


@cases_with(SELF)
def test_looking_at_the_weights_changes_no_state(case):
    module = case.build().train()
    before = copy.deepcopy(module.state_dict())
    module.weights(sample(case, *case.shape))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@cases_with(case for case in FIRST.values() if case in SELF)
def test_queries_outside_the_map_are_refused(case, own_errors):
    module, x = case.build().eval(), sample(case, *case.shape)
    for position in (-1, x.shape[2:].numel()):
        with pytest.raises(ValueError, match=rf"queries must be between 0 and \d+, .*got \[{position}\]"):
            module.weights(x, torch.tensor([0, position]))
    with pytest.raises(TypeError, match="queries must be a tensor of int64 or int32, got torch.float32"):
        module.weights(x, torch.tensor([0.0]))
