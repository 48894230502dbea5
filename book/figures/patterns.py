"""Small maps that are easy to tell apart: what the pictures use as channels."""

import torch
from torch import Tensor


def patterns(channels: int, pixels: int) -> Tensor:
    """(channels, pixels, pixels), values from 0 to 1: blob, slope, check, edge; the same again, negative and turned."""
    if not 1 <= channels <= 8:
        raise ValueError(f"there are 8 patterns, got channels={channels}")
    i, j = torch.meshgrid(torch.arange(pixels), torch.arange(pixels), indexing="ij")
    centre = (pixels - 1) / 2 - 1
    four = torch.stack(
        [
            torch.exp(-((i - centre) ** 2 + (j - centre) ** 2) / 6),
            0.1 + 0.9 * (i + j) / (2 * pixels - 2),
            ((i // 2 + j // 2) % 2) * 0.7,
            (j >= pixels // 2) * 0.95,
        ]
    ).float()
    return torch.cat([four, 1 - four.rot90(1, (1, 2))])[:channels]
