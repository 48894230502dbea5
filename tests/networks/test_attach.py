"""Attention put into networks and taken out again, in ours, torchvision's and timm's."""

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models import mobilenet_v2, resnet

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
OTHERS = {
    "torchvision resnext50": lambda: resnet.resnext50_32x4d(num_classes=10),
    "torchvision mobilenet_v2": lambda: mobilenet_v2(num_classes=10),
    "timm mobilenetv2": lambda: timm.create_model("mobilenetv2_050", num_classes=10),
    "timm resnet14t": lambda: timm.create_model("resnet14t", num_classes=10, zero_init_last=False),
}
ATTENTIONS = {
    "se": ("se", {}),
    "nam": ("nam", {}),
    "nam-spatial": ("nam", {"spatial": True}),
    "sa": ("sa", {}),
    "constant": ("constant", {"value": 0.25}),
}
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)


def pairs():
    """Each backbone with each attention; in `make test` each backbone with one, and the first with each."""
    for backbone in BACKBONES:
        for name, (attention, arguments) in ATTENTIONS.items():
            seen = backbone == "ours" or name == "sa"
            marks = () if seen else (pytest.mark.thorough,)
            yield pytest.param(backbone, attention, arguments, marks=marks, id=f"{backbone}-{name}")


every_pair = pytest.mark.parametrize(("backbone", "attention", "arguments"), [*pairs()])


def build(backbone):
    torch.manual_seed(0)
    return (BACKBONES | OTHERS)[backbone]()


def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def same_state(before, after):
    return list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@every_pair
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


@every_pair
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


def test_what_was_attached_before_can_be_replaced_where_it_is():
    model = build("ours")
    plain, layers = snapshot(model), dict(model.named_modules())
    attach(model, "se", placement="layer?.0.bn1")
    described, before = repr(model), dict(model.named_modules())
    assert paths(attach(model, "nam", replace=True, dry_run=True)) == [f"layer{i}.0.bn1" for i in (1, 2, 3)]
    with pytest.raises(ValueError, match="'sa' does not fit layer layer1.0.bn1"):
        attach(model, "sa", replace=True, groups=12)
    with pytest.raises(ValueError, match="'sasa' stands for a Conv2d, which is not behind layer1.0.bn1; detach it"):
        attach(model, "sasa", replace=True)
    assert repr(model) == described
    assert dict(model.named_modules()) == before
    attached = attach(model, "iebn", replace=True)
    assert [entry.how for entry in attached] == 3 * ["instead"]
    with pytest.raises(ValueError, match="layer1.0.bn1 is a module that stands for a BatchNorm2d, which 'se' does not"):
        attach(model, "se", replace=True)
    assert len(attach(model, "eca", placement="block-end", replace=True)) == 3
    assert {type(m).__name__ for m in attention_modules(model).values()} == {"ECA"}
    detach(model)
    assert dict(model.named_modules()) == layers
    assert same_state(plain, model.state_dict())


def test_a_model_without_residual_blocks_is_refused():
    with pytest.raises(ValueError, match="Sequential has no place .* 'block-end' goes behind the last layer of every"):
        attach(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), "se")


def test_detaching_nothing_is_no_error():
    assert detach(build("ours")) == 0


def test_one_size_for_all_layers_is_refused():
    model = networks.create("resnet8")
    with pytest.raises(ValueError, match="image_size"):
        attach(model, "nam", spatial=True, size=(32, 32))
    assert not attention_modules(model)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), ((32,), TypeError), ("32", TypeError)])
def test_an_image_size_that_is_none_is_refused(size, error, own_errors):
    with pytest.raises(error, match="image_size must"):
        networks.create("resnet8", attention="nam", attention_args={"spatial": True}, image_size=size)


@pytest.mark.parametrize("name", ["residual_attention", "dot_product", "sagan", "asp_oc", "sasa_stem"])
def test_a_module_without_a_place_in_a_network_is_refused_unless_told_where(name):
    model = build("ours")
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"{name!r} has no place in an existing network: .*placement="):
        attach(model, name)
    assert same_state(before, snapshot(model))


# Where each paper puts its module.


def paths(attached):
    return [entry.path for entry in attached]


@pytest.mark.parametrize("backbone", [*BACKBONES, *OTHERS])
def test_the_end_of_each_branch_is_found_in_other_architectures_too(backbone):
    """A gate of zero leaves a block's shortcut: nothing else of the branch comes behind the gate."""
    model = build(backbone).eval()
    attach(model, "constant", value=0.0)
    blocks = [m for m in model.modules() if any(isinstance(c, networks.WithAttention) for c in m.children())]
    inside = [m for m in model.modules() if isinstance(m, networks.WithAttention)]
    assert inside
    seen = []
    for module in inside:
        module.register_forward_hook(lambda module, args, output: seen.append(not output.any()))
    model(images())
    assert seen == [True] * len(inside)
    for block in blocks:
        if getattr(block, "downsample", 0) is None:  # a ResNet's block with the identity as its shortcut
            x = torch.randn(2, block.conv1.in_channels, 6, 6)
            assert torch.equal(block(x), torch.relu(x))


