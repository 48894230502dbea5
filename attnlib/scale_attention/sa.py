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
        return shuffle_gate(x, *self._weights(), self.groups)

    def _weights(self) -> tuple[Float[Tensor, " half"], ...]:
        """Scale and shift of the channel half's means, and of the spatial half's normalised map."""
        scale = self.spatial_weight * self.norm_weight
        shift = self.spatial_weight * self.norm_bias + self.spatial_bias
        return self.channel_weight, self.channel_bias, scale, shift

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        function = ShuffleGated.apply if fusable(x, self.norm_weight) else shuffle_gated
        return function(x, *self._weights(), self.groups, self.shuffle)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}, shuffle={self.shuffle}"


def shuffle_gate(
    x: Float[Tensor, "N C H W"],
    w_1: Float[Tensor, " half"],
    b_1: Float[Tensor, " half"],
    w_2: Float[Tensor, " half"],
    b_2: Float[Tensor, " half"],
    groups: int,
) -> Float[Tensor, "N C H W"]:
    """sigmoid(w_1 mean(x_k1) + b_1) for the first half of each group, sigmoid(w_2 norm(x_k2) + b_2) for the second."""
    # Per image and channel both halves are a sigmoid of scale * x + shift: the channel half with scale 0, the
    # spatial half with the norm folded in. One pass finds the statistics, one applies them.
    variance, mean = torch.var_mean(at_least_float32(x), (2, 3), correction=0)
    mean_1, mean_2 = halves(mean, groups)
    _, variance_2 = halves(variance, groups)
    scale_2 = w_2 * torch.rsqrt(variance_2 + EPS)
    scale = torch.stack([torch.zeros_like(scale_2), scale_2], 2).view(*mean.shape, 1, 1)
    shift = torch.stack([w_1 * mean_1 + b_1, b_2 - mean_2 * scale_2], 2).view(*mean.shape, 1, 1)
    return torch.sigmoid(torch.addcmul(shift, x, scale)).to(x.dtype)


def halves(x: Float[Tensor, "N C ..."], groups: int) -> tuple[Float[Tensor, "N G half ..."], ...]:
    """The channel half and the spatial half of every group."""
    return x.unflatten(1, (groups, 2, -1)).unbind(2)


def shuffle_channels(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Interleave the two halves of the channels: output 2i is input i, output 2i + 1 is input i + C/2."""
    return F.channel_shuffle(x, 2)


def shuffle_gated(
    x: Float[Tensor, "N C H W"],
    w_1: Float[Tensor, " half"],
    b_1: Float[Tensor, " half"],
    w_2: Float[Tensor, " half"],
    b_2: Float[Tensor, " half"],
    groups: int,
    shuffle: bool,
) -> Float[Tensor, "N C H W"]:
    """x times its gate, the channels then shuffled."""
    y = x * shuffle_gate(x, w_1, b_1, w_2, b_2, groups)
    return shuffle_channels(y) if shuffle else y


class ShuffleGated(Function):
    """`shuffle_gated` in one pass over the map: chunks of images stay in the cache from statistics to product."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor, groups: int, shuffle: bool
    ) -> Tensor:
        mean, y = x.new_empty(*x.shape[:2], 1, 1), torch.empty_like(x)
        inverse = x.new_empty(len(x), groups, len(w_2), 1, 1)  # of the spatial half's deviation
        for rows, (gate,) in chunks(x, 1):
            gate_1, gate_2 = halves(gate, groups)
            torch.mean(x[rows], (2, 3), keepdim=True, out=mean[rows])
            mean_1, mean_2 = halves(mean[rows], groups)
            gate_1.copy_(torch.sigmoid(_column(w_1) * mean_1 + _column(b_1)))
            centred = halves(x[rows], groups)[1] - mean_2
            torch.mul(centred, centred, out=gate_2)
            torch.add(gate_2.mean((3, 4), keepdim=True), EPS, out=inverse[rows]).rsqrt_()
            torch.mul(centred, _column(w_2) * inverse[rows], out=gate_2).add_(_column(b_2)).sigmoid_()
            torch.mul(_folded(x[rows], shuffle), _folded(gate, shuffle), out=_in_order(y[rows], shuffle))
        ctx.save_for_backward(x, w_1, b_1, w_2, b_2)
        ctx.statistics, ctx.groups, ctx.shuffle = (mean, inverse), groups, shuffle
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w_1, b_1, w_2, b_2 = ctx.saved_tensors
        groups, shuffle = ctx.groups, ctx.shuffle
        if torch.is_grad_enabled():
            return differentiable(shuffle_gated, ctx, [x, w_1, b_1, w_2, b_2, groups, shuffle], [gradient])
        (mean, inverse), pixels = ctx.statistics, x.shape[2] * x.shape[3]
        dx, sums = torch.empty_like(x), x.new_zeros(4, len(w_2))
        for rows, (gate, product) in chunks(x, 2):
            # The gates once more.
            gate_1, gate_2 = halves(gate, groups)
            mean_1, mean_2 = halves(mean[rows], groups)
            small_1 = torch.sigmoid(_column(w_1) * mean_1 + _column(b_1))
            gate_1.copy_(small_1)
            normal = (halves(x[rows], groups)[1] - mean_2).mul_(inverse[rows])
            torch.mul(normal, _column(w_2), out=gate_2).add_(_column(b_2)).sigmoid_()
            # Through the product.
            given = _in_order(gradient[rows], shuffle)
            torch.mul(given, _folded(x[rows], shuffle), out=_folded(product, shuffle))
            torch.mul(given, _folded(gate, shuffle), out=_folded(dx[rows], shuffle))
            product_1, logit_2 = halves(product, groups)
            dx_1, dx_2 = halves(dx[rows], groups)
            # The channel half: through sigmoid and mean.
            logit_1 = product_1.sum((3, 4), keepdim=True) * small_1 * (1 - small_1)
            dx_1.add_(logit_1 * _column(w_1 / pixels))
            # The spatial half: through sigmoid and norm.
            sigmoid_backward(logit_2, gate_2, grad_input=logit_2)
            total = logit_2.sum((3, 4), keepdim=True)
            torch.mul(logit_2, normal, out=gate_2)
            along = gate_2.sum((3, 4), keepdim=True)
            logit_2.addcmul_(normal, along, value=-1 / pixels).sub_(total, alpha=1 / pixels)
            dx_2.addcmul_(logit_2, _column(w_2) * inverse[rows])
            for sum_, terms in zip(sums, (logit_1 * mean_1, logit_1, along, total), strict=True):
                sum_ += terms.sum((0, 1, 3, 4))
        return dx, *sums, None, None


def _column(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1)


def _folded(x: Tensor, shuffle: bool) -> Tensor:
    """x with an axis for its two halves of channels, where a shuffle interleaves them."""
    return x.unflatten(1, (2, -1)) if shuffle else x


def _in_order(y: Tensor, shuffle: bool) -> Tensor:
    """A view of the output, perhaps shuffled, that matches `_folded(x)`: writing to it is the shuffle."""
    return y.unflatten(1, (-1, 2)).transpose(1, 2) if shuffle else y
