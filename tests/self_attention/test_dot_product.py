"""Dot-product attention: without parameters, masks, heads, PyTorch's own module, where pixels are, refusals."""

import math

import pytest
import torch
from torch import nn

from attnlib import create, info
from attnlib.profiling.cost import profile
from attnlib.self_attention.dot_product import attention_weights, scaled_dot_product, self_similarity
from tests.cases.dot_product import CASES
from tests.harness import check_forward, draw
from tests.reference.dot_product import attention


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def vectors(seed=0):
    """Query, key and value, of which there is another number and length each."""
    return draw((5, 3), seed), draw((4, 3), seed + 1), draw((4, 2), seed + 2)


# Without parameters.


def test_self_similarity_averages_rows_by_their_likeness():
    x = draw((2, 4, 3), 0)
    expected = [attention(rows, rows, rows, scale=1) for rows in x.tolist()]
    torch.testing.assert_close(
        self_similarity(x), torch.tensor(expected, dtype=torch.complex128).real, atol=1e-14, rtol=0
    )


def test_self_similarity_exchanges_its_rows_with_those_of_its_input():
    x, order = draw((2, 7, 3), 0), torch.tensor([3, 1, 6, 0, 2, 5, 4])
    torch.testing.assert_close(self_similarity(x[:, order]), self_similarity(x)[:, order], atol=1e-14, rtol=0)


def test_each_output_lies_among_the_values():
    """A weighted mean stays in the convex hull: in no direction does it go beyond what goes furthest."""
    x, directions = draw((6, 3), 0), draw((3, 500), 1)
    inside, corners = self_similarity(x) @ directions, x @ directions
    assert (inside <= corners.amax(0)).all()
    assert (inside >= corners.amin(0)).all()


# Scale.


@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_scaled_dot_product_is_its_loop_form(scale):
    query, key, value = vectors()
    expected = attention(query.tolist(), key.tolist(), value.tolist(), 3**-0.5 if scale is None else scale)
    found = scaled_dot_product(query, key, value, scale=scale)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.complex128).real, atol=1e-14, rtol=0)


@pytest.mark.parametrize("d", [4, 64, 256])
def test_products_of_unit_normal_vectors_have_variance_d_and_the_scale_takes_it_away(d):
    query, key = draw((40_000, d), 0), draw((40_000, d), 1)
    products = (query * key).sum(1)
    assert products.mean().item() == pytest.approx(0, abs=4 * math.sqrt(d / 40_000))
    assert products.var().item() == pytest.approx(d, rel=0.06)
    scores = attention_weights(query[:, None], torch.stack([key, torch.zeros_like(key)], 1)).logit()[:, 0, 0]
    assert scores.var().item() == pytest.approx(1, rel=0.06)


def test_without_the_scale_long_vectors_choose_one_key():
    query, key = draw((50, 512), 0), draw((20, 512), 1)
    assert attention_weights(query, key, scale=1.0).amax(1).mean() > 0.9
    assert attention_weights(query, key).amax(1).mean() < 0.4


# Masks.


def test_what_a_mask_forbids_gets_exactly_nothing():
    query, key, value = vectors()
    allowed = torch.ones(5, 4).tril().bool()
    weights = attention_weights(query, key, allowed)
    assert (weights[~allowed] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(5).double(), atol=1e-15, rtol=0)
    expected = attention(query.tolist(), key.tolist(), value.tolist(), 3**-0.5, allowed.tolist())
    found = scaled_dot_product(query, key, value, allowed)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.complex128).real, atol=1e-14, rtol=0)


def test_a_key_that_is_masked_does_not_matter():
    query, key, value = vectors()
    allowed = torch.tensor([True, True, False, True])
    expected = scaled_dot_product(query, key[allowed], value[allowed])
    torch.testing.assert_close(scaled_dot_product(query, key, value, allowed.expand(5, 4)), expected)


