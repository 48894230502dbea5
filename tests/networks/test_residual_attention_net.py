"""Residual Attention Networks: sizes, costs and depths, the layers and where maps halve, what is refused."""

import pytest
import torch
from torch import nn

from attnlib.networks.residual_attention_net import (
    CifarResidualAttentionNet,
    PreActivationUnit,
    ResidualAttentionNet,
)
from attnlib.profiling.cost import profile
from attnlib.scale_attention.residual_attention import ResidualAttention
from tests.networks.plans import named_in

NETWORKS = named_in("residual_attention_net")


def build(name, **options):
    """The network of that name, without memory."""
    with torch.device("meta"):
        return NETWORKS[name][0](**options)


def count(model, *kinds):
    return sum(p.numel() for layer in model.modules() if isinstance(layer, kinds) for p in layer.parameters(False))


def attention_modules(model):
    return [module for module in model.modules() if isinstance(module, ResidualAttention)]


# Sizes, costs and depths.


@pytest.mark.parametrize(
    ("name", "weights", "total"), [("attention56", 31_738_024, 31_810_728), ("attention92", 52_332_712, 52_466_344)]
)
def test_imagenet_networks_have_the_parameters_of_the_authors_files(name, weights, total):
    model = build(name, classes=1000)
    assert count(model, nn.Conv2d, nn.Linear) == weights
    assert count(model, nn.Module) == total


@pytest.mark.parametrize(("name", "macs"), [("attention56", 6_270_836_736), ("attention92", 10_533_789_696)])
def test_imagenet_networks_cost_what_the_authors_files_add_up_to(name, macs):
    """6.271 G and 10.534 G at 224 pixels; the paper prints 6.2 (6.3 in Table 7) and 10.4."""
    model = build(name, classes=1000).to_empty(device="cpu")  # what the weights are does not matter
    by_operator = profile(model, NETWORKS[name][1]).macs_by_operator
    assert by_operator.keys() == {"convolution", "linear"}
    assert sum(by_operator.values()) == macs


def unit(inside, outside, projects):
    """Parameters of a pre-activation bottleneck, a 1 x 1 shortcut included where it `projects`."""
    inner = outside // 4
    weights = inside * inner + 9 * inner**2 + inner * outside + (inside * outside if projects else 0)
    return weights + 2 * (inside + inner + inner)


def cifar_parameters(m, p, t, lowest, r, classes=10):
    """The sum of all layers, with `lowest` units on the lowest level of a mask."""
    total = 27 * 16 + 2 * 256 + 256 * classes + classes
    for inside, outside, levels in ((16, 64, 3), (64, 128, 2), (128, 256, 1)):
        same = unit(outside, outside, projects=False)
        mask = (levels - 1) * (r + r + 1) + lowest
        module = (2 * p + t + mask) * same + 2 * outside**2 + 4 * outside
        total += unit(inside, outside, projects=True) + m * module + same
    return total


@pytest.mark.parametrize(
    ("name", "m", "millions", "printed"),
    [
        ("attention56_cifar", 1, 1.03, None),
        ("attention92_cifar", 2, 1.84, 1.9),
        ("attention128_cifar", 3, 2.65, None),
        ("attention164_cifar", 4, 3.46, None),
        ("attention236_cifar", 6, 5.08, 5.1),
    ],
)
def test_cifar_networks_have_the_parameters_of_the_layer_plan(name, m, millions, printed):
    total = cifar_parameters(m, 1, 2, 2, 1)
    assert count(build(name), nn.Module) == total
    assert round(total / 1e6, 2) == millions
    assert printed is None or total / 1e6 == pytest.approx(printed, rel=0.035)


def test_classes_widen_the_last_layer_only():
    assert count(build("attention56_cifar", classes=100), nn.Module) == cifar_parameters(1, 1, 2, 2, 1, classes=100)


def test_attention_452_is_larger_than_printed_unless_its_lowest_level_has_half_the_units():
    """8.6 M in Table 6; the authors' ImageNet files have twice r = 1 units there."""
    assert count(build("attention452_cifar"), nn.Module) == cifar_parameters(6, 2, 4, lowest=6, r=3) == 10_181_210
    assert round(cifar_parameters(6, 2, 4, lowest=3, r=3) / 1e6, 2) == 8.51


