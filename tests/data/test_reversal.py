"""Words and the same words backwards."""

import pytest
import torch

from attnlib.data.reversal import reversal, spelled


def test_the_answer_is_the_word_from_its_end():
    words, backwards = reversal(5, 7, torch.Generator().manual_seed(0))
    assert [spelled(word)[::-1] for word in words] == [spelled(word) for word in backwards]
    assert spelled(torch.tensor([0, 25, 1])) == "azb"


@pytest.mark.parametrize(("count", "length", "name"), [(0, 3, "count"), (3, 0, "length")])
def test_nothing_to_say_is_refused(count, length, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        reversal(count, length, torch.Generator())
