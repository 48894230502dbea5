"""Every network by name: its multiply-adds beside those of torch's counter, and the command that prints them."""

import json
import random
import re

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from typer.testing import CliRunner

from attnlib import networks
from attnlib.cli import app
from attnlib.networks import external, zoo
from attnlib.profiling.cost import profile
from attnlib.profiling.inputs import counted
from attnlib.profiling.trace import count_operations
from benchmarks.costs import stamp
from tests.profiling.flops import flop_counter_macs

# A trace hands sizes over as tensors, which the type checker would refuse where a signature says int or float.
pytestmark = pytest.mark.usefixtures("own_errors")

# The smallest network of each make. The others have more, wider or deeper of the same layers, and a trace of hundreds
# of them takes seconds: a few are tried, other ones whenever the code that is counted changes.
SMALLEST = (
    *("resnet8", "resnet20_a", "resnet18_cifar", "resnet50_cifar", "wrn16_8", "resnext29_2x64d", "vgg16_bn_cifar"),
    *("resnet18", "resnet50_v1", "resnext50", "mobilenet_v1", "mobilenet_v2", "mobilenet_v1_cifar", "attention56"),
    *("attention56_cifar", "resnet26_sasa_baseline", "resnet26_sasa", "resnet26_sasa_conv_stem", "retinanet_resnet50"),
    *("mask_rcnn_resnet50", "resnet50_base_oc", "resnet50_pyramid_oc", "resnet50_asp_oc", "sagan_generator_cifar"),
    "sagan_discriminator_cifar",
)
OTHERS = random.Random(str(stamp())).sample(sorted(set(networks.list_networks()) - set(SMALLEST)), 4)
SIDES = {224: 64, 769: 65, 800: 64, 640: 64}


@pytest.mark.parametrize("name", [*SMALLEST, *OTHERS])
def test_multiply_adds_are_those_of_torch(name):
    side = SIDES.get(networks.image_size(name), networks.image_size(name))
    with torch.device("meta"):
        model = networks.create(name)
    part = counted(name, model.eval(), side)
    macs = count_operations(part.model, *part.inputs)["macs"]
    assert sum(macs.values()) == flop_counter_macs(part.model, *part.inputs) > 0
    assert macs.keys() <= {"convolution", "linear", "matmul", "attention"}


@pytest.mark.parametrize("name", ["torchvision:swin_v2_t", "timm:edgenext_xx_small"])
def test_other_libraries_networks_are_counted_whole(name):
    with torch.device("meta"):
        model = external.build(name)
    x = torch.zeros(1, 3, 64, 96, device="meta")
    assert profile(model, (64, 96), strict=True).macs == flop_counter_macs(model, x) > 0


def test_a_network_of_each_kind_is_profiled_by_name():
    tried = {
        "resnet8": (32, "whole network"),
        "retinanet_resnet50": (64, "pyramid and the heads"),
        "resnet50_base_oc": (65, "whole network"),
        "sagan_generator_cifar": (32, "whole network"),
        "sagan_discriminator_cifar": (32, "whole network"),
    }
    assert len({zoo.kind(name) for name in tried}) == len(zoo._TABLES)
    for name, (side, words) in tried.items():
        result = CliRunner().invoke(app, ["profile", name, "--image-size", str(side), "--json"])
        assert result.exit_code == 0, result.output
        cost = json.loads(result.stdout)
        assert words in cost["counted"]
        assert all(cost[figure] > 0 for figure in ("parameters", "macs", "activations", "peak_memory_bytes"))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("resnet8", 10),
        ("resnet18", 1000),
        ("mask_rcnn_resnet50", 91),
        ("resnet50_asp_oc", 19),
        ("sagan_generator", 1000),
        ("sagan_discriminator_cifar", 10),
    ],
)
def test_classes_are_those_of_the_usual_data(name, classes):
    assert networks.usual_classes(name) == classes


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("sagan_generator_cifar", "--image-size", "64"), "makes images of side 32, got 64 x 64"),
        (("sagan_discriminator_cifar", "--image-size", "64"), r"images must be \(N, 3, 32, 32\), got"),
        (("resnet50_pyramid_oc", "--image-size", "8"), "sides of an image must be at least"),
    ],
)
def test_a_size_that_does_not_fit_is_one_line(arguments, reason):
    result = CliRunner().invoke(app, ["profile", *arguments])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert re.search(reason, result.stderr)


@pytest.mark.parametrize("attention", ["none", "sa", "sasa"])
def test_a_model_on_the_meta_device_costs_what_a_real_one_costs(attention):
    with torch.device("meta"):
        model = networks.create("resnet8", attention=attention)
    assert profile(model, 32) == profile(networks.create("resnet8", attention=attention), 32)
    assert all(tensor.is_meta for tensor in model.state_dict().values())


class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.embedding = nn.Linear(5, 3), nn.Embedding(4, 3)

    def forward(self, x, labels):
        return self.linear(x) * self.embedding(labels)


def test_a_model_of_two_arguments_takes_them():
    inputs = torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64)
    cost = profile(Mix(), inputs=inputs)
    assert (cost.macs_by_operator, cost.elementwise_by_operator) == ({"linear": 2 * 5 * 3}, {"mul": 6})
    with torch.device("meta"):
        model = Mix()
    assert profile(model, inputs=[x.to("meta") for x in inputs]) == cost


@pytest.mark.usefixtures("own_errors")
def test_inputs_without_a_tensor_are_refused():
    with pytest.raises(TypeError, match="inputs must be the model's arguments, a sequence .* or a dict .*, got Tensor"):
        profile(Mix(), inputs=torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"inputs must have a tensor in them, got \[32, 32\]"):
        profile(Mix(), inputs=[32, 32])


@pytest.mark.parametrize("parametrised", [spectral_norm, weight_norm])
def test_making_a_weight_is_no_work_of_an_image(parametrised):
    plain, other = nn.Conv2d(3, 4, 3), parametrised(nn.Conv2d(3, 4, 3))
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    cost = profile(other, 8)
    assert cost.macs_by_operator == profile(plain, 8).macs_by_operator
    assert cost.elementwise == 0
    assert other.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())
    assert other.weight.requires_grad, "the model still makes its weight"
