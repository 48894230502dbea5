"""The gate over two axes of a map that CBAM and Triplet attention share: pool the third, convolve, normalise."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def max_and_mean(x: Float[Tensor, "N D A B"]) -> Float[Tensor, "N 2 A B"]:
    """Maximum and mean over the first axis of every image.

    `max` rather than `amax`: of equal maxima the first gets the gradient, as in the released codes.
    """
    return torch.stack([x.max(1).values, x.mean(1)], 1)


class PooledGate(nn.Module):
    """Logits of a gate from a pooled map: BN(f_kxk(z)), f without bias, one output channel, no ReLU.

    Args:
        pooled: number of channels of the pooled map z.
        kernel_size: k; zero padding keeps the size.
        norm: the batch norm of one channel, momentum 0.01.
    """

    def __init__(self, pooled: int, kernel_size: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(pooled, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if norm else None

    def forward(self, z: Float[Tensor, "N pooled A B"]) -> Float[Tensor, "N 1 A B"]:
        logits = self.conv(z)
        return logits if self.norm is None else self.norm(logits)

    def check(self, name: str, size: torch.Size) -> None:
        """Refuse, before anything is counted, a gate of this size (N, A, B) that has nothing to normalise by.

        Raises:
            ValueError: fewer than two values in train mode.
        """
        if self.norm is not None and self.norm.training and size.numel() < 2:
            raise ValueError(
                f"the {name} gate normalises over N and two axes and needs 2 or more values in train mode, got "
                f"{tuple(size)}; use a larger batch, or eval mode"
            )
