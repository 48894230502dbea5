"""ResNeXts for CIFAR: counts of backbones.yml, a closed formula, the groups' widths, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib.networks.resnext import CifarResNeXt
from tests.networks.plans import (
    branch_end,
    million_macs,
    named_in,
    not_fan_out_initialised,
    parameters,
    repeats_under_a_seed,
    shuffle_norms_,
    unlearned,
)

NETWORKS = named_in("resnext")

# Parameters by the number of classes, million multiply-adds with 10.
COUNTS = {
    "resnext29_8x64d": ({10: 34_426_698, 100: 34_518_948}, 5387.266),
    "resnext29_16x64d": ({10: 68_155_210, 100: 68_247_460}, 10688.866),
    "resnext29_2x64d": ({10: 9_128_778}, 1409.493),
    "resnext29_32x4d": ({10: 4_774_218}, 772.483),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    (build, side), (counts, macs) = NETWORKS[name], COUNTS[name]
    assert {classes: parameters(build, classes=classes) for classes in counts} == counts
    assert million_macs(build, side, classes=10) == pytest.approx(macs, abs=5e-4)


def test_every_name_is_counted():
    assert NETWORKS.keys() == COUNTS.keys()


@pytest.mark.parametrize(
    ("depth", "cardinality", "base_width", "stem"), [(11, 1, 64, 3), (20, 4, 24, 1), (38, 32, 4, 5)]
)
def test_parameters_add_up(depth, cardinality, base_width, stem):
    total = 3 * 64 * stem**2 + 2 * 64 + 1024 * 7 + 7
    channels = 64
    for stage in (1, 2, 4):
        inner, out = cardinality * base_width * stage, 256 * stage
        branches = [channels * inner] + [out * inner] * ((depth - 2) // 9 - 1)
        rest = 9 * inner**2 // cardinality + inner * out + 2 * (2 * inner + out)  # 3 x 3, last 1 x 1, norms
        total += sum(first + rest for first in branches) + channels * out + 2 * out
        channels = out
    assert parameters(CifarResNeXt, depth, cardinality, base_width, classes=7, stem=stem) == total


def test_the_3x3_has_the_groups_and_the_stride():
    with torch.device("meta"):
        model = CifarResNeXt(29, 8, 64)
    convolutions = [block.conv2 for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    assert [(c.groups, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (8, width, 3) for width in (512, 1024, 2048) for _ in range(3)
    ]
    assert [c.stride[0] for c in convolutions] == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    strided = [name for name, module in model.named_modules() if getattr(module, "stride", 1) == (2, 2)]
    assert strided == [f"layer{n}.0.{layer}" for n in (2, 3) for layer in ("conv2", "downsample.0")]


def test_a_branch_ends_in_its_last_child():
    torch.manual_seed(0)
    block = CifarResNeXt(11, 2, 4).layer2[0].eval()
    nn.init.zeros_(branch_end(block).weight)
    x = torch.randn(2, 256, 6, 6)
    torch.testing.assert_close(block(x), block.downsample(x).relu())


@pytest.mark.parametrize("stem", [1, 3])
def test_the_stem_and_the_classifier_around_the_stages(stem):
    torch.manual_seed(0)
    model = shuffle_norms_(CifarResNeXt(11, 2, 4, classes=5, stem=stem)).eval()
    x = torch.randn(2, 3, 12, 10)
    norm = model.bn1
    y = F.conv2d(x, model.conv1.weight, padding=(stem - 1) // 2)
    y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias).clamp(min=0)
    for stage, shape in ((model.layer1, (12, 10)), (model.layer2, (6, 5)), (model.layer3, (3, 3))):
        y = stage(y)
        assert y.shape[2:] == shape
    torch.testing.assert_close(model(x), y.flatten(2).sum(-1) / 9 @ model.fc.weight.T + model.fc.bias)


def test_every_parameter_learns():
    torch.manual_seed(0)
    assert not unlearned(CifarResNeXt(11, 4, 8, classes=7), 16, 7)


def test_first_weights_are_those_of_the_released_code():
    torch.manual_seed(0)
    assert not not_fan_out_initialised(CifarResNeXt(11, 4, 8))


def test_weights_repeat_under_a_seed():
    assert repeats_under_a_seed(CifarResNeXt, depth=11, cardinality=4, base_width=4)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((28, 8, 64), ValueError, r"depth=28 is not 9n \+ 2 .*; choose 20 or 29$"),
        ((29, 0, 64), ValueError, "cardinality must be at least 1, got 0"),
        ((29, 8, 0), ValueError, "base_width must be at least 1, got 0"),
        ((29, 8.0, 64), TypeError, "cardinality must be an int"),
        ((29, 8, 64, 0), ValueError, "classes must be at least 1, got 0"),
        ((29, 8, 64, 10, 2), ValueError, "stem must be odd.*got 2; try 1 or 3"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_refusals(arguments, error, says):
    with pytest.raises(error, match=says):
        CifarResNeXt(*arguments)
