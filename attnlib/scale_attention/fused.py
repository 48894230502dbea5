"""What gates have in common, each in one pass over the map: statistics, gates and products with a lean backward.

Every function here has its readable form beside it and equals it, gradients too; the fused form is used in eager mode
on a CPU. Three things make it faster:

* Samples are taken in chunks that stay in the cache while several operations pass over them.
* A gate as large as the map is computed again in the backward pass rather than kept.
* What reads statistics from a map hands the map on (`x, mean = ...`): the gradient of whatever is done with x then
  arrives together with the statistics' own, and one pass adds them up instead of a full-size sum of two.

    x, mean, variance = moments(x)             per image and channel
    x, (mean, max), ... = pooled(x, dim, ...)  mean and maximum over an axis, or over several axes together
    y = gated(x, gate, ...)                    x times the sum of gates that broadcast to it
    y = gated_in_turn(x, gate, ...)            x times each gate
    y = self_gated(x, scale, shift)            x times sigmoid(scale * x + shift)

The x handed on is for gates: they mark the gradient that they make as their own (`ours`), to be added to in place; any
other is copied first. It is not for sums such as x + y, which would pass a gate's marked gradient on to y as well.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function, forward_ad

from attnlib.base import at_least_float32, is_counted

CHUNK = 4 << 20  # bytes of the map that are worked on at a time
Dims = int | tuple[int, ...]

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


def fusable(*tensors: Tensor) -> bool:
    """Whether the fused forms serve these tensors: plain CPU tensors of one type, in eager mode, outside autocast.

    What traces or transforms (torch.compile, torch.export, torch.jit.trace, torch.func, forward-mode derivatives) gets
    the readable form: it sees through that one, and has its own ways of making it fast. A counter of operations gets it
    too.
    """
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch.is_autocast_enabled("cpu")
        or is_counted()
    ) and all(
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.dtype in (torch.float32, torch.float64)
        and tensor.dtype == tensors[0].dtype
        and forward_ad.unpack_dual(tensor).tangent is None
        for tensor in tensors
    )


# The functions.


def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x, and the mean and the biased variance of each image and channel, (N, C, 1, 1)."""
    return _Moments.apply(x) if fusable(x) else _moments(x)


def pooled(x: Tensor, *dims: Dims, gate: Tensor | None = None) -> tuple[Tensor | tuple[Tensor, Tensor], ...]:
    """x, and for each of `dims` the mean and the maximum over it, of length 1 there; with a gate, those of x * gate.

    One of `dims` is an axis or a tuple of neighbouring axes, which are reduced together. Among equal values the first
    is the maximum: it alone gets the gradient. The gated map is not stored.
    """
    if fusable(x, *([] if gate is None else [gate])):
        x, *found = _Pooled.apply(x, gate, *dims)
    else:
        x, *found = _pooled(x, gate, *dims)
    return x, *zip(found[::2], found[1::2], strict=True)


def gated(x: Tensor, *gates: Tensor) -> Tensor:
    """x times the sum of `gates`, each of which has x's rank and broadcasts to x."""
    return _Gated.apply(x, *gates) if fusable(x, *gates) else _gated(x, *gates)


def gated_in_turn(x: Tensor, *gates: Tensor) -> Tensor:
    """x times each of one or two gates, which have x's rank and broadcast to x."""
    return _GatedInTurn.apply(x, *gates) if fusable(x, *gates) else _gated_in_turn(x, *gates)


