"""Residual Attention Networks: Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, CVPR 2017, arXiv 1704.06904.

Networks that consist of attention modules: each stage is a residual unit that sets the width, then whole modules
(`attnlib.scale_attention.residual_attention`) one after the other. For ImageNet as in the authors' files for Caffe, for
CIFAR as far as the paper says.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import registry
from attnlib.base import check_count


class PreActivationUnit(nn.Module):
    """The residual unit of the networks outside their modules: it may change width and stride, those inside may not.

        x + W_3 a(W_2 a(W_1 a(x)))            width and stride stay
        W_s a(x) + W_3 a(W_2 a(W_1 a(x)))     else; W_s is 1 x 1, with the stride

    with a = ReLU after a batch norm, the same a(x) for both branches. W_1 and W_3 are 1 x 1, W_2 is 3 x 3 and has the
    stride; K / 4 channels between them.

    Args:
        in_channels: C.
        out_channels: K.
        stride: of the 3 x 3 convolution and the shortcut.

    Shapes: (N, C, H, W) to (N, K, h, w), h and w being H / stride and W / stride rounded up.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = out_channels // 4
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.downsample = None
        if in_channels != out_channels or stride != 1:
            self.downsample = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        activated = torch.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        y = self.conv1(activated)
        y = self.conv2(torch.relu(self.bn2(y)))
        return shortcut + self.conv3(torch.relu(self.bn3(y)))


class ResidualAttentionNet(nn.Module):
    """Attention-56 and Attention-92, for ImageNet.

    A 7 x 7 convolution of stride 2, norm, ReLU and max pooling; three stages of a unit and its modules, with 256, 512
    and 1024 channels on maps of 56, 28 and 14 pixels; three units of 2048 channels at 7 pixels; norm, ReLU, the mean
    over the map, a linear layer. The modules have p = 1, t = 2, r = 1 and pool three times, twice and once, down to 7
    pixels.

    Args:
        modules: attention modules in each of the three stages. The trunk has 12 sum(modules) + 20 layers: (1, 1, 1) is
            Attention-56, (1, 2, 3) Attention-92.
        classes: outputs of the linear layer.

    Shapes: images (N, 3, H, W), 224 x 224 in the paper's training, to scores (N, classes). The smallest side is 31.

    Raises:
        TypeError: a count that is not an integer.
        ValueError: not three counts, one below 1; an image with a side below 31; in train mode a single image whose
            lowest map is one pixel.

    Source: Figure 2 and Table 2; layer by layer the authors' Attention-56-deploy.prototxt in imagenet_model/.
    Convolutions start as He et al. 2015 (fan-in); the released files name no initialisation.

    Where the released code differs: its average pooling has a window of 7 x 7, the whole map at 224 pixels only. Its
    max pooling, kept here, has no padding and a last window that may stick out. The paper prints 31.9 M and 51.3 M
    parameters; the files, and this class, have 31.8 M and 52.5 M. AttentionNeXt-56 is not built: its units normalise
    after each convolution and have C / 2 channels inside, in 32 groups; the attention module has no option for them.
    """

    smallest = 31  # the first stage then gets 8 pixels, which its modules halve three times

    def __init__(self, modules: tuple[int, int, int], classes: int = 1000) -> None:
        if len(modules) != 3:
            raise ValueError(f"modules must be three counts, one for each stage, got {modules}; e.g. (1, 1, 1)")
        for stage, count in enumerate(modules, start=1):
            check_count(f"modules of stage {stage}", count)
        check_count("classes", classes)
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.layer1 = nn.Sequential(PreActivationUnit(64, 256), *_modules(modules[0], 256, levels=3))
        self.layer2 = nn.Sequential(PreActivationUnit(256, 512, stride=2), *_modules(modules[1], 512, levels=2))
        self.layer3 = nn.Sequential(PreActivationUnit(512, 1024, stride=2), *_modules(modules[2], 1024, levels=1))
        self.layer4 = nn.Sequential(
            PreActivationUnit(1024, 2048, stride=2), PreActivationUnit(2048, 2048), PreActivationUnit(2048, 2048)
        )
        self.bn = nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, classes)
        _he_init_(self)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        _check_side(x, self.smallest)
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))


