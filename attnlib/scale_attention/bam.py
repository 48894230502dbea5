"""Bottleneck attention module (BAM): Park, Woo, Lee and Kweon, BMVC 2018, arXiv 1807.06514.

A channel branch (two layers on the channel means) and a spatial branch (dilated convolutions in a bottleneck) are
combined to one gate between 1 and 2, three times in a network, where it is about to halve its maps. Status: can only
amplify; the released weights multiply the two branches, the paper adds them and finds the sum better.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from attnlib.base import ScaleAttention, check_choice, check_count, check_flag, check_map, check_reduction, is_plain
from attnlib.scale_attention.fused import chunks, differentiable, fusable, ours, sigmoid_backward, to_add_to
from attnlib.scale_attention.norms import check_values

COMBINATIONS = {"product": torch.mul, "sum": torch.add}


class BAM(ScaleAttention):
    """Multiply the map by 1 + sigmoid(M_c * M_s), a value for every channel times one for every pixel.

        M_c   W_1 relu(BN(W_0 mean(x) + b_0)) + b_1
        M_s   f_3 relu(BN(f_2 relu(BN(f_1 relu(BN(f_0 x))))))

    f_0 and f_3 are 1 x 1 convolutions to floor(C / r) channels and to one, f_1 and f_2 dilated 3 x 3 ones; all have
    biases.

    Args:
        channels: number of channels C of the map.
        reduction: the paper's r.
        dilation: the paper's d, of the two 3 x 3 convolutions; it is also their padding.
        combine: "product" of the two branches, as in the released code and its weights; "sum" as in the paper.
        output_norm: a batch norm at the end of each branch, as in the paper's equations; the released code has none.
            `combine="sum", output_norm=True` is the nearest to the paper: its combination, output norms and parameter
            count; hidden norms and the channel branch's ReLU stay as released.

    Shapes: x, the gate and the output (N, C, H, W).

    Parameters, h = floor(C / r): 2 C h + 3 h + C in the channel branch, C h + 18 h^2 + 10 h + 1 in the spatial one;
    2 C + 2 more with output_norm.

    Raises:
        ValueError: C < r, a dilation below 1, an unknown combination, a map of another shape; in train mode a single
            image, whose hidden units have no variance.
        TypeError: an argument of another type; an input that is not floating point.

    Source: equations 1 to 4 of the paper for the sum and the norms at the ends; the rest as released.

    Where the released code differs: the product, ReLU in the channel branch, norms behind the hidden layers only. Its
    pooling window is H x H, which leaves out columns of a wide map; here the mean is over all pixels.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        dilation: int = 4,
        combine: str = "product",
        output_norm: bool = False,
    ) -> None:
        check_count("channels", channels)
        hidden = check_reduction(channels, reduction)
        check_count("dilation", dilation)
        check_choice("combine", combine, COMBINATIONS)
        check_flag("output_norm", output_norm)
        super().__init__(channels)
        self.combine = combine
        self.channel_branch = nn.Sequential(
            nn.Linear(channels, hidden),  # W_0
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),  # W_1
        )
        self.spatial_branch = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),  # f_0
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),  # f_1
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),  # f_2
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 1),  # f_3
        )
        if output_norm:
            self.channel_branch.append(nn.BatchNorm1d(channels))
            self.spatial_branch.append(nn.BatchNorm2d(1))

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        _, *branches = self._branches(x)
        return amplification(*branches, self.combine).to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        x, channel, spatial = self._branches(x)
        function = Amplified.apply if fusable(x, channel, spatial) else amplified
        return function(x, channel, spatial, self.combine)

    def _branches(
        self, x: Float[Tensor, "N C H W"]
    ) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "N C 1 1"], Float[Tensor, "N 1 H W"]]:
        """x, M_c and M_s."""
        self._check(x)
        first, *others = self.spatial_branch
        plain = is_plain(self.spatial_branch) and is_plain(first)
        if plain and fusable(x, first.weight) and x.is_contiguous():
            x, mean, spatial = Reduced.apply(x, first.weight, first.bias)
            for layer in others:
                spatial = layer(spatial)
        else:
            mean, spatial = x.mean((2, 3)), self.spatial_branch(x)
        return x, self.channel_branch(mean)[:, :, None, None], spatial

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        check_values("BAM's channel branch, which normalises over images,", self.channel_branch, x.shape[0], x.shape)
        check_values("BAM's spatial branch", self.spatial_branch, x.numel() // self.channels, x.shape)

    def network_init_(self) -> None:
        """As in the released ResNet: convolutions He (fan out), biases 0, norms 1 and 0; linear weights stay."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.ones_(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, combine={self.combine}"


# The readable forms, and the same with fewer passes over the map; `fused` says how.


def reduced(
    x: Float[Tensor, "N C H W"], weight: Float[Tensor, "h C 1 1"], bias: Float[Tensor, " h"]
) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "N C"], Float[Tensor, "N h H W"]]:
    """x, and what the two branches begin with: its means, and a 1 x 1 convolution of it."""
    return x, x.mean((2, 3)), F.conv2d(x, weight, bias)


def amplification(
    channel: Float[Tensor, "N C 1 1"], spatial: Float[Tensor, "N 1 H W"], combine: str
) -> Float[Tensor, "N C H W"]:
    return 1 + torch.sigmoid(COMBINATIONS[combine](channel, spatial))


def amplified(
    x: Float[Tensor, "N C H W"], channel: Float[Tensor, "N C 1 1"], spatial: Float[Tensor, "N 1 H W"], combine: str
) -> Float[Tensor, "N C H W"]:
    """x (1 + sigmoid(M_c * M_s)), or the sum of the two in place of the product."""
    return x * amplification(channel, spatial, combine).to(x.dtype)


class Reduced(Function):
    """`reduced` of a contiguous map: one matrix product adds the gradients through both branches to x's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(x, weight, bias)
        matrices = weight.flatten(1).expand(len(x), -1, -1)
        z = torch.baddbmm(bias[:, None], matrices, x.flatten(2))
        return x, x.mean((2, 3)), z.unflatten(2, x.shape[2:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, to_mean: Tensor, to_z: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(reduced, ctx, [x, weight, bias], [gradient, to_mean, to_z])
        pixels, to_z = x.shape[2] * x.shape[3], to_z.flatten(2)
        # W^T dz + dmean / (H W), the second as one more column against a row of ones.
        columns = torch.cat([weight.flatten(1).T.expand(len(x), -1, -1), to_mean[:, :, None] / pixels], 2)
        rows = torch.cat([to_z, to_z.new_ones(len(x), 1, pixels)], 1)
        dx = to_add_to(gradient, x).contiguous()
        dx.flatten(2).baddbmm_(columns, rows)
        to_weight = torch.bmm(to_z, x.flatten(2).transpose(1, 2)).sum(0)
        return ours(dx), to_weight.view_as(weight), to_z.sum((0, 2))


class Amplified(Function):
    """`amplified` in chunks of images; the gate is computed again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor, spatial: Tensor, combine: str) -> Tensor:
        ctx.combine = combine
        ctx.save_for_backward(x, channel, spatial)
        y = torch.empty_like(x)
        for rows, (gate,) in chunks(x, 1):
            COMBINATIONS[combine](channel[rows], spatial[rows], out=gate).sigmoid_()
            torch.addcmul(x[rows], x[rows], gate, out=y[rows])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, channel, spatial = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(amplified, ctx, [x, channel, spatial, ctx.combine], [gradient])
        # What a branch's gradient is weighted by: the other branch, or nothing.
        product = ctx.combine == "product"
        by_channel, by_spatial = (channel, spatial) if product else (torch.ones_like(channel), torch.ones_like(spatial))
        dx, to_channel, to_spatial = (torch.empty_like(tensor) for tensor in (x, channel, spatial))
        for rows, (gate, logit) in chunks(x, 2):
            COMBINATIONS[ctx.combine](channel[rows], spatial[rows], out=gate).sigmoid_()
            torch.addcmul(gradient[rows], gradient[rows], gate, out=dx[rows])
            torch.mul(gradient[rows], x[rows], out=logit)
            sigmoid_backward(logit, gate, grad_input=logit)
            pixels = logit.flatten(2)
            to_channel[rows] = (pixels @ by_spatial[rows].flatten(2).transpose(1, 2))[..., None]
            to_spatial[rows] = (by_channel[rows].flatten(2).transpose(1, 2) @ pixels).view_as(spatial[rows])
        return ours(dx), to_channel, to_spatial, None
