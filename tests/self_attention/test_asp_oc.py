"""ASP-OC: sizes, its branches and their order, refusals."""

import pytest
import torch
from torch import nn

from attnlib import create


def drawn(channels=8, seed=0, **arguments):
    """A head in float64, eval mode, with every parameter drawn: its context is not zero."""
    torch.manual_seed(seed)
    head = create("asp_oc", channels, **arguments).double()
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    return head.eval()


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_paper_s_head_has_5_739_904_parameters():
    assert sum(parameter.numel() for parameter in create("asp_oc", 512).parameters()) == 5_739_904


@pytest.mark.parametrize("shared", [True, False])
def test_parameters_as_the_docstring_counts_them(shared):
    c, b, d = 10, 7, 2
    head = create("asp_oc", c, branch_channels=b, dilations=(2, 4), shared=shared)
    context = (b + 3) * (b // 2) * (1 if shared else 2) + 2 * b * (b + 1)
    expected = 9 * c * b + 3 * b + context + b * (b + 3) + c * b + 2 * b + d * (9 * c * b + 2 * b)
    assert sum(parameter.numel() for parameter in head.parameters()) == expected + c * (d + 2) * b + 2 * c


def test_defaults_are_the_released_ones():
    head = create("asp_oc", 8)
    kernels = [(branch[0].kernel_size, branch[0].dilation) for branch in head.branches]
    assert kernels == [((1, 1), (1, 1)), ((3, 3), (12, 12)), ((3, 3), (24, 24)), ((3, 3), (36, 36))]
    assert head.scale == head.context.pool == 2
    assert head.reduce[0].bias is not None
    assert head.project[0].bias is not None
    assert all(layer[0].bias is None for layer in (*head.branches, head.fuse))


def test_the_order_is_context_pointwise_dilated():
    head, x = drawn(dilations=(2, 4)), maps(2, 8, 9, 7)
    parts = [head.project(head.context(head.reduce(x))), *(branch(x) for branch in head.branches)]
    assert torch.equal(head(x), head.fuse(torch.cat(parts, 1)))


def test_the_context_starts_at_zero_so_that_its_branch_is_one_number_a_channel():
    head, x = create("asp_oc", 8).eval(), torch.randn(2, 8, 9, 7)
    branch = head.project(head.context(head.reduce(x)))
    assert torch.equal(branch, branch[:, :, :1, :1].expand_as(branch))


def test_it_attends_on_a_map_of_half_its_size():
    assert drawn().weights(maps(1, 8, 9, 7)).shape == (1, 1, 12, 12)
    assert drawn(scale=1).weights(maps(1, 8, 9, 7)).shape == (1, 1, 63, 63)
    rows = drawn().weights(torch.randn(1, 8, 97, 97).double(), torch.tensor([0]))
    assert rows.shape[-1] == 48 * 48


def test_the_weights_are_those_of_the_reduced_map():
    head, x = drawn(), maps(1, 8, 9, 7)
    assert torch.equal(head.weights(x), head.context.weights(head.reduce(x))[0])


@pytest.mark.parametrize(
    ("channels", "arguments", "error", "says"),
    [
        (8, {"branch_channels": 1}, ValueError, "branch_channels must be at least 2, got 1: the keys have half"),
        (
            3,
            {},
            ValueError,
            "channels=3 leaves 1 for branch_channels, .*4 channels or more, or give branch_channels",
        ),
        (8, {"dropout": -0.1}, ValueError, "dropout must be a probability between 0 and 1, got -0.1"),
        (8, {"branch_channels": "4"}, TypeError, "branch_channels must be an int, got '4'"),
        (8, {"dilations": []}, ValueError, r"dilations must have one entry or more, got \[\]"),
        (8, {"dilations": (1, -2)}, ValueError, "each of dilations must be at least 1, got -2"),
        (8, {"dilations": 12}, TypeError, "dilations must be a tuple of ints, got 12"),
        (8, {"scale": 2.0}, TypeError, "scale must be an int, got 2.0"),
        (8, {"shared": None}, TypeError, "shared must be True or False, got None"),
    ],
)
def test_arguments_out_of_range_are_refused(channels, arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("asp_oc", channels, **arguments)


def test_a_map_that_is_too_small_to_pool_is_refused(own_errors):
    for size in ((1, 6), (6, 1)):
        with pytest.raises(ValueError, match="scale=2 pools 2 x 2: H and W must be at least 2, got shape"):
            create("asp_oc", 8)(torch.randn(2, 8, *size))


def test_a_single_value_per_channel_is_refused_in_train_mode_and_nothing_counted(own_errors):
    head = create("asp_oc", 8)
    with pytest.raises(ValueError, match=r"2 or more values per channel in train mode, .*, pooled 2 x 2; use a larger"):
        head(torch.randn(1, 8, 3, 3))
    assert head.reduce[1].num_batches_tracked == 0
