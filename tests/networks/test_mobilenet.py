"""MobileNets: counts of backbones.yml and of the paper, the layers' plans, refusals."""

import pytest
import torch
import torchvision
from torch import nn

from attnlib.networks.mobilenet import (
    CifarInvertedResidual,
    DepthwiseSeparable,
    MobileNetV1,
    mobilenet_v2,
    mobilenet_v2_cifar,
)
from tests.networks.plans import (
    million_macs,
    named_in,
    not_fan_out_initialised,
    parameters,
    repeats_under_a_seed,
    shuffle_norms_,
    unlearned,
)

NETWORKS = named_in("mobilenet")

# Parameters by the number of classes; classes and million multiply-adds.
COUNTS = {
    "mobilenet_v1": ({1000: 4_231_976}, 1000, 568.740),
    "mobilenet_v1_070": ({1000: 2_298_747}, 1000, 282.957),
    "mobilenet_v1_cifar": ({10: 3_217_226, 100: 3_217_226 + 90 * 1025}, 10, 46.354),
    "mobilenet_v2": ({1000: 3_504_872}, 1000, 300.774),
    "mobilenet_v2_cifar": ({10: 2_296_922, 100: 2_296_922 + 90 * 1281}, 10, 91.155),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    (build, side), (counts, classes, macs) = NETWORKS[name], COUNTS[name]
    assert {number: parameters(build, classes=number) for number in counts} == counts
    assert million_macs(build, side, classes=classes) == pytest.approx(macs, abs=5e-4)


def test_every_name_is_counted():
    assert NETWORKS.keys() == COUNTS.keys()


@pytest.mark.parametrize(("width", "parameters_m", "macs_m"), [(0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)])
def test_narrower_networks_have_what_the_paper_prints(width, parameters_m, macs_m):
    assert round(parameters(MobileNetV1, width=width) / 1e6, 1) == parameters_m
    assert million_macs(MobileNetV1, 224, width=width) == pytest.approx(macs_m, abs=0.5)


# V1.


@pytest.mark.parametrize(("stem_stride", "side", "last"), [(2, 224, 7), (1, 32, 2)])
def test_v1_is_a_chain_of_27_convolutions_with_norm_and_relu(stem_stride, side, last):
    with torch.device("meta"):
        model = MobileNetV1(stem_stride=stem_stride)
        y = model.stem(torch.empty(1, 3, side, side))
        for number in range(1, 6):
            y = getattr(model, f"layer{number}")(y)
    assert y.shape == (1, 1024, last, last)
    layers = [module for module in model.modules() if not list(module.children())]
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(layer) for layer in layers] == kinds * 27 + [nn.Linear]
    convolutions = layers[0:-1:3]
    assert all(convolution.bias is None for convolution in convolutions)
    outputs = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    assert convolutions[0].stride == (stem_stride, stem_stride)
    depthwise, pointwise = convolutions[1::2], convolutions[2::2]
    inputs = [32, *outputs[:-1]]
    assert [(c.kernel_size[0], c.groups, c.out_channels, c.stride[0]) for c in depthwise] == [
        (3, width, width, stride) for width, stride in zip(inputs, strides, strict=True)
    ]
    assert [(c.kernel_size[0], c.groups, c.out_channels, c.stride[0]) for c in pointwise] == [
        (1, 1, width, 1) for width in outputs
    ]


def test_a_separable_convolution_mixes_channels_only_in_its_second_half():
    torch.manual_seed(0)
    layer = DepthwiseSeparable(4, 6, stride=2).eval()
    x = torch.randn(1, 4, 9, 9)
    moved = x.clone()
    moved[:, 1] += torch.rand(9, 9)
    changed = (layer[0](moved) - layer[0](x)).flatten(2).abs().sum(-1)[0] > 0
    assert changed.tolist() == [False, True, False, False]
    assert layer(x).shape == (1, 6, 5, 5)


