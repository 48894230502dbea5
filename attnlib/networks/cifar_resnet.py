"""ResNets for 32 x 32 images: He, Zhang, Ren and Sun, CVPR 2016, Section 4.2, and their bottleneck form.

A 3 x 3 convolution to 16 channels, three stages of n blocks with 16, 32 and 64 channels (times 4 in bottlenecks) on
maps of 32, 16 and 8 pixels, the mean over the map, a linear layer. The blocks are torchvision's.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from attnlib.base import check_choice, check_count
from attnlib.networks.parts import blocks_per_stage


class PadShortcut(nn.Module):
    """Option A: every second pixel, missing channels filled with zeros; no parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.missing, self.stride = out_channels - in_channels, stride

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class CifarResNet(nn.Module):
    """ResNet of `depth` layers for small images.

    Args:
        depth: 6n + 2 for basic blocks, 9n + 2 for bottlenecks (stride in the 3 x 3), n blocks a stage.
        classes: outputs of the linear layer.
        block: "basic" or "bottleneck".
        shortcut: where a block changes the width, "B" has a 1 x 1 convolution with a norm, "A" pads with zeros (the
            paper's choice on CIFAR, for basic blocks only).

    Shapes: images (N, 3, H, W), 32 x 32 in the paper, to scores (N, classes).

    Raises:
        TypeError: depth or classes is not an integer.
        ValueError: a depth that is not 6n + 2 (9n + 2), classes below 1, an unknown block or shortcut, shortcut "A"
            with bottlenecks.
    """

    def __init__(self, depth: int, classes: int = 10, block: str = "basic", shortcut: str = "B") -> None:
        check_count("classes", classes)
        check_choice("block", block, ["basic", "bottleneck"])
        check_choice("shortcut", shortcut, ["A", "B"])
        if (shortcut, block) == ("A", "bottleneck"):
            raise ValueError("shortcut 'A' goes with basic blocks, got it with block='bottleneck'; choose shortcut='B'")
        n = blocks_per_stage(depth, layers=6 if block == "basic" else 9, extra=2)
        super().__init__()
        made = BasicBlock if block == "basic" else Bottleneck
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(made, 16, 16, n, 1, shortcut)
        self.layer2 = _stage(made, 16 * made.expansion, 32, n, 2, shortcut)
        self.layer3 = _stage(made, 32 * made.expansion, 64, n, 2, shortcut)
        self.fc = nn.Linear(64 * made.expansion, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def _stage(
    block: type[BasicBlock | Bottleneck], in_channels: int, width: int, blocks: int, stride: int, shortcut: str
) -> nn.Sequential:
    out_channels = width * block.expansion
    downsample: nn.Module | None = None
    if in_channels != out_channels and shortcut == "A":
        downsample = PadShortcut(in_channels, out_channels, stride)
    elif in_channels != out_channels:
        projection = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        downsample = nn.Sequential(projection, nn.BatchNorm2d(out_channels))
    first = block(in_channels, width, stride, downsample)
    return nn.Sequential(first, *(block(out_channels, width) for _ in range(blocks - 1)))