def self_gated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x * sigmoid(scale * x + shift), with scale and shift of shape (N or 1, C, 1, 1)."""
    return (_SelfGated.apply if fusable(x, scale, shift) else _self_gated)(x, scale, shift)


def batch_moments(x: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, the mean of each image, and mean and biased variance of the batch, by which the norm's own have moved.

    One reading of each image gives them all.
    """
    x, means, variances = moments(x)
    mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
    track(norm, mean, variance, x.numel() // x.shape[1])
    return x, means, mean, variance


@torch.no_grad()
def track(norm: nn.Module, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as a batch norm layer does, from the biased variance of `count` values."""
    share = counted(norm)
    norm.running_mean.lerp_(mean.flatten().to(norm.running_mean), share)
    unbiased = variance.flatten() * (count / (count - 1))
    norm.running_var.lerp_(unbiased.to(norm.running_var), share)


def counted(norm: nn.Module) -> float:
    """The share of one more batch in the running statistics: momentum, or where it is None that of a plain average."""
    norm.num_batches_tracked.add_(1)
    return 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum


# The readable forms.


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    variance, mean = torch.var_mean(at_least_float32(x), (2, 3), correction=0, keepdim=True)
    return x, mean, variance


def _pooled(x: Tensor, gate: Tensor | None, *dims: Dims) -> tuple[Tensor, ...]:
    z = x if gate is None else x * gate
    return x, *(statistic for dim in dims for statistic in (z.mean(dim, keepdim=True), _first_max(z, dim)))


def _first_max(x: Tensor, dim: Dims) -> Tensor:
    if isinstance(dim, int):
        return x.max(dim, keepdim=True).values
    flat = x.flatten(dim[0], dim[-1]).max(dim[0]).values
    return flat[(..., *[None] * len(dim), *[slice(None)] * (x.dim() - 1 - dim[-1]))]


def _gated(x: Tensor, *gates: Tensor) -> Tensor:
    total = gates[0]
    for gate in gates[1:]:
        total = total + gate
    return x * total


def _gated_in_turn(x: Tensor, *gates: Tensor) -> Tensor:
    for gate in gates:
        x = x * gate
    return x


def _self_gated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return x * torch.sigmoid(torch.addcmul(shift, x, scale)).to(x.dtype)


# What fused forms are made of.


def chunks(x: Tensor, buffers: int) -> Iterator[tuple[slice, list[Tensor]]]:
    """Slices of the first axis, about CHUNK bytes each, and as many buffers of that shape, used again and again."""
    step = max(1, CHUNK // max(1, x[:1].numel() * x.element_size()))
    room = [torch.empty_like(x[:step]) for _ in range(buffers)]
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, [buffer[: rows.stop - start] for buffer in room]


def differentiable(
    readable: Callable[..., Any], ctx: Any, arguments: Sequence[Any], gradients: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """What a fused backward returns, found by the readable form: for a backward that is to be differentiated itself."""
    # Views of our own: a gradient must stop at them, also where one argument was computed from another.
    own = [a.view_as(a) if isinstance(a, Tensor) else a for a in arguments]
    outputs = readable(*own)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    reached = [pair for pair in zip(outputs, gradients, strict=True) if pair[1] is not None]
    outputs, gradients = zip(*reached, strict=True)
    wanted = [a for a, needed in zip(own, ctx.needs_input_grad, strict=True) if needed]
    found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


def ours(gradient: Tensor) -> Tensor:
    """Mark a gradient as made here, for nobody else: it may be added to in place."""
    gradient._attnlib_ours = True
    return gradient


def to_add_to(gradient: Tensor | None, x: Tensor) -> Tensor:
    """A tensor that starts as this gradient of x and may be written into."""
    if gradient is None:
        return torch.zeros_like(x)
    return gradient if getattr(gradient, "_attnlib_ours", False) else gradient.clone()


def _for_each(gate: Tensor, x: Tensor) -> Tensor:
    """The gate with one entry for each image of x."""
    return gate.expand(len(x), *gate.shape[1:])


# The fused forms.


class _Moments(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = (x.new_empty(*x.shape[:2], 1, 1) for _ in range(2))
        for rows, (centred,) in chunks(x, 1):
            torch.mean(x[rows], (2, 3), keepdim=True, out=mean[rows])
            torch.sub(x[rows], mean[rows], out=centred)
            torch.mean(centred.square_(), (2, 3), keepdim=True, out=variance[rows])
        ctx.save_for_backward(x, mean)
        ctx.set_materialize_grads(False)
        return x, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Tensor:
        x, mean = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_moments, ctx, [x], gradients)[0]
        gradient, to_mean, to_variance = gradients
        # mean + variance give x the gradient slope * x + level.
        pixels = x.shape[2] * x.shape[3]
        slope = torch.zeros_like(mean) if to_variance is None else to_variance * (2 / pixels)
        level = -slope * mean
        if to_mean is not None:
            level += to_mean / pixels
        dx = to_add_to(gradient, x)
        for rows, _ in chunks(x, 0):
            dx[rows].addcmul_(x[rows], slope[rows]).add_(level[rows])
        return ours(dx)


class _Pooled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor | None, *dims: Dims) -> tuple[Tensor, ...]:
        shapes = [[1 if i in _axes(dim) else side for i, side in enumerate(x.shape)] for dim in dims]
        found = [(x.new_empty(shape), x.new_empty(shape)) for shape in shapes]
        # Where each maximum is, if finding it says so; else the backward pass looks for its value.
        places = [
            torch.empty(shape, dtype=torch.long) if _in_vectors(x, dim) else None
            for dim, shape in zip(dims, shapes, strict=True)
        ]
        for rows, z in _each(x, gate):
            for dim, (mean, largest), place in zip(dims, found, places, strict=True):
                torch.mean(z, dim, keepdim=True, out=mean[rows])
                if place is None:
                    torch.amax(z, dim, keepdim=True, out=largest[rows])
                else:
                    largest[rows], place[rows] = _first_maxima(z, dim)
        ctx.dims, ctx.places = dims, places
        ctx.save_for_backward(x, gate, *(largest for _, largest in found))
        ctx.set_materialize_grads(False)
        return x, *(statistic for pair in found for statistic in pair)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, gate, *maxima = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_pooled, ctx, [x, gate, *ctx.dims], [gradient, *gradients])
        dx = to_add_to(gradient, x)
        dgate = None if gate is None else x.new_empty(_for_each(gate, x).shape)
        found = list(zip(ctx.dims, maxima, ctx.places, gradients[::2], gradients[1::2], strict=True))
        for (rows, z), (_, (at_maximum, dz)) in zip(_each(x, gate), chunks(x, 2), strict=True):
            dz = dx[rows] if gate is None else dz.zero_()
            for dim, largest, place, to_mean, to_max in found:
                if to_mean is not None:
                    dz += to_mean[rows] / (x[0].numel() // largest[0].numel())
                if to_max is not None and place is not None:
                    dz.scatter_add_(dim, place[rows], to_max[rows])
                elif to_max is not None:
                    _mark_first(z, largest[rows], dim, out=at_maximum)
                    dz.addcmul_(at_maximum, to_max[rows])
            if gate is not None:
                dx[rows].addcmul_(dz, _for_each(gate, x)[rows])
                dgate[rows] = dz.mul_(x[rows]).sum_to_size(dgate[rows].shape)
        if gate is not None:
            dgate = dgate.sum_to_size(gate.shape)
        return ours(dx), dgate, *[None] * len(ctx.dims)


def _each(x: Tensor, gate: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of x, or of x * gate."""
    for rows, room in chunks(x, int(gate is not None)):
        yield rows, x[rows] if gate is None else torch.mul(x[rows], _for_each(gate, x)[rows], out=room[0])


def _axes(dim: Dims) -> tuple[int, ...]:
    return (dim,) if isinstance(dim, int) else dim


def _in_vectors(x: Tensor, dim: Dims) -> bool:
    """Whether numbers that belong to different maxima over `dim` lie side by side, as `_first_maxima` needs."""
    return isinstance(dim, int) and dim < x.dim() - 1 and x.is_contiguous()


def _first_maxima(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Maxima over an axis and where each is first reached, as from `x.max(dim, keepdim=True)`.

    That takes one number at a time. Pooling takes vectors where what it sees as channels lies side by side: here that
    is everything behind the axis.
    """
    before, behind = x.shape[:dim], x.shape[dim + 1 :]
    stacked = x.view(before.numel(), x.shape[dim], 1, behind.numel()).permute(0, 3, 1, 2)
    largest, index = nn.functional.max_pool2d(stacked, (x.shape[dim], 1), return_indices=True)
    return largest.view(*before, 1, *behind), index.view(*before, 1, *behind)


def _mark_first(x: Tensor, largest: Tensor, dim: Dims, out: Tensor) -> None:
    """1 where x first reaches its maximum over `dim`, 0 elsewhere."""
    torch.eq(x, largest, out=out)
    if (out.sum(dim) > 1).any():  # equal values: count down along the axis, so that the first of them is the largest
        axes = _axes(dim)
        sides = [x.shape[axis] for axis in axes]
        order = torch.arange(torch.Size(sides).numel(), 0, -1, dtype=x.dtype).view(sides)
        out.mul_(order[(..., *[None] * (x.dim() - 1 - axes[-1]))])
        torch.eq(out, out.amax(dim, keepdim=True), out=out)


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *gates: Tensor) -> Tensor:
        ctx.save_for_backward(x, *gates)
        y = torch.empty_like(x)
        gates = [_for_each(gate, x) for gate in gates]
        for rows, room in chunks(x, int(len(gates) > 1)):
            torch.mul(x[rows], _total([gate[rows] for gate in gates], room), out=y[rows])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *gates = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_gated, ctx, [x, *gates], [gradient])
        each = [_for_each(gate, x) for gate in gates]
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        to_gates = [
            x.new_empty(gate.shape) if n else None for gate, n in zip(each, ctx.needs_input_grad[1:], strict=True)
        ]
        for rows, (product,) in chunks(x, 1):
            if dx is not None:
                torch.mul(gradient[rows], _total([gate[rows] for gate in each], [product]), out=dx[rows])
            torch.mul(gradient[rows], x[rows], out=product)
            for to_gate in to_gates:
                if to_gate is not None:
                    to_gate[rows] = product.sum_to_size(to_gate[rows].shape)
        found = [g if g is None else g.sum_to_size(gate.shape) for g, gate in zip(to_gates, gates, strict=True)]
        return dx if dx is None else ours(dx), *found


def _total(gates: Sequence[Tensor], room: Sequence[Tensor]) -> Tensor:
    """The sum of gates; of several, in the buffer."""
    if len(gates) == 1:
        return gates[0]
    total = torch.add(gates[0].expand_as(room[0]), gates[1], out=room[0])
    for gate in gates[2:]:
        total += gate
    return total


class _GatedInTurn(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *gates: Tensor) -> Tensor:
        ctx.save_for_backward(x, *gates)
        y = torch.empty_like(x)
        each = [_for_each(gate, x) for gate in gates]
        for rows, _ in chunks(x, 0):
            torch.mul(x[rows], each[0][rows], out=y[rows])
            if len(gates) == 2:
                y[rows].mul_(each[1][rows])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *gates = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_gated_in_turn, ctx, [x, *gates], [gradient])
        each = [_for_each(gate, x) for gate in gates]
        dx, to_gates = torch.empty_like(x), [x.new_empty(gate.shape) for gate in each]
        for rows, (product, without) in chunks(x, 2):
            torch.mul(gradient[rows], each[0][rows], out=dx[rows])
            torch.mul(gradient[rows], x[rows], out=product)
            if len(gates) == 2:
                dx[rows].mul_(each[1][rows])
                to_gates[1][rows] = torch.mul(product, each[0][rows], out=without).sum_to_size(each[1][rows].shape)
                product.mul_(each[1][rows])
            to_gates[0][rows] = product.sum_to_size(each[0][rows].shape)
        found = [g.sum_to_size(gate.shape) for g, gate in zip(to_gates, gates, strict=True)]
        return ours(dx), *found


class _SelfGated(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, shift)
        y = torch.empty_like(x)
        scale, shift = _for_each(scale, x), _for_each(shift, x)
        for rows, (gate,) in chunks(x, 1):
            torch.mul(x[rows], scale[rows], out=gate).add_(shift[rows]).sigmoid_()
            torch.mul(x[rows], gate, out=y[rows])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable(_self_gated, ctx, [x, scale, shift], [gradient])
        to_x, to_scale, to_shift = ctx.needs_input_grad
        dx = torch.empty_like(x) if to_x else None
        dscale, dshift = x.new_empty(2, *x.shape[:2], 1, 1)
        scale_of, shift_of = _for_each(scale, x), _for_each(shift, x)
        for rows, (gate, logit) in chunks(x, 2):
            torch.mul(x[rows], scale_of[rows], out=gate).add_(shift_of[rows]).sigmoid_()
            torch.mul(gradient[rows], x[rows], out=logit)
            sigmoid_backward(logit, gate, grad_input=logit)
            if to_x:
                torch.mul(gradient[rows], gate, out=dx[rows]).addcmul_(logit, scale_of[rows])
            if to_shift:
                torch.sum(logit, (2, 3), keepdim=True, out=dshift[rows])
            if to_scale:
                torch.sum(logit.mul_(x[rows]), (2, 3), keepdim=True, out=dscale[rows])
        return (
            ours(dx) if to_x else None,
            dscale.sum_to_size(scale.shape) if to_scale else None,
            dshift.sum_to_size(shift.shape) if to_shift else None,
        )
