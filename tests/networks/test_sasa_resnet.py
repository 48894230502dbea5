"""ResNets with stand-alone self-attention: the paper's tables of parameters and FLOPs, the blocks, what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50

from attnlib.errors import UnknownNameError
from attnlib.networks.sasa_resnet import BLOCKS, sasa_resnet
from attnlib.profiling.cost import profile
from attnlib.self_attention.sasa import SASA
from attnlib.self_attention.sasa_stem import SASAStem
from tests.networks.plans import named_in

NETWORKS = named_in("sasa_resnet")

CONV, ATTENTION = ("conv",) * 4, ("attention",) * 4


def parameters(build):
    """Of a network built without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())


def kinds(attention):
    """The four stages, from the numbers of those with attention as Table 3 gives them."""
    return tuple("attention" if str(number) in attention else "conv" for number in range(1, 5))


# The cost, written down from the plan of a bottleneck ResNet.

# Multiply-adds a pixel of the image that each attention stem of Table 7 takes: q, k and v of 3 channels, three products
# over a block of 16 pixels. "mixtures" projects four maps of values and mixes them pixel by pixel; our stem mixes the
# four matrices of each place in the block once and for all, so that per pixel it takes no more than "plain".
STEM_MACS = {
    "plain": 3 * 3 * 64 + 3 * 16 * 64,
    "convolution": (2 + 16) * 3 * 64 + 3 * 16 * 64,
    "mixtures": (2 + 4) * 3 * 64 + 4 * 64 + 3 * 16 * 64,
}
MIXED_ONCE = 16 * 4 * 3 * 64 + 16 * 4 * 16  # matrices of 16 places from four, and the 16 shares of each of the four


def layer_macs(d, k=7, position=True, content=True):
    """A pixel of one attention layer: the projections; q.k, q.r and the weighted sum, k^2 d each."""
    return (2 + content) * d * d + (1 + content + position) * k * k * d


