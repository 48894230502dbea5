"""The constant gate: no parameters, its number and nothing else."""

import pytest
import torch

from attnlib import create


def test_it_has_no_state_and_halves_by_default():
    constant = create("constant", 5)
    assert not constant.state_dict()
    x = torch.randn(2, 5, 3, 4)
    assert torch.equal(constant(x), x / 2)


def test_zero_cuts_the_branch_off():
    x = torch.randn(2, 5, 3, 4, requires_grad=True)
    output = create("constant", 5, value=0.0)(x)
    output.sum().backward()
    assert not output.any()
    assert not x.grad.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=f"value must be a finite number, got {value!r}; 0.5 is a sigmoid at zero"):
        create("constant", 5, value=value)


def test_a_value_in_quotes_is_refused(own_errors):
    with pytest.raises(TypeError, match="value must be a finite number, got '0.5'"):
        create("constant", 5, value="0.5")