def test_bam_stands_behind_the_stages_but_the_last():
    assert paths(attach(build("torchvision resnet50"), "bam")) == ["layer1.2", "layer2.3", "layer3.5"]
    assert paths(attach(networks.create("resnet20"), "bam")) == ["layer1.2", "layer2.2"]
    assert [e.channels for e in attach(build("timm resnet26"), "bam", dry_run=True)] == [256, 512, 1024]


def test_non_local_has_its_five_blocks_in_resnet_50_and_101():
    expected = {50: ["layer3.1", "layer3.3", "layer3.5"], 101: ["layer3.6", "layer3.13", "layer3.20"]}
    for depth, third in expected.items():
        with torch.device("meta"):
            model = getattr(resnet, f"resnet{depth}")()
        assert paths(attach(model, "non_local", dry_run=True)) == ["layer2.1", "layer2.3", *third]


def test_iebn_stands_for_every_norm_of_resnet_164_but_those_of_the_shortcuts():
    with torch.device("meta"):
        model = networks.create("resnet164", 100)
    plain = sum(p.numel() for p in model.parameters())
    assert len(attach(model, "iebn")) == 163
    assert sum(p.numel() for p in model.parameters()) - plain == 24_224
    assert not any("downsample" in path for path in attention_modules(model))


def test_sasa_stands_for_every_3_x_3_of_the_blocks_and_takes_its_stride_over():
    model = build("torchvision resnet50")
    attached = attach(model, "sasa", kernel_size=3)
    assert len(attached) == 16
    strides = {path: module.stride for path, module in attention_modules(model).items() if module.stride != 1}
    assert strides == {"layer2.0.conv2": 2, "layer3.0.conv2": 2, "layer4.0.conv2": 2}
    assert [m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)] == [(7, 7)]
    assert model(images()).shape == (2, 10)


@pytest.mark.parametrize(("name", "arguments"), [("iebn", {}), ("sasa", {"kernel_size": 3, "heads": 4})])
def test_detach_brings_replaced_layers_back_in_the_type_and_mode_of_the_model(name, arguments):
    model = build("ours")
    before, layers = snapshot(model), dict(model.named_modules())
    expected = copy.deepcopy(model).double().eval()(images().double())
    attach(model, name, **arguments)
    model.double().eval()
    assert not torch.allclose(model(images().double()), expected)
    detach(model)
    assert dict(model.named_modules()) == layers
    assert same_state(
        {key: value.double() if value.is_floating_point() else value for key, value in before.items()},
        model.state_dict(),
    )
    assert torch.equal(model(images().double()), expected)


def test_iebn_takes_over_what_the_norms_have_learned():
    model = build("ours")
    for _ in range(3):
        model(images())
    expected = model.eval()(images())
    attach(model, "iebn")
    with torch.no_grad():
        for module in attention_modules(model).values():
            module.gate_shift.fill_(50.0)  # every gate is 1
    torch.testing.assert_close(model(images()), expected)


# Other places.


def test_a_pattern_and_a_function_choose_layers():
    model = build("torchvision resnet50")
    assert paths(attach(model, "se", placement="layer4.*.bn2", dry_run=True)) == [f"layer4.{i}.bn2" for i in range(3)]
    attached = attach(model, "sagan", placement=lambda model: ["layer3"])
    assert attached == [AttachedModule("layer3", 1024, None, {})]
    assert model(images()).shape == (2, 10)


def test_behind_the_last_convolution_is_before_its_norm():
    model = build("torchvision resnet18")
    assert paths(attach(model, "eca", placement="last-convolution"))[:2] == ["layer1.0.conv2", "layer1.1.conv2"]
    assert model(images()).shape == (2, 10)


def test_a_dry_run_says_the_same_and_changes_nothing():
    model = build("ours")
    before, described = snapshot(model), repr(model)
    said = attach(model, "sa", dry_run=True)
    assert repr(model) == described
    assert same_state(before, model.state_dict())
    assert said == attach(model, "sa")


