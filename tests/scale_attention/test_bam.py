"""BAM: sizes, the released string of operations, the paper's form, non-square maps, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib import create
from benchmarks.released import bam as released


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=6, **arguments):
    """A BAM in double precision with parameters of both signs."""
    bam = create("bam", channels, **{"reduction": 2} | arguments).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in bam.parameters():
        nn.init.normal_(parameter, generator=generator)
    return bam


# Sizes.


@pytest.mark.parametrize(
    ("channels", "parameters"), [(64, 1_173), (128, 4_457), (256, 17_361), (512, 68_513), (1024, 272_193)]
)
def test_parameters_are_those_of_the_released_module(channels, parameters):
    h = channels // 16
    assert count(create("bam", channels)) == parameters
    branches = (2 * channels * h + 3 * h + channels) + (channels * h + 18 * h**2 + 10 * h + 1)
    assert parameters == branches
    assert count(create("bam", channels, output_norm=True)) == parameters + 2 * channels + 2


@pytest.mark.parametrize(
    ("widths", "code", "paper"), [((256, 512, 1024), 358_067, 361_657), ((64, 128, 256), 22_991, 23_893)]
)
def test_three_modules_between_the_stages_of_resnet_50_and_of_18(widths, code, paper):
    assert sum(count(create("bam", width)) for width in widths) == code
    assert sum(count(create("bam", width, combine="sum", output_norm=True)) for width in widths) == paper


def test_defaults_are_the_released_ones():
    bam = create("bam", 64)
    dilated = [layer for layer in bam.spatial_branch if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert bam.combine == "product"
    assert [(conv.dilation, conv.padding) for conv in dilated] == [((4, 4), (4, 4))] * 2
    assert isinstance(bam.channel_branch[-1], nn.Linear)
    assert isinstance(bam.spatial_branch[-1], nn.Conv2d)
    assert all(layer.bias is not None for layer in bam.modules() if isinstance(layer, nn.Conv2d | nn.Linear))


# The start.


def test_network_init_is_he_by_fan_out_and_leaves_the_linear_layers():
    torch.manual_seed(0)
    bam = create("bam", 512, reduction=2)
    linear = bam.channel_branch[0].weight.clone()
    for parameter in (*bam.channel_branch[1].parameters(), *bam.spatial_branch[1].parameters()):
        nn.init.normal_(parameter)
    bam.network_init_()
    for k in (3, 6):
        conv = bam.spatial_branch[k]
        assert conv.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.02)
    assert bam.spatial_branch[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert torch.equal(bam.channel_branch[0].weight, linear)
    assert not any(p.any() for name, p in bam.named_parameters() if name.endswith("bias"))
    assert (bam.channel_branch[1].weight == 1).all()
    assert (bam.spatial_branch[1].weight == 1).all()


@pytest.mark.parametrize("combine", ["product", "sum"])
def test_a_silent_branch_makes_the_product_a_constant_and_leaves_the_sum_the_other(combine):
    bam, x = drawn(combine=combine).eval(), torch.randn(2, 6, 9, 7, dtype=torch.float64)
    nn.init.zeros_(bam.channel_branch[3].weight)
    nn.init.zeros_(bam.channel_branch[3].bias)
    spatial = torch.zeros(()) if combine == "product" else bam.spatial_branch(x)
    torch.testing.assert_close(bam(x), x * (1 + torch.sigmoid(spatial.double())), atol=1e-12, rtol=1e-12)


def test_it_can_only_amplify():
    gate = drawn().eval().gate(10 * torch.randn(2, 6, 9, 7, dtype=torch.float64))
    assert ((gate >= 1) & (gate <= 2)).all()


# The released operations.


@pytest.mark.parametrize("training", [False, True])
def test_the_released_operations_give_the_same_on_square_maps(training):
    bam = drawn().train(training)
    x = torch.randn(3, 6, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for call in (bam, lambda x: released(bam, x)):
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        bam.zero_grad()
        (y * torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        results.append([y, leaf.grad, *(parameter.grad for parameter in bam.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-11)


def test_on_a_wide_map_the_released_window_leaves_out_columns_and_ours_does_not():
    bam, x = drawn().eval(), torch.randn(2, 6, 5, 8, dtype=torch.float64)
    other = x.clone()
    other[..., 5:] += 1
    assert torch.equal(*(F.avg_pool2d(wide, 5, stride=5) for wide in (x, other)))
    assert not torch.allclose(*(bam._branches(wide)[0] for wide in (x, other)))
    shifted = x.roll(3, -1)
    torch.testing.assert_close(*(bam._branches(wide)[0] for wide in (x, shifted)), atol=1e-12, rtol=1e-12)
    with pytest.raises(RuntimeError):
        released(bam, x.transpose(2, 3))


# Refusals.


@pytest.mark.parametrize("output_norm", [False, True])
def test_a_single_image_is_refused_in_train_mode_and_nothing_is_counted(output_norm):
    bam, x = drawn(output_norm=output_norm).train(), torch.randn(1, 6, 9, 7, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in bam.state_dict().items()}
    for call in (bam, bam.gate):
        with pytest.raises(ValueError, match=r"channel branch, .* over images, needs 2 .* got shape \(1, 6, 9, 7\)"):
            call(x)
    assert all(torch.equal(before[name], tensor) for name, tensor in bam.state_dict().items())
    assert bam.eval()(x).shape == x.shape
    for layer in bam.train().modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eval()  # as a network with frozen norms
    assert bam(x).shape == x.shape


@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (0, 6, 9, 7)])
def test_the_spatial_branch_alone_in_train_mode_is_refused_a_single_value(shape):
    bam = drawn().train()
    bam.channel_branch.eval()
    with pytest.raises(ValueError, match="BAM's spatial branch needs 2 or more values per channel"):
        bam(torch.randn(shape, dtype=torch.float64))
    assert not any(tensor.any() for name, tensor in bam.state_dict().items() if name.endswith("tracked"))
    assert bam(torch.randn(1, 6, 1, 2, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"reduction": 65}, ValueError, "reduction=65 does not fit channels=64: .*between 1 and 64"),
        ({"reduction": 16.0}, TypeError, "reduction must be an int, got 16.0"),
        ({"dilation": 0}, ValueError, "dilation must be at least 1, got 0"),
        ({"combine": "add"}, ValueError, "no combine is called 'add'; .*product, sum"),
        ({"output_norm": "yes"}, TypeError, "output_norm must be True or False, got 'yes'"),
    ],
)
def test_impossible_choices_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("bam", 64, **arguments)