def test_widths_are_cut_to_whole_channels():
    with torch.device("meta"):
        model = MobileNetV1(width=0.7)
    assert model.stem[0].out_channels == 22  # of 22.4
    assert [model.get_submodule(f"layer{number}")[-1][1][0].out_channels for number in range(1, 6)] == [
        44,
        89,
        179,
        358,
        716,
    ]


# V2.


def test_v2_is_torchvisions():
    torch.manual_seed(0)
    ours = mobilenet_v2(classes=7)
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2(num_classes=7)
    assert all(torch.equal(*pair) for pair in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert str(ours) == str(theirs)


def test_v2_for_cifar_strides_three_times_and_has_no_relu6():
    with torch.device("meta"):
        model = mobilenet_v2_cifar()
        sides, y = [], torch.empty(1, 3, 32, 32)
        for stage in model.features:
            y = stage(y)
            sides.append(y.shape[-1])
    assert sides == [32] * 4 + [16] * 3 + [8] * 7 + [4] * 5
    kinds = {type(module) for module in model.modules()}
    assert nn.ReLU in kinds and nn.ReLU6 not in kinds
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.0]
    blocks = [module for module in model.modules() if isinstance(module, CifarInvertedResidual)]
    projected = [number for number, block in enumerate(blocks, 1) if not isinstance(block.shortcut, nn.Identity)]
    assert projected == [1, 2, 11, 17]  # where 16, 24, 96 and 320 channels begin, at a stride of 1
    assert [sum(isinstance(m, nn.Conv2d) for m in block.conv.modules()) for block in blocks] == [3] * 17


@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 1), (8, 2), (12, 2)])
@pytest.mark.parametrize("expansion", [1, 6])
def test_the_shortcut_is_there_wherever_the_map_keeps_its_size(expansion, out_channels, stride):
    torch.manual_seed(0)
    block = shuffle_norms_(CifarInvertedResidual(8, out_channels, stride, expansion)).eval()
    x = torch.randn(2, 8, 7, 6)
    branch = x
    for layer in block.conv:
        branch = layer(branch)
    expected = branch
    if stride == 1:
        expected = branch + (x if out_channels == 8 else block.shortcut[1](block.shortcut[0](x)))
    torch.testing.assert_close(block(x), expected)
    assert len(list(block.shortcut.children())) == (2 if (stride, out_channels) == (1, 12) else 0)  # no ReLU in it
    widths = [(c.out_channels, c.groups) for c in block.conv.modules() if isinstance(c, nn.Conv2d)]
    assert widths == [(8 * expansion, 1), (8 * expansion, 8 * expansion), (out_channels, 1)]


# All of them.


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v1_cifar", "mobilenet_v2", "mobilenet_v2_cifar"])
def test_every_parameter_learns(name):
    torch.manual_seed(0)
    assert not unlearned(NETWORKS[name][0](classes=7), 40, 7)


@pytest.mark.parametrize("name", ["mobilenet_v1_cifar", "mobilenet_v2_cifar"])
def test_first_weights_are_torchvisions_choice(name):
    torch.manual_seed(0)
    model = NETWORKS[name][0](classes=100)
    assert not not_fan_out_initialised(model)
    classifier = next(module for module in model.modules() if isinstance(module, nn.Linear))
    assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("name", ["mobilenet_v1_cifar", "mobilenet_v2_cifar"])
def test_weights_repeat_under_a_seed(name):
    assert repeats_under_a_seed(NETWORKS[name][0])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ({"width": 0}, ValueError, "width must be a finite number above 0, got 0; .* 0.75"),
        ({"width": "1.0"}, TypeError, "width must be a finite number above 0"),
        ({"width": 0.03}, ValueError, "width=0.03 leaves none of the first layer's 32 channels; .*0.03125 or more"),
        ({"stem_stride": 0}, ValueError, "stem_stride must be at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_v1_refusals(arguments, error, says):
    with pytest.raises(error, match=says):
        MobileNetV1(**arguments)


@pytest.mark.parametrize("build", [mobilenet_v2, mobilenet_v2_cifar])
def test_v2_refuses_no_classes(build):
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        build(classes=0)
