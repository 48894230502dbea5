"""What kernels of several modules are made of: work in chunks that stay in the cache, and second derivatives."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

CHUNK = 4 << 20  # bytes of the map that are worked on at a time


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
    """What a backward pass returns, found by the form to read: for one that is to be differentiated itself."""
    # Views of our own: a gradient must stop at them, also where one argument was computed from another.
    own = [a.view_as(a) if isinstance(a, Tensor) else a for a in arguments]
    outputs = readable(*own)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    reached = [pair for pair in zip(outputs, gradients, strict=True) if pair[1] is not None]
    outputs, gradients = zip(*reached, strict=True)
    wanted = [a for a, needed in zip(own, ctx.needs_input_grad, strict=True) if needed]
    found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


def gated(x: Tensor, *gates: Tensor) -> Tensor:
    """x times the sum of `gates`, each of which has x's rank and broadcasts to x.

    The sum is computed again in the backward pass, a chunk at a time, rather than kept. The gradient of x that comes of
    it is a tensor of its own.
    """
    return _Gated.apply(x, *gates)


def _gated(x: Tensor, *gates: Tensor) -> Tensor:
    return x * sum(gates)


class _Gated(Function):
    generate_vmap_rule = True  # or torch.func.vmap of something else would not let it run

    @staticmethod
    def forward(x: Tensor, *gates: Tensor) -> Tensor:
        y = torch.empty_like(x)
        each = [_for_each(gate, x) for gate in gates]
        for rows, room in chunks(x, int(len(gates) > 1)):
            torch.mul(x[rows], _total([gate[rows] for gate in each], room), out=y[rows])
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

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
        return dx, *(g if g is None else g.sum_to_size(gate.shape) for g, gate in zip(to_gates, gates, strict=True))


def _for_each(gate: Tensor, x: Tensor) -> Tensor:
    """The gate with one entry for each image of x."""
    return gate.expand(len(x), *gate.shape[1:])


def _total(gates: Sequence[Tensor], room: Sequence[Tensor]) -> Tensor:
    """The sum of gates; of several, in the buffer."""
    if len(gates) == 1:
        return gates[0]
    total = torch.add(gates[0].expand_as(room[0]), gates[1], out=room[0])
    for gate in gates[2:]:
        total += gate
    return total
