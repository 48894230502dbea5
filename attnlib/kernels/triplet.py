"""Triplet attention on a CPU: means and maxima over three axes in one reading, gates never as large as the map.

The form to read passes over the map once for each statistic, the product and each of their gradients.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from attnlib.kernels.passes import chunks, differentiable, gated

Pairs = list[tuple[Tensor, Tensor]]


def attended(x: Tensor, axes: list[int], gates: Callable[[Pairs], list[Tensor]]) -> Tensor:
    """x times the sum of `gates`, which are made of the mean and the maximum of x over each of `axes`.

    Among equal values the first is the maximum: it alone gets the gradient.
    """
    # `_Pooled` hands x on for the product alone, whose gradient is nobody else's: the statistics' own is added to it.
    x, *found = _Pooled.apply(x, *axes)
    statistics = found[: 2 * len(axes)]
    return gated(x, *gates(list(zip(statistics[::2], statistics[1::2], strict=True))))


def _pooled(x: Tensor, *axes: int) -> tuple[Tensor, ...]:
    """The form to read."""
    return x, *(s for axis in axes for s in (x.mean(axis, keepdim=True), x.max(axis, keepdim=True).values))


class _Pooled(Function):
    """x, mean and maximum over each axis, and where the maxima are, if finding them says so."""

    generate_vmap_rule = True  # or torch.func.vmap of something else would not let it run

    @staticmethod
    def forward(x: Tensor, *axes: int) -> tuple[Tensor, ...]:
        shapes = [[*x.shape[:axis], 1, *x.shape[axis + 1 :]] for axis in axes]
        found = [(x.new_empty(shape), x.new_empty(shape)) for shape in shapes]
        places = [
            torch.empty(shape, dtype=torch.long) if _in_vectors(x, axis) else None
            for axis, shape in zip(axes, shapes, strict=True)
        ]
        for rows, _ in chunks(x, 0):
            for axis, (mean, largest), place in zip(axes, found, places, strict=True):
                torch.mean(x[rows], axis, keepdim=True, out=mean[rows])
                if place is None:
                    torch.amax(x[rows], axis, keepdim=True, out=largest[rows])
                else:
                    largest[rows], place[rows] = _first_maxima(x[rows], axis)
        return x.view_as(x), *(statistic for pair in found for statistic in pair), *(p for p in places if p is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, *ctx.axes = inputs
        statistics, places = output[1 : 1 + 2 * len(ctx.axes)], output[1 + 2 * len(ctx.axes) :]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*places)
        ctx.save_for_backward(x, *statistics[1::2], *places)

    @staticmethod
    def backward(ctx: Any, dx: Tensor | None, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, *kept = ctx.saved_tensors
        axes, maxima, places = ctx.axes, kept[: len(ctx.axes)], iter(kept[len(ctx.axes) :])
        gradients = gradients[: 2 * len(axes)]
        if torch.is_grad_enabled():
            return differentiable(_pooled, ctx, [x, *axes], [dx, *gradients])
        dx = torch.zeros_like(x) if dx is None else dx
        where = [next(places) if _in_vectors(x, axis) else None for axis in axes]
        for rows, (at_maximum,) in chunks(x, 1):
            for axis, largest, place, to_mean, to_max in zip(
                axes, maxima, where, gradients[::2], gradients[1::2], strict=True
            ):
                if to_mean is not None:
                    dx[rows] += to_mean[rows] / x.shape[axis]
                if to_max is not None and place is not None:
                    dx[rows].scatter_add_(axis, place[rows], to_max[rows])
                elif to_max is not None:
                    _mark_first(x[rows], largest[rows], axis, out=at_maximum)
                    dx[rows].addcmul_(at_maximum, to_max[rows])
        return dx, *[None] * len(axes)


def _in_vectors(x: Tensor, axis: int) -> bool:
    """Whether numbers that belong to different maxima over `axis` lie side by side, as `_first_maxima` needs."""
    return axis < x.dim() - 1 and x.is_contiguous()


def _first_maxima(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Maxima over an axis and where each is first reached, as from `x.max(axis, keepdim=True)`.

    That takes one number at a time. Pooling takes vectors where what it sees as channels lies side by side: here that
    is everything behind the axis.
    """
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    stacked = x.view(before.numel(), x.shape[axis], 1, behind.numel()).permute(0, 3, 1, 2)
    largest, index = F.max_pool2d(stacked, (x.shape[axis], 1), return_indices=True)
    return largest.view(*before, 1, *behind), index.view(*before, 1, *behind)


def _mark_first(x: Tensor, largest: Tensor, axis: int, out: Tensor) -> None:
    """1 where x first reaches its maximum over `axis`, 0 elsewhere."""
    torch.eq(x, largest, out=out)
    if (out.sum(axis) > 1).any():  # equal values: count down along the axis, so that the first of them is the largest
        order = torch.arange(x.shape[axis], 0, -1, dtype=x.dtype)
        out.mul_(order.view(-1, *[1] * (x.dim() - 1 - axis)))
        torch.eq(out, out.amax(axis, keepdim=True), out=out)


# A kernel of one output channel and two input channels leaves a CPU's vectors empty. With the positions of one axis in
# the channels' place, the same sum is a convolution along the other axis from maps * B channels to B: more
# multiply-adds, most of them with zeros, and several times faster while B is small.
WIDEST_BAND = 64


def convolved_in_bands(z: Tensor, weight: Tensor) -> Tensor:
    """`F.conv2d(z, weight, padding=k // 2)` of a finite z (N, maps, A, B) and a weight (1, maps, k, k), k odd."""
    if min(z.shape[2:]) > WIDEST_BAND:
        return F.conv2d(z, weight, padding=weight.shape[3] // 2)
    if z.shape[2] < z.shape[3]:  # the shorter axis goes into the channels' place
        return convolved_in_bands(z.transpose(2, 3), weight.transpose(2, 3)).transpose(2, 3)
    images, maps, length, width = z.shape
    half = weight.shape[3] // 2
    # band[c, a, b, d] is the weight of position d for output b: the kernel's row a, shifted to b and cut at the border.
    row = F.pad(weight[0], (width - 1 - half, width - 1 - half))
    band = row.unfold(2, width, 1).flip(2)
    kernel = band.permute(2, 0, 3, 1).flatten(1, 2)
    stacked = z.transpose(2, 3).reshape(images, maps * width, length)
    return F.conv1d(stacked, kernel, padding=half).transpose(1, 2).unsqueeze(1)
