"""Regions: their sides, what their maps hold, and that one hint alone is in doubt."""

from itertools import groupby

import pytest
import torch

from attnlib.data.regions import NOISE, SIDE, regions


def drawn(count, side):
    return regions(count, side, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side", [1, 4, 5, 8])
def test_lines_change_at_the_grid_alone_and_the_grid_lies_anywhere(side):
    _, _, on = drawn(200, side)
    shifts = set()
    for states in on.tolist():
        changes = [
            {i for i in range(1, SIDE) if states[i] != states[i - 1]},
            {j for j in range(1, SIDE) if any(row[j] != row[j - 1] for row in states)},
        ]
        for along in changes:
            (shift,) = {place % side for place in along} or {None}
            shifts.add(shift)
    assert shifts - {None} == set(range(side))


def test_the_largest_region_is_the_map():
    _, _, on = drawn(50, SIDE)
    each = on.flatten(1).double().mean(1)
    assert set(each.tolist()) == {0.0, 1.0}


def test_answers_are_the_value_where_the_region_is_on():
    maps, answers, on = drawn(20, 8)
    expected = torch.where(on, torch.where(maps[:, 0] < 0, 1, 2), 0)
    assert torch.equal(answers, expected)
    assert [value for value, _ in groupby(sorted(maps[:, 0].flatten().tolist()))] == [-1.0, 1.0]


def test_hints_have_their_mean_and_deviation():
    maps, _, on = drawn(200, 8)
    for state in (True, False):
        hints = maps[:, 1][on == state]
        assert hints.mean().item() == pytest.approx(1 if state else -1, abs=0.05)
        assert hints.std().item() == pytest.approx(NOISE, abs=0.05)


@pytest.mark.parametrize(
    ("count", "side", "says"),
    [(0, 8, "count must be at least 1, got 0"), (1, 0, "side must lie between 1 and 32"), (1, 33, "got 33")],
)
def test_what_is_out_of_range_is_refused(count, side, says):
    with pytest.raises(ValueError, match=says):
        drawn(count, side)
