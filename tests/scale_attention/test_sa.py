"""Shuffle attention: sizes, initial state, the shuffle, the instance norm, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib import create
from attnlib.catalogue import sa_groups
from attnlib.scale_attention.sa import shuffle_channels


def drawn(channels=12, **arguments):
    """An SA with parameters of both signs."""
    torch.manual_seed(0)
    sa = create("sa", channels, **{"groups": 3} | arguments).double()
    for parameter in sa.parameters():
        nn.init.normal_(parameter)
    return sa


@pytest.mark.parametrize(("channels", "count"), [(256, 12), (512, 24), (1024, 48), (2048, 96)])
def test_parameters_are_3_c_over_g_shared_by_the_groups(channels, count):
    sa = create("sa", channels)
    assert sum(parameter.numel() for parameter in sa.parameters()) == 3 * channels // 64 == count
    assert {parameter.numel() for parameter in sa.parameters()} == {channels // 128}


def test_resnet_50_gets_708_parameters_of_which_236_are_the_norm_s():
    modules = [create("sa", c) for c, blocks in ((256, 3), (512, 4), (1024, 6), (2048, 3)) for _ in range(blocks)]
    sizes = {name: sum(m.get_parameter(name).numel() for m in modules) for name, _ in modules[0].named_parameters()}
    assert sum(sizes.values()) == 708
    assert sizes["norm_weight"] + sizes["norm_bias"] == 236


# The start.


def test_the_first_output_is_the_shuffled_input_times_sigmoid_of_1():
    x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
    one = torch.sigmoid(torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(create("sa", 12, groups=3).double()(x), shuffle_channels(x) * one, atol=0, rtol=1e-15)
    torch.testing.assert_close(create("sa", 12, groups=3, shuffle=False).double()(x), x * one, atol=0, rtol=1e-15)


def test_the_first_step_cannot_move_the_norm():
    sa = create("sa", 12, groups=3)
    sa(torch.randn(2, 12, 9, 7)).square().sum().backward()
    assert not sa.norm_weight.grad.any()
    assert not sa.norm_bias.grad.any()
    for moved in (sa.channel_weight, sa.channel_bias, sa.spatial_weight, sa.spatial_bias):
        assert moved.grad.all()


# The shuffle.


def test_shuffle_interleaves_the_two_halves_of_all_channels():
    order = shuffle_channels(torch.arange(12.0).view(1, 12, 1, 1)).flatten().tolist()
    assert order == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]


def test_the_gate_is_in_the_order_before_the_shuffle():
    x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
    gated = x * drawn().gate(x)
    torch.testing.assert_close(drawn()(x), shuffle_channels(gated), atol=1e-15, rtol=1e-14)
    torch.testing.assert_close(drawn(shuffle=False)(x), gated, atol=1e-15, rtol=1e-14)


# The halves.


def test_the_first_half_of_each_group_has_one_gate_a_channel_the_second_one_a_pixel():
    gate = drawn().gate(torch.randn(2, 12, 9, 7, dtype=torch.float64)).unflatten(1, (3, 2, 2))
    spread = gate.amax((-2, -1)) - gate.amin((-2, -1))
    assert (spread[:, :, 0] == 0).all()
    assert (spread[:, :, 1] > 0.01).all()


def test_groups_share_their_parameters():
    group = torch.randn(2, 4, 9, 7, dtype=torch.float64)
    gate = drawn(shuffle=False)(torch.cat([group] * 3, 1)).unflatten(1, (3, 4))
    assert torch.equal(gate[:, 0], gate[:, 1])
    assert torch.equal(gate[:, 0], gate[:, 2])


def test_its_group_norm_is_an_instance_norm():
    sa = drawn(groups=1, shuffle=False)
    x = torch.randn(2, 12, 9, 7, dtype=torch.float64)
    half = x[:, 6:]
    normal = F.instance_norm(half, weight=sa.norm_weight, bias=sa.norm_bias)
    gate = torch.sigmoid(sa.spatial_weight.view(6, 1, 1) * normal + sa.spatial_bias.view(6, 1, 1))
    torch.testing.assert_close(sa(x)[:, 6:], half * gate, atol=1e-13, rtol=0)


# Which C and G are legal.


@pytest.mark.parametrize(
    ("channels", "groups", "fix"),
    [
        (64, 64, "groups may be 1, 2, 4, 8, 16, 32"),
        (192, 64, "groups may be 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96"),
        (12, 5, "groups may be 1, 2, 3, 6"),
        (9, 1, "an odd number of channels has no groups"),
        (1, 1, "an odd number of channels has no groups"),
    ],
)
def test_channels_that_groups_do_not_divide_are_refused(channels, groups, fix):
    with pytest.raises(ValueError, match=f"channels={channels} does not fit groups={groups}: .*multiple of 2.*{fix}"):
        create("sa", channels, groups=groups)


@pytest.mark.parametrize("groups", [3.0, "3", True])
def test_groups_that_are_no_integer_are_refused(groups, own_errors):
    with pytest.raises(TypeError, match=f"groups must be an int, got {groups!r}; pass a whole number"):
        create("sa", 12, groups=groups)


@pytest.mark.parametrize("channels", [2, 4, 6, 16, 30, 64, 96, 130, 256])
def test_the_registry_s_groups_are_legal(channels):
    x = torch.randn(1, channels, 3, 3)
    assert create("sa", channels, groups=sa_groups(channels))(x).shape == x.shape


@pytest.mark.parametrize("key", ["sa", "se"])
@pytest.mark.parametrize("count", [0, -1])
def test_counts_below_one_are_refused(key, count):
    name = {"sa": "groups", "se": "reduction"}[key]
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {count}; pass a whole number of 1 or more"):
        create(key, 12, **{name: count})


@pytest.mark.parametrize(("key", "flag"), [("sa", "shuffle"), ("se", "bias"), ("nam", "spatial"), ("nam", "signed")])
def test_a_flag_in_quotes_is_refused_since_it_would_count_as_true(key, flag, own_errors):
    with pytest.raises(TypeError, match=f"{flag} must be True or False, got 'False'"):
        create(key, 256, **{flag: "False"})
