"""Normalization-based attention: the almost constant start, the weights, the statistics, the penalty."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from attnlib import create
from attnlib.networks import create as create_network
from attnlib.scale_attention.nam import sparsity_penalty


def drawn(channels=6, **arguments):
    """A NAM with scales and shifts of both signs."""
    torch.manual_seed(0)
    nam = create("nam", channels, **arguments).double()
    for parameter in nam.parameters():
        nn.init.normal_(parameter)
    return nam


@pytest.mark.parametrize("channels", [6, 64, 2048])
def test_parameters_are_two_a_channel_and_two_a_position(channels):
    def count(**arguments):
        return sum(parameter.numel() for parameter in create("nam", channels, **arguments).parameters())

    assert count() == 2 * channels
    assert count(spatial=True, size=(9, 7)) == 2 * channels + 2 * 63
    assert count(channel=False, spatial=True, size=(9, 7)) == 2 * 63


# The start: https://arxiv.org/abs/2111.12419 does not say it, the released module does it.


def test_the_first_gate_is_a_half_within_z_over_4_c():
    torch.manual_seed(0)
    x = torch.randn(16, 256, 8, 8)
    gate = create("nam", 256).gate(x)
    z = F.batch_norm(x, None, None, training=True)
    assert (gate - 0.5).abs().max() <= z.abs().max() / (4 * 256) + 1e-7
    # On normal input: [0.4956, 0.5045] to the digits that a sample's extremes repeat.
    assert gate.min().item() == pytest.approx(0.4956, abs=4e-4)
    assert gate.max().item() == pytest.approx(0.5045, abs=4e-4)


def test_network_init_gives_scales_1_and_shifts_0():
    nam = drawn(spatial=True, size=(9, 7))
    nam.network_init_()
    for norm in (nam.channel_norm, nam.spatial_norm):
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()


# The weights.


def test_weights_are_shares_of_the_magnitudes():
    weights = drawn().scale_weights(torch.tensor([3.0, -1.0, 0.0, 4.0]))
    torch.testing.assert_close(weights, torch.tensor([3.0, 1.0, 0.0, 4.0]) / 8)


def test_signed_weights_are_shares_of_the_sum():
    weights = drawn(signed=True).scale_weights(torch.tensor([3.0, -1.0, 0.0, 4.0]))
    torch.testing.assert_close(weights, torch.tensor([3.0, -1.0, 0.0, 4.0]) / 6)


@pytest.mark.parametrize("detach", [True, False])
def test_scales_that_are_all_zero_give_a_half_and_finite_gradients(detach):
    nam = create("nam", 6, detach_scale=detach)
    nn.init.zeros_(nam.channel_norm.weight)
    gate = nam.gate(torch.randn(4, 6, 3, 3))
    assert (gate == 0.5).all()
    gate.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in nam.parameters())


def test_detaching_changes_the_scales_gradient_and_nothing_else():
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64)
    gradients = {}
    for detach in (True, False):
        nam = drawn(detach_scale=detach)
        output = nam(x)
        output.square().sum().backward()
        gradients[detach] = output, nam.channel_norm.bias.grad, nam.channel_norm.weight.grad
    for index in (0, 1):
        torch.testing.assert_close(gradients[True][index], gradients[False][index], atol=1e-13, rtol=0)
    assert (gradients[True][2] - gradients[False][2]).abs().min() > 1e-3


def test_the_gate_multiplies_the_input_not_its_normalised_copy():
    nam, x = drawn(), torch.randn(3, 6, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(nam(x), x * nam.gate(x), atol=1e-15, rtol=1e-14)


def test_the_spatial_part_sees_the_output_of_the_channel_part():
    both = drawn(spatial=True, size=(5, 4)).eval()
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64)
    y = x * both.channel_gate(x)
    torch.testing.assert_close(both(x), y * both.spatial_gate(y), atol=1e-14, rtol=0)
    torch.testing.assert_close(both(x), x * both.gate(x), atol=1e-14, rtol=0)


# The statistics.


def test_statistics_move_as_a_batch_norm_layer_s():
    nam, norm = create("nam", 6).double(), nn.BatchNorm2d(6).double()
    for seed in range(3):
        x = torch.randn(3, 6, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + seed
        nam(x), norm(x)
    for name, buffer in norm.named_buffers():
        torch.testing.assert_close(nam.channel_norm.get_buffer(name), buffer)


def test_update_bn_averages_over_all_batches():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(3, 6, 5, 4, dtype=torch.float64, generator=generator) + k for k in range(3)]
    for arguments, norm, flat in (
        ({}, nn.BatchNorm2d(6), lambda x: x),
        ({"channel": False, "spatial": True, "size": (5, 4)}, nn.BatchNorm1d(20), lambda x: x.flatten(2).mT),
    ):
        nam = drawn(**arguments)
        for module, data in ((nam, batches), (norm.double(), [flat(x) for x in batches])):
            update_bn(data, module)
        ours = nam.spatial_norm if nam.channel_norm is None else nam.channel_norm
        assert ours.momentum == 0.1
        for name, buffer in norm.named_buffers():
            torch.testing.assert_close(ours.get_buffer(name), buffer)


def test_a_frozen_norm_stays_frozen():
    nam = drawn(spatial=True, size=(5, 4))
    for norm in (nam.channel_norm, nam.spatial_norm):
        norm.eval()
    before = {name: buffer.clone() for name, buffer in nam.named_buffers()}
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64)
    frozen = nam(x)
    assert all(torch.equal(before[name], buffer) for name, buffer in nam.named_buffers())
    assert torch.equal(frozen, nam.eval()(x))


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"channel": False}, ValueError, "channel=False and spatial=False leave no part; choose one"),
        ({"spatial": True}, ValueError, r"spatial=True needs size=\(H, W\)"),
        ({"size": (4, 4)}, ValueError, r"size=\(4, 4\) is for the spatial part alone; pass spatial=True or leave"),
        ({"spatial": True, "size": (0, 4)}, ValueError, r"size must have sides of 1 or more, got \(0, 4\)"),
        ({"spatial": True, "size": (4,)}, TypeError, r"size must be an int or a pair \(H, W\) of ints, got \(4,\)"),
        ({"spatial": "yes"}, TypeError, r"spatial must be True or False, got 'yes'"),
    ],
)
def test_parts_and_sizes_that_do_not_fit_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("nam", 6, **arguments)


@pytest.mark.parametrize("training", [True, False])
def test_another_size_is_refused_before_the_channel_part_counts(training):
    nam = create("nam", 6, spatial=True, size=(9, 7)).train(training)
    with pytest.raises(ValueError, match=r"9 x 7 map, got \(2, 6, 7, 9\); build it with size=\(7, 9\)"):
        nam(torch.randn(2, 6, 7, 9))
    assert nam.channel_norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("part", "shape", "arguments"),
    [
        ("channel", (1, 6, 1, 1), {}),
        ("channel", (1, 6, 1, 1), {"spatial": True, "size": (1, 1)}),
        ("spatial", (1, 1, 3, 3), {"spatial": True, "size": (3, 3)}),
    ],
)
def test_one_value_has_no_variance_in_train_mode(part, shape, arguments):
    nam = create("nam", shape[1], **arguments)
    with pytest.raises(ValueError, match=rf"NAM's {part} part needs 2 .* got shape .*larger batch, or eval mode"):
        nam(torch.randn(shape))
    assert not any(buffer.any() for name, buffer in nam.named_buffers() if name.endswith("tracked"))


# The penalty of the paper's loss.


def test_penalty_is_p_times_all_magnitudes_and_reaches_every_scale():
    model = nn.Sequential(drawn(), nn.Conv2d(6, 6, 1).double(), drawn(spatial=True, size=(5, 4)))
    penalty = sparsity_penalty(model, 0.25)
    scales = [model[0].channel_norm.weight, model[2].channel_norm.weight, model[2].spatial_norm.weight]
    assert penalty.item() == pytest.approx(0.25 * sum(abs(value) for scale in scales for value in scale.tolist()))
    penalty.backward()
    for scale in scales:
        torch.testing.assert_close(scale.grad, 0.25 * scale.detach().sign())
    assert all(p.grad is None for p in model.parameters() if not any(p is scale for scale in scales))


def test_penalty_reaches_the_scales_of_a_wrapped_network():
    model = create_network("resnet8", attention="nam")
    sparsity_penalty(nn.DataParallel(model)).backward()
    scales = [p for name, p in model.named_parameters() if name.endswith("channel_norm.weight")]
    assert len(scales) == 3
    assert all((scale.grad == 1e-4).all() for scale in scales)


def test_a_strength_of_zero_penalises_nothing():
    assert sparsity_penalty(drawn(), 0.0).item() == 0


@pytest.mark.parametrize("strength", [-1e-4, float("nan")])
def test_a_negative_strength_is_refused(strength):
    with pytest.raises(ValueError, match=f"strength must be 0 or more, got {strength}; the paper uses 1e-4"):
        sparsity_penalty(drawn(), strength)


def test_a_model_without_nam_is_refused():
    with pytest.raises(ValueError, match="Conv2d has no NAM module .* attach NAM first"):
        sparsity_penalty(nn.Conv2d(3, 3, 1))
