"""Detectors: torchvision's own where nothing is replaced; attention in backbone, pyramid and heads; a paper's table."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import detection, resnet18, resnet50
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from attnlib.errors import UnknownNameError
from attnlib.networks import attach, attention_modules, create, detach
from attnlib.networks.detection import DETECTORS, DensePart, detector
from attnlib.networks.sasa_resnet import sasa_resnet
from attnlib.profiling.trace import count_operations
from attnlib.self_attention.sasa import SASA
from tests.networks.plans import named_in

NETWORKS = named_in("detection")

# Small images stay small, and an R-CNN looks at few proposals.
SMALL = {"min_size": 64, "max_size": 64}
OPTIONS = {
    "retinanet": SMALL,
    **dict.fromkeys(
        ("faster_rcnn", "mask_rcnn"), SMALL | {"rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 20}
    ),
}
BUILDERS = {
    "retinanet": detection.retinanet_resnet50_fpn,
    "faster_rcnn": detection.fasterrcnn_resnet50_fpn,
    "mask_rcnn": detection.maskrcnn_resnet50_fpn,
}
LOSSES = {
    "retinanet": {"classification", "bbox_regression"},
    "faster_rcnn": {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"},
}
LOSSES["mask_rcnn"] = LOSSES["faster_rcnn"] | {"loss_mask"}


def parameters(build):
    """Of a network built without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())


def target():
    """One box of class 2, with its mask."""
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[:, 10:50, 8:40] = 1
    return {"boxes": torch.tensor([[8.0, 10.0, 40.0, 50.0]]), "labels": torch.tensor([2]), "masks": mask}


# Without attention: torchvision's detectors.


@pytest.mark.parametrize(
    ("name", "frozen"), [("retinanet", 34_014_999), ("faster_rcnn", 41_755_286), ("mask_rcnn", 44_401_393)]
)
def test_parameters_are_those_of_torchvision(name, frozen):
    ours = parameters(lambda: NETWORKS[f"{name}_resnet50"][0](classes=91))
    assert ours == parameters(lambda: BUILDERS[name](weights=None, weights_backbone=None, num_classes=91))
    # torchvision states the size of its trained model, whose backbone's norms are frozen: buffers, not parameters.
    assert ours == frozen + sum(norm.weight.numel() * 2 for norm in resnet_norms())


def resnet_norms():
    with torch.device("meta"):
        return [module for module in resnet50().modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def test_torchvisions_weights_fit_and_find_the_same_boxes():
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    options = {"score_thresh": 0.0, "detections_per_img": 20, **SMALL}
    theirs = detection.RetinaNet(backbone, 5, **options).eval()
    ours = detector("retinanet", resnet18(), 5, **options).eval()
    ours.load_state_dict(theirs.state_dict())
    assert ours.anchor_generator.sizes[0] == (32, 40, 50)
    images = [torch.rand(3, 64, 48)]
    (found,), (expected,) = ours(images), theirs(images)
    assert len(expected["boxes"]) == 20
    for quantity, values in expected.items():
        assert torch.equal(found[quantity], values), quantity


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("retinanet", ((32, 40, 50), (64, 80, 101), (128, 161, 203), (256, 322, 406), (512, 645, 812))),
        ("faster_rcnn", ((32,), (64,), (128,), (256,), (512,))),
    ],
)
def test_anchors_are_torchvisions_on_a_resnet(name, sizes):
    with torch.device("meta"):
        model = detector(name, resnet18(), 2)
    anchors = model.anchor_generator if name == "retinanet" else model.rpn.anchor_generator
    assert (anchors.sizes, anchors.aspect_ratios) == (sizes, ((0.5, 1.0, 2.0),) * 5)


# The pyramid on a network whose forward does more than run its children.


