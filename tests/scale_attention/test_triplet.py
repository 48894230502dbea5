"""Triplet attention: sizes, initial state, the released string of operations, axes, ties, refusals."""

import pytest
import torch
from torch import nn

from attnlib import create

BRANCHES = ("channel_width", "channel_height", "spatial")


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(*chosen, channels=6, **arguments):
    """A module with these branches, in double precision, its parameters of both signs."""
    switches = {name: name in chosen for name in BRANCHES} if chosen else {}
    triplet = create("triplet", channels, **switches, **arguments).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in triplet.parameters():
        nn.init.normal_(parameter, generator=generator)
    return triplet


def released(triplet, x):
    """The released sequence of operations, with this module's parameters."""

    def gated(branch, x):
        z = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], 1)
        return x * torch.sigmoid(branch.norm(branch.conv(z)))

    branches = triplet.branches
    x_1 = gated(branches["channel_width"], x.permute(0, 2, 1, 3).contiguous()).permute(0, 2, 1, 3).contiguous()
    x_2 = gated(branches["channel_height"], x.permute(0, 3, 2, 1).contiguous()).permute(0, 3, 2, 1).contiguous()
    if "spatial" not in branches:
        return 1 / 2 * (x_1 + x_2)
    return 1 / 3 * (gated(branches["spatial"], x) + x_1 + x_2)


# Sizes.


@pytest.mark.parametrize(("kernel_size", "parameters"), [(7, 300), (3, 60), (5, 156)])
@pytest.mark.parametrize("channels", [1, 64, 2048])
def test_parameters_do_not_depend_on_the_width(channels, kernel_size, parameters):
    assert count(create("triplet", channels, kernel_size=kernel_size)) == parameters == 6 * kernel_size**2 + 6


def test_a_branch_has_a_third_of_the_parameters():
    assert {count(drawn(branch)) for branch in BRANCHES} == {100}
    assert count(drawn("channel_width", "channel_height")) == 200


@pytest.mark.parametrize(("blocks", "added"), [(8, 2_400), (16, 4_800), (33, 9_900), (17, 5_100)])
def test_totals_of_the_released_networks(blocks, added):
    assert blocks * count(create("triplet", 256)) == added


def test_the_norms_move_their_statistics_by_a_hundredth():
    assert [branch.norm.momentum for branch in drawn().branches.values()] == [0.01] * 3


# The start.


def test_in_the_released_network_the_spatial_branch_alone_starts_at_a_half():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 9, 7)
    for branch in BRANCHES:
        triplet = create("triplet", 6, **{name: name == branch for name in BRANCHES})
        triplet.network_init_()
        gate = triplet.gate(x)
        assert (gate == 0.5).all() if branch == "spatial" else (gate != 0.5).all()


def test_with_all_scales_zero_the_output_is_half_the_input():
    triplet, x = drawn(), torch.randn(2, 6, 9, 7, dtype=torch.float64)
    for branch in triplet.branches.values():
        nn.init.zeros_(branch.norm.weight)
        nn.init.zeros_(branch.norm.bias)
    torch.testing.assert_close(triplet(x), x / 2, atol=1e-15, rtol=1e-15)


# The released operations.


@pytest.mark.parametrize("chosen", [BRANCHES, BRANCHES[:2]], ids=["three", "two"])
@pytest.mark.parametrize("shape", [(3, 6, 9, 7), (2, 6, 5, 8), (3, 6, 1, 6), (2, 1, 4, 1)])
def test_the_released_operations_give_the_same_where_relu_made_ties(chosen, shape):
    triplet = drawn(*chosen, channels=shape[1]).train()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).relu()
    x[0] = 0
    results = []
    for call in (triplet, lambda x: released(triplet, x)):
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        triplet.zero_grad()
        (y * torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        results.append([y, leaf.grad, *(parameter.grad for parameter in triplet.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize(("branch", "axis"), [("channel_width", 2), ("channel_height", 3), ("spatial", 1)])
def test_a_branch_alone_has_one_gate_along_the_axis_it_pools(branch, axis):
    shape = [2, 6, 9, 7]
    x = torch.randn(shape, dtype=torch.float64)
    shape[axis] = 1
    assert drawn(branch).gate(x).shape == tuple(shape)


@pytest.mark.parametrize(("branch", "first", "second"), [("channel_width", 1, 3), ("channel_height", 2, 1)])
def test_the_kernel_s_first_axis_is_c_beside_w_and_h_beside_c(branch, first, second):
    """One weight off the kernel's middle looks one step along the axis that its place belongs to."""
    triplet = drawn(branch, kernel_size=3).eval()
    gate = triplet.branches[branch]
    nn.init.ones_(gate.norm.weight)
    nn.init.zeros_(gate.norm.bias)
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    pooled = x.mean({"channel_width": 2, "channel_height": 3}[branch], keepdim=True)
    for place, axis in (((2, 1), first), ((1, 2), second)):
        with torch.no_grad():
            gate.conv.weight.zero_()[0, 1, *place] = 1
        ahead = pooled.roll(-1, axis)
        ahead.select(axis, -1).zero_()  # the padding
        expected = torch.sigmoid(ahead / (1 + 1e-5) ** 0.5)
        torch.testing.assert_close(triplet.gate(x), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("branch", BRANCHES)
def test_of_equal_values_the_first_gets_the_gradient_of_the_maximum(branch):
    triplet, axis = drawn(branch).eval(), {"channel_width": 2, "channel_height": 3, "spatial": 1}[branch]
    x = torch.ones(1, 6, 6, 6, dtype=torch.float64, requires_grad=True)
    triplet.gate(x).sum().backward()
    along = x.grad.movedim(axis, -1)
    assert (along[..., 0] != along[..., 1]).all()
    torch.testing.assert_close(along[..., 1:], along[..., 1:2].expand_as(along[..., 1:]))


def test_the_order_of_the_channels_matters_unlike_in_se():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    for branch, matters in (("channel_width", True), ("channel_height", True), ("spatial", False)):
        triplet = drawn(branch).eval()
        assert torch.allclose(triplet(x[:, order]), triplet(x)[:, order]) is not matters


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"kernel_size": 4}, ValueError, "kernel_size must be odd, .*got 4; try 3 or 5"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"kernel_size": 7.0}, TypeError, "kernel_size must be an int, got 7.0"),
        ({"spatial": "no"}, TypeError, "spatial must be True or False, got 'no'"),
        ({"channel_width": 1}, TypeError, "channel_width must be True or False, got 1"),
        (dict.fromkeys(BRANCHES, False), ValueError, "leave no branch; choose one"),
    ],
)
def test_impossible_choices_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("triplet", 64, **arguments)


def test_one_value_cannot_be_normalised_in_train_mode_and_nothing_is_counted():
    triplet = drawn().train()
    x = torch.randn(1, 6, 1, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"the spatial gate needs 2 or more values .* got shape \(1, 1, 1\)"):
        triplet(x)
    assert [branch.norm.num_batches_tracked for branch in triplet.branches.values()] == [0, 0, 0]
    assert triplet.eval()(x).isfinite().all()
    assert drawn("channel_width", "channel_height").train()(x).isfinite().all()
