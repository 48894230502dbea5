"""Spatial group-wise enhancement (SGE): Li, Hu and Yang, 2019, arXiv 1905.09646.

Each group of channels is compared, pixel by pixel, with its own average over the map; where it resembles the average
more than elsewhere the group is kept, where less it is dimmed. Status: does what the paper says with two parameters a
group; starts as a constant gate of sigmoid(1) = 0.731, so compare it with that constant.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, at_least_float32, check_count, check_divides, check_flag, check_map

EPS = 1e-5  # added to the deviation


class SGE(ScaleAttention):
    """Gate every pixel of a group by how much the group's vector there resembles its mean, standardised over the map.

        g = mean_i x_i,   c_i = g . x_i
        z_i = (c_i - mean(c)) / (std(c) + eps)
        y_i = x_i sigmoid(gamma z_i + beta)

    x_i is the vector of one group of channels at pixel i; each image and group has its own g, c, mean and std.

    Args:
        channels: number of channels C of the map, a multiple of groups.
        groups: the paper's G; neighbouring channels form a group.
        unbiased: the deviation divides by H W - 1, as released; `False` divides by H W, the paper's formula as
            recalled.

    Shapes: x, the gate and the output (N, C, H, W); the gate is the same for all channels of a group.

    Parameters: 2 G: gamma (starting at 0) and beta (starting at 1).

    Raises:
        ValueError: G does not divide C; a map of another shape.
        TypeError: channels or groups is not an integer, unbiased no bool; an input that is not floating point.

    Where the released code differs: its deviation divides by H W - 1 (`unbiased`), and its eps of 1e-5 is added to the
    deviation, not to the variance; so here. On a map of one pixel it gives NaN; here the standardised map is 0
    and the gate sigmoid(beta).
    """

    def __init__(self, channels: int, groups: int = 64, unbiased: bool = True) -> None:
        check_count("channels", channels)
        check_divides("groups", groups, channels)
        check_flag("unbiased", unbiased)
        super().__init__(channels)
        self.groups, self.unbiased = groups, unbiased
        self.weight = nn.Parameter(torch.zeros(groups))  # gamma
        self.bias = nn.Parameter(torch.ones(groups))  # beta

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        gate = group_gate(x.unflatten(1, (self.groups, -1)), self.weight, self.bias, self.unbiased)
        return gate.expand(-1, -1, self.channels // self.groups, -1, -1).flatten(1, 2)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        x = x.unflatten(1, (self.groups, -1))
        return (x * group_gate(x, self.weight, self.bias, self.unbiased)).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}, unbiased={self.unbiased}"


def group_gate(
    x: Float[Tensor, "N G width H W"], weight: Float[Tensor, " G"], bias: Float[Tensor, " G"], unbiased: bool
) -> Float[Tensor, "N G 1 H W"]:
    """One gate a pixel for each group: sigmoid(gamma z_i + beta)."""
    exact = at_least_float32(x)
    mean = exact.mean((3, 4), keepdim=True)  # g
    similarity = (exact * mean).sum(2, keepdim=True)  # c
    centred = similarity - similarity.mean((3, 4), keepdim=True)
    deviation = torch.linalg.vector_norm(centred, dim=(3, 4), keepdim=True) * freedom(x, unbiased) ** -0.5
    return torch.sigmoid(_column(weight) * (centred / (deviation + EPS)) + _column(bias)).to(x.dtype)


def freedom(x: Float[Tensor, "N G width H W"], unbiased: bool) -> float:
    """H W - 1 or H W; one pixel has no unbiased deviation, and anything but 0 in its place keeps 0 / 0 out."""
    return x.shape[3] * x.shape[4] - int(unbiased) + 1e-30


def _column(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1, 1)
