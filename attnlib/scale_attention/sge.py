"""Spatial group-wise enhancement (SGE): Li, Hu and Yang, 2019, arXiv 1905.09646.

Each group of channels is compared, pixel by pixel, with its own average over the map; where it resembles the average
more than elsewhere the group is kept, where less it is dimmed. Status: does what the paper says with two parameters a
group; starts as a constant gate of sigmoid(1) = 0.731, so compare it with that constant.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_count, check_divides, check_map
from attnlib.scale_attention.fused import gated, likeness


class SGE(ScaleAttention):
    """Gate every pixel of a group by how much the group's vector there resembles its mean, standardised over the map.

        g = mean_i x_i,   c_i = g . x_i
        z_i = (c_i - mean(c)) / (std(c) + eps)
        y_i = x_i sigmoid(gamma z_i + beta)

    x_i is the vector of one group of channels at pixel i; each image and group has its own g, c, mean and std.

    Args:
        channels: number of channels C of the map, a multiple of groups.
        groups: the paper's G; neighbouring channels form a group.

    Shapes: x, the gate and the output (N, C, H, W); the gate is the same for all channels of a group.

    Parameters: 2 G: gamma (starting at 0) and beta (starting at 1).

    Raises:
        ValueError: G does not divide C; a map of another shape.
        TypeError: channels or groups is not an integer; an input that is not floating point.

    Where the released code differs: its standard deviation divides by H W - 1, where the paper's formula divides by
    H W, and its eps of 1e-5 is added to the deviation, not to the variance; so here. On a map of one pixel it gives
    NaN; here the standardised map is 0 and the gate sigmoid(beta).
    """

    def __init__(self, channels: int, groups: int = 64) -> None:
        check_count("channels", channels)
        check_divides("groups", groups, channels)
        super().__init__(channels)
        self.groups, self.eps = groups, 1e-5
        self.weight = nn.Parameter(torch.zeros(groups))  # gamma
        self.bias = nn.Parameter(torch.ones(groups))  # beta

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        _, gate = self._gate_of_groups(x)
        return gate.expand(-1, -1, self.channels // self.groups, -1, -1).flatten(1, 2)

    def _gate_of_groups(
        self, x: Float[Tensor, "N C H W"]
    ) -> tuple[Float[Tensor, "N G width H W"], Float[Tensor, "N G 1 H W"]]:
        """x in groups, and one gate a pixel for each of them."""
        check_map(x, self.channels)
        grouped, similarity = likeness(x.unflatten(1, (self.groups, -1)))  # c = g . x, the sum over a group's channels
        centred = similarity - similarity.mean((3, 4), keepdim=True)
        # H W - 1; one pixel has no deviation, and anything but 0 in its place keeps 0 / 0 out.
        freedom = x.shape[2] * x.shape[3] - 1 + 1e-30
        deviation = torch.linalg.vector_norm(centred, dim=(3, 4), keepdim=True) * freedom**-0.5
        weight, bias = self.weight.view(-1, 1, 1, 1), self.bias.view(-1, 1, 1, 1)
        gate = torch.sigmoid(weight * (centred / (deviation + self.eps)) + bias)
        return grouped, gate.to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return gated(*self._gate_of_groups(x)).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}"
