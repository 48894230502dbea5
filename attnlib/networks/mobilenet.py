"""MobileNets: Howard et al., MobileNets, arXiv 1704.04861 (V1); Sandler et al., MobileNetV2, CVPR 2018.

V1 is a chain of depthwise separable convolutions: a 3 x 3 on each channel alone, then a 1 x 1 across channels. V2
widens in front of the 3 x 3, narrows behind it and adds shortcuts between the narrow ends; at 224 x 224 it is
torchvision's. Both also in kuangliu's form for 32 x 32 images, which has fewer strides.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual, MobileNetV2
from torchvision.ops import Conv2dNormActivation

from attnlib.base import check_count, check_number
from attnlib.networks.parts import fan_out_init_

# Channels of the separable convolutions by stage; all stages but the first begin with a stride of 2.
V1_STAGES = [[64], [128, 128], [256, 256], [512] * 6, [1024, 1024]]
# (expansion t, channels c, blocks n, stride s) as in V2's Table 2, but with a stride of 1 in the second row.
V2_CIFAR_ROWS = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


class DepthwiseSeparable(nn.Sequential):
    """A 3 x 3 convolution of each channel with the stride, then a 1 x 1 convolution; a norm and ReLU after each."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(
            Conv2dNormActivation(in_channels, in_channels, 3, stride, groups=in_channels),
            Conv2dNormActivation(in_channels, out_channels, 1),
        )


class MobileNetV1(nn.Module):
    """A 3 x 3 convolution, 13 depthwise separable ones in five stages, the mean over the map, a linear layer.

    Args:
        classes: outputs of the linear layer.
        width: the paper's alpha: every layer has floor(alpha c) of its c channels.
        stem_stride: stride of the first convolution: 2 in the paper, 1 in kuangliu's pytorch-cifar, where nothing else
            differs.

    Shapes: images (N, 3, H, W), 224 x 224 in the paper and 32 x 32 with a stem_stride of 1, to scores (N, classes).

    Raises:
        TypeError: classes or stem_stride is not an integer, width not a number.
        ValueError: classes or stem_stride below 1, a width that is not positive or leaves the first layer no channel.

    Initialisation: as torchvision's MobileNetV2, convolutions from N(0, 2 / (k^2 C_out)), C_out over all groups, the
    linear layer from N(0, 0.01^2), its bias 0; the paper names none.
    """

    def __init__(self, classes: int = 1000, width: float = 1.0, stem_stride: int = 2) -> None:
        check_count("classes", classes)
        check_number("width", width, "the paper has 1.0, 0.75, 0.5 and 0.25", above=0)
        check_count("stem_stride", stem_stride)
        if int(32 * width) < 1:
            raise ValueError(
                f"width={width} leaves none of the first layer's 32 channels; choose a width of 1/32 = 0.03125 or more"
            )
        super().__init__()
        channels = int(32 * width)
        self.stem = Conv2dNormActivation(3, channels, 3, stem_stride)
        for number, stage in enumerate(V1_STAGES, start=1):
            blocks = nn.Sequential()
            for index, full_width in enumerate(stage):
                stride = 2 if number > 1 and index == 0 else 1
                blocks.append(DepthwiseSeparable(channels, int(full_width * width), stride))
                channels = int(full_width * width)
            self.add_module(f"layer{number}", blocks)
        self.fc = nn.Linear(channels, classes)
        fan_out_init_(self, classifier_std=0.01)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        x = self.layer5(self.layer4(x))
        return self.fc(x.mean((2, 3)))


class CifarInvertedResidual(InvertedResidual):
    """torchvision's inverted residual block with a shortcut wherever the map keeps its size.

    Where it changes the channels at a stride of 1, the shortcut is a 1 x 1 convolution with a norm; and a block that
    expands by 1 has its first 1 x 1 convolution nevertheless.
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__(inp, oup, stride, expand_ratio, norm_layer)
        if expand_ratio == 1:
            self.conv.insert(0, Conv2dNormActivation(inp, inp, 1, norm_layer=norm_layer))
        self.use_res_connect = stride == 1
        self.shortcut = nn.Identity()
        if stride == 1 and inp != oup:
            self.shortcut = Conv2dNormActivation(inp, oup, 1, norm_layer=norm_layer, activation_layer=None)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        return self.shortcut(x) + self.conv(x) if self.use_res_connect else self.conv(x)


def mobilenet_v2(classes: int = 1000) -> MobileNetV2:
    """torchvision's MobileNetV2 of width 1.0 for images of 224 x 224, with dropout 0.2 in front of the classifier.

    Raises:
        TypeError: classes is not an integer.
        ValueError: classes below 1.
    """
    check_count("classes", classes)
    return MobileNetV2(num_classes=classes)


def mobilenet_v2_cifar(classes: int = 10) -> MobileNetV2:
    """MobileNetV2 for images of 32 x 32, as in kuangliu's pytorch-cifar, initialised as torchvision's.

    Against the paper: strides of 1 in the first convolution and in the second row of blocks, shortcuts also where the
    channels change (`CifarInvertedResidual`), ReLU instead of ReLU6, no dropout.

    Shapes: images (N, 3, H, W) to scores (N, classes).

    Raises:
        TypeError: classes is not an integer.
        ValueError: classes below 1.
    """
    check_count("classes", classes)
    model = MobileNetV2(
        num_classes=classes, inverted_residual_setting=V2_CIFAR_ROWS, block=CifarInvertedResidual, dropout=0.0
    )
    model.features[0][0].stride = (1, 1)
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU6):
            model.set_submodule(path, nn.ReLU(inplace=True))
    return model
