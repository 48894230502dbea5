"""Shuffle attention (SA): Zhang and Yang, ICASSP 2021, arXiv 2102.00240.

Channels are cut into groups; in each group the first half is gated channel by channel from its means, the second half
pixel by pixel from its normalised map, and a channel shuffle interleaves the result. Status: works as described, but
costs 708 parameters in ResNet-50 where the paper says 300, and its norm's own scale and shift are redundant.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_count, check_flag, check_map
from attnlib.scale_attention.fused import moments, self_gated

EPS = 1e-5  # of the group norm


class SA(ScaleAttention):
    """Gate half of every group by its channel means, the other half by its normalised map, then shuffle channels.

        channel half   x_k1 * sigmoid(W_1 mean(x_k1) + b_1)
        spatial half   x_k2 * sigmoid(W_2 GN(x_k2) + b_2)

    GN has one group per channel: an instance norm with its own scale and shift. All vectors have length C / 2G and are
    shared by the G groups.

    Args:
        channels: number of channels C of the map, a multiple of 2 * groups.
        groups: the paper's G.
        shuffle: interleave the two halves of all channels at the end (output 2i is input i, output 2i + 1 is input
            i + C/2). The paper always does; without it the module shows what the shuffle is for.

    Shapes: x, the gate and the output (N, C, H, W). The gate is in the input's order of channels, before the shuffle.

    Parameters: 3 C / G: W_1, b_1, W_2, b_2 and the norm's scale and shift.

    Raises:
        ValueError: C is not a multiple of 2G; a map of another shape.
        TypeError: channels or groups is not an integer; an input that is not floating point.

    Where the released code differs: the abstract's 300 parameters for ResNet-50 are 708 in the code.
    """

    def __init__(self, channels: int, groups: int = 64, shuffle: bool = True) -> None:
        check_count("channels", channels)
        check_count("groups", groups)
        check_flag("shuffle", shuffle)
        if channels % (2 * groups):
            legal = [g for g in range(1, channels // 2 + 1) if channels % (2 * g) == 0]
            fix = f"groups may be {', '.join(map(str, legal))}" if legal else "an odd number of channels has no groups"
            raise ValueError(
                f"channels={channels} does not fit groups={groups}: channels must be a multiple of 2 * groups; {fix}"
            )
        super().__init__(channels)
        self.groups, self.shuffle = groups, shuffle
        half = channels // (2 * groups)
        self.channel_weight = nn.Parameter(torch.zeros(half))  # W_1
        self.channel_bias = nn.Parameter(torch.ones(half))  # b_1
        self.spatial_weight = nn.Parameter(torch.zeros(half))  # W_2
        self.spatial_bias = nn.Parameter(torch.ones(half))  # b_2
        self.norm_weight = nn.Parameter(torch.ones(half))  # the scale and the shift inside GN
        self.norm_bias = nn.Parameter(torch.zeros(half))

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        x, scale, shift = self._line(x)
        return torch.sigmoid(torch.addcmul(shift, x, scale)).to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return self_gated(*self._line(x), self.shuffle)

    def _line(
        self, x: Float[Tensor, "N C H W"]
    ) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "N C 1 1"], Float[Tensor, "N C 1 1"]]:
        """x, and the scale and shift of x that are its logits.

        Per image and channel both halves are a sigmoid of scale * x + shift: the channel half with scale 0, the spatial
        half with the norm folded in. One pass finds the statistics, one applies them.
        """
        check_map(x, self.channels)
        x, mean, variance = moments(x)
        mean_1, mean_2 = self._halves(mean)
        _, variance_2 = self._halves(variance)
        scale_2 = self.spatial_weight * self.norm_weight * torch.rsqrt(variance_2 + EPS)
        shift_1 = self.channel_weight * mean_1 + self.channel_bias
        shift_2 = self.spatial_weight * self.norm_bias + self.spatial_bias - mean_2 * scale_2
        scale = torch.stack([torch.zeros_like(scale_2), scale_2], 2)
        shift = torch.stack([shift_1, shift_2], 2)
        return x, scale.view_as(mean), shift.view_as(mean)

    def _halves(
        self, statistic: Float[Tensor, "N C 1 1"]
    ) -> tuple[Float[Tensor, "N G half"], Float[Tensor, "N G half"]]:
        """The channel half and the spatial half of every group."""
        return statistic.flatten(1).unflatten(1, (self.groups, 2, -1)).unbind(2)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}, shuffle={self.shuffle}"


def shuffle_channels(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Interleave the two halves of the channels: output 2i is input i, output 2i + 1 is input i + C/2."""
    return F.channel_shuffle(x, 2)
