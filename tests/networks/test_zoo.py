"""Networks by name: their sizes against the published layer plans, with every attention, and what is refused."""

import re

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from attnlib.catalogue import sa_groups
from attnlib.errors import UnknownNameError
from attnlib.networks import create, image_size, kind, list_networks
from attnlib.networks.cifar_resnet import CifarResNet, PadShortcut

SASA_WIDTHS = {64: 3, 128: 4, 256: 6, 512: 3}
KINDS = ("classifier", "detector", "segmenter", "generator", "discriminator")


def basic(n):
    return {16: n, 32: n, 64: n}


# Parameters by the number of classes, and how many residual blocks end in each width. The counts are backbones.yml's in
# the project's facts, counted on plain re-builds and torchvision's models; resnet8 was added up layer by layer.
WIDE, DEEP = {64: 2, 128: 2, 256: 2, 512: 2}, {256: 3, 512: 4, 1024: 6, 2048: 3}
NETWORKS = {
    "resnet8": ({10: 78_042, 100: 83_892}, basic(1)),
    "resnet20": ({10: 272_474, 100: 278_324}, basic(3)),
    "resnet32": ({10: 466_906, 100: 472_756}, basic(5)),
    "resnet44": ({10: 661_338, 100: 667_188}, basic(7)),
    "resnet56": ({10: 855_770, 100: 861_620}, basic(9)),
    "resnet110": ({10: 1_730_714, 100: 1_736_564}, basic(18)),
    "resnet20_a": ({10: 269_722, 100: 275_572}, basic(3)),
    "resnet32_a": ({10: 464_154, 100: 470_004}, basic(5)),
    "resnet44_a": ({10: 658_586, 100: 664_436}, basic(7)),
    "resnet56_a": ({10: 853_018, 100: 858_868}, basic(9)),
    "resnet110_a": ({10: 1_727_962, 100: 1_733_812}, basic(18)),
    "resnet110_bottleneck": ({10: 1_147_738, 100: 1_170_868}, {64: 12, 128: 12, 256: 12}),
    "resnet164": ({10: 1_704_154, 100: 1_727_284}, {64: 18, 128: 18, 256: 18}),
    "resnet18_cifar": ({10: 11_173_962, 100: 11_220_132}, WIDE),
    "resnet34_cifar": ({10: 21_282_122, 100: 21_328_292}, {64: 3, 128: 4, 256: 6, 512: 3}),
    "resnet101_cifar": ({10: 42_512_970, 100: 42_697_380}, {256: 3, 512: 4, 1024: 23, 2048: 3}),
    "resnet50_cifar": ({10: 23_520_842, 100: 23_705_252}, DEEP),
    "resnet18": ({1000: 11_689_512}, WIDE),
    "resnet34": ({1000: 21_797_672}, {64: 3, 128: 4, 256: 6, 512: 3}),
    "resnet50": ({1000: 25_557_032}, DEEP),
    "resnet101": ({1000: 44_549_160}, {256: 3, 512: 4, 1024: 23, 2048: 3}),
    "resnet152": ({1000: 60_192_808}, {256: 3, 512: 8, 1024: 36, 2048: 3}),
    "resnet50_v1": ({1000: 25_557_032}, DEEP),
    "resnet101_v1": ({1000: 44_549_160}, {256: 3, 512: 4, 1024: 23, 2048: 3}),
    "resnet152_v1": ({1000: 60_192_808}, {256: 3, 512: 8, 1024: 36, 2048: 3}),
    "resnext50": ({1000: 25_028_904}, DEEP),
}
# Parameters that an attention adds to a block of width C.
ADDED = {
    "se": lambda c: 2 * c * (c // 16) + c + c // 16,
    "nam": lambda c: 2 * c,
    "sa": lambda c: 3 * c // sa_groups(c),
    "constant": lambda c: 0,
}


def parameters(*arguments, **options):
    """Of the network `create(...)`, built without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create(*arguments, **options).parameters())


def one_of_each_make(names):
    """The first of those whose names differ in their numbers alone; the others are tried in `make test-all`."""
    first = {re.sub(r"\d+", "", name): name for name in reversed([*names])}
    return [pytest.param(name, marks=() if name in first.values() else pytest.mark.thorough) for name in names]


def test_every_name_is_of_one_kind():
    by_kind = {kind: list_networks(kind) for kind in KINDS}
    assert [name for names in by_kind.values() for name in names] == list_networks()
    assert len(set(list_networks())) == len(list_networks())
    assert all(kind(name) == expected for expected, names in by_kind.items() for name in names)
    assert set(NETWORKS) < set(by_kind["classifier"])
    with pytest.raises(UnknownNameError, match="no kind is called .classifiers.; did you mean .classifier."):
        list_networks("classifiers")


@pytest.mark.parametrize("name", one_of_each_make(list_networks("classifier")))
def test_a_classifier_takes_images_of_its_size(name):
    with torch.device("meta"):
        scores = create(name, 7).eval()(torch.empty(2, 3, image_size(name), image_size(name)))
    assert scores.shape == (2, 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_layer_plan(name):
    for classes, count in NETWORKS[name][0].items():
        assert parameters(name, classes) == count


@pytest.mark.parametrize("attention", ADDED)
@pytest.mark.parametrize("name", one_of_each_make(NETWORKS))
def test_attention_adds_what_its_formula_says(name, attention):
    counts, blocks = NETWORKS[name]
    classes, plain = next(iter(counts.items()))
    added = sum(number * ADDED[attention](width) for width, number in blocks.items())
    assert parameters(name, classes, attention) == plain + added


# Totals that the papers' fact sheets counted on official code or printed.
@pytest.mark.parametrize(
    ("name", "classes", "attention", "arguments", "total"),
    [
        ("resnet50", 1000, "se", {}, 28_088_024),
        ("resnet50", 1000, "se", {"bias": False}, 28_071_976),
        ("resnet50", 1000, "se", {"bias": False, "reduction": 2}, 45_676_584),
        ("resnet50", 1000, "se", {"reduction": 4}, 35_635_688),
        ("resnet50", 1000, "se", {"bias": False, "reduction": 8}, 30_586_920),
        ("resnet50", 1000, "se", {"reduction": 32}, 26_830_080),
        ("resnet50_v1", 1000, "se", {}, 28_088_024),
        ("resnet18", 1000, "se", {}, 11_778_592),
        ("resnet34", 1000, "se", {"bias": False}, 21_954_856),
        ("resnet101", 1000, "se", {}, 49_326_872),
        ("resnet152", 1000, "se", {"bias": False}, 66_770_984),
        ("resnet20", 10, "se", {}, 274_847),
        ("resnet20", 10, "se", {"bias": False}, 274_490),
        ("resnet110", 10, "se", {}, 1_744_952),
        ("resnet164", 10, "se", {}, 1_906_258),
        ("resnet50", 1000, "nam", {}, 25_557_032 + 30_208),
        ("resnet50_cifar", 100, "nam", {}, 23_735_460),
        ("resnet50_cifar", 100, "nam", {"channel": False, "spatial": True}, 23_705_252 + 9_056),
        ("resnet50", 1000, "sa", {}, 25_557_740),
        ("resnet101", 1000, "sa", {}, 44_550_684),
        ("resnet152", 1000, "sa", {}, 60_195_052),
        ("resnet18", 1000, "sge", {}, 11_690_536),
        ("resnet34", 1000, "sge", {}, 21_799_720),
        ("resnet50", 1000, "sge", {}, 25_559_080),
        ("resnet101", 1000, "sge", {}, 44_553_384),
        ("resnet152", 1000, "sge", {}, 60_199_208),
        ("resnet18", 1000, "triplet", {}, 11_691_912),
        ("resnet34", 1000, "triplet", {}, 21_802_472),
        ("resnet50", 1000, "triplet", {}, 25_561_832),
        ("resnet101", 1000, "triplet", {}, 44_559_060),
        ("mobilenet_v2", 1000, "triplet", {}, 3_509_972),
        ("resnet50", 1000, "eca", {}, 25_557_118),
        ("resnet101", 1000, "eca", {}, 44_549_160 + 171),
        ("resnet34", 1000, "eca", {}, 21_797_672 + 74),
        ("resnet18", 1000, "cbam", {}, 11_779_392),
        ("resnet34", 1000, "cbam", {}, 21_960_468),
        ("resnet50", 1000, "cbam", {}, 28_089_624),
        ("resnet101", 1000, "cbam", {}, 49_330_172),
        ("resnet152", 1000, "cbam", {}, 66_826_848),
        ("resnet18", 1000, "bam", {}, 11_689_512 + 22_991),
        ("resnet50", 1000, "bam", {}, 25_915_099),
        ("resnet50", 1000, "bam", {"output_norm": True}, 25_918_689),
        ("resnet101", 1000, "bam", {}, 44_907_227),
        ("resnet50_cifar", 100, "bam", {}, 24_063_319),
        ("resnet101_cifar", 100, "bam", {}, 43_055_447),
        ("wrn28_8", 100, "bam", {}, 23_422_830),
        ("wrn28_10", 100, "bam", {}, 36_570_756),
        ("resnext29_8x64d", 100, "bam", {}, 34_604_822),
        ("resnext29_16x64d", 100, "bam", {}, 68_333_334),
        ("resnet164_preact", 100, "bam", {}, 1_732_018),
        ("resnet164_preact", 100, "bam", {"output_norm": True}, 1_732_406),
        ("resnet164_preact", 10, "se", {"bias": False}, 1_896_794),
        ("resnet164_preact", 100, "se", {}, 1_928_492),
        ("wrn16_8", 10, "se", {}, 11_049_290),
        ("resnet50", 1000, "ge", {"extent": 4}, 25_557_032),
        ("resnet50", 1000, "ge", {"extent": 2, "variant": "theta"}, 25_723_176),
        ("resnet50", 1000, "ge", {"extent": 4, "variant": "theta"}, 25_889_320),
        ("resnet50", 1000, "ge", {"extent": 8, "variant": "theta"}, 26_055_464),
        ("resnet50", 1000, "ge", {"variant": "theta"}, 31_106_600),
        ("resnet50", 1000, "ge", {"variant": "theta+"}, 33_637_592),
        ("resnet101", 1000, "ge", {"variant": "theta"}, 53_545_512),
        ("resnet164", 100, "sem", {}, 1_970_104),
        ("resnet164", 10, "sem", {}, 1_946_974),
        ("resnet164", 100, "iebn", {}, 1_751_508),
        ("resnet164", 10, "iebn", {}, 1_728_378),
        # Two blocks of 526,592 and three of 2,101,760.
        ("resnet50", 1000, "non_local", {}, 25_557_032 + 2 * 526_592 + 3 * 2_101_760),
        # Every 3 x 3 of 9 d^2 becomes 3 d^2 and 7 d of relative positions; the stem stays.
        ("resnet50", 1000, "sasa", {}, 25_557_032 - sum(n * (6 * d * d - 7 * d) for d, n in SASA_WIDTHS.items())),
    ],
)
def test_totals_known_from_the_papers_code(name, classes, attention, arguments, total):
    assert parameters(name, classes, attention, arguments) == total


# What distinguishes the families.


@pytest.mark.parametrize("name", one_of_each_make(NETWORKS))
def test_maps_halve_where_the_plan_says(name):
    with torch.device("meta"):
        model = create(name, attention="nam", attention_args={"channel": False, "spatial": True})
    sides = list(dict.fromkeys(module.size for module in model.modules() if hasattr(module, "spatial_norm")))
    first = {224: 56, 32: 32}[image_size(name)]
    assert sides == [(first >> stage,) * 2 for stage in range(len(NETWORKS[name][1]))]


@pytest.mark.parametrize(("name", "strides"), [("resnet50", (1, 2)), ("resnet50_v1", (2, 1))])
def test_v1_takes_its_stride_in_the_first_1x1(name, strides):
    with torch.device("meta"):
        blocks = [module for module in create(name).modules() if isinstance(module, Bottleneck)]
    found = [(block.conv1.stride[0], block.conv2.stride[0]) for block in blocks if block.downsample][1:]
    assert found == [strides] * 3


def test_option_a_takes_every_second_pixel_and_pads_with_zero_channels():
    x = torch.randn(2, 16, 9, 7)
    y = PadShortcut(16, 32, stride=2)(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert y.shape == (2, 32, 5, 4)
    assert not y[:, 16:].any()
    assert not list(PadShortcut(16, 32, 2).parameters())


@pytest.mark.parametrize("attention", ["none", *ADDED])
@pytest.mark.parametrize("name", ["resnet8", "resnet20_a", "resnet18_cifar"])
def test_every_parameter_learns(name, attention):
    torch.manual_seed(0)
    model = create(name, classes=7, attention=attention)
    scores = model(torch.randn(2, 3, 16, 16))
    assert scores.shape == (2, 7)
    nn.functional.cross_entropy(scores, torch.tensor([0, 3])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("attention", ADDED)
def test_all_attentions_share_the_backbone_under_one_seed(attention):
    def state(attention):
        torch.manual_seed(3)
        return create("resnet8", attention=attention).state_dict()

    shared = {name.replace(".layer.", "."): tensor for name, tensor in state(attention).items()}
    plain = state("none")
    assert all(torch.equal(tensor, shared[name]) for name, tensor in plain.items())
    assert all(".attention." in name for name in set(shared) - set(plain))


# Refusals.


@pytest.mark.parametrize(
    ("wrong", "near"), [("resnet21", "resnet20|resnet110"), ("ResNet50", "resnet50"), ("vgg", "known")]
)
@pytest.mark.parametrize("look_up", [create, image_size])
def test_an_unknown_network_lists_the_near_matches(look_up, wrong, near):
    with pytest.raises(UnknownNameError, match=f"no network is called '{wrong}'; .*({near})"):
        look_up(wrong)


def test_an_unknown_attention_lists_the_near_matches():
    with pytest.raises(UnknownNameError, match="no module is called 'shufle'; did you mean .*'sa'"):
        create("resnet8", attention="shufle")


@pytest.mark.parametrize("classes", [0, -10])
def test_a_network_needs_classes(classes):
    with pytest.raises(ValueError, match=f"classes must be at least 1, got {classes}"):
        create("resnet8", classes=classes)


def test_arguments_need_an_attention():
    with pytest.raises(ValueError, match="attention_args={'reduction': 4} has no use without .*'none'"):
        create("resnet8", attention_args={"reduction": 4})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"depth": 21}, r"depth=21 is not 6n \+ 2 .*choose 20 or 26"),
        ({"depth": 2}, r"depth=2 is not 6n \+ 2 with n >= 1 blocks a stage; choose 8"),
        ({"depth": 26, "block": "bottleneck"}, r"depth=26 is not 9n \+ 2 .*choose 20 or 29"),
        ({"depth": 20, "block": "wide"}, "no block is called 'wide'; known: basic, bottleneck"),
        ({"depth": 20, "shortcut": "C"}, "no shortcut is called 'C'; known: A, B"),
        (
            {"depth": 29, "shortcut": "A", "block": "bottleneck"},
            "shortcut 'A' goes with basic blocks, got it with block='bottleneck'",
        ),
    ],
)
def test_a_cifar_resnet_that_is_not_in_the_family_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        CifarResNet(**arguments)
