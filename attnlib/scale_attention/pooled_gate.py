"""The gate over two axes of a map that CBAM and Triplet attention share: a convolution of a few pooled maps to one."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

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

    def forward(
        self, z: Float[Tensor, "N maps A B"], convolve: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> Float[Tensor, "N 1 A B"]:
        """`convolve` is f of z and its weight in another form."""
        logits = self.conv(z) if convolve is None else convolve(z, self.conv.weight)
        return logits if self.norm is None else self.norm(logits)

    def check(self, name: str, size: torch.Size) -> None:
        """Refuse, before anything is counted, a gate of this size (N, A, B) that has nothing to normalise by.

        Raises:
            ValueError: fewer than two values in train mode.
        """
        if self.norm is not None:
            # Not size.numel(), which would fix the sizes that an export leaves open.
            check_values(f"the {name} gate", self.norm, math.prod(size), size)
