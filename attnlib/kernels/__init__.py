"""Forms that are faster than a module's own and say less: hand-written backward passes, chunks, shifts in a loop.

The form to read stands in the module's file. It asks `serves`, the one place where a kernel is chosen, and calls the
function here. That gives the same numbers to rounding, gradients too; a gradient that is differentiated in its turn
goes through the form to read. `benchmarks/kernels.py` says what each gains.

    with attnlib.kernels.off():
        ...    # every module in its form to read
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from attnlib.base import is_plain, is_watched

__all__ = ["off", "serves"]

_wanted = ContextVar("kernels are wanted", default=True)


@contextmanager
def off() -> Iterator[None]:
    """Inside, this thread runs every module in its form to read."""
    before = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(before)


def serves(*tensors: Tensor | None, layers: Iterable[nn.Module] = (), anywhere: bool = False) -> bool:
    """Whether a kernel takes the place of the form to read: plain tensors and layers, in eager mode, on a CPU.

    What traces or transforms (torch.compile, torch.export, torch.jit.trace, torch.func, forward-mode derivatives) sees
    through the form to read alone, and has its own ways of making it fast. So do counters that hook all layers.

    Args:
        tensors: what the kernel computes with; None is left out.
        layers: those whose weights it reads in place of calling them.
        anywhere: the kernel serves on every device, in every type and under autocast.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or is_watched() or not _wanted.get():
        return False
    given = [tensor for tensor in tensors if tensor is not None]
    if not (all(map(is_plain, layers)) and all(map(_is_untouched, given))):
        return False
    return anywhere or (
        not torch.is_autocast_enabled("cpu")
        and all(tensor.device.type == "cpu" and tensor.dtype == given[0].dtype for tensor in given)
        and given[0].dtype in (torch.float32, torch.float64)
    )


def _is_untouched(tensor: Tensor) -> bool:
    """Not a subclass, nor a tensor of torch.func, nor one with a tangent."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and torch.func.debug_unwrap(tensor, recurse=False) is tensor
        and forward_ad.unpack_dual(tensor).tangent is None
    )
