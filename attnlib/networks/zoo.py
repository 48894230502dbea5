"""The networks of the book by name, with or without attention."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn
from torchvision.models import resnet
from torchvision.models.resnet import Bottleneck

from attnlib.base import check_choice, check_count
from attnlib.errors import unknown
from attnlib.networks import (
    detection,
    mobilenet,
    preact_resnet,
    residual_attention_net,
    resnext,
    sagan_net,
    sasa_resnet,
    segmentation,
    vgg,
    wide_resnet,
)
from attnlib.networks.attachment import Placement, attach
from attnlib.networks.cifar_resnet import CifarResNet


def _imagenet(name: str, classes: int) -> nn.Module:
    return getattr(resnet, name)(num_classes=classes)


def _stride_first(name: str, classes: int) -> nn.Module:
    """The stage's stride in the first 1 x 1 convolution, as in the original ResNets, instead of the 3 x 3."""
    model = _imagenet(name, classes)
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return model


def _small_stem(name: str, classes: int) -> nn.Module:
    """ImageNet widths on 32 x 32 images: a 3 x 3 stem of stride 1 and no max pooling."""
    model = _imagenet(name, classes)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


# name -> (builder of the number of classes, side of the images it was made for)
Table = dict[str, tuple[Callable[..., nn.Module], int]]

_CLASSIFIERS: Table = {
    **{f"resnet{depth}": (partial(CifarResNet, depth), 32) for depth in (8, 20, 32, 44, 56, 110)},
    **{f"resnet{depth}_a": (partial(CifarResNet, depth, shortcut="A"), 32) for depth in (20, 32, 44, 56, 110)},
    "resnet110_bottleneck": (partial(CifarResNet, 110, block="bottleneck"), 32),
    "resnet164": (partial(CifarResNet, 164, block="bottleneck"), 32),
    **{f"resnet{depth}_cifar": (partial(_small_stem, f"resnet{depth}"), 32) for depth in (18, 34, 50, 101)},
    **preact_resnet.NETWORKS,
    **wide_resnet.NETWORKS,
    **resnext.NETWORKS,
    **vgg.NETWORKS,
    **{f"resnet{depth}": (partial(_imagenet, f"resnet{depth}"), 224) for depth in (18, 34, 50, 101, 152)},
    **{f"resnet{depth}_v1": (partial(_stride_first, f"resnet{depth}"), 224) for depth in (50, 101, 152)},
    "resnext50": (partial(_imagenet, "resnext50_32x4d"), 224),
    **mobilenet.NETWORKS,
    **residual_attention_net.NETWORKS,
    **sasa_resnet.NETWORKS,
}
_TABLES: dict[str, Table] = {
    "classifier": _CLASSIFIERS,
    "detector": detection.NETWORKS,
    "segmenter": segmentation.NETWORKS,
    "generator": sagan_net.GENERATORS,
    "discriminator": sagan_net.DISCRIMINATORS,
}
_NETWORKS: Table = {name: entry for table in _TABLES.values() for name, entry in table.items()}


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
    return _entry(name)[1]


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
    build, own_size = _entry(name)
    classes = usual_classes(name) if classes is None else classes
    check_count("classes", classes)
    if attention == "none" and (attention_args or placement is not None):
        given = f"attention_args={dict(attention_args)}" if attention_args else f"placement={placement!r}"
        raise ValueError(f"{given} has no use without an attention module, got attention='none'")
    model = build(classes=classes)
    if attention != "none":
        size = own_size if image_size is None else image_size
        attach(model, attention, size, placement, **(attention_args or {}))
    return model


def _entry(name: str) -> tuple[Callable[..., nn.Module], int]:
    if name not in _NETWORKS:
        raise unknown("network", name, list(_NETWORKS))
    return _NETWORKS[name]