@pytest.mark.parametrize("name", NETWORKS)
def test_the_trunk_is_as_deep_as_the_name_says(name):
    """Masks and shortcuts are not counted."""
    model = build(name)
    aside = {id(layer) for module in attention_modules(model) for layer in module.mask.modules()}
    aside |= {id(module.downsample) for module in model.modules() if isinstance(module, PreActivationUnit)}
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear) and id(layer) not in aside]
    assert f"attention{len(layers)}" == name.removesuffix("_cifar")


def test_sides_of_the_images():
    assert {name: side for name, (_, side) in NETWORKS.items() if side != 32} == {
        "attention56": 224,
        "attention92": 224,
    }


# The layers.


def sides(model, size):
    """(channels, side of the map, side of the lowest map) of every attention module, for images of that size."""
    found = []
    for module in attention_modules(model):
        lowest = []
        module.mask.lowest.register_forward_pre_hook(lambda layer, inputs, lowest=lowest: lowest.append(inputs[0]))
        module.register_forward_hook(
            lambda layer, inputs, output, lowest=lowest: found.append((*output.shape[1:3], lowest[0].shape[2]))
        )
    model.eval()(torch.empty(1, 3, size, size, device="meta"))
    return found


@pytest.mark.parametrize(("name", "repeats"), [("attention56", (1, 1, 1)), ("attention92", (1, 2, 3))])
def test_masks_of_imagenet_networks_reach_down_to_seven_pixels(name, repeats):
    plan = zip(repeats, [(256, 56, 7), (512, 28, 7), (1024, 14, 7)], strict=True)
    assert sides(build(name), 224) == [stage for number, stage in plan for _ in range(number)]


def test_masks_of_cifar_networks_reach_down_to_four_pixels():
    plan = [(64, 32, 4), (128, 16, 4), (256, 8, 4)]
    assert sides(build("attention92_cifar"), 32) == [stage for stage in plan for _ in range(2)]


def test_the_largest_images_of_the_paper_fit():
    assert sides(build("attention56"), 320) == [(256, 80, 10), (512, 40, 10), (1024, 20, 10)]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("attention92", ["UA", "UAA", "UAAA", "UUU"]),
        ("attention128_cifar", ["UAAAU", "UAAAU", "UAAAU"]),
    ],
)
def test_each_stage_starts_with_the_unit_that_sets_its_width(name, stages):
    model, letters = build(name), {PreActivationUnit: "U", ResidualAttention: "A"}
    for number, expected in enumerate(stages, start=1):
        stage = model.get_submodule(f"layer{number}")
        assert "".join(letters[type(block)] for block in stage) == expected
        projecting = [isinstance(block, PreActivationUnit) and block.downsample is not None for block in stage]
        assert projecting == [True] + [False] * (len(stage) - 1)


