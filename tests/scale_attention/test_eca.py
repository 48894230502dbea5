"""Efficient channel attention: the rule for the kernel, what slides and what lies beyond the ends, refusals."""

import pytest
import torch

from attnlib import create
from attnlib.scale_attention.eca import adaptive_kernel_size

RESNET_50 = {256: 3, 512: 4, 1024: 6, 2048: 3}  # width of the blocks' outputs: how many
RESNET_101 = RESNET_50 | {1024: 23}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def with_kernel(*weights, channels=6):
    """An ECA with these weights."""
    eca = create("eca", channels, kernel_size=len(weights)).double()
    eca.conv.weight.data[0, 0] = torch.tensor(weights, dtype=torch.float64)
    return eca


# The kernel.


@pytest.mark.parametrize(
    ("channels", "kernel_size"),
    [(1, 1), (4, 1), (8, 3), (16, 3), (32, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)],
)
def test_kernel_size_is_rounded_up_to_odd_as_in_the_listing(channels, kernel_size):
    assert adaptive_kernel_size(channels) == kernel_size
    assert count(create("eca", channels)) == kernel_size


def test_gamma_and_b_change_the_rule():
    assert create("eca", 64, gamma=1, b=0).conv.kernel_size == (7,)
    assert create("eca", 64, gamma=2, b=1, kernel_size=5).conv.kernel_size == (5,)


@pytest.mark.parametrize(
    ("blocks", "by_hand", "with_those", "by_rule"),
    [(RESNET_50, (3, 5, 5, 7), 80, 86), (RESNET_101, (3, 3, 5, 7), 157, 171)],
    ids=["ResNet-50", "ResNet-101"],
)
def test_the_paper_s_totals_are_of_kernels_set_by_hand_not_of_its_rule(blocks, by_hand, with_those, by_rule):
    chosen = zip(blocks.items(), by_hand, strict=True)
    assert sum(n * count(create("eca", c, kernel_size=k)) for (c, n), k in chosen) == with_those
    assert sum(n * count(create("eca", c)) for c, n in blocks.items()) == by_rule


def test_not_shared_it_has_a_kernel_for_every_channel():
    assert count(create("eca", 64, shared=False)) == 3 * 64
    assert count(create("eca", 64, kernel_size=9, shared=False)) == 9 * 64


def test_not_shared_with_equal_kernels_it_is_the_shared_form():
    shared, separate = with_kernel(0.3, -1.2, 0.7), create("eca", 6, kernel_size=3, shared=False).double()
    separate.conv.weight.data[:] = shared.conv.weight
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(separate(x), shared(x), atol=1e-14, rtol=0)


# What slides.


def test_the_kernel_is_not_flipped():
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    before = torch.cat([torch.zeros(2, 1, dtype=torch.float64), x.mean((2, 3))[:, :-1]], 1)
    gate = with_kernel(1.0, 0.0, 0.0).gate(x)
    torch.testing.assert_close(gate.flatten(1), torch.sigmoid(before), atol=1e-14, rtol=0)


def test_beyond_both_ends_are_zeros_not_the_other_end():
    x = torch.zeros(1, 6, 2, 2, dtype=torch.float64)
    x[:, 5] = 3.0
    gate = with_kernel(1.0, 0.0, 1.0).gate(x).flatten()
    assert gate[4] == torch.sigmoid(torch.tensor(3.0, dtype=torch.float64))
    assert (gate[[0, 1, 2, 3, 5]] == 0.5).all()


def test_a_kernel_of_one_gates_each_channel_by_itself():
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    expected = torch.sigmoid(-2 * x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(with_kernel(-2.0).gate(x), expected, atol=1e-14, rtol=0)


def test_network_init_keeps_the_kernel():
    eca = with_kernel(1.0, 2.0, 3.0)
    eca.network_init_()
    assert eca.conv.weight.flatten().tolist() == [1, 2, 3]


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"kernel_size": 4}, ValueError, "kernel_size must be odd, .* got 4; try 3 or 5"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"kernel_size": 3.0}, TypeError, "kernel_size must be an int, got 3.0"),
        ({"gamma": 0}, ValueError, "gamma must be a finite number above 0, got 0; the paper uses 2"),
        ({"gamma": float("inf")}, ValueError, "gamma must be a finite number above 0, got inf"),
        ({"gamma": "2"}, TypeError, "gamma must be a finite number above 0, got '2'"),
        ({"b": float("nan")}, ValueError, "b must be a finite number, got nan; the paper uses 1"),
        ({"kernel_size": 5, "b": 3}, ValueError, "kernel_size=5 leaves gamma=2 and b=3 without effect; pass kernel_si"),
        ({"kernel_size": 5, "gamma": 1}, ValueError, "kernel_size=5 leaves gamma=1 and b=1 without effect"),
        ({"shared": "no"}, TypeError, "shared must be True or False, got 'no'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("eca", 64, **arguments)