def test_a_floating_mask_is_added_to_the_scores():
    query, key, value = vectors()
    bias = draw((5, 4), 3)
    expected = torch.softmax(query @ key.T / 3**0.5 + bias, -1) @ value
    torch.testing.assert_close(scaled_dot_product(query, key, value, bias), expected, atol=1e-14, rtol=0)
    causal = torch.zeros(5, 4).double().masked_fill(torch.ones(5, 4).triu(1).bool(), -torch.inf)
    same = scaled_dot_product(query, key, value, torch.ones(5, 4).tril().bool())
    assert torch.equal(scaled_dot_product(query, key, value, causal), same)


@pytest.mark.parametrize("kind", ["boolean", "floating"])
def test_a_query_that_may_attend_to_nothing_gets_zeros_and_passes_no_nan_back(kind):
    query, key, value = (tensor.requires_grad_() for tensor in vectors())
    allowed = torch.ones(5, 4, dtype=torch.bool)
    allowed[2] = False
    mask = allowed if kind == "boolean" else torch.zeros(5, 4).double().masked_fill(~allowed, -torch.inf)
    with torch.autograd.set_detect_anomaly(True):  # no NaN arises, not even one that is overwritten later
        y = scaled_dot_product(query, key, value, mask)
        assert not y[2].any()
        assert y[[0, 1, 3, 4]].all()
        y.square().sum().backward()
    assert not query.grad[2].any()
    assert all(tensor.grad.isfinite().all() for tensor in (query, key, value))


def test_boolean_masks_mean_what_they_mean_to_the_fused_call():
    query, key, value = vectors()
    allowed = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) < 0.7
    expected = nn.functional.scaled_dot_product_attention(query, key, value, allowed)
    torch.testing.assert_close(scaled_dot_product(query, key, value, allowed), expected, atol=1e-14, rtol=0)


# Heads.


@pytest.mark.parametrize("heads", [1, 2, 8, 16, 512])
def test_the_heads_do_not_change_the_number_of_parameters(heads):
    assert count(create("dot_product", 512, heads=heads)) == 4 * 512**2 == 1_048_576
    assert count(create("dot_product", 512, heads=heads, bias=True)) == 4 * 512**2 + 4 * 512 == 1_050_624


def test_parameters_of_the_positions():
    plain = count(create("dot_product", 24, heads=4))
    assert count(create("dot_product", 24, heads=4, positions="sinusoidal")) == plain
    assert count(create("dot_product", 24, heads=4, positions="learned", size=(5, 7))) == plain + 24 * 5 * 7
    assert count(create("dot_product", 24, heads=4, positions="relative", size=(5, 7))) == plain + 6 * (9 + 13)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("heads", [1, 3, 4])