def network_macs(depth, stages=ATTENTION, stem=None, side=224, classes=1000, **layer):
    """All multiply-adds of one image; `stem` are those of an attention stem, a pixel."""
    total = side**2 * stem if stem else (side // 2) ** 2 * 7 * 7 * 3 * 64
    channels, before = 64, side // 4
    for stage, (blocks, kind) in enumerate(zip(BLOCKS[depth], stages, strict=True)):
        d, after = 64 << stage, side // 4 >> stage
        for block in range(blocks):
            total += before**2 * channels * d
            # Attention works on the map before the stride, since the average pooling comes after it.
            total += after**2 * 9 * d * d if kind == "conv" else before**2 * layer_macs(d, **layer)
            total += after**2 * d * 4 * d
            total += 0 if block else after**2 * channels * 4 * d  # shortcut
            channels, before = 4 * d, after
    return total + channels * classes


@pytest.mark.parametrize(
    ("stages", "arguments", "layer"),
    [
        (CONV, {}, {}),
        (kinds("24"), {}, {}),
        (ATTENTION, {"kernel_size": 3}, {"k": 3}),
        (ATTENTION, {"content": False}, {"content": False}),
        (ATTENTION, {"positions": "none"}, {"position": False}),
    ],
)
def test_multiply_adds_are_those_of_the_plan(stages, arguments, layer):
    cost = profile(sasa_resnet(26, 10, stages, **arguments), 32)
    assert cost.macs == network_macs(26, stages, side=32, classes=10, **layer)


@pytest.mark.parametrize(
    ("values", "stem", "once"),
    [("aware", "plain", MIXED_ONCE), ("plain", "plain", 0), ("convolution", "convolution", 0)],
)
def test_multiply_adds_of_the_stems(values, stem, once):
    cost = profile(sasa_resnet(26, 10, CONV, stem="attention", stem_values=values), 32)
    assert cost.macs == network_macs(26, CONV, STEM_MACS[stem], side=32, classes=10) + once


# The tables: FLOPs as printed and by our count, in billions, two to a multiply-add; parameters as printed, in millions,
# and by our count. Our FLOPs lie within 0.125 of the printed ones, most within 0.05. The printed parameters are ours
# rounded (13.7, 25.5, 25.6) or cut off (14.1, 16.7, 25.0) after one digit; no single rule fits all of them.
FULL = {"stem": STEM_MACS["mixtures"]}
TABLES = [
    ("1: 26, baseline", (26, CONV), {}, (4.7, 4.685), (13.7, 13_696_552)),
    ("1: 26, conv stem", (26,), {}, (4.5, 4.484), (10.3, 10_342_632)),
    ("1: 26, full", (26,), FULL, (4.7, 4.698), (10.3, 10_335_016)),
    ("1: 38, baseline", (38, CONV), {}, (6.5, 6.431), (19.6, 19_626_792)),
    ("1: 38, conv stem", (38,), {}, (5.7, 5.725), (14.1, 14_190_632)),
    ("1: 38, full", (38,), FULL, (6.0, 5.939), (14.1, 14_183_016)),
    ("1: 50, baseline", (50, CONV), {}, (8.2, 8.178), (25.6, 25_557_032)),
    ("1: 50, conv stem", (50,), {}, (7.0, 6.966), (18.0, 18_038_632)),
    ("1: 50, full", (50,), FULL, (7.2, 7.180), (18.0, 18_031_016)),
    ("3: attention in 1234", (50, kinds("1234")), {}, (7.0, 6.966), (18.0, 18_038_632)),
    ("3: attention in 234", (50, kinds("234")), {}, (7.3, 7.252), (18.1, 18_111_016)),
    ("3: attention in 34", (50, kinds("34")), {}, (7.5, 7.431), (18.5, 18_500_648)),
    ("3: attention in 4", (50, kinds("4")), {}, (8.0, 7.991), (20.8, 20_849_192)),
    ("3: no attention", (50, kinds("")), {}, (8.2, 8.178), (25.6, 25_557_032)),
    ("3: attention in 1", (50, kinds("1")), {}, (7.9, 7.893), (25.5, 25_484_648)),
    ("3: attention in 12", (50, kinds("12")), {}, (7.8, 7.714), (25.0, 25_095_016)),
    ("3: attention in 123", (50, kinds("123")), {}, (7.2, 7.153), (22.7, 22_746_472)),
    # Table 4 prints one number of parameters for all windows: the embeddings, 7552 for two more pixels, are below it.
    ("4: k = 3", (50,), {"k": 3}, (6.6, 6.509), (18.0, 18_023_528)),
    ("4: k = 5", (50,), {"k": 5}, (6.7, 6.692), (18.0, 18_031_080)),
    ("4: k = 7", (50,), {"k": 7}, (7.0, 6.966), (18.0, 18_038_632)),
    ("4: k = 9", (50,), {"k": 9}, (7.3, 7.332), (18.0, 18_046_184)),
    ("4: k = 11", (50,), {"k": 11}, (7.7, 7.790), (18.0, 18_053_736)),
    ("5: none", (50,), {"position": False, "positions": "none"}, (6.9, 6.779), (18.0, 18_012_200)),
    ("5: absolute", (50,), {"position": False, "positions": "absolute"}, (6.9, 6.779), (18.0, 18_012_200)),
    ("5: relative", (50,), {}, (7.0, 6.966), (18.0, 18_038_632)),
    ("6: q.r", (50,), {"content": False}, (6.1, 6.137), (16.7, 16_781_160)),
    ("6: q.k + q.r", (50,), {}, (7.0, 6.966), (18.0, 18_038_632)),
    ("7: plain", (50,), {"stem": STEM_MACS["plain"], "stem_values": "plain"}, (7.1, 7.096), (None, 18_030_248)),
    (
        "7: convolution",
        (50,),
        {"stem": STEM_MACS["convolution"], "stem_values": "convolution"},
        (7.4, 7.385),
        (None, 18_033_128),
    ),
    ("7: aware", (50,), FULL, (7.2, 7.180), (None, 18_031_016)),
]


@pytest.mark.parametrize(
    ("plan", "options", "flops", "millions"), [row[1:] for row in TABLES], ids=[r[0] for r in TABLES]
)
def test_tables_of_the_paper(plan, options, flops, millions):
    depth, stages = (*plan, ATTENTION)[:2]
    cost_of = {name: value for name, value in options.items() if name not in ("positions", "stem_values")}
    printed, ours = flops
    assert round(2 * network_macs(depth, stages, **cost_of) / 1e9, 3) == ours
    assert ours == pytest.approx(printed, abs=0.125)

    network = {"kernel_size" if name == "k" else name: value for name, value in options.items() if name != "position"}
    if "stem" in network:
        network["stem"] = "attention"
    printed, ours = millions
    assert parameters(lambda: sasa_resnet(depth, 1000, stages, **network)) == ours
    assert printed in (None, round(ours / 1e6, 1), math.floor(ours / 1e5) / 10)


def test_printed_parameters_need_dense_projections():
    dense, grouped = (parameters(lambda p=p: sasa_resnet(50, projections=p)) for p in ("dense", "grouped"))
    assert dense - grouped == sum(blocks * 3 * (64 << stage) ** 2 * 7 // 8 for stage, blocks in enumerate(BLOCKS[50]))
    assert (round(dense / 1e6, 1), round(grouped / 1e6, 1)) == (18.0, 14.7)


def test_names():
    counts = {name: parameters(lambda build=build: build(classes=1000)) for name, (build, _) in NETWORKS.items()}
    assert counts == {
        "resnet26_sasa_baseline": 13_696_552,
        "resnet38_sasa_baseline": 19_626_792,
        "resnet26_sasa_conv_stem": 10_342_632,
        "resnet38_sasa_conv_stem": 14_190_632,
        "resnet50_sasa_conv_stem": 18_038_632,
        "resnet26_sasa": 10_335_016,
        "resnet38_sasa": 14_183_016,
        "resnet50_sasa": 18_031_016,
    }
    assert {side for _, side in NETWORKS.values()} == {224}


# The structure.


def test_depth_50_without_attention_is_torchvisions():
    def state(build):
        torch.manual_seed(0)
        return build().state_dict()

    ours, theirs = state(lambda: sasa_resnet(50, 10, CONV)), state(lambda: resnet50(num_classes=10))
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("stem", ["conv", "attention"])
def test_attention_takes_the_place_of_nothing_but_conv2_and_the_stem(stem):
    def state(stages, stem):
        torch.manual_seed(0)
        return sasa_resnet(26, 10, stages, stem).state_dict()

    plain, mixed = state(CONV, "conv"), state(kinds("24"), stem)
    gone = set(plain) - {name for name in mixed if name in plain and torch.equal(plain[name], mixed[name])}
    replaced = {f"layer{n}.{b}.conv2.weight" for n, b in ((2, 0), (2, 1), (4, 0))}
    stems = {name for name in plain if name.startswith(("conv1", "bn1"))} if stem == "attention" else set()
    assert gone == replaced | stems


def test_arguments_reach_every_layer():
    with torch.device("meta"):
        model = sasa_resnet(38, stages=kinds("134"), kernel_size=5, heads=4, positions="none", border="mask")
    layers = [block.conv2 for stage in (model.layer1, model.layer3, model.layer4) for block in stage]
    assert all(isinstance(layer, SASA) for layer in layers)
    assert {(layer.kernel_size, layer.heads, layer.positions, layer.border) for layer in layers} == {
        (5, 4, "none", "mask")
    }
    assert [layer.stride for layer in layers] == [1, 1, 2, 1, 1, 1, 1, 2, 1]
    assert not any(isinstance(module, SASA) for module in model.layer2.modules())


@torch.no_grad()
def test_a_block_pools_after_its_attention():
    torch.manual_seed(0)
    block = sasa_resnet(26, 10).eval().layer2[0]
    x = torch.randn(2, 256, 7, 10)
    y = F.relu(block.bn1(block.conv1(x)))
    layer = SASA(128)
    layer.load_state_dict(block.conv2.state_dict())
    # Pairs of rows and columns; the seventh row has no partner and is averaged alone.
    y = torch.stack(
        [layer(y)[:, :, i : i + 2, j : j + 2].mean((2, 3)) for i in range(0, 7, 2) for j in range(0, 10, 2)], -1
    )
    y = block.conv3(F.relu(block.bn2(y.unflatten(-1, (4, 5)))))
    expected = F.relu(block.bn3(y) + block.downsample(x))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", ["aware", "convolution", "plain"])
@torch.no_grad()
def test_the_attention_stem_feeds_the_first_stage_as_it_is(values):
    torch.manual_seed(0)
    model = sasa_resnet(26, 10, stages=CONV, stem="attention", stem_values=values).eval()
    seen = []
    model.layer1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(1, 3, 18, 23)
    model(x)
    assert isinstance(model.conv1, SASAStem)
    assert model.conv1.values == values
    assert seen[0].shape == (1, 64, 5, 6)
    assert torch.equal(seen[0], model.conv1(x))
    assert seen[0].min() < 0, "no ReLU"


@pytest.mark.parametrize("stem", ["conv", "attention"])
def test_every_parameter_learns(stem):
    torch.manual_seed(0)
    model = sasa_resnet(26, 7, stem=stem)
    scores = model(torch.randn(2, 3, 33, 40))
    assert scores.shape == (2, 7)
    nn.functional.cross_entropy(scores, torch.tensor([0, 3])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(
        weight.grad.any()
        for module in model.modules()
        if isinstance(module, SASA)
        for weight in (module.query.weight, module.key.weight, module.value.weight, module.row, module.column)
    )


@pytest.mark.parametrize("stem", ["conv", "attention"])
@torch.no_grad()
def test_one_pixel_is_an_image(stem):
    assert sasa_resnet(26, 3, stem=stem).eval()(torch.randn(1, 3, 1, 1)).shape == (1, 3)


def test_attention_starts_as_its_network_init_says():
    torch.manual_seed(0)
    model = sasa_resnet(26, 10, stem="attention")
    for layer in (model.layer4[0].conv2.value, model.layer4[0].conv2.query, model.conv1.key):
        fan_out = layer.out_channels
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.15)


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"depth": 101}, ValueError, "depth must be one of 26, 38, 50, got 101"),
        ({"classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ({"stages": ("conv",) * 3}, ValueError, r"stages must be four of 'conv' and 'attention', got \('conv', 'conv'"),
        ({"stages": "conv"}, ValueError, "stages must be four of .*, got 'conv'"),
        ({"stages": ("conv", "sasa", "conv", "conv")}, UnknownNameError, "stages is called 'sasa'"),
        ({"stem": "aware"}, UnknownNameError, "stem is called 'aware'"),
        ({"stem": "attention", "stem_values": "mixed"}, UnknownNameError, "stem_values is called 'mixed'"),
        ({"stem_values": "plain"}, ValueError, "stem_values='plain' needs stem='attention', got stem='conv'"),
        ({"stages": CONV, "heads": 4}, ValueError, "{'heads': 4} go to the attention of the stages, but .* have none"),
        ({"stride": 2}, ValueError, "stride follow from the block that SASA stands in"),
        ({"heads": 3}, ValueError, "out_channels=64 does not fit heads=3"),
    ],
)
def test_what_is_not_in_the_family_is_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        sasa_resnet(**({"depth": 26} | arguments))
