"""A map as a list of positions and back, and attention between such lists: what modules over all pixels share."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function, forward_ad

from attnlib.base import is_watched


def to_positions(x: Float[Tensor, "N C *size"]) -> Float[Tensor, "N positions C"]:
    """The vectors of a map in flat order, each contiguous: the kernels that never hold all weights ask for that."""
    return x.flatten(2).transpose(1, 2).contiguous()


def to_map(y: Float[Tensor, "N positions C"], size: torch.Size) -> Float[Tensor, "N C *size"]:
    """A map of this size from its vectors."""
    return y.transpose(1, 2).unflatten(2, size)


def attend(
    query: Float[Tensor, "N queries width"],
    key: Float[Tensor, "N keys width"],
    value: Float[Tensor, "N keys C"],
    scale: float,
) -> Float[Tensor, "N queries C"]:
    """softmax(scale * query key^T) value, by a kernel that never holds all weights where there is one."""
    return attention(query[:, None], key[:, None], value[:, None], scale)[:, 0]


def attention(
    query: Float[Tensor, "N heads queries width"],
    key: Float[Tensor, "N heads keys width"],
    value: Float[Tensor, "N heads keys values"],
    scale: float,
) -> Float[Tensor, "N heads queries values"]:
    """As `attend`, of several heads.

    The kernels have neither second derivatives, as gradient penalties need, nor a forward mode: these are those of the
    plain form, which is computed where somebody asks for them.
    """
    inputs = query, key, value
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or is_watched():
        return _by_kernel(*inputs, scale)
    if _transformed(*inputs):
        return _plainly(*inputs, scale)
    learns = torch.is_grad_enabled() and any(each.requires_grad for each in inputs)
    return (_Attention.apply if learns else _by_kernel)(*inputs, scale)


def _by_kernel(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, scale=scale)


def _plainly(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return torch.softmax(scale * query @ key.transpose(-2, -1), -1).to(value.dtype) @ value


def _transformed(*tensors: Tensor) -> bool:
    """Whether torch.func, a batch of gradients or forward mode is at work on them."""
    return torch._C._are_functorch_transforms_active() or any(
        forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors
    )


class _Attention(Function):
    """The kernel and its own backward; but a backward that is to be differentiated, or has a batch of gradients, is
    that of the plain form."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.scale = scale
        ctx.graph = _graph_of_kernel(ctx, query, key, value)
        return ctx.graph[1].detach()

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        again = torch.is_grad_enabled()
        if again or _transformed(gradient):
            # Views of our own: a gradient stops at them, also where one argument was computed from another.
            inputs = [each.view_as(each) for each in ctx.saved_tensors]
            with torch.enable_grad():
                y = _plainly(*inputs, ctx.scale)
        else:
            # Given away, so that its memory is free from here on; made anew for a second backward.
            inputs, y = ctx.graph or _graph_of_kernel(ctx, *ctx.saved_tensors)
            ctx.graph = None
        wanted = [each for each, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
        found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=again))
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


def _graph_of_kernel(ctx: Any, *tensors: Tensor) -> tuple[list[Tensor], Tensor]:
    """The kernel's inputs, cut off from what they were computed from, and its output."""
    needed = ctx.needs_input_grad
    inputs = [each.detach().requires_grad_(need) for each, need in zip(tensors, needed, strict=False)]
    with torch.enable_grad():
        return inputs, _by_kernel(*inputs, ctx.scale)


def chosen_weights(
    query: Float[Tensor, "N queries width"],
    key: Float[Tensor, "N keys width"],
    scale: float,
    chosen: Int[Tensor, " Q"] | None = None,
) -> Float[Tensor, "N 1 Q keys"]:
    """softmax(scale * query key^T) for the chosen queries, or for all of them."""
    rows = query if chosen is None else query[:, chosen]
    return torch.softmax(scale * rows @ key.transpose(1, 2), -1)[:, None]
