"""Shuffle attention (SA): Zhang and Yang, ICASSP 2021, arXiv 2102.00240.

Channels are cut into groups; in each group the first half is gated channel by channel from its means, the second half
pixel by pixel from its normalised map, and a channel shuffle interleaves the result. Status: works as described, but
costs 708 parameters in ResNet-50 where the paper says 300, and its norm's own scale and shift are redundant.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from attnlib.base import ScaleAttention, at_least_float32, check_count, check_flag, check_map
from attnlib.scale_attention.fused import chunks, differentiable, fusable, sigmoid_backward

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
        return (GroupGated.apply if fusable(x, *vectors) else group_gated)(x, *vectors, self.shuffle)

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


class GroupGated(Function):
    """`group_gated` in one pass over the map: chunks of images stay in the cache from the means to the shuffle.

    Each channel's gate starts as a line of its deviation from the mean, slope * z + level, with slope 0 in the channel
    half, whose level is its gate already. Only the spatial half goes through a sigmoid, the dearest operation here.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, shuffle: bool
    ) -> Tensor:
        y = torch.empty_like(x)
        mean, slope, level = x.new_zeros(3, *x.shape[:2], 1, 1)
        rstd = torch.empty_like(_parts(mean, weight)[1])
        for rows, (gate,) in chunks(x, 1):
            torch.mean(x[rows], (2, 3), keepdim=True, out=mean[rows])
            torch.sub(x[rows], mean[rows], out=gate)
            (mean_1, _), (_, gate_2) = _parts(mean[rows], weight), _parts(gate, weight)
            (_, slope_2), (level_1, level_2) = _parts(slope[rows], weight), _parts(level[rows], weight)
            torch.linalg.vector_norm(gate_2, dim=(3, 4), keepdim=True, out=rstd[rows])
            rstd[rows].square_().div_(x[0, 0].numel()).add_(EPS).rsqrt_()
            torch.mul(rstd[rows], _column(scale), out=slope_2)
            level_1.copy_(torch.sigmoid(_column(weight) * mean_1 + _column(bias)))
            level_2.copy_(_column(shift))
            gate.mul_(slope[rows]).add_(level[rows])
            gate_2.sigmoid_()
            torch.mul(_halves(x[rows], shuffle), _halves(gate, shuffle), out=_interleaved(y[rows], shuffle))
        ctx.save_for_backward(x, weight, bias, scale, shift)
        ctx.statistics, ctx.shuffle = (mean, slope, level, rstd), shuffle
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, scale, shift = ctx.saved_tensors
        shuffle, pixels = ctx.shuffle, x.shape[2] * x.shape[3]
        if torch.is_grad_enabled():
            return differentiable(group_gated, ctx, [x, weight, bias, scale, shift, shuffle], [gradient])
        dx, (dweight, dbias, dscale, dshift) = torch.empty_like(x), x.new_zeros(4, len(weight))
        for rows, (z, gate, product) in chunks(x, 3):
            mean, slope, level, rstd = (statistic[rows] for statistic in ctx.statistics)
            (_, gate_2), (_, product_2) = _parts(gate, weight), _parts(product, weight)
            torch.sub(x[rows], mean, out=z)
            torch.mul(z, slope, out=gate).add_(level)
            gate_2.sigmoid_()
            given = _interleaved(gradient[rows], shuffle)
            torch.mul(given, _halves(gate, shuffle), out=_halves(dx[rows], shuffle))
            torch.mul(given, _halves(x[rows], shuffle), out=_halves(product, shuffle))
            # To the line before the sigmoid and its two sums a channel, over pixels and along z.
            sigmoid_backward(product_2, gate_2, grad_input=product_2)
            dx[rows].addcmul_(product, slope)
            total = product.sum((2, 3), keepdim=True)
            along = product.mul_(z).sum((2, 3), keepdim=True)
            (total_1, total_2), (_, along_2), (mean_1, _) = (_parts(s, weight) for s in (total, along, mean))
            channel, _ = _parts(level, weight)
            to_mean = total_1 * channel * (1 - channel)
            for vector, found in (
                (dweight, to_mean * mean_1),
                (dbias, to_mean),
                (dscale, along_2 * rstd),
                (dshift, total_2),
            ):
                vector += found.sum((0, 1, 3, 4))
            # Through the mean and the deviation, which every pixel moves: one more line for each channel.
            along_2 *= rstd.square()
            total *= slope
            total_1.copy_(to_mean * _column(weight)).neg_()
            dx[rows].addcmul_(z, along.mul_(slope).div_(-pixels)).sub_(total.div_(pixels))
        return dx, dweight, dbias, dscale, dshift, None


def _parts(x: Tensor, vector: Tensor) -> tuple[Tensor, ...]:
    """The channel half and the spatial half of every group: (N, G, C / 2G, H, W) each."""
    return x.unflatten(1, (-1, 2, len(vector))).unbind(2)


def _column(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1)


def _halves(x: Tensor, shuffle: bool) -> Tensor:
    """x with an axis for its two halves of channels, where a shuffle will interleave them."""
    return x.unflatten(1, (2, -1)) if shuffle else x


def _interleaved(y: Tensor, shuffle: bool) -> Tensor:
    """The view of a shuffled map that matches `_halves(x)`: writing to it is the shuffle, reading from it undoes it."""
    return y.unflatten(1, (-1, 2)).transpose(1, 2) if shuffle else y
