"""ResNeXts for 32 x 32 images: Xie, Girshick, Dollar, Tu and He, Aggregated Residual Transformations, CVPR 2017.

A convolution to 64 channels, three stages of n bottlenecks to 256, 512 and 1024 channels whose 3 x 3 is cut into
groups, on maps of 32, 16 and 8 pixels, the mean over the map, a linear layer. The blocks are torchvision's.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from attnlib.base import check_count, check_odd
from attnlib.networks.parts import blocks_per_stage, fan_out_init_


class CifarResNeXt(nn.Module):
    """ResNeXt of `depth` layers for small images; 29 layers of 8 x 64d are depth 29, cardinality 8 and base width 64.

    Args:
        depth: 9n + 2, n blocks a stage.
        cardinality: the paper's C, groups of each 3 x 3 convolution.
        base_width: the paper's d, channels of one group in the first stage; they double with each further stage.
        classes: outputs of the linear layer.
        stem: side of the first convolution's kernel, 3 in the paper.

    Shapes: images (N, 3, H, W), 32 x 32 in the paper, to scores (N, classes).

    Raises:
        TypeError: an argument that is not an integer.
        ValueError: a depth that is not 9n + 2, an even stem, anything below 1.

    Initialisation: as the ResNets of the authors' code, convolutions from N(0, 2 / (k^2 C_out)), C_out over all groups,
    and a linear bias of 0.

    Source: bearpaw's pytorch-classification for 8 x 64d and 16 x 64d, kuangliu's pytorch-cifar for 2 x 64d and 32 x 4d,
    which have its 1 x 1 stem; the 3 x 3 has a stage's stride in both.
    """

    def __init__(self, depth: int, cardinality: int, base_width: int, classes: int = 10, stem: int = 3) -> None:
        n = blocks_per_stage(depth, 9, 2)
        check_count("cardinality", cardinality)
        check_count("base_width", base_width)
        check_count("classes", classes)
        check_odd("stem", stem)
        super().__init__()

        def stage(in_channels: int, width: int, stride: int) -> nn.Sequential:
            out_channels = width * Bottleneck.expansion
            convolution = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            projection = nn.Sequential(convolution, nn.BatchNorm2d(out_channels))
            # torchvision multiplies the groups' width by width / 64, which doubles it with each stage.
            block = partial(Bottleneck, planes=width, groups=cardinality, base_width=base_width)
            first = block(in_channels, stride=stride, downsample=projection)
            return nn.Sequential(first, *(block(out_channels) for _ in range(n - 1)))

        self.conv1 = nn.Conv2d(3, 64, stem, padding=stem // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = stage(64, 64, stride=1)
        self.layer2 = stage(256, 128, stride=2)
        self.layer3 = stage(512, 256, stride=2)
        self.fc = nn.Linear(1024, classes)
        fan_out_init_(self)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))
