"""The gate over two axes of a map that CBAM and Triplet attention share: a convolution of a few pooled maps to one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import is_plain
from attnlib.scale_attention.fused import fusable
from attnlib.scale_attention.norms import check_values


class PooledGate(nn.Module):
    """Logits of a gate from pooled maps z: BN(f_kxk(z)), f without bias, one output channel, no ReLU.

    Args:
        maps: number of pooled maps: two, maximum and mean, but for CBAM's learned descriptor.
        kernel_size: k; zero padding keeps the size.
        norm: the batch norm of one channel, momentum 0.01.
    """

    def __init__(self, maps: int, kernel_size: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(maps, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if norm else None

    def forward(self, z: Float[Tensor, "N maps A B"]) -> Float[Tensor, "N 1 A B"]:
        in_bands = is_plain(self.conv) and pays(z, self.conv.weight)
        logits = convolve_in_bands(z, self.conv.weight) if in_bands else self.conv(z)
        return logits if self.norm is None else self.norm(logits)

    def check(self, name: str, size: torch.Size) -> None:
        """Refuse, before anything is counted, a gate of this size (N, A, B) that has nothing to normalise by.

        Raises:
            ValueError: fewer than two values in train mode.
        """
        if self.norm is not None:
            # Not size.numel(), which would fix the sizes that an export leaves open.
            check_values(f"the {name} gate", self.norm, math.prod(size), size)


# A kernel of one output channel and two input channels leaves a CPU's vectors empty. With the positions of one axis in
# the channels' place, the same sum is a convolution along the other axis from maps * B channels to B: more
# multiply-adds, most of them with zeros, and several times faster while B is small.
WIDEST_BAND = 64


def pays(z: Tensor, weight: Tensor) -> bool:
    """Whether the banded form serves and is faster."""
    return fusable(z, weight) and min(z.shape[2:]) <= WIDEST_BAND


def convolve_in_bands(z: Float[Tensor, "N maps A B"], weight: Float[Tensor, "1 maps k k"]) -> Float[Tensor, "N 1 A B"]:
    """`F.conv2d(z, weight, padding=k // 2)` for an odd k, where z is finite."""
    if z.shape[2] < z.shape[3]:  # the shorter axis goes into the channels' place
        return convolve_in_bands(z.transpose(2, 3), weight.transpose(2, 3)).transpose(2, 3)
    images, maps, length, width = z.shape
    half = weight.shape[3] // 2
    # band[c, a, b, d] is the weight of position d for output b: the kernel's row a, shifted to b and cut at the border.
    row = F.pad(weight[0], (width - 1 - half, width - 1 - half))
    band = row.unfold(2, width, 1).flip(2)
    kernel = band.permute(2, 0, 3, 1).flatten(1, 2)
    stacked = z.transpose(2, 3).reshape(images, maps * width, length)
    return F.conv1d(stacked, kernel, padding=half).transpose(1, 2).unsqueeze(1)
