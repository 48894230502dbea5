"""Attention put into networks and taken out again, in ours, torchvision's and timm's."""

import copy

import pytest
import timm
import torch
from torch import nn
from torchvision.models import resnet

from attnlib import create as create_module
from attnlib import networks
from attnlib.errors import UnknownNameError
from attnlib.networks import AttachedModule, attach, attention_modules, detach
from attnlib.scale_attention.constant import Constant

BACKBONES = {
    "ours": lambda: networks.create("resnet8"),
    "option A": lambda: networks.create("resnet20_a"),
    "torchvision resnet18": lambda: resnet.resnet18(num_classes=10),
    "torchvision resnet50": lambda: resnet.resnet50(num_classes=10),
    # timm starts each branch's last norm at zero, which would hide whatever is attached behind it
    "timm resnet18": lambda: timm.create_model("resnet18", num_classes=10, zero_init_last=False),
    "timm resnet26": lambda: timm.create_model("resnet26", num_classes=10, zero_init_last=False),
}
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)
every_attention = pytest.mark.parametrize(
    ("attention", "arguments"),
    [("se", {}), ("nam", {}), ("nam", {"spatial": True}), ("sa", {}), ("constant", {"value": 0.25})],
    ids=["se", "nam", "nam-spatial", "sa", "constant"],
)


def build(backbone):
    torch.manual_seed(0)
    return BACKBONES[backbone]()


def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def same_state(before, after):
    return list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@every_backbone
@every_attention
def test_attach_keeps_the_network_s_own_and_detach_restores_it(backbone, attention, arguments):
    model = build(backbone)
    before, layers = snapshot(model), dict(model.named_modules())
    with torch.no_grad():
        expected = model.eval()(images())
    attached = attach(model, attention, image_size=32, **arguments)

    own = {n.replace(".layer.", "."): t for n, t in model.state_dict().items() if ".attention." not in n}
    assert same_state(before, own)
    assert [entry.path for entry in attached] == list(attention_modules(model))
    assert all(model.get_submodule(entry.path).layer is layers[entry.path] for entry in attached)
    with torch.no_grad():
        assert not torch.allclose(model(images()), expected)

    assert detach(model) == len(attached)
    assert same_state(before, model.state_dict())
    assert {name: type(module) for name, module in model.named_modules()} == {n: type(m) for n, m in layers.items()}
    assert not attention_modules(model)
    with torch.no_grad():
        assert torch.equal(model(images()), expected)


