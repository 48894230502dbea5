"""Spatial group-wise enhancement (SGE): Li, Hu and Yang, 2019, arXiv 1905.09646.

Each group of channels is compared, pixel by pixel, with its own average over the map; where it resembles the average
more than elsewhere the group is kept, where less it is dimmed. Status: does what the paper says with two parameters a
group; starts as a constant gate of sigmoid(1) = 0.731, so compare it with that constant.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from attnlib.base import ScaleAttention, at_least_float32, check_count, check_divides, check_flag, check_map
from attnlib.scale_attention.fused import chunks, differentiable, fusable, sigmoid_backward

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
        function = GroupGated.apply if fusable(x, self.weight) else group_gated
        return function(x.unflatten(1, (self.groups, -1)), self.weight, self.bias, self.unbiased).flatten(1, 2)

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


def group_gated(
    x: Float[Tensor, "N G width H W"], weight: Float[Tensor, " G"], bias: Float[Tensor, " G"], unbiased: bool
) -> Float[Tensor, "N G width H W"]:
    return x * group_gate(x, weight, bias, unbiased)


class GroupGated(Function):
    """`group_gated` in one pass over the map: chunks of images stay in the cache from similarity to product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, unbiased: bool) -> Tensor:
        y, mean = torch.empty_like(x), x.new_empty(*x.shape[:3], 1, 1)
        centred, deviation = x.new_empty(*x.shape[:2], 1, *x.shape[3:]), x.new_empty(*x.shape[:2], 1, 1, 1)
        degrees = freedom(x, unbiased)
        for rows, (product,) in chunks(x, 1):
            torch.mean(x[rows], (3, 4), keepdim=True, out=mean[rows])
            torch.mul(x[rows], mean[rows], out=product)
            c = torch.sum(product, 2, keepdim=True, out=centred[rows])
            c -= c.mean((3, 4), keepdim=True)
            torch.linalg.vector_norm(c, dim=(3, 4), keepdim=True, out=deviation[rows]).mul_(degrees**-0.5)
            gate = _gate(c, weight, bias, deviation[rows])
            torch.mul(x[rows], gate, out=y[rows])
        ctx.save_for_backward(x, weight, bias)
        ctx.statistics, ctx.unbiased = (mean, centred, deviation), unbiased
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(group_gated, ctx, [x, weight, bias, ctx.unbiased], [gradient])
        (mean, centred, deviation), pixels = ctx.statistics, x.shape[3] * x.shape[4]
        degrees = freedom(x, ctx.unbiased)
        dx, (dweight, dbias) = torch.empty_like(x), x.new_zeros(2, len(weight))
        for rows, (product,) in chunks(x, 1):
            c, d = centred[rows], deviation[rows]
            gate = _gate(c, weight, bias, d)
            torch.mul(gradient[rows], gate, out=dx[rows])
            torch.mul(gradient[rows], x[rows], out=product)
            # Through the sigmoid of slope * c + beta, slope = gamma / (d + eps).
            logit = product.sum(2, keepdim=True)
            sigmoid_backward(logit, gate, grad_input=logit)
            slope = _column(weight) / (d + EPS)
            total = logit.sum((3, 4), keepdim=True)
            along = torch.mul(logit, c, out=gate).sum((3, 4), keepdim=True)
            dbias += total.sum((0, 2, 3, 4))
            dweight += (along / (d + EPS)).sum((0, 2, 3, 4))
            # Through the deviation, whose derivative c / (degrees d) is 0 where there is none, and the centring.
            by_deviation = torch.where(d > 0, along * slope / ((d + EPS) * d * degrees), 0)
            dc = logit.mul_(slope).addcmul_(c, by_deviation, value=-1).sub_(total * slope, alpha=1 / pixels)
            # Through the similarity, a product of x and its own mean.
            by_mean = torch.mul(x[rows], dc, out=product).sum((3, 4), keepdim=True)
            dx[rows].addcmul_(dc, mean[rows]).add_(by_mean, alpha=1 / pixels)
        return dx, dweight, dbias, None


def _gate(centred: Tensor, weight: Tensor, bias: Tensor, deviation: Tensor) -> Tensor:
    return torch.mul(centred, _column(weight) / (deviation + EPS)).add_(_column(bias)).sigmoid_()


def _column(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1, 1)
