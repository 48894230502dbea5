"""Pre-activation ResNets: He, Zhang, Ren and Sun, Identity Mappings in Deep Residual Networks, ECCV 2016.

The plan of the CIFAR ResNets with norm and ReLU in front of each convolution instead of behind it, so that nothing
stands between one block's sum and the next: a 3 x 3 convolution to 16 channels, three stages of n blocks with 16, 32
and 64 channels (times 4 in bottlenecks) on maps of 32, 16 and 8 pixels, a last norm and ReLU, the mean over the map, a
linear layer.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import check_choice, check_count
from attnlib.networks.parts import blocks_per_stage, fan_out_init_


class PreActBlock(nn.Module):
    """x + W_2 a(W_1 a(x)) with a = ReLU after a batch norm and 3 x 3 convolutions; the first has the stride.

    `downsample`, where there is one, takes x to the output's shape on its way to the sum.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        # First, so that the branch's layers stand in the order in which they run and conv2 is the last of all.
        self.downsample = downsample
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.conv1(torch.relu(self.bn1(x)))
        return shortcut + self.conv2(torch.relu(self.bn2(y)))


class PreActBottleneck(nn.Module):
    """x + W_3 a(W_2 a(W_1 a(x))): 1 x 1 to `width`, 3 x 3 with the stride, 1 x 1 to 4 `width` channels."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.downsample = downsample  # first, as in PreActBlock
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.conv1(torch.relu(self.bn1(x)))
        y = self.conv2(torch.relu(self.bn2(y)))
        return shortcut + self.conv3(torch.relu(self.bn3(y)))


BLOCKS = {"basic": PreActBlock, "bottleneck": PreActBottleneck}


class PreActResNet(nn.Module):
    """Pre-activation ResNet of `depth` layers for small images.

    Args:
        depth: 6n + 2 for basic blocks, 9n + 2 for bottlenecks, n blocks a stage.
        classes: outputs of the linear layer.
        block: "basic" or "bottleneck".

    Shapes: images (N, 3, H, W), 32 x 32 in the paper, to scores (N, classes).

    Raises:
        TypeError: depth or classes is not an integer, block no string.
        ValueError: a depth that is not 6n + 2 (9n + 2), classes below 1, an unknown block.

    Initialisation: as released, convolutions from N(0, 2 / (k^2 C_out)) and a linear bias of 0.

    Source: as in bearpaw's pytorch-classification, a bottleneck's stride is in its 3 x 3, and where the width changes a
    1 x 1 convolution without a norm takes the raw x to the sum. He's own Torch code has the stride in the first 1 x 1
    and feeds that projection with the block's first norm and ReLU instead of x: as many parameters, but other
    multiply-adds and another function. A "PreResNet-110" of 1.70 M parameters (1.73 M with 100 classes) in a published
    table is the bottleneck network of 164 layers.
    """

    def __init__(self, depth: int, classes: int = 10, block: str = "basic") -> None:
        check_choice("block", block, BLOCKS)
        n = blocks_per_stage(depth, {"basic": 6, "bottleneck": 9}[block], 2)
        check_count("classes", classes)
        super().__init__()
        self.block = BLOCKS[block]
        out_channels = 64 * self.block.expansion
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.layer1 = self._stage(16, 16, n, stride=1)
        self.layer2 = self._stage(16 * self.block.expansion, 32, n, stride=2)
        self.layer3 = self._stage(32 * self.block.expansion, 64, n, stride=2)
        self.bn = nn.BatchNorm2d(out_channels)
        self.fc = nn.Linear(out_channels, classes)
        fan_out_init_(self)

    def _stage(self, in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        out_channels = width * self.block.expansion
        downsample = None
        if in_channels != out_channels:
            downsample = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        first = self.block(in_channels, width, stride, downsample)
        return nn.Sequential(first, *(self.block(out_channels, width) for _ in range(blocks - 1)))

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))