@every_backbone
@every_attention
def test_an_attached_network_and_its_copy_learn(backbone, attention, arguments):
    model = build(backbone)
    attach(model, attention, image_size=32, **arguments)
    twin = copy.deepcopy(model)
    for network in (model, twin):
        network(images()).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    assert all(a is not b for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert list(attention_modules(twin)) == list(attention_modules(model))


# The place: after the last norm of the branch, before the shortcut is added.


@every_backbone
def test_a_gate_of_zero_leaves_each_block_its_shortcut(backbone):
    model = build(backbone).eval()
    attached = attach(model, "constant", value=0.0)
    assert len(attached) == sum(hasattr(module, "downsample") for module in model.modules())
    for entry in attached:
        block = model.get_submodule(entry.path.rpartition(".")[0])
        x = torch.randn(2, block.conv1.in_channels, 6, 6)
        shortcut = x if block.downsample is None else block.downsample(x)
        assert torch.equal(block(x), torch.relu(shortcut))


def test_the_gate_scales_the_branch_and_not_the_shortcut():
    block = build("ours").layer1[0].eval()
    x = torch.randn(2, 16, 6, 6)
    branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    block.bn2 = networks.WithAttention(block.bn2, Constant(16, 0.25))
    torch.testing.assert_close(block(x), torch.relu(x + branch / 4))


def test_what_was_put_where_is_reported():
    groups = {16: {"groups": 4}, 32: {"groups": 8}, 64: {"groups": 16}}
    places = [("layer1.0.bn2", 16), ("layer2.0.bn2", 32), ("layer3.0.bn2", 64)]
    expected = [AttachedModule(path, channels, None, groups[channels]) for path, channels in places]
    assert attach(build("ours"), "sa") == expected


# Sizes for what has parameters per position.


@pytest.mark.parametrize(
    ("backbone", "image_size", "sizes"),
    [
        ("ours", 32, [(32, 32), (16, 16), (8, 8)]),
        ("ours", (21, 13), [(21, 13), (11, 7), (6, 4)]),
        ("torchvision resnet18", 224, [(56, 56), (28, 28), (14, 14), (7, 7)]),
        ("torchvision resnet50", (64, 96), [(16, 24), (8, 12), (4, 6), (2, 3)]),
        ("timm resnet26", 224, [(56, 56), (28, 28), (14, 14), (7, 7)]),
    ],
)
def test_sizes_of_the_maps_are_found(backbone, image_size, sizes):
    model = build(backbone)
    attached = attach(model, "nam", image_size=image_size, spatial=True)
    assert list(dict.fromkeys(entry.size for entry in attached)) == sizes
    assert all(entry.arguments == {"spatial": True, "size": entry.size} for entry in attached)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    assert model.eval()(torch.randn(1, 3, height, width)).shape == (1, 10)


# The network's own initialisation.


def test_attach_initialises_as_the_paper_and_create_does_not():
    model = build("ours")
    attach(model, "se", reduction=4)
    assert all(not module.expand.bias.any() for module in attention_modules(model).values())
    assert create_module("se", 64, reduction=4).expand.bias.any()


def test_modules_take_the_network_s_type_and_mode():
    model = build("ours").double().eval()
    attach(model, "nam")
    modules = attention_modules(model).values()
    assert all(parameter.dtype == torch.float64 for module in modules for parameter in module.parameters())
    assert not any(part.training for module in modules for part in module.modules())


def test_an_attached_network_s_state_goes_into_a_fresh_one():
    source = networks.create("resnet8", attention="nam")
    source(images())
    target = networks.create("resnet8", attention="nam")
    target.load_state_dict(source.state_dict())
    assert torch.equal(target.eval()(images()), source.eval()(images()))


# Refusals leave the model as it was.


@pytest.mark.parametrize(
    ("name", "arguments", "error", "says"),
    [
        ("shufle", {}, UnknownNameError, "no module is called 'shufle'; did you mean .*'sa'"),
        ("sa", {"groups": 12}, ValueError, "'sa' does not fit layer layer1.0.bn2: channels=16 does not fit groups=12"),
        ("se", {"reduction": 17}, ValueError, "'se' does not fit layer layer1.0.bn2: reduction=17 does not fit"),
        ("se", {"ratio": 16}, TypeError, "'se' does not fit layer layer1.0.bn2: .*'ratio'"),
        ("nam", {"spatial": True}, ValueError, r"'nam' with {'spatial': True} has .*give image_size=H or \(H, W\)"),
    ],
)
def test_what_does_not_fit_changes_nothing(name, arguments, error, says, own_errors):
    model = build("ours")
    before, described = snapshot(model), repr(model)
    with pytest.raises(error, match=says):
        attach(model, name, **arguments)
    assert repr(model) == described
    assert same_state(before, model.state_dict())


def test_a_width_that_fails_late_changes_nothing():
    model = build("ours")
    model.layer3[0].bn2 = nn.BatchNorm2d(63)
    described = repr(model)
    with pytest.raises(ValueError, match="'sa' does not fit layer layer3.0.bn2: channels=63 is odd"):
        attach(model, "sa")
    assert repr(model) == described


def test_attention_is_attached_once():
    model = build("ours")
    attach(model, "se")
    described = repr(model)
    with pytest.raises(ValueError, match="CifarResNet has attention attached already; detach it first"):
        attach(model, "nam")
    assert repr(model) == described


def test_a_model_without_residual_blocks_is_refused():
    with pytest.raises(ValueError, match="Sequential has no residual block .*list_networks"):
        attach(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), "se")


def test_detaching_nothing_is_no_error():
    assert detach(build("ours")) == 0


def test_one_size_for_all_layers_is_refused():
    model = networks.create("resnet8")
    with pytest.raises(ValueError, match="image_size"):
        attach(model, "nam", spatial=True, size=(32, 32))
    assert not attention_modules(model)


def test_other_norms_than_batch_norms_are_refused_by_layer():
    model = resnet.resnet18(num_classes=10, norm_layer=lambda width: nn.GroupNorm(4, width))
    with pytest.raises(ValueError, match="layer layer1.0.bn2 is GroupNorm.*batch norm"):
        attach(model, "se")
    assert not attention_modules(model)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), ((32,), TypeError), ("32", TypeError)])
def test_an_image_size_that_is_none_is_refused(size, error, own_errors):
    with pytest.raises(error, match="image_size must"):
        networks.create("resnet8", attention="nam", attention_args={"spatial": True}, image_size=size)


@pytest.mark.parametrize("name", ["bam", "iebn", "residual_attention", "non_local", "sasa"])
def test_a_module_whose_place_is_elsewhere_is_refused(name):
    model = build("ours")
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"{name!r} does not go at the end of a residual branch.*its place is"):
        attach(model, name)
    assert same_state(before, snapshot(model))