@torch.no_grad()
def test_the_networks_own_forward_makes_the_maps():
    torch.manual_seed(0)
    network = create("resnet8", classes=7).eval()
    pyramid = detector("faster_rcnn", network, 3, **SMALL).backbone.eval()
    x = torch.randn(1, 3, 32, 48)
    y = F.relu(network.bn1(network.conv1(x)))
    expected = [y := stage(y) for stage in (network.layer1, network.layer2, network.layer3)]
    maps = pyramid.stage_maps(x)
    assert list(maps) == ["0", "1", "2"]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(maps.values(), expected, strict=True))
    assert pyramid.strides == [1, 2, 4, 8]
    assert [tuple(y.shape) for y in pyramid(x).values()] == [(1, 256, 32 // s, 48 // s) for s in pyramid.strides]


def test_the_backbone_is_copied_without_what_follows_its_stages():
    network = create("resnet8", classes=7)
    model = detector("retinanet", network, 3)
    assert isinstance(network.fc, nn.Linear)
    assert not any("fc" in name for name, _ in model.named_parameters())
    assert not {id(p) for p in network.parameters()} & {id(p) for p in model.parameters()}


@pytest.mark.usefixtures("own_errors")
def test_nothing_stays_behind_on_the_stages():
    pyramid = detector("retinanet", create("resnet8"), 3).backbone
    pyramid.eval()(torch.randn(1, 3, 32, 32))
    with pytest.raises(RuntimeError):
        pyramid(torch.randn(1, 4, 32, 32))
    assert not any(module._forward_hooks for module in pyramid.modules())


# Training and detecting.


def backbones():
    return {
        "none": resnet18,
        "se": partial(create, "resnet18", classes=10, attention="se"),
        "sa, cifar": partial(create, "resnet8", attention="sa"),
    }


@pytest.mark.parametrize(
    ("name", "attention"), [*((name, "se") for name in DETECTORS), ("retinanet", "none"), ("faster_rcnn", "sa, cifar")]
)
def test_losses_reach_every_parameter_of_the_backbone(name, attention):
    torch.manual_seed(0)
    model = detector(name, backbones()[attention](), 4, **OPTIONS[name])
    assert bool(attention_modules(model)) == (attention != "none")
    losses = model([torch.rand(3, 64, 64)], [target()])
    assert set(losses) == LOSSES[name]
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    gradients = {name: parameter.grad for name, parameter in model.backbone.body.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    for path, module in attention_modules(model).items():
        assert any(parameter.grad.any() for parameter in module.parameters()), path


@pytest.mark.parametrize("name", DETECTORS)
@torch.no_grad()
def test_boxes_lie_in_the_image(name):
    torch.manual_seed(0)
    options = {"score_thresh": 0.0} if name == "retinanet" else {"box_score_thresh": 0.0}
    model = detector(name, create("resnet18", 10, "se"), 4, **OPTIONS[name], **options).eval()
    (found,) = model([torch.rand(3, 64, 64)])
    assert set(found) == {"boxes", "labels", "scores"} | ({"masks"} if name == "mask_rcnn" else set())
    assert len(found["boxes"]) > 0
    assert found["boxes"].min() >= 0
    assert found["boxes"].max() <= 64
    assert found["labels"].max() < 4


def test_attention_can_be_put_into_a_detector_and_taken_out_again():
    torch.manual_seed(0)
    model = detector("retinanet", resnet18(), 3)
    names = list(model.state_dict())
    attached = attach(model, "se")
    assert [place.path for place in attached][:2] == ["backbone.body.layer1.0.bn2", "backbone.body.layer1.1.bn2"]
    assert detach(model) == len(attached) == 8
    assert list(model.state_dict()) == names


def test_a_seed_fixes_the_weights():
    def state():
        torch.manual_seed(5)
        return detector("retinanet", create("resnet8"), 3, pyramid="attention", heads="attention").state_dict()

    first, second = state(), state()
    assert all(torch.equal(first[name], second[name]) for name in first)


# Attention in the pyramid and the heads.


def test_attention_takes_the_place_of_every_3x3_convolution():
    with torch.device("meta"):
        model = detector("retinanet", sasa_resnet(26), 91, pyramid="attention", heads="attention")
    left = [
        name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)
    ]
    assert left == ["backbone.body.conv1"]
    strides = {name: layer.stride for name, layer in model.named_modules() if isinstance(layer, SASA) and "fpn" in name}
    assert strides == {
        **{f"backbone.fpn.layer_blocks.{level}": 1 for level in range(3)},
        "backbone.fpn.extra_blocks.p6": 2,
        "backbone.fpn.extra_blocks.p7": 2,
    }
    heads = [name for name, layer in model.head.named_modules() if isinstance(layer, SASA)]
    assert heads == [
        f"{head}.{place}"
        for head, last in (("classification_head", "cls_logits"), ("regression_head", "bbox_reg"))
        for place in (*(f"conv.{layer}.0" for layer in range(4)), f"{last}.0")
    ]
    assert {
        (layer.channels, layer.kernel_size, layer.heads) for layer in model.head.modules() if isinstance(layer, SASA)
    } == {(256, 7, 8)}


def test_heads_start_as_the_paper_says():
    torch.manual_seed(0)
    model = detector("retinanet", create("resnet8"), 3, heads="attention")
    for layer in model.head.modules():
        if isinstance(layer, SASA):
            assert layer.value.weight.std().item() == pytest.approx(0.01, rel=0.05)
            assert layer.query.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.05)
    classes, boxes = model.head.classification_head.cls_logits[1], model.head.regression_head.bbox_reg[1]
    torch.testing.assert_close(classes.bias.sigmoid(), torch.full((27,), 0.01))
    assert not boxes.bias.any()
    for layer in (classes, boxes):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("name", ["retinanet", "mask_rcnn"])
def test_a_detector_of_attention_trains_and_detects(name):
    torch.manual_seed(0)
    heads = {"heads": "attention"} if name == "retinanet" else {}
    model = detector(name, sasa_resnet(26, stem="attention"), 4, pyramid="attention", **heads, **OPTIONS[name])
    sum(model([torch.rand(3, 64, 64)], [target()]).values()).backward()
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, SASA)}
    assert len(layers) == 8 + {"retinanet": 5 + 10, "mask_rcnn": 4}[name]
    for path, layer in layers.items():
        assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters()), path
        # On a single pixel the softmax has one share for it and one for all padding, of no value: it may saturate.
        assert layer.value.weight.grad.any(), path
    with torch.no_grad():
        model.eval()([torch.rand(3, 64, 64)])


