"""Spatial group-wise enhancement: sizes, initial state, the deviation, its groups, refusals."""

import pytest
import torch
from torch import nn

from attnlib import create, info
from attnlib.catalogue import sge_groups


def drawn(channels=12, groups=3):
    """An SGE with scales and shifts of both signs."""
    torch.manual_seed(0)
    sge = create("sge", channels, groups=groups).double()
    for parameter in sge.parameters():
        nn.init.normal_(parameter)
    return sge


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# Sizes.


@pytest.mark.parametrize("channels", [64, 256, 2048])
def test_two_parameters_a_group_whatever_the_width(channels):
    assert count(create("sge", channels)) == 128
    assert count(create("sge", channels, groups=8)) == 16


@pytest.mark.parametrize(
    ("blocks", "widths", "total"),
    [
        ((2, 2, 2, 2), (64, 128, 256, 512), 1024),  # ResNet-18
        ((3, 4, 6, 3), (64, 128, 256, 512), 2048),  # ResNet-34
        ((3, 4, 6, 3), (256, 512, 1024, 2048), 2048),  # ResNet-50
        ((3, 4, 23, 3), (256, 512, 1024, 2048), 4224),  # ResNet-101
        ((3, 8, 36, 3), (256, 512, 1024, 2048), 6400),  # ResNet-152
    ],
)
def test_totals_of_the_released_networks(blocks, widths, total):
    assert sum(n * count(create("sge", width)) for n, width in zip(blocks, widths, strict=True)) == total


# The start.


def test_the_first_gate_is_sigmoid_of_1_everywhere():
    x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
    one = torch.sigmoid(torch.ones((), dtype=torch.float64))
    assert (create("sge", 12, groups=3).double().gate(x) == one).all()
    torch.testing.assert_close(create("sge", 12, groups=3).double()(x), x * one, atol=0, rtol=1e-15)


def test_the_first_step_moves_scale_and_shift():
    sge = create("sge", 12, groups=3)
    sge(torch.randn(2, 12, 9, 7)).square().sum().backward()
    assert sge.weight.grad.all()
    assert sge.bias.grad.all()


# The standardised similarity.


def standardised(x, **arguments):
    """What the gate is made of, where scale is 1 and shift is 0: the logit of the gate, (N, G, H, W)."""
    sge = create("sge", x.shape[1], groups=1, **arguments).double()
    nn.init.ones_(sge.weight)
    nn.init.zeros_(sge.bias)
    return torch.logit(sge.gate(x)[:, :1])


def test_the_deviation_divides_by_one_less_than_the_pixels():
    z = standardised(torch.randn(3, 4, 2, 2, dtype=torch.float64) + 2)
    torch.testing.assert_close(z.std((2, 3)), torch.ones(3, 1, dtype=torch.float64), atol=1e-4, rtol=0)


def test_the_paper_s_deviation_divides_by_the_pixels_and_gives_15_percent_more_on_2_by_2():
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64) + 2
    ratio = standardised(x, unbiased=False) / standardised(x)
    torch.testing.assert_close(ratio, torch.full_like(ratio, (4 / 3) ** 0.5), atol=1e-4, rtol=0)


def test_in_quotes_it_is_refused(own_errors):
    with pytest.raises(TypeError, match="unbiased must be True or False, got 'False'"):
        create("sge", 12, groups=3, unbiased="False")


def test_eps_is_added_to_the_deviation_not_to_the_variance():
    x = torch.randn(1, 1, 5, 4, dtype=torch.float64) * 1e-5 + 1  # deviations of similarity near eps
    deviation = (x * x.mean()).std()
    torch.testing.assert_close(standardised(x).std(), deviation / (deviation + 1e-5), atol=1e-6, rtol=0)


def test_similarity_is_a_sum_over_channels_not_a_mean():
    # The standardisation hides the factor but for eps: only low contrast shows it.
    x = torch.randn(1, 4, 5, 4, dtype=torch.float64) * 1e-5 + 1
    deviation = (x * x.mean((2, 3), keepdim=True)).sum(1).std()
    torch.testing.assert_close(standardised(x).std(), deviation / (deviation + 1e-5), atol=1e-6, rtol=0)


def test_a_map_of_one_pixel_is_gated_by_its_shift():
    sge, x = drawn(), torch.randn(2, 12, 1, 1, dtype=torch.float64)
    gate = torch.sigmoid(sge.bias).repeat_interleave(4).view(12, 1, 1)
    torch.testing.assert_close(sge(x), x * gate, atol=1e-15, rtol=0)


def test_pixels_that_resemble_the_mean_get_a_larger_gate():
    x = torch.ones(1, 4, 3, 3, dtype=torch.float64)
    x[..., 0, 0] = -1
    z = standardised(x)
    assert z[0, 0, 0, 0] == z.min() < 0 < z[0, 0, 1, 1]


# The groups.


def test_neighbouring_channels_form_a_group_and_share_their_gate():
    gate = drawn().gate(torch.randn(2, 12, 9, 7, dtype=torch.float64)).unflatten(1, (3, 4))
    assert torch.equal(gate[:, :, :1].expand_as(gate), gate)
    assert (gate[:, 0] != gate[:, 1]).any()


def test_groups_do_not_meet():
    x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
    other = torch.cat([x[:, :4], torch.randn_like(x[:, 4:])], 1)
    assert torch.equal(drawn()(x)[:, :4], drawn()(other)[:, :4])


@pytest.mark.parametrize("groups", [5, 24, 64])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match=rf"channels=12 does not fit groups={groups}: .*it may be 1, 2, 3, 4, 6, 12$"):
        create("sge", 12, groups=groups)


@pytest.mark.parametrize(("groups", "error"), [(0, ValueError), (3.0, TypeError), (True, TypeError)])
def test_groups_that_are_no_count_are_refused(groups, error, own_errors):
    with pytest.raises(error, match=f"groups must be .*got {groups!r}; pass a whole number"):
        create("sge", 12, groups=groups)


@pytest.mark.parametrize("channels", [1, 7, 16, 30, 64, 96, 256])
def test_the_registry_s_groups_are_legal(channels):
    assert info("sge").arguments_for(channels) == {"groups": sge_groups(channels)}
    x = torch.randn(1, channels, 3, 3)
    assert create("sge", channels, groups=sge_groups(channels))(x).shape == x.shape
