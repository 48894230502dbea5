"""VGG16-BN for CIFAR: counts of backbones.yml, torchvision's features, refusals."""

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from attnlib.networks.vgg import CifarVGG16
from tests.networks.plans import (
    million_macs,
    named_in,
    not_fan_out_initialised,
    parameters,
    repeats_under_a_seed,
    shuffle_norms_,
    unlearned,
)

NETWORKS = named_in("vgg")


def test_counts():
    build, side = NETWORKS["vgg16_bn_cifar"]
    assert (parameters(build, classes=10), parameters(build, classes=100)) == (14_728_266, 14_774_436)
    assert million_macs(build, side, classes=10) == pytest.approx(313.202, abs=5e-4)


def test_the_stages_are_the_features_of_torchvision():
    torch.manual_seed(0)
    model = shuffle_norms_(CifarVGG16(classes=7)).eval()
    features = make_layers(cfgs["D"], batch_norm=True).eval()
    ours = [tensor for name, tensor in model.state_dict().items() if not name.startswith("fc")]
    features.load_state_dict(dict(zip(features.state_dict(), ours, strict=True)))
    x = torch.randn(2, 3, 64, 33)
    with torch.no_grad():
        mean = features(x).flatten(2).sum(-1) / 2
        torch.testing.assert_close(model(x), mean @ model.fc.weight.T + model.fc.bias)


def test_each_stage_ends_in_a_pooling_and_every_convolution_has_a_bias():
    with torch.device("meta"):
        model = CifarVGG16()
    stages = [model.layer1, model.layer2, model.layer3, model.layer4, model.layer5]
    assert [isinstance(stage[-1], nn.MaxPool2d) for stage in stages] == [True] * 5
    convolutions = [[m for m in stage.modules() if isinstance(m, nn.Conv2d)] for stage in stages]
    assert [len(of_stage) for of_stage in convolutions] == [2, 2, 3, 3, 3]
    assert all(convolution.bias is not None for of_stage in convolutions for convolution in of_stage)


def test_every_parameter_learns():
    torch.manual_seed(0)
    # A convolution's bias in front of a norm moves nothing: its gradient is 0 up to rounding.
    assert all(name.endswith(".0.bias") for name in unlearned(CifarVGG16(classes=7), 32, 7))


def test_weights_repeat_under_a_seed():
    assert repeats_under_a_seed(CifarVGG16)


def test_first_weights_are_torchvisions_choice():
    torch.manual_seed(0)
    model = CifarVGG16(classes=100)
    assert not not_fan_out_initialised(model)
    assert model.fc.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("size", [(31, 40), (40, 31), (1, 1)])
def test_an_image_too_small_for_the_poolings_is_refused(size):
    with torch.device("meta"), pytest.raises(ValueError, match=f"{size[0]} x {size[1]} is too small: .*least 32 x 32"):
        CifarVGG16()(torch.empty(1, 3, *size))


@pytest.mark.parametrize(("classes", "error"), [(0, ValueError), (10.0, TypeError)])
@pytest.mark.usefixtures("own_errors")
def test_classes_are_a_count(classes, error):
    with pytest.raises(error, match=f"classes must be .*, got {classes}"):
        CifarVGG16(classes)
