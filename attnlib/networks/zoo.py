"""The networks of the book by name, with or without attention."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import nn

from attnlib.base import check_choice, check_count
from attnlib.errors import unknown
from attnlib.networks.attachment import Placement, attach_by_name


@dataclass(frozen=True)
class _Entry:
    """A network that is imported when it is asked for.

    Attributes:
        target: "module:function" of this package, which takes `classes` and the arguments.
        side: of the images that the network was made for.
        arguments: of the function.
    """

    target: str
    side: int
    arguments: dict[str, Any] = field(default_factory=dict)

    def build(self, classes: int) -> nn.Module:
        module, _, function = self.target.partition(":")
        return getattr(import_module(f"attnlib.networks.{module}"), function)(classes=classes, **self.arguments)


def _cifar_resnet(depth: int, **arguments: Any) -> _Entry:
    return _Entry("cifar_resnet:CifarResNet", 32, {"depth": depth} | arguments)


def _imagenet(form: str, name: str, side: int = 224) -> _Entry:
    return _Entry(f"imagenet_resnet:{form}", side, {"name": name})


def _preact(depth: int, **arguments: Any) -> _Entry:
    return _Entry("preact_resnet:PreActResNet", 32, {"depth": depth} | arguments)


def _wide(depth: int, widen: int) -> _Entry:
    return _Entry("wide_resnet:WideResNet", 32, {"depth": depth, "widen": widen})


def _resnext(cardinality: int, base_width: int, **arguments: Any) -> _Entry:
    chosen = {"depth": 29, "cardinality": cardinality, "base_width": base_width}
    return _Entry("resnext:CifarResNeXt", 32, chosen | arguments)


def _residual_attention(depth: int, **arguments: Any) -> _Entry:
    return _Entry("residual_attention_net:CifarResidualAttentionNet", 32, {"depth": depth} | arguments)


def _sasa(depth: int, **arguments: Any) -> _Entry:
    return _Entry("sasa_resnet:sasa_resnet", 224, {"depth": depth} | arguments)


def _detector(name: str, side: int = 800, **arguments: Any) -> _Entry:
    return _Entry("detection:on_resnet50", side, {"name": name} | arguments)


_CLASSIFIERS = {
    **{f"resnet{depth}": _cifar_resnet(depth) for depth in (8, 20, 32, 44, 56, 110)},
    **{f"resnet{depth}_a": _cifar_resnet(depth, shortcut="A") for depth in (20, 32, 44, 56, 110)},
    "resnet110_bottleneck": _cifar_resnet(110, block="bottleneck"),
    "resnet164": _cifar_resnet(164, block="bottleneck"),
    **{f"resnet{depth}_cifar": _imagenet("small_stem", f"resnet{depth}", 32) for depth in (18, 34, 50, 101)},
    "resnet110_preact": _preact(110),
    "resnet110_preact_bottleneck": _preact(110, block="bottleneck"),
    "resnet164_preact": _preact(164, block="bottleneck"),
    **{
        f"wrn{depth}_{widen}": _wide(depth, widen)
        for depth, widen in ((16, 8), (16, 10), (28, 8), (28, 10), (40, 4), (40, 10), (52, 4))
    },
    "resnext29_8x64d": _resnext(8, 64),
    "resnext29_16x64d": _resnext(16, 64),
    "resnext29_2x64d": _resnext(2, 64, stem=1),
    "resnext29_32x4d": _resnext(32, 4, stem=1),
    "vgg16_bn_cifar": _Entry("vgg:CifarVGG16", 32),
    **{f"resnet{depth}": _imagenet("imagenet_resnet", f"resnet{depth}") for depth in (18, 34, 50, 101, 152)},
    **{f"resnet{depth}_v1": _imagenet("stride_first", f"resnet{depth}") for depth in (50, 101, 152)},
    "resnext50": _imagenet("imagenet_resnet", "resnext50_32x4d"),
    "mobilenet_v1": _Entry("mobilenet:MobileNetV1", 224),
    "mobilenet_v1_070": _Entry("mobilenet:MobileNetV1", 224, {"width": 0.7}),
    "mobilenet_v1_cifar": _Entry("mobilenet:MobileNetV1", 32, {"stem_stride": 1}),
    "mobilenet_v2": _Entry("mobilenet:mobilenet_v2", 224),
    "mobilenet_v2_cifar": _Entry("mobilenet:mobilenet_v2_cifar", 32),
    "attention56": _Entry("residual_attention_net:ResidualAttentionNet", 224, {"modules": (1, 1, 1)}),
    "attention92": _Entry("residual_attention_net:ResidualAttentionNet", 224, {"modules": (1, 2, 3)}),
    **{f"attention{depth}_cifar": _residual_attention(depth) for depth in (56, 92, 128, 164, 236)},
    "attention452_cifar": _residual_attention(452, p=2, t=4, r=3),
    **{f"resnet{depth}_sasa_baseline": _sasa(depth, stages=("conv",) * 4) for depth in (26, 38)},
    **{f"resnet{depth}_sasa": _sasa(depth, stem="attention") for depth in (26, 38, 50)},
    **{f"resnet{depth}_sasa_conv_stem": _sasa(depth) for depth in (26, 38, 50)},
}
_TABLES = {
    "classifier": _CLASSIFIERS,
    "detector": {
        **{f"{name}_resnet50": _detector(name) for name in ("retinanet", "faster_rcnn", "mask_rcnn")},
        "retinanet_resnet50_sasa": _detector("retinanet", 640, sasa_stem="attention"),
        "retinanet_resnet50_sasa_conv_stem": _detector("retinanet", 640, sasa_stem="conv"),
    },
    "segmenter": {  # the side is that of the crops which the released code trains on
        f"{backbone}_{head}": _Entry("segmentation:segmenter", 769, {"head": head, "backbone": backbone})
        for backbone in ("resnet50", "resnet101")
        for head in ("base_oc", "pyramid_oc", "asp_oc")
    },
    "generator": {
        "sagan_generator": _Entry("sagan_net:Generator", 128),
        "sagan_generator_cifar": _Entry("sagan_net:Generator", 32, {"image_size": 32, "attention_at": 16}),
    },
    "discriminator": {
        "sagan_discriminator": _Entry("sagan_net:Discriminator", 128),
        "sagan_discriminator_cifar": _Entry("sagan_net:Discriminator", 32, {"image_size": 32, "attention_at": 16}),
    },
}
_NETWORKS = {name: entry for table in _TABLES.values() for name, entry in table.items()}


def list_networks(kind: str | None = None) -> list[str]:
    """Names of the networks, of all kinds or of one: classifier, detector, segmenter, generator or discriminator.

    *_a: option A; *_preact: pre-activation; *_cifar: made for 32 x 32 images from a form for larger ones; *_v1: stride
    in the first 1 x 1; *_sasa: stand-alone self-attention; attentionN: residual attention.

    Raises:
        UnknownNameError: no such kind.
    """
    if kind is None:
        return list(_NETWORKS)
    check_choice("kind", kind, list(_TABLES))
    return list(_TABLES[kind])


def kind(name: str) -> str:
    """What the network `name` is: classifier, detector, segmenter, generator or discriminator."""
    _entry(name)
    return next(kind for kind, table in _TABLES.items() if name in table)


def image_size(name: str) -> int:
    """Side of the square images that the network `name` was made for."""
    return _entry(name).side


def usual_classes(name: str) -> int:
    """Classes of the data that the network `name` is usually trained on.

    COCO's 91 (with the background) for detectors, Cityscapes' 19 for segmenters, ImageNet's 1000 for all others made
    for images of 128 pixels or more, CIFAR-10's 10 for the rest.
    """
    usual = {"detector": 91, "segmenter": 19}.get(kind(name))
    return usual or (1000 if image_size(name) >= 128 else 10)


def create(
    name: str,
    classes: int | None = None,
    attention: str = "none",
    attention_args: Mapping[str, Any] | None = None,
    image_size: int | tuple[int, int] | None = None,
    placement: Placement | None = None,
) -> nn.Module:
    """Build the network `name` and attach `attention` to it; "none" is the plain network.

    The backbone's weights are drawn before those of the attention, so that under one seed all attentions share them.

    Args:
        name: one of `list_networks()`.
        classes: outputs of the last layer; default those of the data that the network is usually trained on.
        attention: a key of `attnlib.list_modules()`, a control, or "none".
        attention_args: arguments of the module.
        image_size: side or (H, W) of the images, for modules with parameters per position; default the network's own.
        placement: where the attention goes, see `attach`; default the paper's place.

    Raises:
        UnknownNameError: no such network or module; the message lists the near matches.
        TypeError: classes is not an integer.
        ValueError: classes below 1, arguments or a placement without attention, a module that does not fit.
    """
    entry = _entry(name)
    classes = usual_classes(name) if classes is None else classes
    check_count("classes", classes)
    if attention == "none" and (attention_args or placement is not None):
        given = f"attention_args={dict(attention_args)}" if attention_args else f"placement={placement!r}"
        raise ValueError(f"{given} has no use without an attention module, got attention='none'")
    model = entry.build(classes)
    if attention != "none":
        size = entry.side if image_size is None else image_size
        attach_by_name(model, attention, size, placement, **(attention_args or {}))
    return model


def _entry(name: str) -> _Entry:
    if name not in _NETWORKS:
        raise unknown("network", name, list(_NETWORKS))
    return _NETWORKS[name]
