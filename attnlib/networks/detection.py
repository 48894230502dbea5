"""Detectors on any backbone: RetinaNet (Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection",
ICCV 2017), Faster R-CNN (Ren, He, Girshick and Sun, NeurIPS 2015), Mask R-CNN (He, Gkioxari, Dollar and Girshick, ICCV
2017), and the RetinaNet without spatial convolutions of Ramachandran et al., NeurIPS 2019, arXiv 1906.05909.

torchvision's detectors, each on a feature pyramid over the stages of a network of this package or of torchvision.
"""

import copy
from collections import OrderedDict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from attnlib.base import check_choice, check_count
from attnlib.networks.sasa_resnet import KINDS, sasa_resnet
from attnlib.self_attention.sasa import SASA

DETECTORS = {"retinanet": RetinaNet, "faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN}
RATIOS = (0.5, 1.0, 2.0)
WIDTH = 256  # channels of every level of the pyramid, as in torchvision and the papers


class Pyramid(nn.Module):
    """A network without what follows its last stage, and a feature pyramid on some of its stages.

    torchvision's BackboneWithFPN runs the children of a network one after the other, which is right for its own ResNets
    only: ours call ReLU in their forward. Here the network's own forward runs, and the stages' outputs are caught. The
    entries of the state dict have torchvision's names.

    Args:
        network: a network with stages layer1, layer2 ...; it is copied, and left as it is.
        first: number of the first stage that the pyramid stands on.
        extra: makes the levels above the last stage.
        attention: whether `SASA` stands in place of the pyramid's 3 x 3 convolutions.

    Shapes: images (N, 3, H, W) to a dict of maps (N, 256, h, w), finest first.

    Attributes:
        strides: pixels of the image between two neighbours on each level.

    Raises:
        ValueError: a network without the stages asked for.
    """

    def __init__(self, network: nn.Module, first: int, extra: ExtraFPNBlock, attention: bool) -> None:
        children = [name for name, _ in network.named_children()]
        stages = [name for name in children if name.startswith("layer") and name[5:].isdigit()]
        if len(stages) < first:
            raise ValueError(
                f"{type(network).__name__} has {len(stages)} stages layer1, layer2 ..., {first} or more are needed; "
                "networks that fit: the ResNets of torchvision and of attnlib.networks.list_networks()"
            )
        super().__init__()
        self.out_channels = WIDTH
        self.stages = stages[first - 1 :]
        self.body = copy.deepcopy(network)
        for name in children[children.index(stages[-1]) + 1 :]:
            setattr(self.body, name, nn.Identity())

        side = 512
        shadow = copy.deepcopy(self).to("meta", torch.get_default_dtype()).eval()
        maps = shadow.stage_maps(torch.empty(1, 3, side, side, device="meta"))
        self.fpn = FeaturePyramidNetwork([y.shape[1] for y in maps.values()], WIDTH, extra_blocks=extra)
        if attention:
            blocks = self.fpn.layer_blocks
            for number in range(len(blocks)):
                blocks[number] = _attention()
            if isinstance(extra, LastLevelP6P7):
                extra.p6, extra.p7 = _attention(stride=2), _attention(stride=2)
        levels = copy.deepcopy(self.fpn).to("meta")(maps)
        self.strides = [side // y.shape[-1] for y in levels.values()]

    def stage_maps(self, x: Float[Tensor, "N 3 H W"]) -> OrderedDict[str, Float[Tensor, "N C h w"]]:
        """The output of each stage the pyramid stands on, under the names "0", "1" ..."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        handles = []
        for number, stage in enumerate(self.stages):

            def keep(module: nn.Module, args: Any, output: Tensor, name: str = str(number)) -> None:
                maps[name] = output

            handles.append(self.body.get_submodule(stage).register_forward_hook(keep))
        try:
            self.body(x)
        finally:
            for handle in handles:
                handle.remove()
        return maps

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> dict[str, Float[Tensor, "N 256 h w"]]:
        return self.fpn(self.stage_maps(x))


class DensePart(nn.Module):
    """What a detector computes at every pixel: the pyramid and the heads that run over it.

    It neither resizes images nor makes boxes, and of an R-CNN it leaves out the heads that run once per proposal. Its
    purpose is the cost: `profile(DensePart(detector), 640)`.

    Shapes: images (N, 3, H, W) to a list of the heads' outputs.
    """

    def __init__(self, model: RetinaNet | FasterRCNN) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.head = model.head if isinstance(model, RetinaNet) else model.rpn.head

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> list[Tensor]:
        outputs = self.head(list(self.backbone(x).values()))
        return list(outputs.values()) if isinstance(outputs, dict) else [y for group in outputs for y in group]


def detector(
    name: str,
    backbone: nn.Module,
    classes: int,
    pyramid: str = "conv",
    heads: str = "conv",
    scales: int = 3,
    **options: Any,
) -> RetinaNet | FasterRCNN:
    """torchvision's detector `name` on a copy of `backbone`, with or without attention in it; nothing is downloaded.

    Args:
        name: "retinanet", "faster_rcnn" or "mask_rcnn".
        backbone: a network with stages layer1, layer2 ...: torchvision's ResNets, those of `networks.create`, of
            `sasa_resnet`. The R-CNNs use all stages, RetinaNet all but the first.
        classes: of the objects, with the background as class 0 as in torchvision: 91 for COCO.
        pyramid: "conv", or "attention": `SASA` of 256 channels, window 7 and 8 heads in place of each 3 x 3 convolution
            of the pyramid, those of stride 2 followed by 2 x 2 average pooling.
        heads: RetinaNet's: "conv", or "attention" in place of each 3 x 3 convolution. The last of each head, which
            changes the width, becomes attention of 256 channels and a 1 x 1 convolution, which mixes the heads.
        scales: RetinaNet's anchors per octave and aspect ratio, 3 ratios each.
        options: go to torchvision's class (min_size, max_size, box_detections_per_img ...).

    Shapes: in train mode lists of images (3, H, W) and of targets to a dict of losses; in eval mode images to boxes.
    The smallest anchors of a level span 8 strides (R-CNN) or 4 strides (RetinaNet): on a ResNet, those of torchvision.

    Parameters, ResNet-50 and 91 classes: RetinaNet 34,068,119, Faster R-CNN 41,808,406, Mask R-CNN 44,454,513: 53,120
    more than torchvision states for its trained models, in which the norms of the backbone are frozen.

    Raises:
        UnknownNameError: another detector, or another kind of pyramid or heads.
        ValueError: classes or scales below 1; heads or scales that the R-CNNs have not; a backbone without stages.
        TypeError: a count is not an integer.

    Initialisation: torchvision's; attention by `network_init_`, its value projections in the heads from N(0, 0.01^2) as
    in the paper, the last 1 x 1 convolutions as torchvision's last convolutions.

    With scales=2 and attention in the heads alone, the parameters are those that the paper prints for attention in both
    (22.0 M): attention in the pyramid too, which its text describes, leaves 20.0 M.
    """
    check_choice("detector", name, DETECTORS)
    check_count("classes", classes)
    check_choice("pyramid", pyramid, KINDS)
    check_choice("heads", heads, KINDS)
    check_count("scales", scales)
    attention = pyramid == "attention"
    if name != "retinanet":
        if (heads, scales) != ("conv", 3):
            raise ValueError(
                f"heads={heads!r} and scales={scales} are RetinaNet's; {name} takes heads='conv', scales=3"
            )
        features = Pyramid(backbone, 1, LastLevelMaxPool(), attention)
        anchors = AnchorGenerator(
            tuple((8 * stride,) for stride in features.strides), (RATIOS,) * len(features.strides)
        )
        names = [str(number) for number in range(len(features.stages))]
        options = {"rpn_anchor_generator": anchors, "box_roi_pool": MultiScaleRoIAlign(names, 7, 2)} | options
        if name == "mask_rcnn":
            options = {"mask_roi_pool": MultiScaleRoIAlign(names, 14, 2)} | options
        return DETECTORS[name](features, classes, **options)
    features = Pyramid(backbone, 2, LastLevelP6P7(WIDTH, WIDTH), attention)
    sizes = tuple(tuple(int(4 * s * 2 ** (i / scales)) for i in range(scales)) for s in features.strides)
    model = RetinaNet(features, classes, anchor_generator=AnchorGenerator(sizes, (RATIOS,) * len(sizes)), **options)
    if heads == "attention":
        _attend(model.head.classification_head, "cls_logits")
        _attend(model.head.regression_head, "bbox_reg")
    return model


def _attention(stride: int = 1) -> SASA:
    layer = SASA(WIDTH, stride=stride)
    layer.network_init_()
    return layer


def _head_attention() -> SASA:
    layer = _attention()
    nn.init.normal_(layer.value.weight, std=0.01)
    return layer


def _attend(head: nn.Module, last: str) -> None:
    """Put attention in place of the convolutions of one of RetinaNet's heads; `last` is the name of its last layer."""
    for block in head.conv:
        block[0] = _head_attention()
    conv = getattr(head, last)
    mix = nn.Conv2d(conv.in_channels, conv.out_channels, 1)
    nn.init.normal_(mix.weight, std=0.01)
    mix.bias = conv.bias  # of the classes: it starts every object at a probability of 0.01
    setattr(head, last, nn.Sequential(_head_attention(), mix))


def on_resnet50(name: str, classes: int, sasa_stem: str | None = None) -> nn.Module:
    """The detector `name` on a ResNet-50; with a stem, on SASA's, with attention in the pyramid and the heads too."""
    if sasa_stem is None:
        return detector(name, resnet50(), classes)
    return detector(name, sasa_resnet(50, stem=sasa_stem), classes, pyramid="attention", heads="attention")