@pytest.mark.parametrize(
    ("name", "placement", "says"),
    [
        ("se", "layer9.*", "CifarResNet has no place for the module: no path matches 'layer9"),
        ("se", lambda model: [], "CifarResNet has no place for the module: <lambda> gives no path"),
        ("se", "block-ends", "no placement is called 'block-ends'; did you mean 'block-end'"),
        ("se", "norms", "'se' cannot go in place of every batch norm .*choose among block-end"),
        ("iebn", "block-end", r"'iebn' cannot go behind .*choose among norms"),
        (
            "iebn",
            "layer?.*.conv1",
            "layer1.0.conv1: it stands for a BatchNorm2d .*this one is Conv2d",
        ),
        (
            "sasa",
            "layer?.*.bn1",
            "layer1.0.bn1: it stands for a Conv2d .*this one is BatchNorm2d",
        ),
        ("se", "layer1*", "the placement finds layer1 and layer1.0 inside of it"),
        ("se", "layer1.7", "no placement is called 'layer1.7'; did you mean 'layer1.0'"),
        ("se", ["layer1.0", "layer4"], "the model has no layer 'layer4'; paths are those of model.named_modules"),
        ("se", [], "CifarResNet has no place for the module: the list gives no path"),
        ("sasa_stem", "layer1.*.bn2", r"layer1.0.bn2: from a map \(1, 16, 28, 28\) it makes .* is expected"),
        ("se", "*fc", r"layer fc \(Linear\) gives \(1, 10\); attention follows layers"),
    ],
)
def test_a_placement_that_does_not_fit_changes_nothing(name, placement, says, own_errors):
    model = build("ours")
    before, described = snapshot(model), repr(model)
    with pytest.raises(ValueError, match=says):
        attach(model, name, placement=placement)
    assert repr(model) == described
    assert same_state(before, model.state_dict())


@pytest.mark.parametrize("placement", [lambda model: "layer1", 7, lambda model: None])
def test_a_placement_that_is_no_list_of_paths_is_refused(placement, own_errors):
    with pytest.raises(TypeError, match="placement must give a list of paths, got"):
        attach(build("ours"), "se", placement=placement)


def test_a_list_goes_in_the_network_s_order():
    assert paths(attach(build("ours"), "se", placement=["layer3", "layer1.0"], dry_run=True)) == ["layer1.0", "layer3"]
    assert paths(attach(build("ours"), "se", placement="layer2.0.bn1", dry_run=True)) == ["layer2.0.bn1"]


@pytest.mark.parametrize("name", ["iebn", "sasa", "se"])
def test_every_layer_is_in_the_mode_it_was_in(name):
    model = build("torchvision resnet50")
    model.layer2[0].bn2.eval()  # somebody froze a norm
    before = {path: module.training for path, module in model.named_modules()}
    attach(model, name)
    assert all(module.training for module in attention_modules(model).values()) == (name != "iebn")
    detach(model)
    assert {path: module.training for path, module in model.named_modules()} == before
    model.eval()
    attach(model, name)
    assert not any(module.training for module in model.modules())
    detach(model)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("backbone", ["timm mobilenetv2", "timm resnetv2_50"])
def test_iebn_refuses_a_norm_that_holds_an_activation(backbone):
    model = timm.create_model(backbone.removeprefix("timm ").replace("mobilenetv2", "mobilenetv2_050"))
    described = repr(model)
    with pytest.raises(ValueError, match="'iebn' does not fit layer .*for nothing that does more, .*BatchNormAct2d"):
        attach(model, "iebn")
    assert repr(model) == described


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"stride": 1}, "stride=1 cannot be the same for every layer: it follows from the layer"),
        ({"out_channels": 8}, "out_channels=8 cannot be the same for every layer"),
        ({"channels": 8}, "channels=8 cannot be the same for every layer"),
    ],
)
def test_what_follows_from_the_layer_cannot_be_given(arguments, says, own_errors):
    with pytest.raises(ValueError, match=says):
        attach(build("torchvision resnet50"), "sasa", **arguments)


def test_sasa_refuses_a_convolution_that_shrinks_its_map():
    model = build("torchvision resnet50")
    model.layer1[1].conv2 = nn.Conv2d(64, 64, 3)
    with pytest.raises(ValueError, match=r"layer1.1.conv2: .* it makes \(1, 64, 28, 28\) where \(1, 64, 26,"):
        attach(model, "sasa")


def test_what_is_no_network_of_maps_is_refused(own_errors):
    with pytest.raises(TypeError, match="attach takes a network, got 'resnet50'; build it first"):
        attach("resnet50", "se")
    with torch.device("meta"):
        video = torchvision.models.video.r3d_18()
    with pytest.raises(ValueError, match="VideoResNet has no place for the module"):
        attach(video, "se")
    with pytest.raises(ValueError, match="Sequential has no convolution"):
        attach(nn.Sequential(nn.Linear(3, 3)), "se", placement="0")
    with pytest.raises(ValueError, match="AlexNet cannot take an image of 8 x 8"):
        attach(torchvision.models.alexnet(), "nam", 8, "features.2", spatial=True)
    with pytest.raises(TypeError, match="image_size must"):
        attach(build("ours"), "se", image_size="large")


