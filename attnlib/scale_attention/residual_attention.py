"""Residual attention: Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, CVPR 2017, arXiv 1704.06904.

A whole stage of a network rather than a gate on a block: residual units make a trunk, an hourglass of further residual
units makes a mask of the trunk's shape, and the trunk is multiplied by one plus the mask. Status: as in the released
ImageNet files, whose parameters it adds up to exactly; the best-known PyTorch port differs in several places.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, at_least_float32, check_choice, check_count, check_map
from attnlib.scale_attention.norms import check_values

LEARNING = ("residual", "naive")


class ResidualUnit(nn.Module):
    """The trunk's building block, x + W_3 a(W_2 a(W_1 a(x))) with a = ReLU after a batch norm; W_2 is 3 x 3.

    A bottleneck of C / 4 channels, normalised before each convolution and without biases.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.branch = nn.Sequential(
            *_activated(channels),
            nn.Conv2d(channels, inner, 1, bias=False),
            *_activated(inner),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            *_activated(inner),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x + self.branch(x)


class SoftMask(nn.Module):
    """The mask branch: down by max pooling, up by bilinear interpolation, residual units at every level.

    Going up, each level but the lowest adds what it was on its way down, taken through one more unit.
    """

    def __init__(self, channels: int, r: int, levels: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        # Caffe's pooling as released: no padding, and a last window that may stick out, which leaves floor(H / 2) rows.
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.down = nn.ModuleList(_units(channels, r) for _ in range(levels - 1))
        self.lowest = _units(channels, 2 * r)
        self.skip = nn.ModuleList(ResidualUnit(channels) for _ in range(levels - 1))
        self.up = nn.ModuleList(_units(channels, r) for _ in range(levels - 1))
        self.head = nn.Sequential(
            *_activated(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            *_activated(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
        )

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        y, maps = x, []
        for units in self.down:
            y = units(self.pool(y))
            maps.append(y)
        y = self.lowest(self.pool(y))
        for units, skip, above in reversed(list(zip(self.up, self.skip, maps, strict=True))):
            y = units(upsampled(y, above) + skip(above))
        return self.activation(self.head(upsampled(y, x)))


class ResidualAttention(ScaleAttention):
    """Residual units as a trunk T, gated by an hourglass of residual units as a mask M.

        H = (1 + M) T                                        attention residual learning, equation (3)
        H = M T                                              naive learning, equation (1)
        M = sigmoid(z)                                       mixed attention f_1, equation (4)
        M = z / ||z_i||                                      channel attention f_2, equation (5)
        M = sigmoid((z - mean_c) / std_c)                    spatial attention f_3, equation (6)

    z is what the mask branch computes; ||z_i|| runs over the channels of one position, mean_c and std_c over the
    positions of one channel of one image. T and M both start from p units on x, and p units follow H.

    Args:
        channels: number of channels C of the map, a multiple of 4.
        p: residual units before the two branches, and after them.
        t: residual units of the trunk branch.
        r: residual units between two poolings of the mask branch; the lowest level has 2 r.
        levels: poolings of the mask branch. The ImageNet networks have 3, 2 and 1 at 56, 28 and 14 pixels, so that the
            lowest map is always 7 x 7; the default takes the smallest maps.
        activation: of the mask: "mixed", "channel" or "spatial" (Table 1).
        learning: "residual" or "naive" (Table 3).

    Shapes: x, the gate and the output (N, C, H, W). The gate, 1 + M or M, belongs to the trunk's output and not to x;
    `branches` gives T and M. The smallest side is 2^levels.

    Parameters: 17 C^2 / 16 + 3 C for each of the 2 p + t + (levels + 1) r + (levels - 1) (r + 1) units, and
    2 C^2 + 4 C for the mask's two last convolutions.

    Raises:
        ValueError: C is not a multiple of 4, another argument below 1 or unknown; a map of another shape, or with a
            side below 2^levels; in train mode a single value per channel at the lowest level.
        TypeError: an argument is not an integer where it has to be; an input that is not floating point.

    Source: Section 3, Figure 2, equations 1 to 6; layer by layer the authors' ImageNet files for Caffe.

    Where the released code differs: the authors' older file, model/Attention-56-deploy.prototxt in their repository,
    ends the mask in a tanh. The interpolation aligns
    corners, as that of the authors' Caffe does; the paper does not say. A widely used PyTorch port pads the pooling and
    adds the maps of the way down, and at the end the trunk, once more than file and figure do. Left open by the paper:
    f_2 of a zero vector (here zero), and f_3 on a channel without contrast (here 0.5: 1e-5 is added to its variance).
    """

    def __init__(
        self,
        channels: int,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        levels: int = 1,
        activation: str = "mixed",
        learning: str = "residual",
    ) -> None:
        for name, count in {"channels": channels, "p": p, "t": t, "r": r, "levels": levels}.items():
            check_count(name, count)
        if channels % 4:
            raise ValueError(
                f"channels={channels} must be a multiple of 4: a residual unit has channels / 4 inside; "
                f"try {channels + -channels % 4}"
            )
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("learning", learning, LEARNING)
        super().__init__(channels)
        self.p, self.t, self.r, self.levels = p, t, r, levels
        self.activation, self.learning = activation, learning
        self.before = _units(channels, p)
        self.trunk = _units(channels, t)
        self.mask = SoftMask(channels, r, levels, activation)
        self.after = _units(channels, p)

    def branches(self, x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "N C H W"]]:
        """The trunk's output T and the mask M, from which H is made."""
        self._check(x)
        y = self.before(x)
        return self.trunk(y), self.mask(y)

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        return self._factor(self.mask(self.before(x))).to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        trunk, mask = self.branches(x)
        return self.after(trunk * self._factor(mask).to(x.dtype))

    def _factor(self, mask: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return 1 + mask if self.learning == "residual" else mask

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        smallest = 2**self.levels
        if min(x.shape[2:]) < smallest:
            raise ValueError(
                f"levels={self.levels} halves the map {self.levels} times: H and W must be {smallest} or more, "
                f"got shape {tuple(x.shape)}; use fewer levels or a larger map"
            )
        values = x.shape[0] * (x.shape[2] // smallest) * (x.shape[3] // smallest)
        check_values("the lowest level", self.mask.lowest, values, x.shape)
        check_values("residual attention", self, x.numel() // self.channels, x.shape)  # elsewhere only 0 is too few

    def network_init_(self) -> None:
        """He initialisation of the convolutions, as the paper's CIFAR networks have it; scales 1 and shifts 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, p={self.p}, t={self.t}, r={self.r}, levels={self.levels}, "
            f"activation={self.activation}, learning={self.learning}"
        )


def upsampled(y: Float[Tensor, "N C h w"], like: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """y at the size of `like`, bilinear between corners that stay corners."""
    return F.interpolate(y, like.shape[2:], mode="bilinear", align_corners=True)


def unit_length(z: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """f_2: the channels of each position divided by their length; a zero vector stays zero."""
    length = torch.linalg.vector_norm(at_least_float32(z), dim=1, keepdim=True)
    return (z / length.where(length > 0, 1)).to(z.dtype)


def standardised(z: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """f_3 before its sigmoid: each channel of each image with mean 0 and variance 1 over its positions."""
    variance, mean = torch.var_mean(at_least_float32(z), (2, 3), correction=0, keepdim=True)
    return ((z - mean) * torch.rsqrt(variance + 1e-5)).to(z.dtype)


def spatial_sigmoid(z: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """f_3."""
    return torch.sigmoid(standardised(z))


ACTIVATIONS = {"mixed": torch.sigmoid, "channel": unit_length, "spatial": spatial_sigmoid}


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _units(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualUnit(channels) for _ in range(count)))
