"""The loop for toys learns what can be learnt, and comes back in evaluation mode."""

import pytest
import torch
from torch import nn

from attnlib.training import fit


def test_a_line_between_two_classes_is_found():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)

    def draw():
        inputs = torch.randn(64, 2, generator=generator)
        return inputs, (inputs.sum(1) > 0).long()

    network = fit(nn.Linear(2, 2), draw, steps=60, learning_rate=0.1)
    inputs, right = draw()
    assert (network(inputs).argmax(1) == right).double().mean() > 0.9
    assert not network.training


def test_no_step_is_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        fit(nn.Linear(2, 2), lambda: None, steps=0)
