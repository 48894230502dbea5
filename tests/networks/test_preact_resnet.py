"""Pre-activation ResNets: counts of backbones.yml, one block by hand, where a branch ends, refusals."""

import pytest
import torch
import torch.nn.functional as F

from attnlib.errors import UnknownNameError
from attnlib.networks.preact_resnet import PreActBlock, PreActBottleneck, PreActResNet
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

NETWORKS = named_in("preact_resnet")

# Parameters with 10 and 100 classes, million multiply-adds with 10.
COUNTS = {
    "resnet110_preact": (1_730_522, 1_736_372, 253.150),
    "resnet110_preact_bottleneck": (1_146_842, 1_169_972, 167.431),
    "resnet164_preact": (1_703_258, 1_726_388, 247.647),
}
BLOCKS = [(PreActBlock, 6, 6, 1), (PreActBlock, 6, 10, 2), (PreActBottleneck, 12, 3, 1), (PreActBottleneck, 6, 3, 2)]


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    build, side = NETWORKS[name]
    assert (parameters(build, classes=10), parameters(build, classes=100)) == COUNTS[name][:2]
    assert million_macs(build, side, classes=10) == pytest.approx(COUNTS[name][2], abs=5e-4)


def test_every_name_is_counted():
    assert NETWORKS.keys() == COUNTS.keys()


def make_block(kind, in_channels, width, stride):
    """A block of one network's second or third stage, in float64, with norms that all differ."""
    torch.manual_seed(0)
    out_channels = width * kind.expansion
    downsample = None
    if in_channels != out_channels:
        downsample = torch.nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
    return shuffle_norms_(kind(in_channels, width, stride, downsample)).double().eval()


@pytest.mark.parametrize(("kind", "in_channels", "width", "stride"), BLOCKS)
def test_a_block_is_norm_relu_convolution_and_a_shortcut_from_the_raw_input(kind, in_channels, width, stride):
    block = make_block(kind, in_channels, width, stride)
    x = torch.randn(2, in_channels, 7, 6, dtype=torch.float64)
    state = block.state_dict()

    def activated(y, norm):
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(y, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"]).clamp(min=0)

    strides = {PreActBlock: (stride, 1), PreActBottleneck: (1, stride, 1)}[kind]
    y = x
    for number, step in enumerate(strides, start=1):
        weight = state[f"conv{number}.weight"]
        y = F.conv2d(activated(y, f"bn{number}"), weight, stride=step, padding=weight.shape[-1] // 2)
    shortcut = F.conv2d(x, state["downsample.weight"], stride=stride) if "downsample.weight" in state else x
    torch.testing.assert_close(block(x), shortcut + y)
    assert [weight.shape[-1] for name, weight in state.items() if name.startswith("conv")] == (
        [3, 3] if kind is PreActBlock else [1, 3, 1]
    )


@pytest.mark.parametrize(("kind", "in_channels", "width", "stride"), BLOCKS)
def test_a_branch_ends_in_its_last_child(kind, in_channels, width, stride):
    block = make_block(kind, in_channels, width, stride)
    torch.nn.init.zeros_(branch_end(block).weight)
    x = torch.randn(2, in_channels, 8, 6, dtype=torch.float64)
    shortcut = x if block.downsample is None else block.downsample(x)
    assert torch.equal(block(x), shortcut)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_stages_halve_the_map_and_project_where_the_width_changes(block):
    with torch.device("meta"):
        model = PreActResNet(20, block=block)
        sides, y = [], model.conv1(torch.empty(1, 3, 32, 32))
        for stage in (model.layer1, model.layer2, model.layer3):
            y = stage(y)
            sides.append(tuple(y.shape[1:]))
    expansion, blocks = (1, 3) if block == "basic" else (4, 2)
    assert sides == [(16 * expansion, 32, 32), (32 * expansion, 16, 16), (64 * expansion, 8, 8)]
    projected = [
        [unit.downsample is not None for unit in stage] for stage in (model.layer1, model.layer2, model.layer3)
    ]
    later = [True] + [False] * (blocks - 1)
    assert projected == [[block == "bottleneck"] + [False] * (blocks - 1), later, later]


def test_the_classifier_reads_the_mean_of_the_last_norm_and_relu():
    torch.manual_seed(0)
    model = shuffle_norms_(PreActResNet(8, classes=5)).eval()
    x = torch.randn(2, 3, 12, 10)
    y = model.layer3(model.layer2(model.layer1(model.conv1(x))))
    mean, variance = model.bn.running_mean, model.bn.running_var
    y = F.batch_norm(y, mean, variance, model.bn.weight, model.bn.bias).clamp(min=0).flatten(2).sum(-1) / (3 * 3)
    torch.testing.assert_close(model(x), y @ model.fc.weight.T + model.fc.bias)


@pytest.mark.parametrize(("depth", "block"), [(14, "basic"), (11, "bottleneck")])
def test_every_parameter_learns(depth, block):
    torch.manual_seed(0)
    assert not unlearned(PreActResNet(depth, 7, block), 16, 7)


def test_first_weights_are_those_of_the_released_code():
    torch.manual_seed(0)
    assert not not_fan_out_initialised(PreActResNet(20, block="bottleneck"))


def test_weights_repeat_under_a_seed():
    assert repeats_under_a_seed(PreActResNet, depth=8)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"depth": 111}, ValueError, r"depth=111 is not 6n \+ 2 .*; choose 110 or 116$"),
        ({"depth": 160, "block": "bottleneck"}, ValueError, r"depth=160 is not 9n \+ 2 .*; choose 155 or 164$"),
        ({"depth": 20.0}, TypeError, "depth must be an int"),
        ({"depth": 20, "classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ({"depth": 20, "block": "botleneck"}, UnknownNameError, "'botleneck'; did you mean 'bottleneck'"),
        ({"depth": 20, "block": 4}, TypeError, "block must be a string, got 4"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_refusals(arguments, error, says):
    with pytest.raises(error, match=says):
        PreActResNet(**arguments)
