"""Squeeze-and-Excitation: sizes, initial state, refusals."""

import pytest
import torch

from attnlib import create


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (256, 16), (33, 4), (10, 3), (7, 7)])
def test_parameters_are_2_c_hidden_and_the_biases(channels, reduction):
    hidden = channels // reduction
    assert count(create("se", channels, reduction=reduction, bias=False)) == 2 * channels * hidden
    assert count(create("se", channels, reduction=reduction)) == 2 * channels * hidden + channels + hidden


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (16, 1), (31, 1), (40, 2)])
def test_hidden_width_is_the_floor_and_no_multiple_of_8(channels, hidden):
    assert create("se", channels).reduce.out_channels == hidden


def test_defaults_are_the_released_ones():
    se = create("se", 64)
    assert (se.reduction, se.squeeze, se.activation) == (16, "avg", "sigmoid")
    assert se.reduce.bias is not None
    assert se.expand.bias is not None


def test_without_squeeze_there_are_as_many_parameters_and_a_gate_for_every_pixel():
    assert count(create("se", 32, squeeze="none")) == count(create("se", 32))
    x = torch.randn(2, 32, 5, 3)
    assert create("se", 32, squeeze="none").gate(x).shape == x.shape
    assert create("se", 32).gate(x).shape == (2, 32, 1, 1)


def test_network_init_is_he_with_zero_biases():
    torch.manual_seed(0)
    se = create("se", 512, reduction=2)
    se.network_init_()
    for layer in (se.reduce, se.expand):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_channels) ** 0.5, rel=0.02)
        assert not layer.bias.any()


def test_with_all_zero_layers_the_gate_is_a_half():
    se = create("se", 16, reduction=4)
    for parameter in se.parameters():
        torch.nn.init.zeros_(parameter)
    assert (se.gate(torch.randn(2, 16, 3, 3)) == 0.5).all()


@pytest.mark.parametrize("reduction", [65, 1000])
def test_an_impossible_reduction_is_refused(reduction):
    with pytest.raises(ValueError, match=rf"reduction={reduction} does not fit channels=64: .*between 1 and 64"):
        create("se", 64, reduction=reduction)


@pytest.mark.parametrize("reduction", [16.0, "16", True, None])
def test_a_reduction_that_is_no_integer_is_refused(reduction, own_errors):
    with pytest.raises(TypeError, match=rf"reduction must be an int, got {reduction!r}; pass a whole number"):
        create("se", 64, reduction=reduction)


@pytest.mark.parametrize(
    ("argument", "value", "near"),
    [
        ("squeeze", "maximum", "'max'"),
        ("squeeze", "std", "avg, max, none"),
        ("activation", "sigmod", "'sigmoid'"),
        ("activation", "gelu", "'relu'"),
    ],
)
def test_unknown_options_list_the_known(argument, value, near):
    with pytest.raises(ValueError, match=f"no {argument} is called '{value}'; .*{near}"):
        create("se", 64, **{argument: value})


def test_among_equal_maxima_the_first_gets_the_whole_gradient():
    se = create("se", 10, reduction=3, squeeze="max").double()
    torch.nn.init.ones_(se.reduce.bias)  # no hidden unit at rest
    x = torch.zeros(2, 10, 3, 4, dtype=torch.float64, requires_grad=True)  # as ReLU leaves many
    se.gate(x).sum().backward()
    gradient = x.grad.flatten(2)
    assert gradient[..., 0].all()
    assert not gradient[..., 1:].any()
