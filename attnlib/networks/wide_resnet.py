"""Wide residual networks for 32 x 32 images: Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016.

Pre-activation ResNets with fewer basic blocks, each k times as wide: a 3 x 3 convolution to 16 channels, three stages
of n blocks with 16k, 32k and 64k channels on maps of 32, 16 and 8 pixels, a last norm and ReLU, the mean over the map,
a linear layer. WRN-28-10 has 28 convolutions and k = 10.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import check_count, check_probability
from attnlib.networks.parts import blocks_per_stage, fan_out_init_
from attnlib.networks.preact_resnet import PreActBlock


class WideBlock(PreActBlock):
    """The pre-activation block with dropout before its second convolution.

    Where the width changes, the first norm and ReLU feed the projection too; the plain block projects its raw input.
    """

    def __init__(self, in_channels: int, width: int, stride: int, dropout: float) -> None:
        downsample = None
        if in_channels != width:
            downsample = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        super().__init__(in_channels, width, stride, downsample)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        activated = torch.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        y = torch.relu(self.bn2(self.conv1(activated)))
        return shortcut + self.conv2(self.dropout(y))


class WideResNet(nn.Module):
    """WRN-d-k, a pre-activation ResNet of d = `depth` convolutions that is k = `widen` times as wide.

    Args:
        depth: the paper's d = 6n + 4, n blocks a stage; it counts the convolutions, the three projections among them.
        widen: the paper's k.
        classes: outputs of the linear layer.
        dropout: share of a block's inner map that is dropped in training, 0.3 in most published runs that have it.

    Shapes: images (N, 3, H, W), 32 x 32 in the paper, to scores (N, classes).

    Raises:
        TypeError: depth, widen or classes is not an integer, dropout not a number.
        ValueError: a depth that is not 6n + 4, widen or classes below 1, dropout outside 0 to 1.

    Initialisation: as released, convolutions from N(0, 2 / (k^2 C_out)) and a linear bias of 0.

    Source: the authors' Torch code.
    """

    def __init__(self, depth: int, widen: int, classes: int = 10, dropout: float = 0.0) -> None:
        n = blocks_per_stage(depth, 6, 4)
        check_count("widen", widen)
        check_count("classes", classes)
        check_probability("dropout", dropout)
        super().__init__()

        def stage(in_channels: int, width: int, stride: int) -> nn.Sequential:
            first = WideBlock(in_channels, width, stride, dropout)
            return nn.Sequential(first, *(WideBlock(width, width, 1, dropout) for _ in range(n - 1)))

        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.layer1 = stage(16, 16 * widen, stride=1)
        self.layer2 = stage(16 * widen, 32 * widen, stride=2)
        self.layer3 = stage(32 * widen, 64 * widen, stride=2)
        self.bn = nn.BatchNorm2d(64 * widen)
        self.fc = nn.Linear(64 * widen, classes)
        fan_out_init_(self)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))
