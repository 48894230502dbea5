"""Pyramid-OC: sizes, the cells and what they see, refusals."""

import pytest
import torch
from torch import nn

from attnlib import create
from tests.cases.ocnet import pyramid_case
from tests.harness import check_forward


def drawn(channels=4, seed=0, **arguments):
    """A head in float64, eval mode, with every parameter drawn: its contexts are not zero."""
    torch.manual_seed(seed)
    head = create("pyramid_oc", channels, **arguments).double()
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    return head.eval()


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_paper_s_head_has_5_782_016_parameters():
    assert sum(parameter.numel() for parameter in create("pyramid_oc", 512).parameters()) == 5_782_016


@pytest.mark.parametrize("shared", [True, False])
def test_parameters_as_the_docstring_counts_them(shared):
    c, s, k, v = 10, 3, 4, 7
    head = create("pyramid_oc", c, key_channels=k, value_channels=v, scales=(1, 2, 4), shared=shared)
    each = (c + 3) * k * (1 if shared else 2) + (c + 1) * v + (v + 1) * c
    expected = s * each + s * c * (c + 3) + c * (2 * s * c + 3)
    assert sum(parameter.numel() for parameter in head.parameters()) == expected


def test_its_contexts_start_at_zero_behind_the_widened_map():
    head, x = create("pyramid_oc", 4, dropout=0.0).eval(), torch.randn(2, 4, 9, 7)
    assert not any(context(x).any() for context in head.contexts)
    contexts = torch.zeros(2, 16, 9, 7)
    assert torch.equal(head(x), head.fuse(torch.cat([head.widen(x), contexts], 1)))


def test_the_last_row_and_column_of_cells_take_what_does_not_divide():
    weights = drawn().weights(maps(1, 4, 13, 11))
    sides = {1: ([13], [11]), 2: ([6, 7], [5, 6]), 3: ([4, 4, 5], [3, 3, 5]), 6: ([2] * 5 + [3], [1] * 5 + [6])}
    expected = [height * width for rows, columns in sides.values() for height in rows for width in columns]
    assert [cell.shape for cell in weights] == [(1, 1, pixels, pixels) for pixels in expected]


def test_where_cells_are_equal_an_sth_squared_of_all_pairs_is_weighed():
    weights = drawn().weights(maps(1, 4, 12, 18))
    assert len(weights) == 1 + 4 + 9 + 36
    start = 0
    for s in (1, 2, 3, 6):
        pairs = sum(cell[0, 0].numel() for cell in weights[start : start + s * s])
        assert pairs == (12 * 18) ** 2 // s**2
        start += s * s


def test_a_cell_sees_itself_alone_and_is_what_attention_over_its_pixels_gives():
    head = drawn(scales=(1, 3))
    whole, context = head.contexts[0], head.contexts[1]
    x, changed = maps(1, 4, 10, 8), maps(1, 4, 10, 8)
    changed[:, :, 3:6, 4:] += 1.0  # the cell in row 1, column 2, which ends at the border
    before, after = context(x), context(changed)
    differs = (before != after).any(1)[0]
    expected = torch.zeros(10, 8, dtype=torch.bool)
    expected[3:6, 4:] = True
    assert torch.equal(differs, expected)
    whole.load_state_dict(context.state_dict())
    torch.testing.assert_close(before[..., 3:6, 4:], whole(x[..., 3:6, 4:]), atol=1e-12, rtol=1e-12)


def test_each_query_is_found_in_one_cell_of_every_scale():
    head, x = drawn(scales=(1, 2)), maps(1, 4, 5, 7)
    queries = torch.tensor([34, 0, 9])  # (4, 6), (0, 0), (1, 2)
    everything, chosen = head.weights(x), head.weights(x, queries)
    torch.testing.assert_close(chosen[0], everything[0][:, :, queries])
    assert [cell.shape[2] for cell in chosen[1:]] == [2, 0, 0, 1]
    torch.testing.assert_close(chosen[1], everything[1][:, :, [0, 5]])  # a cell of 2 x 3 pixels
    torch.testing.assert_close(chosen[4], everything[4][:, :, [11]])  # a cell of 3 x 4 pixels


@pytest.mark.parametrize("size", [(9, 7), (13, 11)])
def test_the_paper_s_partitions_equal_the_loops(size):
    check_forward(pyramid_case(scales=(1, 2, 3, 6)), (1, *size), training=True)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"scales": ()}, ValueError, r"scales must have one entry or more, got \(\)"),
        ({"scales": (1, 0)}, ValueError, "each of scales must be at least 1, got 0"),
        ({"scales": (1, 2.0)}, TypeError, "each of scales must be an int, got 2.0"),
        ({"scales": 3}, TypeError, "scales must be a tuple of ints, got 3"),
        ({"scales": "1236"}, TypeError, "scales must be a tuple of ints, got '1236'"),
        ({"key_channels": -1}, ValueError, "key_channels must be at least 1, got -1"),
        ({"shared": 1}, TypeError, "shared must be True or False, got 1"),
        ({"dropout": None}, TypeError, "dropout must be a number between 0 and 1, got None"),
        ({"value_channels": 0}, ValueError, "value_channels must be at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("pyramid_oc", 6, **arguments)


def test_a_map_with_fewer_rows_or_columns_than_cells_is_refused(own_errors):
    head = create("pyramid_oc", 4)
    for size in ((5, 9), (9, 5)):
        with pytest.raises(ValueError, match="up to 6 x 6 cells: H and W must be at least 6, got shape"):
            head(torch.randn(2, 4, *size))
    assert head(torch.randn(2, 4, 6, 6)).shape == (2, 4, 6, 6)


def test_a_single_value_per_channel_is_refused_in_train_mode_and_nothing_counted(own_errors):
    head = create("pyramid_oc", 4, scales=(1,))
    with pytest.raises(ValueError, match=r"2 or more values per channel in train mode, got shape \(1, 4, 1, 1\)"):
        head(torch.randn(1, 4, 1, 1))
    assert head.widen[1].num_batches_tracked == 0