class Reduced(nn.parallel.DistributedDataParallel):
    """Without the processes that the real one asks for."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module


Reduced.__name__ = "DistributedDataParallel"


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated")
def test_what_would_not_see_new_parameters_is_refused():
    model = Reduced(build("ours"))
    with pytest.raises(
        ValueError, match="DistributedDataParallel shares the gradients .*; attach to the network first"
    ):
        attach(model, "se", placement="module.layer1.0.bn2")
    with pytest.raises(TypeError, match="Sequential is scripted, or has a part that is"):
        attach(nn.Sequential(torch.jit.script(nn.Conv2d(3, 3, 1))), "se", placement="0")
    assert not attention_modules(model)


class Listed(nn.Module):
    """Calls its layers from a plain list."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.layers = [self.one, self.two]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_layer_that_is_called_from_a_list_is_told_of():
    with pytest.warns(UserWarning, match="layer two is in the plain list layers too; .* without its module"):
        attach(Listed(), "constant", placement="two", value=0.5)
    with pytest.raises(ValueError, match="layer two is in the plain list layers too"):
        attach(Listed(), "constant", placement="two", strict=True, value=0.5)


def test_networks_without_shortcuts_have_their_places():
    with torch.device("meta"):
        vgg, mobile = networks.create("vgg16_bn_cifar"), networks.create("mobilenet_v1")
    units = [f"layer{stage}.{i}" for stage, count in enumerate((2, 2, 3, 3, 3), start=1) for i in range(count)]
    assert paths(attach(vgg, "se", dry_run=True)) == units
    assert paths(attach(vgg, "bam", dry_run=True)) == ["layer1.1", "layer2.1", "layer3.2", "layer4.2"]
    assert paths(attach(vgg, "non_local", dry_run=True)) == ["layer2.0", "layer2.1", "layer3.0", "layer3.1", "layer3.2"]
    plain = sum(p.numel() for p in mobile.parameters())
    assert len(attach(mobile, "se", bias=False)) == 13
    # 4.2 and 4.7 million in Table 3 of the SE paper
    assert [round(n / 1e6, 1) for n in (plain, sum(p.numel() for p in mobile.parameters()))] == [4.2, 4.7]


def test_stages_without_names_begin_at_a_stride():
    with torch.device("meta"):
        ours, theirs = networks.create("mobilenet_v2"), timm.create_model("resnetv2_50")
    assert paths(attach(ours, "bam", dry_run=True)) == [f"features.{i}" for i in (1, 3, 6, 13)]
    assert paths(attach(ours, "non_local", dry_run=True)) == [f"features.{i}" for i in (2, 3, 4, 5, 6)]
    assert paths(attach(theirs, "bam", dry_run=True)) == [f"stages.{i}.blocks.{j}" for i, j in ((0, 2), (1, 3), (2, 5))]


def test_the_width_behind_a_block_that_joins_its_layers_is_found():
    with torch.device("meta"):
        model = torchvision.models.squeezenet1_1()
    (fire,) = attach(model, "se", placement="features.3", dry_run=True)
    assert fire.channels == 64 + 64


def test_a_detector_s_maps_are_those_of_its_backbone():
    with torch.device("meta"):
        model = networks.create("retinanet_resnet50")
    attached = attach(model, "nam", 64, spatial=True, dry_run=True)
    assert {entry.size for entry in attached} == {(16, 16), (8, 8), (4, 4), (2, 2)}


def test_a_dry_run_draws_nothing():
    model = build("ours")
    torch.manual_seed(3)
    attach(model, "se", dry_run=True)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)


def test_a_placement_without_a_module_is_refused():
    with pytest.raises(ValueError, match="placement='stage-end' has no use without an attention module"):
        networks.create("resnet8", placement="stage-end")


def test_sasa_refuses_grouped_convolutions():
    with pytest.raises(ValueError, match="'sasa' does not fit layer layer1.0.conv2: attention stands for plain conv"):
        attach(build("torchvision resnext50"), "sasa")


def test_a_norm_of_another_kind_ends_a_branch_as_well():
    model = resnet.resnet18(num_classes=10, norm_layer=lambda width: nn.GroupNorm(4, width))
    assert paths(attach(model, "se"))[0] == "layer1.0.bn2"


@pytest.mark.parametrize("around", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_a_network_inside_of_another_s_wrapper_gets_its_modules(around):
    model = build("torchvision resnet18").eval()
    outer = around(model)
    outer(images())  # compiled before
    attached = attach(outer, "constant", strict=True, value=0.5)
    assert (len(attached), attached.blocks) == (8, 8)
    torch.testing.assert_close(outer(images()), model(images()))
    assert sorted(attention_modules(model)) == sorted(entry.path.partition(".")[2] for entry in attached)
    assert detach(outer) == 8
