"""What of a network of this package is counted, and for which input; for `attnlib profile` and the tables of costs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnlib.networks import zoo
from attnlib.networks.detection import DensePart


@dataclass(frozen=True)
class Counted:
    """What stands for a network when it is counted.

    Attributes:
        model: the network or the part of it that runs once per image.
        inputs: its arguments for one image, zeros.
        words: what is counted, for captions.
    """

    model: nn.Module
    inputs: tuple[Tensor, ...]
    words: str = "the whole network"


def counted(name: str, model: nn.Module, image_size: int) -> Counted:
    """What of `model`, which `networks.create(name, ...)` built, is counted for one square image of this side.

    Of a detector its `DensePart`: how often the heads of an R-CNN run depends on the image. A generator takes noise and
    a class, a discriminator an image and a class, all others an image.

    Raises:
        UnknownNameError: no such network.
        ValueError: a side that a generator does not make.
    """
    kind = zoo.kind(name)
    weight = next(model.parameters())
    image = weight.new_zeros(1, 3, image_size, image_size)
    label = torch.zeros(1, dtype=torch.int64, device=weight.device)
    if kind == "detector":
        return Counted(DensePart(model), (image,), "the pyramid and the heads that run at every pixel")
    if kind == "discriminator":
        return Counted(model, (image, label))
    if kind == "generator":
        if image_size != model.image_size:
            raise ValueError(f"{name} makes images of side {model.image_size}, got image_size={image_size}")
        return Counted(model, (weight.new_zeros(1, model.noise), label))
    return Counted(model, (image,))


def usual_classes(name: str) -> int:
    """Classes of the data that the network `name` is usually trained on.

    COCO's 91 (with the background) for detectors, Cityscapes' 19 for segmenters, ImageNet's 1000 for all others made
    for images of 128 pixels or more, CIFAR-10's 10 for the rest.
    """
    usual = {"detector": 91, "segmenter": 19}.get(zoo.kind(name))
    return usual or (1000 if zoo.image_size(name) >= 128 else 10)