def test_it_is_pytorch_s_multi_head_attention_over_the_pixels(heads, bias):
    theirs = nn.MultiheadAttention(12, heads, bias=bias, batch_first=True, dtype=torch.float64)
    ours = create("dot_product", 12, heads=heads, bias=bias).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            nn.init.normal_(parameter)
        for layer, matrix in zip((ours.query, ours.key, ours.value), theirs.in_proj_weight.chunk(3), strict=True):
            layer.weight.copy_(matrix)
        ours.out.weight.copy_(theirs.out_proj.weight)
        if bias:
            for layer, vector in zip((ours.query, ours.key, ours.value), theirs.in_proj_bias.chunk(3), strict=True):
                layer.bias.copy_(vector)
            ours.out.bias.copy_(theirs.out_proj.bias)
    x = draw((2, 12, 3, 5), 0)
    pixels = x.flatten(2).mT
    expected, weights = theirs(pixels, pixels, pixels, average_attn_weights=False)
    torch.testing.assert_close(ours(x), expected.mT.view_as(x), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(ours.weights(x), weights, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("shape", [(1, 9, 7), (1, 13, 11), (2, 1, 6)], ids=str)
def test_larger_maps_than_the_gradients_are_checked_on(case, shape):
    check_forward(case, shape, training=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_output_is_the_weights_on_the_values(case):
    module, x = case.build(), draw((2, case.channels, *case.shape[1:]), 0)
    values = module._split(module.value(module._rows(x)))
    mixed = (module.weights(x) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(x).flatten(2).mT, module.out(mixed), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("channels", "side"), [(8, 4), (32, 8), (8, 6)])
def test_products_over_all_pairs_cost_2_n_n_d_and_projections_4_n_d_d(channels, side):
    """Equal where there are twice as many pixels as channels."""
    macs = profile(create("dot_product", channels, heads=2), side, channels).macs_by_operator
    n = side * side
    assert macs == {"attention": 2 * n * n * channels, "linear": 4 * n * channels**2}
    assert (macs["attention"] == macs["linear"]) == (n == 2 * channels)


# Where pixels are.


def test_without_positions_a_constant_map_attends_everywhere_alike():
    weights = create("dot_product", 8, heads=2).weights(torch.ones(1, 8, 3, 4))
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 12))


def test_with_positions_even_a_constant_map_does_not():
    for positions in ("sinusoidal", "learned", "relative"):
        module = create("dot_product", 8, **info("dot_product").arguments_for(8, (3, 4), positions=positions))
        assert module.weights(torch.ones(1, 8, 3, 4)).std() > 1e-4


def relative(size, **arguments):
    torch.manual_seed(0)
    return create("dot_product", 6, heads=2, positions="relative", size=size, **arguments).double()


def test_relative_weights_of_a_constant_map_depend_on_the_offset_alone():
    logits = (
        relative((5, 5)).weights(torch.ones(1, 6, 5, 5).double()).log()[0].unflatten(1, (5, 5)).unflatten(3, (5, 5))
    )
    logits = logits - logits.diagonal(0, 1, 3).diagonal(0, 1, 2)[..., None, None]  # of each pixel with itself
    torch.testing.assert_close(logits[:, :3, :3, :3, :3], logits[:, 2:, 2:, 2:, 2:], atol=1e-12, rtol=0)
    torch.testing.assert_close(logits[:, 1, 0, 2, 3], logits[:, 2, 1, 3, 4], atol=1e-12, rtol=0)
    assert not torch.allclose(logits[:, 1, 0, 2, 3], logits[:, 2, 3, 1, 0])  # the opposite offset has another vector


def test_relative_positions_of_a_larger_map_serve_a_smaller_one():
    """Offset 0 stays in the middle."""
    large, small = relative((5, 7)), relative((3, 4))
    state = large.state_dict()
    state["offsets.rows"], state["offsets.columns"] = state["offsets.rows"][2:-2], state["offsets.columns"][3:-3]
    small.load_state_dict(state)
    x = draw((2, 6, 3, 4), 0)
    torch.testing.assert_close(large(x), small(x), atol=1e-14, rtol=0)


def test_learned_vectors_start_about_as_long_as_one():
    torch.manual_seed(0)
    module = create("dot_product", 64, positions="learned", size=16)
    assert module.position.square().sum(0).mean().item() == pytest.approx(1, rel=0.05)
    torch.manual_seed(0)
    module = create("dot_product", 64, heads=1, positions="relative", size=(64, 65))
    for table in (module.offsets.rows, module.offsets.columns):
        assert table.square().sum(1).mean().item() == pytest.approx(1, rel=0.05)


# Refusals.


@pytest.mark.parametrize(("heads", "legal"), [(8, "1, 2, 3, 4, 6, 12"), (5, "1, 2, 3, 4, 6, 12")])
def test_heads_that_do_not_divide_the_channels_are_refused(heads, legal):
    with pytest.raises(ValueError, match=f"channels=12 does not fit heads={heads}: .*it may be {legal}$"):
        create("dot_product", 12, heads=heads)


@pytest.mark.parametrize("heads", [2.0, "2", True])
def test_heads_that_are_no_integer_are_refused(heads, own_errors):
    with pytest.raises(TypeError, match=f"heads must be an int, got {heads!r}"):
        create("dot_product", 12, heads=heads)


def test_a_bias_in_quotes_is_refused(own_errors):
    with pytest.raises(TypeError, match="bias must be True or False, got 'False'"):
        create("dot_product", 12, heads=2, bias="False")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"positions": "absolute"}, "no positions is called 'absolute'; known: learned, none, relative, sinusoidal"),
        ({"positions": "learned"}, r"positions='learned' needs size=\(H, W\)"),
        ({"positions": "relative"}, r"positions='relative' needs size=\(H, W\)"),
        ({"size": 4}, "size=4 has no use with positions='none'; leave it out"),
        ({"size": (3, 4), "bias": True}, r"size=\(3, 4\) has no use with positions='none'"),
        ({"positions": "sinusoidal"}, "channels=6 does not fit positions='sinusoidal': .* a multiple of 4"),
        ({"positions": "learned", "size": (0, 3)}, r"size must have sides of 1 or more, got \(0, 3\)"),
    ],
)
def test_positions_that_do_not_fit_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        create("dot_product", 6, heads=2, **arguments)