# Table 2 of the SASA paper. Only 6 anchors a position, with 90 or 91 classes and images of 640 x 640, give its baseline
# of 33.4 M parameters and 182 B FLOPs: the 9 anchors of RetinaNet's paper give 34.1 M and 193 B.


@pytest.mark.parametrize(
    ("backbone", "heads", "printed"),
    [
        (resnet50, "conv", 33.4),
        (partial(sasa_resnet, 50), "conv", 25.9),
        (partial(sasa_resnet, 50, stem="attention"), "conv", 25.9),
        (partial(sasa_resnet, 50), "attention", 22.0),
        (partial(sasa_resnet, 50, stem="attention"), "attention", 22.0),
    ],
)
def test_table_2_prints_the_parameters_of_attention_in_the_heads(backbone, heads, printed):
    ours = parameters(lambda: detector("retinanet", backbone(), 91, heads=heads, scales=2))
    one_class = 6 * (256 * (9 if heads == "conv" else 1) + 1)
    assert round(ours / 1e6, 1) == round((ours - one_class) / 1e6, 1) == printed


def test_the_text_of_the_paper_leaves_fewer_parameters_than_its_table():
    both = partial(detector, "retinanet", classes=91, pyramid="attention", heads="attention", scales=2)
    assert parameters(lambda: both(backbone=sasa_resnet(50))) == 20_030_394
    assert 20_030_394 + 5 * (9 * 256**2 + 256 - 3 * 256**2 - 7 * 256) == 21_988_794  # the table's 22.0 M


def dense_macs(side, channels, classes, anchors, pyramid, heads):
    """Multiply-adds of the pyramid and the heads, from the sizes of their maps."""
    p3, p4, p5, p6, p7 = ((side >> level) ** 2 for level in range(3, 8))
    conv, attention = 9 * 256**2, 3 * 256**2 + 3 * 49 * 256
    macs = sum(pixels * width * 256 for pixels, width in zip((p3, p4, p5), channels, strict=True))
    macs += (p3 + p4 + p5) * (conv if pyramid == "conv" else attention)
    macs += (p6 + p7) * conv if pyramid == "conv" else (p5 + p6) * attention
    for outputs in (anchors * classes, anchors * 4):
        pixels = p3 + p4 + p5 + p6 + p7
        last = 9 * 256 * outputs if heads == "conv" else attention + 256 * outputs
        macs += pixels * (4 * (conv if heads == "conv" else attention) + last)
    return macs


