"""Shuffle attention on a CPU in one pass over the map: chunks stay in the cache from the means to the shuffle.

Each channel's gate starts as a line of its deviation from the mean, slope * z + level, with slope 0 in the channel
half, whose level is its gate already. Only the spatial half goes through a sigmoid, the dearest operation here.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from attnlib.kernels.passes import chunks, differentiable

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


def gated_in_one_pass(
    readable: Callable[..., Tensor],
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor,
    shift: Tensor,
    shuffle: bool,
    eps: float,
) -> Tensor:
    """`readable(x, weight, bias, scale, shift, shuffle)`; eps is added to the variance."""
    return _GroupGated.apply(x, weight, bias, scale, shift, shuffle, eps, readable)[0]


class _GroupGated(Function):
    """The output, and the statistics that the backward pass needs."""

    generate_vmap_rule = True  # or torch.func.vmap of something else would not let it run

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        shift: Tensor,
        shuffle: bool,
        eps: float,
        readable: Callable[..., Tensor],
    ) -> tuple[Tensor, ...]:
        y = torch.empty_like(x)
        mean, slope, level = x.new_zeros(3, *x.shape[:2], 1, 1)
        rstd = torch.empty_like(_parts(mean, weight)[1])
        for rows, (gate,) in chunks(x, 1):
            torch.mean(x[rows], (2, 3), keepdim=True, out=mean[rows])
            torch.sub(x[rows], mean[rows], out=gate)
            (mean_1, _), (_, gate_2) = _parts(mean[rows], weight), _parts(gate, weight)
            (_, slope_2), (level_1, level_2) = _parts(slope[rows], weight), _parts(level[rows], weight)
            torch.linalg.vector_norm(gate_2, dim=(3, 4), keepdim=True, out=rstd[rows])
            rstd[rows].square_().div_(x[0, 0].numel()).add_(eps).rsqrt_()
            torch.mul(rstd[rows], _column(scale), out=slope_2)
            level_1.copy_(torch.sigmoid(_column(weight) * mean_1 + _column(bias)))
            level_2.copy_(_column(shift))
            gate.mul_(slope[rows]).add_(level[rows])
            gate_2.sigmoid_()
            torch.mul(_halves(x[rows], shuffle), _halves(gate, shuffle), out=_interleaved(y[rows], shuffle))
        return y, mean, slope, level, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.shuffle, _, ctx.readable = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        x, weight, bias, scale, shift, *statistics = ctx.saved_tensors
        shuffle, pixels = ctx.shuffle, x.shape[2] * x.shape[3]
        if torch.is_grad_enabled():
            arguments = [x, weight, bias, scale, shift, shuffle, None, None]
            return differentiable(lambda *a: ctx.readable(*a[:6]), ctx, arguments, [gradient])
        dx, (dweight, dbias, dscale, dshift) = torch.empty_like(x), x.new_zeros(4, len(weight))
        for rows, (z, gate, product) in chunks(x, 3):
            mean, slope, level, rstd = (statistic[rows] for statistic in statistics)
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
        return dx, dweight, dbias, dscale, dshift, None, None, None


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
