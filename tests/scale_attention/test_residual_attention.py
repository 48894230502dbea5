"""Residual attention: sizes up to whole networks, the two ways of learning, the layers of the mask, refusals."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from attnlib import create
from attnlib.profiling.cost import profile
from attnlib.scale_attention.residual_attention import standardised, unit_length, upsampled
from tests.cases.residual_attention import CASES
from tests.harness import check_forward, sample
from tests.reference.residual_attention import residual_attention


def drawn(channels=8, **arguments):
    """A module with the parameters that the paper's networks start from, in eval mode."""
    torch.manual_seed(0)
    module = create("residual_attention", channels, **arguments).double()
    module.network_init_()
    return module.eval()


def count(module, kind=nn.Module):
    return sum(p.numel() for layer in module.modules() if isinstance(layer, kind) for p in layer.parameters(False))


@pytest.mark.parametrize("shape", [(2, 9, 7), (1, 13, 11), (3, 4, 6)], ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_larger_maps_than_the_gradients_are_checked_on(shape, training):
    for case in CASES:
        check_forward(case, shape, training)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_a_width_that_is_no_power_of_two(training):
    for case in CASES:
        check_forward(replace(case, channels=12), case.shape, training)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_three_levels_as_on_the_largest_maps_of_the_imagenet_networks(training):
    """From three on, the maps of the way down could be taken in the wrong order."""
    case = replace(CASES[0], arguments={"levels": 3}, reference=partial(residual_attention, levels=3))
    check_forward(case, (2, 9, 16), training)


# Sizes.


@pytest.mark.parametrize(
    ("channels", "p", "t", "r", "levels"), [(64, 1, 2, 1, 1), (64, 1, 2, 1, 2), (32, 1, 2, 1, 3), (20, 2, 4, 3, 2)]
)
def test_parameters_are_those_of_the_units_and_the_head(channels, p, t, r, levels):
    module = create("residual_attention", channels, p=p, t=t, r=r, levels=levels)
    units = 2 * p + t + (levels + 1) * r + (levels - 1) * (r + 1)
    assert count(module, nn.Conv2d) == units * (channels // 4) ** 2 * 17 + 2 * channels**2
    assert count(module, nn.BatchNorm2d) == units * 3 * channels + 4 * channels


def stride_unit(inside, outside):
    """Convolution weights and norm values of the unit that widens the map and has a convolution as its shortcut."""
    inner = outside // 4
    return inside * inner + 9 * inner**2 + inner * outside + inside * outside, 2 * (inside + inner + inner)


@pytest.mark.parametrize(
    ("modules", "weights", "all_of_them"), [((1, 1, 1), 31_738_024, 31_810_728), ((1, 2, 3), None, 52_466_344)]
)
def test_the_imagenet_networks_add_up(modules, weights, all_of_them):
    """Attention-56 and Attention-92: the counts of the authors' files."""
    convolutions, norms = (
        7 * 7 * 3 * 64 + 2048 * 1000 + 1000,
        2 * 64 + 2 * 2048,
    )  # stem, classifier; first and last norm
    for inside, outside in ((64, 256), (256, 512), (512, 1024), (1024, 2048)):
        unit = stride_unit(inside, outside)
        convolutions, norms = convolutions + unit[0], norms + unit[1]
    convolutions += 2 * 17 * 512**2
    norms += 2 * 3 * 2048
    for channels, levels, repeats in zip((256, 512, 1024), (3, 2, 1), modules, strict=True):
        with torch.device("meta"):
            module = create("residual_attention", channels, levels=levels)
        convolutions += repeats * count(module, nn.Conv2d)
        norms += repeats * count(module, nn.BatchNorm2d)
    assert weights in (convolutions, None)
    assert convolutions + norms == all_of_them


@pytest.mark.parametrize(("modules", "giga"), [((1, 1, 1), 6.271), ((1, 2, 3), 10.534)])
def test_the_imagenet_networks_cost_what_their_files_add_up_to(modules, giga):
    """Multiply-adds at 224 x 224: 6.2 and 10.4 G in the paper. Every layer of a module costs C^2: 16 times fewer do."""
    macs = 7 * 7 * 3 * 64 * 112**2 + 2048 * 1000 + 2 * 17 * 512**2 * 7**2
    for inside, outside, side, stride in ((64, 256, 56, 1), (256, 512, 56, 2), (512, 1024, 28, 2), (1024, 2048, 14, 2)):
        inner = outside // 4
        before, after = side**2, (side // stride) ** 2
        macs += inside * inner * before + (9 * inner**2 + inner * outside + inside * outside) * after
    for channels, levels, side, repeats in zip((256, 512, 1024), (3, 2, 1), (56, 28, 14), modules, strict=True):
        narrow = create("residual_attention", channels // 16, levels=levels)
        macs += repeats * 16**2 * profile(narrow, side, channels // 16).macs
    assert round(macs / 1e9, 3) == giga


@pytest.mark.parametrize(
    ("p", "t", "m", "depth"), [(1, 2, 1, 56), (1, 2, 2, 92), (1, 2, 3, 128), (1, 2, 6, 236), (2, 4, 6, 452)]
)
def test_the_trunk_is_as_deep_as_the_networks_are_called(p, t, m, depth):
    """m modules in each of three stages, and 20 other layers."""
    module = create("residual_attention", 8, p=p, t=t)
    trunk = [module.before, module.trunk, module.after]
    layers = sum(isinstance(layer, nn.Conv2d) for part in trunk for layer in part.modules())
    assert 3 * m * layers + 20 == depth


# Where the two ways of learning start.


def test_without_a_mask_residual_learning_leaves_the_trunk_and_naive_learning_nothing():
    x = sample(CASES[0], 2, 9, 7)
    for learning in ("residual", "naive"):
        module = drawn(learning=learning)
        nn.init.zeros_(module.mask.head[-1].weight)
        module.mask.activation = torch.zeros_like
        trunk, mask = module.branches(x)
        assert not mask.any()
        expected = trunk if learning == "residual" else torch.zeros_like(trunk)
        torch.testing.assert_close(module(x), module.after(expected), atol=0, rtol=0)


@pytest.mark.parametrize(("learning", "factor"), [("residual", 1.5), ("naive", 0.5)])
def test_a_mask_of_one_half_is_a_head_of_zeros(learning, factor):
    """Why naive learning cannot be stacked: k modules shrink the trunk by 2^-k, residual learning never shrinks it."""
    module, x = drawn(learning=learning), sample(CASES[0], 2, 9, 7)
    nn.init.zeros_(module.mask.head[-1].weight)
    assert (module.gate(x) == factor).all()
    trunk, _ = module.branches(x)
    torch.testing.assert_close(module(x), module.after(factor * trunk), atol=0, rtol=0)


@pytest.mark.parametrize("learning", ["residual", "naive"])
def test_the_gate_multiplies_the_trunk(learning):
    module, x = drawn(learning=learning), sample(CASES[0], 2, 9, 7)
    trunk, mask = module.branches(x)
    torch.testing.assert_close(module.gate(x), mask + (learning == "residual"), atol=0, rtol=0)
    torch.testing.assert_close(module(x), module.after(module.gate(x) * trunk), atol=0, rtol=0)


def test_the_mask_filters_the_trunk_s_gradient():
    """Equation (2): what reaches the trunk's output is the gradient of H times the mask, and plus one times it."""
    for learning in ("residual", "naive"):
        module = drawn(learning=learning)
        trunk, mask = module.branches(sample(CASES[0], 1, 4, 6))
        trunk, mask = trunk.detach().requires_grad_(), mask.detach()
        (trunk * module._factor(mask)).sum().backward()
        torch.testing.assert_close(trunk.grad, mask + (learning == "residual"), atol=0, rtol=0)


def test_network_init_is_he_and_norms_that_do_nothing():
    torch.manual_seed(0)
    module = create("residual_attention", 256)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 3)
    module.network_init_()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()


# The mask branch.


@pytest.mark.parametrize(("side", "pooled"), [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3), (14, 7), (56, 28)])
def test_pooling_has_no_padding_and_lets_the_last_window_stick_out(side, pooled):
    pool = create("residual_attention", 4).mask.pool
    ramp = torch.arange(float(side)).expand(1, 1, side, side)
    assert pool(ramp)[0, 0, 0].tolist() == [min(2 * i + 2, side - 1) for i in range(pooled)]


def test_of_equal_maxima_the_first_gets_the_gradient():
    x = torch.zeros(1, 1, 5, 5, requires_grad=True)
    create("residual_attention", 4).mask.pool(x).sum().backward()
    assert x.grad[0, 0].nonzero().tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


def test_upsampling_keeps_the_corners():
    y = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])
    large = upsampled(y, torch.empty(1, 1, 3, 5))[0, 0]
    assert large.tolist() == [[0, 0.5, 1, 1.5, 2], [2, 2.5, 3, 3.5, 4], [4, 4.5, 5, 5.5, 6]]


def test_only_the_skip_unit_joins_the_ways_down_and_up():
    """A widely used port adds the map of the way down itself as well, and at the end the trunk."""
    module, x = drawn(levels=2), sample(CASES[0], 1, 8, 8)
    seen = {}
    units = {"down": module.mask.down[0], "lowest": module.mask.lowest, "skip": module.mask.skip[0]}
    for name, unit in (units | {"up": module.mask.up[0], "head": module.mask.head}).items():
        unit.register_forward_hook(lambda unit, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    module(x)
    assert torch.equal(seen["skip"][0], seen["down"][1])
    torch.testing.assert_close(seen["up"][0], upsampled(seen["lowest"][1], seen["skip"][1]) + seen["skip"][1])
    torch.testing.assert_close(seen["head"][0], upsampled(seen["up"][1], x))


def test_the_lowest_level_has_twice_the_units():
    module = create("residual_attention", 4, r=3, levels=3)
    assert [len(units) for units in module.mask.down] == [3, 3]
    assert [len(units) for units in module.mask.up] == [3, 3]
    assert len(module.mask.lowest) == 6


# The activations.


def test_channel_attention_has_unit_length_at_every_position():
    x = sample(CASES[0], 2, 9, 7)
    _, mask = drawn(activation="channel").branches(x)
    torch.testing.assert_close(mask.square().sum(1), torch.ones(2, 9, 7).double(), atol=1e-14, rtol=0)
    assert (mask < 0).any()  # no sigmoid


def test_a_zero_vector_stays_zero_with_finite_gradients():
    z = torch.zeros(1, 4, 2, 2, requires_grad=True)
    unit_length(z).sum().backward()
    assert not unit_length(z).any()
    assert (z.grad == 1).all()


def test_spatial_attention_standardises_each_channel_of_each_image():
    z = 3 * torch.randn(2, 4, 9, 7, dtype=torch.float64) + 5
    variance, mean = torch.var_mean(standardised(z), (2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(2, 4).double(), atol=1e-14, rtol=0)
    torch.testing.assert_close(variance, torch.ones(2, 4).double(), atol=1e-5, rtol=0)
    flat = torch.full((1, 1, 2, 2), 3.0)
    assert not standardised(flat).any()


# Refusals.


@pytest.mark.parametrize(("channels", "fix"), [(6, 8), (9, 12), (3, 4), (30, 32)])
def test_channels_that_four_does_not_divide_are_refused(channels, fix):
    with pytest.raises(ValueError, match=rf"channels={channels} must be a multiple of 4: .*; try {fix}$"):
        create("residual_attention", channels)


@pytest.mark.parametrize("name", ["p", "t", "r", "levels"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_counts_that_are_none_are_refused(name, value, error, own_errors):
    with pytest.raises(error, match=rf"{name} must be .*got {value}; pass a whole number"):
        create("residual_attention", 8, **{name: value})


@pytest.mark.parametrize(
    ("argument", "value", "near"),
    [
        ("activation", "spacial", "'spatial'"),
        ("activation", "f1", "channel, mixed, spatial"),
        ("learning", "nal", "residual"),
    ],
)
def test_unknown_options_list_the_known(argument, value, near):
    with pytest.raises(ValueError, match=f"no {argument} is called '{value}'; .*{near}"):
        create("residual_attention", 8, **{argument: value})


@pytest.mark.parametrize(("levels", "size"), [(1, (1, 9)), (2, (9, 3)), (3, (7, 8))])
def test_maps_that_cannot_be_halved_so_often_are_refused(levels, size):
    with pytest.raises(ValueError, match=rf"halves the map {levels} times: H and W must be {2**levels} or more, got"):
        create("residual_attention", 8, levels=levels)(torch.randn(2, 8, *size))


def test_one_value_per_channel_is_refused_in_train_mode_before_anything_is_counted():
    module = create("residual_attention", 8)
    with pytest.raises(ValueError, match=r"lowest level needs 2 .* in train mode and has 1, got shape \(1, 8, 3, 2\)"):
        module(torch.randn(1, 8, 3, 2))
    assert all(layer.num_batches_tracked == 0 for layer in module.modules() if isinstance(layer, nn.BatchNorm2d))
    module.eval()(torch.randn(1, 8, 3, 2))


def test_norms_are_asked_not_the_module():
    module, x = create("residual_attention", 8), torch.randn(1, 8, 3, 2)
    norms = [layer for layer in module.mask.lowest.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.eval()
    assert module.mask.lowest.training
    assert module(x).isfinite().all()  # frozen at the lowest level, three by two values elsewhere
    with pytest.raises(ValueError, match="residual attention needs 2 or more values .* has 0"):
        module(x[:0])
    module.eval()
    norms[0].train()
    with pytest.raises(ValueError, match="lowest level needs 2"):
        module(x)
