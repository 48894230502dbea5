"""Instance enhancement batch norm: sizes, the start, whose mean gates what, the statistics, refusals."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from attnlib import create


def drawn(channels=6):
    """An IEBN with parameters of both signs."""
    torch.manual_seed(0)
    iebn = create("iebn", channels).double()
    for parameter in iebn.parameters():
        nn.init.normal_(parameter)
    return iebn


def images(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Sizes.


def test_resnet_164_gets_24224_more_parameters_in_163_norms():
    widths = [16] + [width for planes in (16, 32, 64) for width in 18 * [planes, planes, 4 * planes]]
    assert len(widths) == 163

    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert all(count(create("iebn", c)) == count(nn.BatchNorm2d(c)) + 2 * c for c in set(widths))
    assert sum(2 * c for c in widths) == 24_224


# The start.


@pytest.mark.parametrize("training", [True, False])
def test_it_starts_as_a_batch_norm_with_a_gain_of_sigmoid_of_minus_1(training):
    iebn, norm = create("iebn", 6).double().train(training), nn.BatchNorm2d(6).double().train(training)
    nn.init.constant_(norm.weight, torch.sigmoid(torch.tensor(-1.0, dtype=torch.float64)).item())
    x = 2 * images(3, 6, 5, 4) + 1
    torch.testing.assert_close(iebn(x), norm(x), atol=1e-13, rtol=0)
    assert iebn.gate(x).flatten().tolist() == pytest.approx([0.26894142137] * 18)


def test_the_image_counts_only_after_gate_scale_has_left_zero_and_the_first_step_moves_it():
    iebn = create("iebn", 6)
    x = images(3, 6, 5, 4, dtype=torch.float32)
    assert torch.equal(iebn.gate(x), iebn.gate(x + 5))
    (iebn(x) * x).sum().backward()
    assert iebn.gate_scale.grad.all()


# The gate.


@pytest.mark.parametrize("training", [True, False])
def test_the_gate_is_of_the_raw_image_s_own_mean(training):
    iebn = drawn().train(training)
    x = images(3, 6, 5, 4) + 2
    expected = torch.sigmoid(iebn.gate_scale * x.mean((2, 3)) + iebn.gate_shift)
    torch.testing.assert_close(iebn.gate(x).flatten(1), expected, atol=1e-14, rtol=0)
    assert iebn.norm.num_batches_tracked == 0  # looking does not count


def test_the_shift_is_not_gated():
    iebn = drawn().eval()
    x = iebn.norm.running_mean.view(1, 6, 1, 1).expand(2, 6, 5, 4)  # normalised: 0
    torch.testing.assert_close(iebn(x), iebn.norm.bias.view(1, 6, 1, 1).expand_as(x), atol=1e-14, rtol=0)


def test_in_eval_mode_the_image_still_sets_its_own_gain():
    iebn = drawn().eval()
    x, step = images(1, 6, 5, 4), torch.zeros(1, 6, 5, 4, dtype=torch.float64)
    step[..., 0, 0], step[..., 0, 1] = 1, -1  # leaves the mean as it is
    gains = [(iebn(x + level + step) - iebn(x + level))[..., 0, 0] for level in (0.0, 3.0)]
    assert (gains[0] / gains[1] - 1).abs().min() > 0.01


# The statistics.


def test_statistics_move_as_a_batch_norm_layer_s():
    iebn, norm = drawn(), nn.BatchNorm2d(6).double()
    for seed in range(3):
        x = images(3, 6, 5, 4, seed=seed) + seed
        iebn(x), norm(x)
    assert iebn.norm.num_batches_tracked == 3
    for name, buffer in norm.named_buffers():
        torch.testing.assert_close(iebn.norm.get_buffer(name), buffer)


def test_update_bn_averages_over_all_batches():
    iebn, norm = drawn(), nn.BatchNorm2d(6).double()
    batches = [images(3, 6, 5, 4, seed=seed) + seed for seed in range(3)]
    for module in (iebn, norm):
        update_bn(batches, module)
    assert iebn.norm.momentum == 0.1
    for name, buffer in norm.named_buffers():
        torch.testing.assert_close(iebn.norm.get_buffer(name), buffer)


def test_momentum_none_averages_over_all_batches():
    iebn, norm = create("iebn", 6, momentum=None).double(), nn.BatchNorm2d(6, momentum=None).double()
    for seed in range(3):
        x = images(3, 6, 5, 4, seed=seed) + seed
        iebn(x), norm(x)
    torch.testing.assert_close(iebn.norm.running_var, norm.running_var)


def test_a_frozen_norm_stays_frozen():
    iebn, x = drawn(), images(3, 6, 5, 4)
    iebn.norm.eval()
    before = {name: buffer.clone() for name, buffer in iebn.named_buffers()}
    frozen = iebn(x)
    assert all(torch.equal(before[name], buffer) for name, buffer in iebn.named_buffers())
    assert torch.equal(frozen, iebn.eval()(x))


def test_a_mean_a_thousand_times_the_spread_costs_no_more_than_three_digits():
    x = images(4, 6, 9, 7) + 1000
    exact, single = create("iebn", 6).double(), create("iebn", 6)
    torch.testing.assert_close(single(x.float()).double(), exact(x), atol=5e-4, rtol=0)


def test_gradients_can_be_differentiated_again():
    iebn = create("iebn", 2).double()
    nn.init.constant_(iebn.gate_scale, 0.7)
    assert torch.autograd.gradgradcheck(iebn, images(2, 2, 2, 2).requires_grad_())


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"eps": float("nan")}, "eps must be a finite number above 0, got nan"),
        ({"eps": 0.0}, "eps must be a finite number above 0, got 0.0; the released code uses 1e-5"),
        ({"momentum": 1.5}, "momentum must be a number between 0 and 1, got 1.5; the released code uses 0.1"),
        ({"momentum": -0.1}, "momentum must be a number between 0 and 1, got -0.1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        create("iebn", 6, **arguments)


@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (0, 6, 3, 3)])
def test_one_value_has_no_variance_in_train_mode(shape):
    iebn = create("iebn", 6)
    with pytest.raises(ValueError, match="IEBN needs 2 or more values .* got shape .*larger batch, or eval mode"):
        iebn(torch.randn(shape))
    assert iebn.norm.num_batches_tracked == 0