class CifarResidualAttentionNet(nn.Module):
    """Residual Attention Network of `depth` layers for small images.

    A 3 x 3 convolution to 16 channels; three stages with 64, 128 and 256 channels (16, 32 and 64 inside a unit) on maps
    of 32, 16 and 8 pixels; norm, ReLU, the mean over the map, a linear layer. A stage is a unit, m modules, a unit. The
    modules pool three times, twice and once, so that the lowest map always has 4 pixels.

    Args:
        depth: layers of the trunk, 9 (2 p + t) m + 20: with p = 1 and t = 2 that is 36 m + 20, and m = 1, 2, 3, 4, 6
            are the paper's Attention-56, 92, 128, 164 and 236. Attention-452 has p = 2, t = 4, r = 3 and m = 6.
        classes: outputs of the linear layer.
        p: residual units before the two branches of a module, and after them.
        t: residual units of a module's trunk branch.
        r: residual units between two poolings of a module's mask branch.
        activation: of the mask: "mixed", "channel" or "spatial" (Table 1).
        learning: "residual" or "naive" (Table 3).

    Shapes: images (N, 3, H, W), 32 x 32 in the paper, to scores (N, classes). The smallest side is 8.

    Parameters with ten classes: Attention-92 1.84 M (printed: 1.9), Attention-236 5.08 M (5.1), Attention-452 10.18 M
    (8.6; with r instead of 2 r units on the lowest level it would have 8.51 M).

    Raises:
        TypeError: a count that is not an integer, an option that is not a string.
        ValueError: a depth outside the family, the message names its neighbours; a count below 1, an unknown option; an
            image with a side below 8; in train mode a single image whose lowest map is one pixel.

    Source: Section 4.1, "two residual units at each stage". Convolutions start as He et al. 2015 (fan-in), as the
    paper's. There is no released code for CIFAR. Left open by the paper and chosen here: the widths (as in
    pre-activation ResNet-164; the printed sizes fit them), the poolings, and the place of the second unit (after the
    modules, as the ImageNet networks have units after their last module).
    """

    smallest = 8

    def __init__(
        self,
        depth: int,
        classes: int = 10,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        activation: str = "mixed",
        learning: str = "residual",
    ) -> None:
        for name, count in {"depth": depth, "classes": classes, "p": p, "t": t}.items():
            check_count(name, count)
        layers = 9 * (2 * p + t)  # of one module in each of three stages
        m, rest = divmod(depth - 20, layers)
        if rest or m < 1:
            near = sorted({layers * max(modules, 1) + 20 for modules in (m, m + 1)})
            raise ValueError(
                f"depth={depth} does not fit p={p}, t={t}: it must be {layers}m + 20 with m >= 1; "
                f"try {' or '.join(map(str, near))}"
            )
        super().__init__()
        stage = partial(_cifar_stage, m, p=p, t=t, r=r, activation=activation, learning=learning)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.layer1 = stage(16, 64, stride=1, levels=3)
        self.layer2 = stage(64, 128, stride=2, levels=2)
        self.layer3 = stage(128, 256, stride=2, levels=1)
        self.bn = nn.BatchNorm2d(256)
        self.fc = nn.Linear(256, classes)
        _he_init_(self)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        _check_side(x, self.smallest)
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))


def _modules(count: int, channels: int, **arguments: Any) -> list[nn.Module]:
    # By name: whoever lists the networks need not load the module.
    return [registry.create("residual_attention", channels, **arguments) for _ in range(count)]


def _cifar_stage(m: int, in_channels: int, channels: int, stride: int, **arguments: Any) -> nn.Sequential:
    first, last = PreActivationUnit(in_channels, channels, stride), PreActivationUnit(channels, channels)
    return nn.Sequential(first, *_modules(m, channels, **arguments), last)


def _he_init_(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def _check_side(x: Tensor, smallest: int) -> None:
    """Refuse an image that a module would halve away, before a running statistic is updated."""
    if min(x.shape[-2:]) < smallest:
        raise ValueError(
            f"H and W must be {smallest} or more, since the modules of the first stage halve its map three times, got "
            f"shape {tuple(x.shape)}; use larger images"
        )


# name -> (builder of the number of classes, side of the images it was made for)
