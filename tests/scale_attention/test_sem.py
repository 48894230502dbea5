"""Switchable excitation: sizes, the start, what a decision does, its operators beside the modules they come from."""

import pytest
import torch

from attnlib import create


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def deciding(logit, *operators, channels=8):
    """A SEM of these operators whose decision weights are all sigmoid(logit), whatever the image."""
    torch.manual_seed(0)
    sem = create("sem", channels, reduction=2, operators=operators or ("fc", "cnn", "ie")).double()
    for parameter in sem.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.zeros_(sem.decide.weight)
    torch.nn.init.constant_(sem.decide.bias, logit)
    return sem


@pytest.fixture
def x():
    return torch.randn(3, 8, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# Sizes.


@pytest.mark.parametrize(("channels", "parameters"), [(64, 906), (128, 2832), (256, 9752)])
def test_parameters_follow_the_formula(channels, parameters):
    kernel = create("sem", channels).operators["cnn"].weight.numel()
    assert count(create("sem", channels)) == channels**2 // 8 + 97 * channels // 16 + 3 + kernel == parameters


def test_resnet_164_gets_242820_parameters_five_in_six_of_them_in_fc():
    modules = [create("sem", channels) for channels in (64, 128, 256)]  # 18 blocks of each
    assert 18 * sum(map(count, modules)) == 242_820
    parts = {"fc": 202_104, "cnn": 234, "ie": 16_128}
    assert {part: 18 * sum(count(m.operators[part]) for m in modules) for part in parts} == parts
    assert 18 * sum(count(m.decide) for m in modules) == 24_354


@pytest.mark.parametrize(("channels", "hidden"), [(40, 2), (56, 4), (24, 2), (64, 4)])
def test_hidden_width_is_rounded_halves_to_even(channels, hidden):
    assert create("sem", channels).operators["fc"][0].out_features == hidden


def test_each_operator_has_a_decision_weight():
    assert create("sem", 64).decide.out_features == 3
    assert count(create("sem", 64, operators=("ie",))) == 65 + 128


# The start.


def test_the_first_gate_is_about_0_094():
    torch.manual_seed(0)
    gate = create("sem", 256).gate(torch.randn(8, 256, 8, 8))
    assert gate.mean().item() == pytest.approx(0.0944, abs=0.005)
    assert gate.max() < 0.13


def test_ie_starts_with_scale_0_and_shift_minus_1():
    ie = create("sem", 64).operators["ie"]
    assert not ie.scale.any()
    assert (ie.shift == -1).all()


# The decision.


def test_an_operator_that_is_decided_away_halves_the_gate(x):
    gate = deciding(-1e4).gate(x)
    torch.testing.assert_close(gate, torch.full_like(gate, 0.125), atol=1e-15, rtol=0)


@pytest.mark.parametrize("logit", [-2.0, 0.0, 3.0])
def test_the_weight_multiplies_the_logit_before_the_sigmoid(x, logit):
    weight = torch.sigmoid(torch.tensor(logit, dtype=torch.float64))
    free, scaled = deciding(1e4, "ie").gate(x), deciding(logit, "ie").gate(x)
    torch.testing.assert_close(torch.logit(scaled), weight * torch.logit(free), atol=1e-12, rtol=0)


def test_the_gate_never_exceeds_the_smallest_of_its_factors(x):
    factors = [deciding(1e4, operator) for operator in ("fc", "cnn", "ie")]
    sem = deciding(1e4)
    for factor, operator in zip(factors, sem.operators, strict=True):
        factor.operators[operator].load_state_dict(sem.operators[operator].state_dict())
    gates = torch.stack([factor.gate(x) for factor in factors])
    torch.testing.assert_close(sem.gate(x), gates.prod(0), atol=1e-14, rtol=0)
    assert (sem.gate(x) <= gates.amin(0)).all()


def test_decisions_are_independent_sigmoids_for_each_image(x):
    torch.manual_seed(0)
    sem = create("sem", 8, reduction=2).double()
    decision = sem.decision(x)
    expected = torch.sigmoid(x.mean((2, 3)) @ sem.decide.weight.T + sem.decide.bias)
    torch.testing.assert_close(decision, expected, atol=1e-14, rtol=0)
    assert (decision.sum(1) - 1).abs().min() > 0.05  # no softmax
    assert (decision[0] - decision[1]).abs().min() > 1e-4


def test_decision_weights_come_in_the_order_of_the_operators(x):
    sem = deciding(1e4, "ie", "fc")
    sem.decide.bias.data[0] = -1e4
    torch.testing.assert_close(sem.gate(x), 0.5 * torch.sigmoid(sem.operators["fc"](x.mean((2, 3))))[..., None, None])


# Each operator alone, its decision weight 1, is the module it comes from.


def test_fc_alone_is_se(x):
    sem, se = deciding(1e4, "fc"), create("se", 8, reduction=2).double()
    for layer, ours in ((se.reduce, sem.operators["fc"][0]), (se.expand, sem.operators["fc"][2])):
        layer.load_state_dict({"weight": ours.weight[..., None, None], "bias": ours.bias})
    torch.testing.assert_close(sem(x), se(x), atol=1e-14, rtol=0)


def test_cnn_alone_is_eca(x):
    sem, eca = deciding(1e4, "cnn"), create("eca", 8).double()
    eca.conv.load_state_dict(sem.operators["cnn"].state_dict())
    torch.testing.assert_close(sem(x), eca(x), atol=1e-14, rtol=0)


def test_ie_alone_is_the_gate_of_iebn(x):
    sem, iebn = deciding(1e4, "ie"), create("iebn", 8).double()
    iebn.gate_scale.data[:], iebn.gate_shift.data[:] = sem.operators["ie"].scale, sem.operators["ie"].shift
    torch.testing.assert_close(sem.gate(x), iebn.gate(x), atol=1e-14, rtol=0)


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"operators": ()}, ValueError, r"some of \('fc', 'cnn', 'ie'\), each at most once, got \(\)"),
        ({"operators": ("fc", "fc")}, ValueError, r"each at most once, got \('fc', 'fc'\)"),
        ({"operators": ("fc", "conv")}, ValueError, "no operator is called 'conv'; .*cnn"),
        ({"operators": "fc"}, TypeError, "operators must be a list or tuple such as .*, got 'fc'"),
        ({"reduction": 128}, ValueError, "reduction=128 does not fit channels=64: .*between 1 and 127"),
        ({"reduction": 0}, ValueError, "reduction must be at least 1, got 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("sem", 64, **arguments)


def test_without_fc_any_reduction_will_do():
    assert create("sem", 4, operators=("cnn", "ie")).operators.keys() == {"cnn", "ie"}


def test_the_largest_reduction_leaves_one_hidden_unit():
    assert create("sem", 64, reduction=127).operators["fc"][0].out_features == 1
