"""Instance enhancement batch normalization on a CPU: one reading of the map gives all statistics.

The means of the images, which the gates are made of, give the batch's mean and variance as well; gate and norm are one
scale and shift.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from attnlib.kernels.passes import chunks, differentiable, gated


def normalised(
    x: Tensor,
    gate: Callable[[Tensor], Tensor],
    weight: Tensor,
    bias: Tensor,
    eps: float,
    running: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """weight gate(m) (x - mu) / sqrt(var + eps) + bias, mu and var; m the means of each image, (N, C, 1, 1).

    `running` are mu and var, (C); None takes those of the batch, var biased.
    """
    if running is None:
        # x is handed on for the product alone, whose gradient is nobody else's: the statistics' own is added to it.
        x, means, variances = _Moments.apply(x)
        mean, variance = means.mean(0).flatten(), (variances.mean(0) + means.var(0, correction=0)).flatten()
    else:
        means, (mean, variance) = x.mean((2, 3), keepdim=True), running
    scale = (weight * torch.rsqrt(variance + eps)).view(-1, 1, 1) * gate(means)
    y = gated(x, scale) + (bias.view(-1, 1, 1) - mean.view(-1, 1, 1) * scale)
    return y, mean, variance


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The form to read."""
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return x, mean, variance


class _Moments(Function):
    """x, and the mean and the biased variance of each image and channel, (N, C, 1, 1)."""

    generate_vmap_rule = True  # or torch.func.vmap of something else would not let it run

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = (x.new_empty(*x.shape[:2], 1, 1) for _ in range(2))
        for rows, (centred,) in chunks(x, 1):
            torch.mean(x[rows], (2, 3), keepdim=True, out=mean[rows])
            torch.sub(x[rows], mean[rows], out=centred)
            torch.mean(centred.square_(), (2, 3), keepdim=True, out=variance[rows])
        return x.view_as(x), mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, dx: Tensor | None, to_mean: Tensor | None, to_variance: Tensor | None) -> Tensor:
        x, mean = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_moments, ctx, [x], [dx, to_mean, to_variance])[0]
        # mean + variance give x the gradient slope * x + level.
        pixels = x.shape[2] * x.shape[3]
        slope = torch.zeros_like(mean) if to_variance is None else to_variance * (2 / pixels)
        level = -slope * mean
        if to_mean is not None:
            level += to_mean / pixels
        dx = torch.zeros_like(x) if dx is None else dx
        for rows, _ in chunks(x, 0):
            dx[rows].addcmul_(x[rows], slope[rows]).add_(level[rows])
        return dx
