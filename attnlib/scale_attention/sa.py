"""Shuffle attention (SA): Zhang and Yang, ICASSP 2021, arXiv 2102.00240.

Channels are cut into groups; in each group the first half is gated channel by channel from its means, the second half
pixel by pixel from its normalised map, and a channel shuffle interleaves the result. Status: works as described, but
costs 708 parameters in ResNet-50 where the paper says 300, and its norm's own scale and shift are redundant.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import kernels
from attnlib.base import ScaleAttention, at_least_float32, check_count, check_flag, check_map
from attnlib.kernels.sa import gated_in_one_pass

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
        check_map(x, self.channels)
        return group_gate(x, *self._vectors())

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        vectors = self._vectors()
        if kernels.serves(x, *vectors):
            return gated_in_one_pass(group_gated, x, *vectors, self.shuffle, EPS)
        return group_gated(x, *vectors, self.shuffle)

    def _vectors(self) -> tuple[Float[Tensor, " half"], ...]:
        """Weight and bias of the mean; scale and shift of the standardised map, with the norm's own in them."""
        scale, shift = self.spatial_weight * self.norm_weight, self.spatial_weight * self.norm_bias + self.spatial_bias
        return self.channel_weight, self.channel_bias, scale, shift

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}, shuffle={self.shuffle}"


def shuffle_channels(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Interleave the two halves of the channels: output 2i is input i, output 2i + 1 is input i + C/2."""
    return F.channel_shuffle(x, 2)


def group_gate(
    x: Float[Tensor, "N C H W"],
    weight: Float[Tensor, " half"],
    bias: Float[Tensor, " half"],
    scale: Float[Tensor, " half"],
    shift: Float[Tensor, " half"],
) -> Float[Tensor, "N C H W"]:
    """sigmoid(weight mean(x_k1) + bias) and sigmoid(scale z(x_k2) + shift), z standardised, in the order of x."""
    first, second = _parts(at_least_float32(x), weight)
    channel = _column(weight) * first.mean((3, 4), keepdim=True) + _column(bias)
    variance, mean = torch.var_mean(second, (3, 4), correction=0, keepdim=True)
    spatial = _column(scale) * torch.rsqrt(variance + EPS) * (second - mean) + _column(shift)
    return torch.sigmoid(torch.stack([channel.expand_as(spatial), spatial], 2)).flatten(1, 3).to(x.dtype)


def group_gated(
    x: Float[Tensor, "N C H W"],
    weight: Float[Tensor, " half"],
    bias: Float[Tensor, " half"],
    scale: Float[Tensor, " half"],
    shift: Float[Tensor, " half"],
    shuffle: bool,
) -> Float[Tensor, "N C H W"]:
    y = x * group_gate(x, weight, bias, scale, shift)
    return shuffle_channels(y) if shuffle else y


def _parts(x: Tensor, vector: Tensor) -> tuple[Tensor, ...]:
    """The channel half and the spatial half of every group: (N, G, C / 2G, H, W) each."""
    return x.unflatten(1, (-1, 2, len(vector))).unbind(2)


def _column(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1)
