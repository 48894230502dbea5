"""What every module does alike: its refusals, memory, precisions, state and symmetries."""

import copy
import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnlib import create, info
from tests.harness import sample
from tests.scale_attention.cases import CASES, every_case, every_mode

# Refusals: the value, the rule and the fix, before anything changes.


@every_mode
@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda x: x[0], ValueError, r"rank 3 and shape .*unsqueeze\(0\)"),
        (lambda x: x[:, :, 0, 0], ValueError, r"\(N, \d+, H, W\), got rank 2"),
        (lambda x: torch.cat([x, x], 1), ValueError, r"expected (\d+) channels at axis 1, got .*channels=\d+"),
        (lambda x: x[:, :, :0], ValueError, r"at least one pixel, got shape \(2, \d+, 0, 7\)"),
        (lambda x: x[..., :0], ValueError, r"at least one pixel, got shape \(2, \d+, 9, 0\)"),
        (lambda x: x.long(), TypeError, r"floating-point map, got torch.int64; .*x.float\(\)"),
        (lambda x: x > 0, TypeError, r"floating-point map, got torch.bool"),
        (lambda x: x.to(torch.complex128), TypeError, r"floating-point map, got torch.complex128"),
        (lambda x: x.numpy(), TypeError, r"expected a tensor \(N, \d+, H, W\), got ndarray"),
    ],
    ids=["no batch", "no map", "channels", "no row", "no column", "int64", "bool", "complex", "numpy"],
)
def test_a_wrong_map_is_refused_and_nothing_counted(case, training, spoil, error, says, own_errors):
    module = case.build().train(training)
    before = copy.deepcopy(module.state_dict())
    for call in (module, module.gate):
        with pytest.raises(error, match=says):
            call(spoil(sample(case, 2, 9, 7)))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@every_case
@pytest.mark.parametrize(
    ("channels", "error"), [(0, ValueError), (-4, ValueError), (8.0, TypeError), ("8", TypeError), (True, TypeError)]
)
def test_impossible_channels_are_refused(case, channels, error, own_errors):
    arguments = info(case.key).arguments_for(case.channels, (9, 7), **case.arguments)
    with pytest.raises(error, match=rf"channels must be .*got {channels!r}; pass a whole number"):
        create(case.key, channels, **arguments)


# Memory: inputs stay as they are, whatever their strides.


@every_mode
def test_the_input_is_not_changed(case, training):
    x = sample(case, 2, 9, 7).requires_grad_()
    before, version = x.detach().clone(), x._version
    case.build().train(training)(x).sum().backward()
    assert torch.equal(x, before)
    assert x._version == version


@every_mode
def test_strides_do_not_matter(case, training):
    x = sample(case, 2, 9, 7)
    expected = case.build().train(training)(x)
    strided = torch.empty(9, 2, 14, case.channels, dtype=x.dtype).permute(1, 3, 0, 2)[..., ::2].copy_(x)
    assert not strided.is_contiguous()
    for same in (strided, x.to(memory_format=torch.channels_last)):
        torch.testing.assert_close(case.build().train(training)(same), expected, atol=1e-13, rtol=0)


@every_mode
def test_channels_last_is_kept(case, training):
    x = sample(case, 2, 9, 7).to(memory_format=torch.channels_last)
    assert case.build().train(training)(x).is_contiguous(memory_format=torch.channels_last)


# Shapes: whatever has at least one pixel, and the gate as documented.


@pytest.mark.filterwarnings("ignore:var_mean")  # of no image: there is nothing to be wrong
@every_case
@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 1, 1), (1, 1, 1), (0, 4, 5)])
def test_single_images_single_pixels_and_no_image(case, shape):
    module = case.build(shape[1:]).eval()
    x = sample(case, *shape)
    assert module(x).shape == module.gate(x).expand_as(x).shape == x.shape
    assert module(x).isfinite().all()


@every_mode
def test_a_map_without_contrast_has_finite_gradients(case, training):
    module = case.build().train(training)
    x = torch.full((2, case.channels, 9, 7), 3.0, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (x, *module.parameters()))


# Precision.


@every_mode
def test_float32_is_close_to_float64(case, training):
    x = sample(case, 2, 9, 7)
    expected = case.build().train(training)(x)
    output = case.build(dtype=torch.float32).train(training)(x.float())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output.double(), expected, atol=2e-5, rtol=2e-5)


@every_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_keeps_the_input_s_type(case, training, dtype):
    x = sample(case, 2, 9, 7)
    expected = case.build().train(training)(x.to(dtype).double())
    module = case.build(dtype=torch.float32).train(training)
    x = x.to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output, gate = module(x), module.gate(x)
    assert output.dtype == gate.dtype == dtype
    torch.testing.assert_close(output.double(), expected, atol=0.03, rtol=0.03)
    output.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())


@every_mode
def test_a_bfloat16_module_is_close_to_float64(case, training):
    x = sample(case, 2, 9, 7, torch.bfloat16)
    module = case.build(dtype=torch.bfloat16).train(training)
    output = module(x)
    assert output.dtype == torch.bfloat16
    assert all(not b.is_floating_point() or b.dtype == torch.bfloat16 for b in module.buffers())
    exact = case.build(dtype=torch.bfloat16).double().train(training)
    torch.testing.assert_close(output.double(), exact(x.double()), atol=0.05, rtol=0.05)


# State.


@every_case
def test_state_dict_goes_through_a_file(case):
    module, other = case.build(seed=0), case.build(seed=1)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = sample(case, 2, 9, 7)
    assert torch.equal(other.eval()(x), module.eval()(x))


@every_mode
def test_one_seed_gives_one_result(case, training):
    def run():
        torch.manual_seed(5)
        module = case.create().train(training)
        module.network_init_()
        return [module(sample(case, 2, 9, 7, torch.float32)), *module.state_dict().values()]

    assert all(torch.equal(first, second) for first, second in zip(run(), run(), strict=True))


@every_case
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


def maps(cases):
    """A case, N, H, W and a seed."""
    return st.tuples(
        st.sampled_from(cases), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8), st.integers(0, 99)
    )


@given(maps(CASES))
def test_images_of_a_batch_do_not_meet_in_eval_mode(drawn):
    case, batch, height, width, seed = drawn
    module, x = case.build((height, width), seed=seed).eval(), sample(case, batch, height, width, seed=seed)
    alone = torch.cat([module(image[None]) for image in x])
    torch.testing.assert_close(module(x), alone, atol=1e-13, rtol=0)


@given(maps(CASES), st.sampled_from([1e-3, 1.0, 1e3]))
def test_gates_stay_within_their_range(drawn, scale):
    case, batch, height, width, seed = drawn
    module = case.build((height, width), torch.float32, seed).eval()
    x = scale * sample(case, batch, height, width, torch.float32, seed)
    low, high = case.gate_range
    gate = module.gate(x)
    assert gate.dtype == x.dtype
    assert ((low <= gate) & (gate <= high)).all()


@given(maps([case for case in CASES if case.pixels_alike]))
def test_exchanging_pixels_exchanges_the_output_s_pixels(drawn):
    case, batch, height, width, seed = drawn
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))

    def exchange(u):
        return u.flatten(2)[..., order].view_as(u)

    module, x = case.build(seed=seed).eval(), sample(case, batch, height, width, seed=seed)
    torch.testing.assert_close(module(exchange(x)), exchange(module(x)), atol=1e-13, rtol=0)
