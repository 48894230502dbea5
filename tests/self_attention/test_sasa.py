"""Stand-alone self-attention: sizes, cost, symmetries, the border, the stride, refusals."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnlib import create
from attnlib.profiling.cost import profile


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=12, **arguments):
    """A SASA in float64 with small random parameters."""
    torch.manual_seed(0)
    return create("sasa", channels, **{"heads": 3, "kernel_size": 3} | arguments).double()


def sample(channels=12, size=(9, 7), batch=2):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


# Parameters.


@pytest.mark.parametrize("kernel_size", [3, 7, 11])
@pytest.mark.parametrize("width", [64, 128, 512])
def test_a_layer_has_3_d_squared_parameters_and_k_d_for_positions(width, kernel_size):
    assert count(create("sasa", width, kernel_size=kernel_size)) == 3 * width**2 + kernel_size * width
    assert count(create("sasa", width, kernel_size=kernel_size, content=False)) == 2 * width**2 + kernel_size * width
    assert count(create("sasa", width, kernel_size=kernel_size, positions="none")) == 3 * width**2


# (width, number of 3 x 3 convolutions) in the four stages of each ResNet, and the parameters that it has with them.
RESNETS = {
    "ResNet-26": ((64, 1), (128, 2), (256, 4), (512, 1)),
    "ResNet-38": ((64, 2), (128, 3), (256, 5), (512, 2)),
    "ResNet-50": ((64, 3), (128, 4), (256, 6), (512, 3)),
}


def replaced(network, **arguments):
    """Millions of parameters that a network of Table 1 gains by attention in place of its convolutions."""
    return sum(n * (count(create("sasa", d, **arguments)) - 9 * d * d) for d, n in RESNETS[network]) / 1e6


def test_resnet_50_has_the_printed_18_million_with_dense_projections_and_not_with_grouped_ones():
    convolutions = 25_557_032
    assert convolutions + round(1e6 * replaced("ResNet-50")) == 18_038_632
    assert convolutions / 1e6 + replaced("ResNet-50", projections="grouped") == pytest.approx(14.7, abs=0.05)
    assert convolutions / 1e6 + replaced("ResNet-50", content=False) == pytest.approx(16.77, abs=0.02)


@pytest.mark.parametrize(("network", "before", "after"), [("ResNet-26", 13.7, 10.3), ("ResNet-38", 19.6, 14.1)])
def test_the_smaller_networks_lose_what_table_1_says(network, before, after):
    assert before + replaced(network) == pytest.approx(after, abs=0.1)  # both figures are printed with one decimal


# Cost.


@pytest.mark.parametrize("size", [8, 16])  # of which one is dense and one is not
@pytest.mark.parametrize(("channels", "kernel_size"), [(64, 7), (32, 3)])
def test_multiply_adds_are_h_w_times_3_d_squared_and_3_k_squared_d(channels, kernel_size, size):
    d, k = channels, kernel_size
    cost = profile(create("sasa", channels, kernel_size=k), image_size=size, in_channels=channels)
    assert cost.macs == size**2 * (3 * d * d + 3 * k * k * d)
    without = profile(create("sasa", channels, kernel_size=k, positions="none"), size, channels)
    assert without.macs == size**2 * (3 * d * d + 2 * k * k * d)
    without = profile(create("sasa", channels, kernel_size=k, content=False), size, channels)
    assert without.macs == size**2 * (2 * d * d + 2 * k * k * d)


def test_at_128_channels_k_of_19_costs_less_than_a_convolution_only_without_the_relative_term():
    def per_pixel(**arguments):
        return profile(create("sasa", 128, kernel_size=19, **arguments), 4, 128).macs / 16

    assert per_pixel(positions="none") == 141_568 < 9 * 128**2 == 147_456
    assert per_pixel() == 187_776


# What the heads see.


def test_a_window_of_one_pixel_leaves_the_values():
    sasa, x = drawn(kernel_size=1), sample()
    torch.testing.assert_close(sasa(x), sasa.value(x), atol=1e-14, rtol=0)


def test_a_head_sums_over_its_own_channels_only():
    """One head of one public port sees all channels; in another each channel has a softmax of its own."""
    sasa, x = drawn(heads=3), sample()
    with torch.no_grad():
        sasa.query.weight[4:8] = 0  # the second head
    weights = sasa.weights(x)
    interior = 3 * 7 + 3
    torch.testing.assert_close(weights[:, 1, interior], torch.full((2, 9), 1 / 9, dtype=torch.float64))
    assert (weights[:, [0, 2], interior].std(-1) > 1e-3).all()


def test_every_head_has_rows_in_its_first_half_and_columns_in_its_second():
    sasa, x = drawn(content=False), sample()
    with torch.no_grad():
        sasa.column.zero_()
    weights = sasa.weights(x).unflatten(-1, (3, 3))
    assert (weights.std(-1) < 1e-15).all()  # alike along a row
    assert (weights.mean(-1).std(-1) > 1e-3).any(2).all()  # not along a column


def test_logits_are_not_scaled():
    sasa, x = drawn(heads=1, positions="none", kernel_size=3), sample(size=(3, 3), batch=1)
    query, key = sasa.query(x)[0, :, 1, 1], sasa.key(x)[0].flatten(1)
    torch.testing.assert_close(sasa.weights(x)[0, 0, 4], (query @ key).softmax(0))


def test_grouped_projections_keep_each_head_to_its_own_channels():
    sasa, x = drawn(projections="grouped"), sample()
    changed = x.clone()
    changed[:, 4:8] += 1
    differs = (sasa(changed) != sasa(x)).flatten(2).any(2).all(0)
    assert differs.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_absolute_positions_are_added_to_the_input():
    plain, placed = drawn(positions="none"), drawn(positions="absolute")
    x = sample()
    placed.load_state_dict(plain.state_dict())
    where = placed(x) - plain(x)
    assert where.abs().max() > 1e-3
    still = torch.zeros_like(x)
    assert not plain(still).any()
    assert placed(still).any()


# Symmetries.


@pytest.mark.parametrize("arguments", [{}, {"positions": "none"}, {"content": False}], ids=str)
@pytest.mark.parametrize(("kernel_size", "least"), [(5, 6), (3, 9)], ids=["dense", "loop over offsets"])
@given(extra=st.tuples(*[st.integers(0, 2)] * 2), down=st.integers(0, 2), right=st.integers(0, 2))
def test_translation_equivariance_away_from_the_border(arguments, kernel_size, least, extra, down, right):
    sasa = drawn(**arguments, kernel_size=kernel_size)
    x, reach = sample(size=(least + extra[0], least + extra[1])), kernel_size // 2
    moved, y = sasa(x.roll((down, right), (2, 3))), sasa(x).roll((down, right), (2, 3))
    # What the roll brought in from the other side, and the window's reach beside it, may differ.
    inside = (..., slice(down + reach, -reach), slice(right + reach, -reach))
    torch.testing.assert_close(moved[inside], y[inside], atol=1e-12, rtol=0)
    assert torch.allclose(moved, y) == (down == right == 0)


def test_without_positions_the_pixels_of_a_window_can_be_exchanged():
    x = sample(size=(3, 3))
    order = torch.tensor([8, 2, 5, 1, 4, 0, 3, 7, 6])  # the middle stays
    exchanged = x.flatten(2)[..., order].view_as(x)
    for positions, alike in (("none", True), ("relative", False), ("absolute", False)):
        sasa = drawn(positions=positions)
        assert torch.allclose(sasa(exchanged)[..., 1, 1], sasa(x)[..., 1, 1], atol=1e-12) == alike


# The border.


def test_padding_takes_its_share_and_gives_nothing():
    x = sample()
    inside = F.pad(torch.ones(1, 1, 9, 7, dtype=torch.float64), (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
    inside = inside.reshape(1, 1, 63, 9)
    padded, masked = drawn().weights(x), drawn(border="mask").weights(x)
    taken = (padded * inside).sum(-1)
    edge = inside.sum(-1).expand_as(taken) < 9
    assert (taken[edge] < 1 - 1e-6).all()
    torch.testing.assert_close(taken[~edge], torch.ones_like(taken[~edge]))
    assert not (masked * (1 - inside)).any()
    torch.testing.assert_close(padded * inside / taken[..., None], masked)
    constant = torch.ones_like(x)  # equal values everywhere: the output says how much was taken
    value = drawn().value(constant)
    torch.testing.assert_close(drawn(border="mask")(constant), value, atol=1e-12, rtol=0)
    taken = (drawn().weights(constant) * inside).sum(-1).unflatten(-1, (9, 7))
    expected = (value.unflatten(1, (3, 4)) * taken[:, :, None]).flatten(1, 2)
    torch.testing.assert_close(drawn()(constant), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 9), (9, 1)], ids=str)
@pytest.mark.parametrize("border", ["pad", "mask"])
def test_a_window_larger_than_the_map(size, border):
    sasa, x = drawn(kernel_size=11, border=border), sample(size=size)
    weights = sasa.weights(x)
    assert weights.shape == (2, 3, size[0] * size[1], 121)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))
    assert sasa(x).shape == x.shape


def test_the_weights_are_those_of_the_output():
    sasa, x = drawn(), sample()
    value = F.pad(sasa.value(x), (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).flatten(2, 3).flatten(3)
    y = torch.einsum("nhqw,nhcqw->nhcq", sasa.weights(x), value.unflatten(1, (3, 4)))
    torch.testing.assert_close(y.flatten(1, 2).view_as(x), sasa(x), atol=1e-12, rtol=0)


# Stride.


def test_a_stride_averages_after_the_layer():
    x = sample(size=(8, 6))
    torch.testing.assert_close(drawn(stride=2)(x), F.avg_pool2d(drawn()(x), 2))


@pytest.mark.parametrize("size", [(9, 7), (8, 6), (1, 5), (224, 3)], ids=str)
def test_a_stride_leaves_as_many_pixels_as_a_convolution_s(size):
    x = sample(channels=4, size=size, batch=1)
    convolution = nn.Conv2d(4, 4, 3, stride=2, padding=1).double()
    assert drawn(4, heads=2, stride=2)(x).shape == convolution(x).shape


# Start and refusals.


def test_defaults_are_the_paper_s():
    sasa = create("sasa", 64)
    assert (sasa.kernel_size, sasa.heads, sasa.positions, sasa.border) == (7, 8, "relative", "pad")
    assert (sasa.out_channels, sasa.stride, sasa.query.groups) == (64, 1, 1)
    assert all(layer.bias is None for layer in (sasa.query, sasa.key, sasa.value))


def test_network_init_is_that_of_both_ports():
    torch.manual_seed(0)
    sasa = create("sasa", 256, out_channels=512)
    sasa.network_init_()
    for layer in (sasa.query, sasa.key, sasa.value):
        assert layer.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    for embedding in (sasa.row, sasa.column):
        assert embedding.std().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("channels", "arguments", "error", "says"),
    [
        (64, {"kernel_size": 4}, ValueError, "kernel_size must be odd.*got 4; try 3 or 5"),
        (64, {"kernel_size": 7.0}, TypeError, "kernel_size must be an int, got 7.0"),
        (60, {}, ValueError, "heads must divide out_channels; it may be 1, 2, 3"),
        (64, {"heads": 0}, ValueError, "heads must be at least 1, got 0"),
        (24, {}, ValueError, "heads=8 cut 24 channels into heads of 3: .*even number.*positions='none'"),
        (64, {"out_channels": 0}, ValueError, "out_channels must be at least 1, got 0"),
        (60, {"out_channels": 64, "projections": "grouped"}, ValueError, "channels=60 does not fit heads=8"),
        (66, {"out_channels": 64, "positions": "absolute"}, ValueError, "channels=66: .*multiple of 4"),
        (64, {"positions": "relativ"}, ValueError, "no positions is called 'relativ'; did you mean 'relative'"),
        (64, {"border": "zero"}, ValueError, "no border is called 'zero'; known: mask, pad"),
        (64, {"projections": "group"}, ValueError, "no projections is called 'group'; .*'grouped'"),
        (64, {"content": False, "positions": "none"}, ValueError, "content=False with positions='none' leaves nothing"),
        (64, {"content": "no"}, TypeError, "content must be True or False, got 'no'"),
        (64, {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(channels, arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("sasa", channels, **arguments)
