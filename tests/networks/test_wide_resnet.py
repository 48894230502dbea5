"""Wide ResNets: counts of backbones.yml, one block by hand, dropout, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib.networks.wide_resnet import WideBlock, WideResNet
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

NETWORKS = named_in("wide_resnet")

# Parameters with 10 and 100 classes, million multiply-adds with 10.
COUNTS = {
    "wrn16_8": (10_961_370, 11_007_540, 1548.146),
    "wrn16_10": (17_116_634, 17_174_324, 2412.174),
    "wrn28_8": (23_354_842, 23_401_012, 3360.085),
    "wrn28_10": (36_479_194, 36_536_884, 5243.329),
    "wrn40_4": (8_949_210, 8_972_340, 1298.582),
    "wrn40_10": (55_841_754, 55_899_444, 8074.484),
    "wrn52_4": (12_049_370, 12_072_500, 1751.567),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    build, side = NETWORKS[name]
    assert (parameters(build, classes=10), parameters(build, classes=100)) == COUNTS[name][:2]
    assert million_macs(build, side, classes=10) == pytest.approx(COUNTS[name][2], abs=5e-4)


def test_every_name_is_counted():
    assert NETWORKS.keys() == COUNTS.keys()


@pytest.mark.parametrize("depth", [10, 28])
def test_the_depth_counts_convolutions(depth):
    with torch.device("meta"):
        model = WideResNet(depth, 2)
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == depth


@pytest.mark.parametrize("widen", [1, 3])
def test_stages_halve_the_map(widen):
    with torch.device("meta"):
        model = WideResNet(16, widen)
        sizes, y = [], model.conv1(torch.empty(1, 3, 32, 32))
        for stage in (model.layer1, model.layer2, model.layer3):
            y = stage(y)
            sizes.append(tuple(y.shape[1:]))
    assert sizes == [(16 * widen, 32, 32), (32 * widen, 16, 16), (64 * widen, 8, 8)]
    assert (model.layer1[0].downsample is None) == (widen == 1)


@pytest.mark.parametrize(("in_channels", "width", "stride"), [(6, 6, 1), (6, 10, 1), (6, 10, 2)])
def test_a_widening_block_projects_what_its_first_norm_and_relu_give(in_channels, width, stride):
    torch.manual_seed(0)
    block = shuffle_norms_(WideBlock(in_channels, width, stride, dropout=0.3)).double().eval()
    x = torch.randn(2, in_channels, 7, 6, dtype=torch.float64)
    state = block.state_dict()

    def activated(y, norm):
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(y, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"]).clamp(min=0)

    first = activated(x, "bn1")
    y = F.conv2d(first, state["conv1.weight"], stride=stride, padding=1)
    y = F.conv2d(activated(y, "bn2"), state["conv2.weight"], padding=1)
    shortcut = x if in_channels == width else F.conv2d(first, state["downsample.weight"], stride=stride)
    torch.testing.assert_close(block(x), shortcut + y)

    nn.init.zeros_(branch_end(block).weight)
    assert torch.equal(block(x), shortcut)


def test_dropout_acts_before_the_second_convolution_and_in_training_only():
    torch.manual_seed(0)
    block = WideBlock(40, 40, 1, dropout=0.3)
    reads = []
    block.conv2.register_forward_pre_hook(lambda layer, arguments: reads.append(arguments[0]))
    x = torch.randn(4, 40, 8, 8)
    inner = torch.relu(block.bn2(block.conv1(torch.relu(block.bn1(x)))))
    y = block(x)
    kept = reads[0] > 0
    assert (kept.sum() / (inner > 0).sum()).item() == pytest.approx(0.7, abs=0.02)
    torch.testing.assert_close(reads[0], inner * kept / 0.7)
    torch.testing.assert_close(y, x + block.conv2(reads[0]))
    assert torch.equal(block.eval()(x), block(x))


def test_every_block_has_the_dropout_asked_for():
    def rates(**options):
        with torch.device("meta"):
            return [module.p for module in WideResNet(16, 2, **options).modules() if isinstance(module, nn.Dropout)]

    assert rates() == [0.0] * 6
    assert rates(dropout=0.3) == [0.3] * 6


def test_the_classifier_reads_the_mean_of_the_last_norm_and_relu():
    torch.manual_seed(0)
    model = shuffle_norms_(WideResNet(10, 1, classes=5)).eval()
    x = torch.randn(2, 3, 12, 10)
    y = model.layer3(model.layer2(model.layer1(model.conv1(x))))
    mean, variance = model.bn.running_mean, model.bn.running_var
    y = F.batch_norm(y, mean, variance, model.bn.weight, model.bn.bias).clamp(min=0).flatten(2).sum(-1) / (3 * 3)
    torch.testing.assert_close(model(x), y @ model.fc.weight.T + model.fc.bias)


@pytest.mark.parametrize("widen", [1, 2])
def test_every_parameter_learns(widen):
    torch.manual_seed(0)
    assert not unlearned(WideResNet(10, widen, classes=7, dropout=0.3), 16, 7)


def test_first_weights_are_those_of_the_released_code():
    torch.manual_seed(0)
    assert not not_fan_out_initialised(WideResNet(10, 2))


def test_weights_repeat_under_a_seed():
    assert repeats_under_a_seed(WideResNet, depth=10, widen=1)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"depth": 27, "widen": 10}, ValueError, r"depth=27 is not 6n \+ 4 .*; choose 22 or 28$"),
        ({"depth": 28, "widen": 0}, ValueError, "widen must be at least 1, got 0"),
        ({"depth": 28, "widen": 1.5}, TypeError, "widen must be an int, got 1.5"),
        ({"depth": 28, "widen": 10, "classes": -1}, ValueError, "classes must be at least 1, got -1"),
        (
            {"depth": 28, "widen": 10, "dropout": 30},
            ValueError,
            "dropout must be a probability between 0 and 1, got 30",
        ),
        ({"depth": 28, "widen": 10, "dropout": "0.3"}, TypeError, "dropout must be a number"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_refusals(arguments, error, says):
    with pytest.raises(error, match=says):
        WideResNet(**arguments)