@pytest.mark.parametrize(
    ("pyramid", "heads"), [("conv", "conv"), pytest.param("attention", "attention", marks=pytest.mark.thorough)]
)
def test_multiply_adds_of_pyramid_and_heads(pyramid, heads):
    model = detector("retinanet", resnet18(), 5, pyramid, heads, scales=1)
    x = torch.zeros(1, 3, 128, 128)
    total = sum(count_operations(DensePart(model), x)["macs"].values())
    stages = sum(count_operations(model.backbone.body, x)["macs"].values())
    assert total == stages + dense_macs(128, (128, 256, 512), 5, 3, pyramid, heads)


# FLOPs of the stages in billions at 224 x 224, from test_sasa_resnet: all but the linear layer's 0.004. Convolutional
# heads come within 1 of what is printed; for attention the paper prints less than heads alone and more than heads and
# pyramid cost, and less with the attention stem, which costs more.
BASE, CONV_STEM, FULL = (flops - 2 * 2048e3 / 1e9 for flops in (8.178, 6.966, 7.102))


@pytest.mark.parametrize(
    ("stages", "pyramid", "heads", "ours", "printed", "off"),
    [
        (BASE, "conv", "conv", 182.6, 182, 1),
        (CONV_STEM, "conv", "conv", 172.7, 173, 1),
        (FULL, "conv", "conv", 173.8, 173, 1),
        (CONV_STEM, "conv", "attention", 112.3, 111, 1.5),
        (CONV_STEM, "attention", "attention", 106.4, 111, 5),
        (FULL, "conv", "attention", 113.4, 110, 3.5),
        (FULL, "attention", "attention", 107.5, 110, 3),
    ],
)
def test_flops_beside_table_2(stages, pyramid, heads, ours, printed, off):
    flops = stages * (640 / 224) ** 2 + 2 * dense_macs(640, (512, 1024, 2048), 91, 6, pyramid, heads) / 1e9
    assert flops == pytest.approx(ours, abs=0.06)
    assert flops == pytest.approx(printed, abs=off)


@torch.no_grad()
def test_the_dense_part_of_an_rcnn_is_its_proposals_head():
    model = detector("faster_rcnn", create("resnet8"), 3).eval()
    maps = DensePart(model).eval()(torch.randn(1, 3, 32, 32))
    assert [tuple(y.shape[1:]) for y in maps] == [(count, 32 // s, 32 // s) for count in (3, 12) for s in (1, 2, 4, 8)]


# Names and refusals.


def test_names():
    assert {name: side for name, (_, side) in NETWORKS.items()} == {
        **dict.fromkeys(("retinanet_resnet50", "faster_rcnn_resnet50", "mask_rcnn_resnet50"), 800),
        **dict.fromkeys(("retinanet_resnet50_sasa", "retinanet_resnet50_sasa_conv_stem"), 640),
    }


@pytest.mark.parametrize(("stem", "count"), [("", 20_096_023), ("_conv_stem", 20_103_639)])
def test_parameters_of_the_retinanet_of_attention(stem, count):
    assert parameters(lambda: NETWORKS[f"retinanet_resnet50_sasa{stem}"][0](classes=91)) == count


@pytest.mark.parametrize(
    ("name", "arguments", "error", "says"),
    [
        ("retina", {}, UnknownNameError, "detector is called 'retina'; did you mean .*'retinanet'"),
        ("retinanet", {"classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ("retinanet", {"scales": 0}, ValueError, "scales must be at least 1, got 0"),
        ("retinanet", {"pyramid": "sasa"}, UnknownNameError, "pyramid is called 'sasa'"),
        ("retinanet", {"heads": "sasa"}, UnknownNameError, "heads is called 'sasa'"),
        (
            "faster_rcnn",
            {"heads": "attention"},
            ValueError,
            "heads='attention' and scales=3 are RetinaNet's; faster_rcnn",
        ),
        ("mask_rcnn", {"scales": 2}, ValueError, "scales=2 are RetinaNet's; mask_rcnn takes heads='conv', scales=3"),
        (
            "retinanet",
            {"backbone": nn.Sequential(nn.Conv2d(3, 8, 1))},
            ValueError,
            "Sequential has 0 stages .* 2 or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(name, arguments, error, says):
    with pytest.raises(error, match=says):
        detector(name, **({"backbone": create("resnet8"), "classes": 3} | arguments))
