"""Answers of the two tasks, found again from the maps in loops."""

import pytest
import torch

from attnlib.data.lookup import VALUES, announce, lookup


def channels(maps):
    """(N, positions, channels) as nested lists."""
    return maps.flatten(2).mT.int().tolist()


def test_everybody_says_the_value_of_the_marked_position():
    maps, answers = announce(20, 3, torch.Generator().manual_seed(0))
    for positions, said in zip(channels(maps), answers.flatten(1).tolist(), strict=True):
        (marked,) = [position for position in positions if position[VALUES] == 1]
        assert said == [marked.index(1)] * 9


def test_everybody_says_the_value_of_who_has_the_key_asked_for():
    maps, answers = lookup(20, 3, torch.Generator().manual_seed(0))
    for positions, said in zip(channels(maps), answers.flatten(1).tolist(), strict=True):
        held = {position[:9].index(1): position[9 : 9 + VALUES].index(1) for position in positions}
        assert len(held) == 9
        assert said == [held[position[9 + VALUES :].index(1)] for position in positions]


@pytest.mark.parametrize("task", [announce, lookup])
def test_an_empty_map_is_refused(task):
    with pytest.raises(ValueError, match="side must be at least 1, got 0"):
        task(1, 0, torch.Generator())
