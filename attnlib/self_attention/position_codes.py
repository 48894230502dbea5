"""Where a pixel is: codes that are added to a map, and scores that depend on the offset between two pixels.

Self-attention sees a set: without one of these, shuffling the pixels only shuffles the output.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import check_count


def sinusoidal(count: int, channels: int, like: Tensor) -> Float[Tensor, "count channels"]:
    """The code of positions 0 to count - 1 of a sequence, in the precision of `like`, but of float32 at least.

        PE(pos, 2i) = sin(pos / 10000^(2i / channels)),  PE(pos, 2i + 1) = cos(the same)

    The code of pos + k is that of pos with each pair of channels turned by an angle that only k decides, and the
    product of the two codes depends on k alone.

    Raises:
        ValueError: an odd number of channels, which come in pairs.
    """
    if channels % 2:
        raise ValueError(f"channels={channels} is odd: each frequency has a sine and a cosine; use an even number")
    dtype = torch.promote_types(like.dtype, torch.float32)
    position = torch.arange(count, dtype=dtype, device=like.device)
    exponent = torch.arange(0, channels, 2, dtype=dtype, device=like.device) / channels
    angle = position[:, None] * torch.exp(-math.log(10000) * exponent)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def sinusoidal_map(height: int, width: int, channels: int, like: Tensor) -> Float[Tensor, "channels height width"]:
    """The code of the pixels of a map: the first half of the channels codes the row, the second half the column."""
    rows = sinusoidal(height, channels // 2, like).transpose(0, 1)[:, :, None].expand(-1, -1, width)
    columns = sinusoidal(width, channels // 2, like).transpose(0, 1)[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns])


class RelativePositions(nn.Module):
    """Adds q_i . (r_row + r_column) to the score q_i . k_j, one learned vector for each offset in rows and in columns.

    As in Bello et al., Attention Augmented Convolutional Networks, ICCV 2019, the vectors serve all heads. The scores
    become channels of query and key: q_i . r for every row and column of the map, and which of them j is in. One
    product of the longer vectors then gives the sum of all three terms, so that one fused attention call computes it.

    Args:
        channels: of a query and key, that is of one head.
        size: (H, W) of the largest map.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        check_count("channels", channels)
        super().__init__()
        self.size = size
        self.rows = nn.Parameter(torch.empty(2 * size[0] - 1, channels))
        self.columns = nn.Parameter(torch.empty(2 * size[1] - 1, channels))
        for table in (self.rows, self.columns):
            nn.init.normal_(table, std=channels**-0.5)

    def forward(
        self, query: Float[Tensor, "N heads HW d"], key: Float[Tensor, "N heads HW d"], height: int, width: int
    ) -> tuple[Float[Tensor, "N heads HW longer"], Float[Tensor, "N heads HW longer"]]:
        """Query and key of a map of height x width pixels, with H + W more channels."""
        q = query.unflatten(2, (height, width))
        row_scores = torch.einsum("nhijd,ikd->nhijk", q, between(self.rows, height))
        column_scores = torch.einsum("nhijd,jkd->nhijk", q, between(self.columns, width))
        scores = torch.cat([row_scores, column_scores], -1).flatten(2, 3)
        row = torch.eye(height, dtype=key.dtype, device=key.device).repeat_interleave(width, 0)
        column = torch.eye(width, dtype=key.dtype, device=key.device).repeat(height, 1)
        place = torch.cat([row, column], -1).expand(*key.shape[:2], -1, -1)
        return torch.cat([query, scores.to(query.dtype)], -1), torch.cat([key, place], -1)


def between(table: Float[Tensor, "offsets d"], side: int) -> Float[Tensor, "side side d"]:
    """Entry (i, j) is the vector of offset j - i; offset 0 is in the middle of the table."""
    position = torch.arange(side, device=table.device)
    return table[position - position[:, None] + table.shape[0] // 2]
