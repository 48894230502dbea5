"""What of a network of this package is counted, and for which input; for `attnlib profile` and the tables of costs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnlib.base import check_size
from attnlib.networks import zoo

_DETECTORS = {"FasterRCNN", "MaskRCNN", "RetinaNet"}


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


def counted(name: str, model: nn.Module, image_size: int | tuple[int, int]) -> Counted:
    """What of `model`, which `networks.create(name, ...)` or `external.build(name)` built, is counted.

    For one image of this side, or of (H, W). Of a detector its `DensePart`: how often the heads of an R-CNN run depends
    on the image. A generator takes noise and a class, a discriminator an image and a class, all others an image.

    Raises:
        UnknownNameError: no such network.
        ValueError: a size that a generator does not make.
    """
    kind = "classifier" if ":" in name else zoo.kind(name)
    size = check_size("image_size", image_size)
    weight = next(model.parameters())
    image = weight.new_zeros(1, 3, *size)
    label = torch.zeros(1, dtype=torch.int64, device=weight.device)
    if _is_detector(model):
        from attnlib.networks.detection import DensePart

        return Counted(DensePart(model), (image,), "the pyramid and the heads that run at every pixel")
    if kind == "discriminator":
        return Counted(model, (image, label))
    if kind == "generator":
        if size != (model.image_size, model.image_size):
            raise ValueError(f"{name} makes images of side {model.image_size}, got {size[0]} x {size[1]}")
        return Counted(model, (weight.new_zeros(1, model.noise), label))
    if kind == "segmenter":
        return Counted(
            model, (image,), "the whole network; an auxiliary head, which runs in training alone, has no MACs"
        )
    return Counted(model, (image,))


def _is_detector(model: nn.Module) -> bool:
    """Whether it is one of torchvision's detectors, told by names: their file is slow to import."""
    classes = (each for each in type(model).__mro__ if each.__module__.startswith("torchvision.models.detection."))
    return bool(_DETECTORS & {each.__name__ for each in classes})