@pytest.mark.parametrize(
    ("positions", "size", "says"),
    [
        ("learned", (3, 4), r"built for maps of 5 x 4, got shape \(1, 6, 3, 4\); build it with size=\(3, 4\)"),
        ("learned", (4, 5), "built for maps of 5 x 4, got"),
        ("relative", (4, 5), r"built for maps of at most 5 x 4, got shape \(1, 6, 4, 5\); build it with size=\(4, 5\)"),
        ("relative", (6, 4), "built for maps of at most 5 x 4, got"),
    ],
)
def test_a_map_of_another_size_than_the_positions_have_is_refused(positions, size, says):
    module = create("dot_product", 6, heads=2, positions=positions, size=(5, 4))
    for call in (module, module.weights):
        with pytest.raises(ValueError, match=says):
            call(torch.randn(1, 6, *size))


@pytest.mark.parametrize(
    ("query", "key", "says"),
    [
        ((5, 3), (4, 2), r"one length d, got \(5, 3\) and \(4, 2\)"),
        ((3,), (4, 3), r"shapes \(..., vectors, d\) .*got \(3,\) and \(4, 3\)"),
        ((5, 3), (0, 3), r"no key to attend to, got key of shape \(0, 3\)"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(query, key, says, own_errors):
    with pytest.raises(ValueError, match=says):
        attention_weights(torch.randn(query), torch.randn(key))
    with pytest.raises(ValueError, match=says):
        scaled_dot_product(torch.randn(query), torch.randn(key), torch.randn(key))


@pytest.mark.parametrize("values", [(3, 2), (4,)])
def test_another_number_of_values_than_of_keys_is_refused(values, own_errors):
    with pytest.raises(ValueError, match=r"each key needs one value, got keys \(4, 3\) and values"):
        scaled_dot_product(torch.randn(5, 3), torch.randn(4, 3), torch.randn(values))


@pytest.mark.parametrize(
    ("mask", "kind"), [(torch.ones(5, 4, dtype=torch.int64), "torch.int64"), ([[True] * 4] * 5, "list"), (True, "bool")]
)
def test_a_mask_of_integers_or_that_is_no_tensor_is_refused(mask, kind, own_errors):
    with pytest.raises(TypeError, match=f"mask must be a boolean tensor .* got {kind}; convert it"):
        attention_weights(torch.randn(5, 3), torch.randn(4, 3), mask)


def test_a_sequence_is_a_map_of_one_row(own_errors):
    module, sequence = create("dot_product", 8), torch.randn(2, 5, 8)
    with pytest.raises(ValueError, match=r"a sequence is a map of one row: x.transpose\(1, 2\)\[:, :, None\]"):
        module(sequence)
    as_map = sequence.transpose(1, 2)[:, :, None]
    assert module(as_map).shape == (2, 8, 1, 5)