def randomised(model):
    """Norms that do something, in eval mode."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize(("outside", "stride"), [(8, 1), (16, 1), (16, 2), (8, 2)])
def test_a_unit_by_hand(outside, stride):
    """The norm and ReLU before the first convolution are also before the convolution of the shortcut."""
    torch.manual_seed(0)
    block = randomised(PreActivationUnit(8, outside, stride).double())
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)

    def activated(norm, y):
        deviation = (norm.running_var + norm.eps).sqrt()
        scale, shift = norm.weight / deviation, norm.bias - norm.weight * norm.running_mean / deviation
        return (y * scale[:, None, None] + shift[:, None, None]).clamp(min=0)

    def pointwise(convolution, y):
        return torch.einsum("kc,nchw->nkhw", convolution.weight[:, :, 0, 0], y)

    first = activated(block.bn1, x)
    y = activated(block.bn2, pointwise(block.conv1, first))
    y = nn.functional.conv2d(y, block.conv2.weight, padding=1)[:, :, ::stride, ::stride]
    y = pointwise(block.conv3, activated(block.bn3, y))
    projects = (outside, stride) != (8, 1)
    assert (block.downsample is not None) == projects
    shortcut = pointwise(block.downsample, first[:, :, ::stride, ::stride]) if projects else x
    torch.testing.assert_close(block(x), shortcut + y)

    nn.init.zeros_(block.conv3.weight)
    torch.testing.assert_close(block(x), shortcut)


def test_layers_of_a_unit_are_in_the_order_in_which_they_act():
    """`attach` takes the last one for the end of the branch."""
    order = [name for name, _ in PreActivationUnit(8, 16).named_children() if name != "downsample"]
    assert order == ["bn1", "conv1", "bn2", "conv2", "bn3", "conv3"]


def around(model, x):
    """What goes into and comes out of every child of the network."""
    seen = {}
    for name, child in model.named_children():
        child.register_forward_hook(lambda child, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    return model(x), seen


def check_chain(seen, names):
    for before, after in zip(names, names[1:], strict=False):
        assert torch.equal(seen[before][1], seen[after][0])


def test_imagenet_layers_around_the_stages():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 33, 45)
    scores, seen = around(randomised(ResidualAttentionNet((1, 1, 1), classes=5)), x)
    assert list(seen) == ["conv1", "bn1", "maxpool", "layer1", "layer2", "layer3", "layer4", "bn", "fc"]
    assert torch.equal(seen["conv1"][0], x)
    check_chain(seen, ["conv1", "bn1"])
    assert torch.equal(seen["maxpool"][0], seen["bn1"][1].relu())
    assert seen["maxpool"][1].shape == (1, 64, 8, 11)  # halves of 17 and 23: no padding, no last window of one pixel
    check_chain(seen, ["maxpool", "layer1", "layer2", "layer3", "layer4", "bn"])
    assert torch.equal(seen["fc"][0], seen["bn"][1].relu().mean((2, 3)))
    assert torch.equal(seen["fc"][1], scores)
    assert scores.shape == (1, 5)


def test_cifar_layers_around_the_stages():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, 13)
    scores, seen = around(randomised(CifarResidualAttentionNet(56)), x)
    assert list(seen) == ["conv1", "layer1", "layer2", "layer3", "bn", "fc"]
    assert torch.equal(seen["conv1"][0], x)
    check_chain(seen, ["conv1", "layer1", "layer2", "layer3", "bn"])
    assert [tuple(seen[name][1].shape[1:]) for name in list(seen)[:4]] == [
        (16, 9, 13),
        (64, 9, 13),
        (128, 5, 7),
        (256, 3, 4),
    ]
    assert torch.equal(seen["fc"][0], seen["bn"][1].relu().mean((2, 3)))
    assert torch.equal(seen["fc"][1], scores)
    assert scores.shape == (2, 10)


# Learning.


@pytest.mark.parametrize(
    ("model", "side"),
    [
        (lambda: ResidualAttentionNet((1, 1, 1), classes=7), 32),
        (lambda: CifarResidualAttentionNet(92, classes=7), 16),
        (lambda: CifarResidualAttentionNet(92, p=2, t=4, r=3, classes=7), 16),
        (lambda: CifarResidualAttentionNet(56, activation="channel", learning="naive", classes=7), 16),
        (lambda: CifarResidualAttentionNet(56, activation="spatial", classes=7), 16),
    ],
    ids=["imagenet", "cifar", "p=2, t=4, r=3", "channel, naive", "spatial"],
)
def test_every_parameter_learns(model, side):
    torch.manual_seed(0)
    model = model()
    scores = model(torch.randn(2, 3, side, side))
    assert scores.shape == (2, 7)
    nn.functional.cross_entropy(scores, torch.tensor([0, 3])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    silent = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    assert not silent


def test_options_reach_every_module():
    options = {"p": 2, "t": 3, "r": 2, "activation": "spatial", "learning": "naive"}
    with torch.device("meta"):
        modules = attention_modules(CifarResidualAttentionNet(9 * 7 * 2 + 20, **options))
    assert len(modules) == 6
    for module in modules:
        assert {name: getattr(module, name) for name in options} == options


@pytest.mark.parametrize(("learning", "factor"), [("residual", 1.5), ("naive", 0.5)])
def test_heads_of_zeros_make_every_gate_constant(learning, factor):
    model = CifarResidualAttentionNet(56, learning=learning).eval()
    gates = []
    for module in attention_modules(model):
        nn.init.zeros_(module.mask.head[-1].weight)
        module.register_forward_pre_hook(lambda module, inputs: gates.append(module.gate(inputs[0])))
    model(torch.randn(1, 3, 8, 8))
    assert len(gates) == 3
    assert all((gate == factor).all() for gate in gates)


@pytest.mark.parametrize("options", [{}, {"learning": "naive", "activation": "channel"}], ids=["default", "options"])
def test_a_seed_decides_weights_and_scores(options):
    def scores(seed):
        torch.manual_seed(seed)
        return CifarResidualAttentionNet(56, **options)(torch.ones(2, 3, 16, 16))

    assert torch.equal(scores(3), scores(3))
    assert not torch.equal(scores(3), scores(4))


@pytest.mark.parametrize(
    "build_it",
    [lambda: ResidualAttentionNet((1, 1, 1), classes=2), lambda: CifarResidualAttentionNet(56)],
    ids=["imagenet", "cifar"],
)
def test_convolutions_start_as_he_et_al(build_it):
    torch.manual_seed(0)
    large = [layer for layer in build_it().modules() if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 2_000]
    assert len(large) > 40
    for layer in large:
        assert layer.weight.std().item() == pytest.approx((2 / layer.weight[0].numel()) ** 0.5, rel=0.08)


# Refusals.


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"depth": 60}, r"depth=60 does not fit p=1, t=2: it must be 36m \+ 20 with m >= 1; try 56 or 92$"),
        ({"depth": 163}, "try 128 or 164$"),
        ({"depth": 20}, "try 56$"),
        ({"depth": 1}, "try 56$"),
        ({"depth": 56, "p": 2, "t": 4}, r"depth=56 does not fit p=2, t=4: it must be 72m \+ 20 with m >= 1; try 92$"),
    ],
)
def test_a_depth_outside_the_family_lists_its_neighbours(options, says):
    with pytest.raises(ValueError, match=says):
        CifarResidualAttentionNet(**options)


@pytest.mark.parametrize("name", ["depth", "classes", "p", "t", "r"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-36, ValueError), (56.0, TypeError), (True, TypeError)])
@pytest.mark.usefixtures("own_errors")
def test_counts_of_a_cifar_network(name, value, error):
    with pytest.raises(error, match=rf"{name} must be .*got {value}; pass a whole number"):
        CifarResidualAttentionNet(**{"depth": 56, name: value})


@pytest.mark.parametrize(
    ("option", "value", "near"), [("activation", "f1", "channel, mixed, spatial"), ("learning", "nal", "residual")]
)
def test_unknown_options_list_the_known(option, value, near):
    with pytest.raises(ValueError, match=f"no {option} is called '{value}'; .*{near}"):
        CifarResidualAttentionNet(56, **{option: value})


@pytest.mark.parametrize(
    ("modules", "error", "says"),
    [
        ((1, 1), ValueError, r"modules must be three counts, one for each stage, got \(1, 1\)"),
        ((1, 1, 1, 1), ValueError, "modules must be three counts"),
        ((1, 0, 1), ValueError, "modules of stage 2 must be at least 1, got 0"),
        ((1, 1, 1.0), TypeError, "modules of stage 3 must be an int, got 1.0"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_counts_of_an_imagenet_network(modules, error, says):
    with pytest.raises(error, match=says):
        ResidualAttentionNet(modules)


def test_an_imagenet_network_needs_classes():
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        ResidualAttentionNet((1, 1, 1), classes=0)


@pytest.mark.parametrize(("name", "smallest"), [("attention56", 31), ("attention56_cifar", 8)])
def test_images_down_to_the_smallest_side(name, smallest):
    model = build(name).eval()
    assert sides(model, smallest)[0][1:] == (8, 1)
    for size in ((smallest - 1, 64), (64, smallest - 1)):
        with pytest.raises(ValueError, match=rf"H and W must be {smallest} or more, .* got shape \(2, 3, {size[0]}, "):
            model(torch.empty(2, 3, *size, device="meta"))


def test_a_refused_image_leaves_no_trace_in_the_statistics():
    model = CifarResidualAttentionNet(56)
    with pytest.raises(ValueError, match="H and W must be 8 or more"):
        model(torch.randn(2, 3, 7, 8))
    assert not any(layer.num_batches_tracked for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))


def test_one_image_of_the_smallest_side_needs_eval_mode():
    model, x = CifarResidualAttentionNet(56), torch.randn(1, 3, 8, 8)
    with pytest.raises(ValueError, match="lowest level needs 2 or more values per channel in train mode and has 1"):
        model(x)
    assert model.eval()(x).isfinite().all()
