"""Segmentation networks with OCNet's heads: Yuan and Wang, arXiv 1809.00916 (2018); journal version IJCV 129 (2021).

A ResNet of bottlenecks whose last two stages dilate instead of striding, so that its map has an eighth of the image's
side; a 3 x 3 convolution to 512 channels; one of the three heads of `attnlib.self_attention.ocnet`; a score per class
and pixel, enlarged to the image. An auxiliary classifier on the third stage serves training alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from attnlib.base import check_choice, check_count
from attnlib.self_attention.object_context import conv_abn
from attnlib.self_attention.ocnet import ASPOC, BaseOC, PyramidOC

WIDTH = 512  # of the map that the heads take and give
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
HEADS: dict[str, Callable[..., nn.Module]] = {
    "none": partial(nn.Dropout2d, 0.05),
    "base_oc": partial(BaseOC, WIDTH),
    "pyramid_oc": partial(PyramidOC, WIDTH),
    "asp_oc": partial(ASPOC, WIDTH),
}


def dilated_resnet(blocks: Sequence[int], stem: str = "deep") -> ResNet:
    """torchvision's ResNet of bottlenecks with output stride 8: dilation 2 in its third stage, 4 in its fourth.

    Args:
        blocks: in each of the four stages.
        stem: "deep" is the released network's: 3 x 3 convolutions to 64 (stride 2), 64 and 128 channels and a max
            pooling that rounds sides up. "plain" is torchvision's 7 x 7, so that its ImageNet weights fit.

    Raises:
        ValueError: an unknown stem, not four stages, a stage without blocks.

    As in the released code all 3 x 3 convolutions of a stage dilate; torchvision's own option leaves the first of each
    stage at the dilation of the stage before.
    """
    check_choice("stem", stem, ("deep", "plain"))
    if len(blocks) != 4:
        raise ValueError(f"blocks must be the sizes of four stages, got {tuple(blocks)}; e.g. {BLOCKS['resnet50']}")
    for number in blocks:
        check_count("each of blocks", number)
    model = ResNet(Bottleneck, list(blocks), replace_stride_with_dilation=[False, True, True])
    for stage, dilation in ((model.layer3, 2), (model.layer4, 4)):
        stage[0].conv2.dilation = stage[0].conv2.padding = (dilation, dilation)
    if stem == "deep":
        model.conv1 = nn.Sequential(
            *(_convolution(3, 64, 3, stride=2), nn.BatchNorm2d(64), nn.ReLU(inplace=True)),
            *(_convolution(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True)),
            _convolution(64, 128, 3),
        )
        model.bn1 = nn.BatchNorm2d(128)
        model.maxpool.ceil_mode = True
        first = model.layer1[0]
        first.conv1, first.downsample[0] = _convolution(128, 64, 1), _convolution(128, 256, 1)
    return model


def _convolution(channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """As torchvision's ResNet draws its own."""
    layer = nn.Conv2d(channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class Segmenter(nn.Module):
    """Scores for every class and pixel: bilinear enlargement of a 1 x 1 convolution of context(reduce(features)).

    Args:
        backbone: of `dilated_resnet`, with weights that are trained or not; the network takes its stem and stages.
        context: a head of 512 channels, or the dropout of the plain network.
        classes: scores per pixel.

    Shapes: images (N, 3, H, W) to scores (N, classes, H, W); in train mode the pair (scores, auxiliary scores).

    Raises:
        ValueError: classes below 1; an image whose map is smaller than the head's cells or pooling need; in train mode
            a batch that leaves a batch norm a single value per channel.

    The auxiliary classifier's loss has weight 0.4 in the paper. Layers that are new start as PyTorch draws them, as
    released; the context starts at zero. Where the released code differs: batch norms of all GPUs together and scales
    of |gamma| + eps in the backbone too; its Pyramid-OC network has no leaky ReLU behind `reduce` and in the auxiliary
    classifier, the other two have it, and so have all of ours.
    """

    def __init__(self, backbone: ResNet, context: nn.Module, classes: int) -> None:
        check_count("classes", classes)
        super().__init__()
        self.stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)
        self.layer1, self.layer2 = backbone.layer1, backbone.layer2
        self.layer3, self.layer4 = backbone.layer3, backbone.layer4
        dropout = (context if isinstance(context, nn.Dropout2d) else context.drop).p
        self.auxiliary = nn.Sequential(
            conv_abn(1024, WIDTH, kernel_size=3), nn.Dropout2d(dropout), nn.Conv2d(WIDTH, classes, 1)
        )
        self.reduce = conv_abn(2048, WIDTH, kernel_size=3)
        self.context = context
        self.classifier = nn.Conv2d(WIDTH, classes, 1)

    def forward(
        self, x: Float[Tensor, "N 3 H W"]
    ) -> Float[Tensor, "N K H W"] | tuple[Float[Tensor, "N K H W"], Float[Tensor, "N K H W"]]:
        self._check(x)
        middle = self.layer3(self.layer2(self.layer1(self.stem(x))))
        scores = self.classifier(self.context(self.reduce(self.layer4(middle))))
        main = F.interpolate(scores, size=x.shape[2:], mode="bilinear", align_corners=True)
        if not self.training:
            return main
        return main, F.interpolate(self.auxiliary(middle), size=x.shape[2:], mode="bilinear", align_corners=True)

    def _check(self, x: Tensor) -> None:
        """Before the backbone runs: what its map has to offer the head and the batch norms."""
        pool = getattr(self.context, "scale", 1)
        needed = max(getattr(self.context, "scales", (pool,)))
        smallest = next(side for side in count(1) if self._map_side(side) >= needed)
        if min(x.shape[2:]) < smallest:
            raise ValueError(
                f"{type(self.context).__name__} needs a map of {needed} x {needed} or more: the sides of an image must "
                f"be at least {smallest}, got shape {tuple(x.shape)}; use larger images"
            )
        height, width = (self._map_side(side) // pool for side in x.shape[2:])
        if self.training and x.shape[0] * height * width < 2:
            single = next(side for side in count(1) if self._map_side(side) // pool > 1)
            raise ValueError(
                "the batch norms need 2 or more values per channel in train mode: the sides of a single image must be "
                f"at least {single}, got shape {tuple(x.shape)}; use larger images, a larger batch, or eval mode"
            )

    def _map_side(self, side: int) -> int:
        """Of an image's side: halved by the first convolution, the pooling and the second stage."""
        half = (side + 1) // 2
        pooled = half // 2 + 1 if self.stem[-1].ceil_mode else (half + 1) // 2
        return (pooled + 1) // 2


def segmenter(
    head: str = "base_oc", backbone: str = "resnet101", classes: int = 19, stem: str = "deep", **arguments: Any
) -> Segmenter:
    """A segmentation network by the names of its parts, with the backbone's weights drawn before all others.

    Args:
        head: "base_oc", "pyramid_oc" or "asp_oc"; "none" is the network that the paper compares them with.
        backbone: "resnet50" or "resnet101".
        classes: scores per pixel; 19 in Cityscapes.
        stem: see `dilated_resnet`.
        arguments: go to the head.

    Raises:
        UnknownNameError: an unknown head, backbone or stem.
        TypeError, ValueError: arguments that the head does not take; see `Segmenter` and `dilated_resnet`.
    """
    check_choice("head", head, HEADS)
    check_choice("backbone", backbone, BLOCKS)
    check_count("classes", classes)
    if head == "none" and arguments:
        raise ValueError(f"{arguments} need a head, got head='none'; choose {', '.join(list(HEADS)[1:])}")
    resnet = dilated_resnet(BLOCKS[backbone], stem)
    return Segmenter(resnet, HEADS[head](**arguments), classes)
