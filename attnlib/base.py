"""The two protocols of the field, and the checks that every module makes before it computes anything.

* Scale attention rescales what is there: `gate(x)` broadcasts to x, and the output is x times the gate.
* Self-attention mixes positions: `weights(x, queries)` says how much each query takes from each key.

Both are public because the book draws them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from attnlib.errors import unknown


def check_count(name: str, value: int) -> None:
    """Refuse an argument that is not a positive integer.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r}; pass a whole number of 1 or more")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}; pass a whole number of 1 or more")


def check_flag(name: str, value: bool) -> None:
    """Refuse an argument that is not True or False: "False" in quotes would count as true.

    Raises:
        TypeError: `value` is not a bool.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def check_size(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W) of a size given as one side of a square or as a pair.

    Raises:
        TypeError: neither an integer nor a pair of integers.
        ValueError: a side below 1.
    """
    pair = (value, value) if isinstance(value, int) else value
    whole = isinstance(pair, tuple | list) and len(pair) == 2 and all(type(side) is int for side in pair)
    if not whole:
        raise TypeError(f"{name} must be an int or a pair (H, W) of ints, got {value!r}")
    if min(pair) < 1:
        raise ValueError(f"{name} must have sides of 1 or more, got {value!r}")
    return pair[0], pair[1]


def check_odd(name: str, value: int) -> None:
    """Refuse a kernel or window size without a middle.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is below 1 or even.
    """
    check_count(name, value)
    if value % 2 == 0:
        raise ValueError(
            f"{name} must be odd, so that a window has a middle, got {value}; try {value - 1} or {value + 1}"
        )


def check_number(
    name: str,
    value: float | int,
    fix: str,
    above: float | int | None = None,
    between: tuple[float | int, float | int] | None = None,
) -> None:
    """Refuse an argument that is not a finite number above one bound, or between two that it may reach.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is infinite, NaN or out of its range; the message ends in `fix`.
    """
    allowed = "a finite number"
    if above is not None:
        allowed = f"a finite number above {above}"
    elif between is not None:
        allowed = f"a number between {between[0]} and {between[1]}"
    says = f"{name} must be {allowed}, got {value!r}; {fix}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(says)
    low, high = between or (-math.inf, math.inf)
    if not (math.isfinite(value) and low <= value <= high and (above is None or value > above)):
        raise ValueError(says)


def check_probability(name: str, value: float | int) -> None:
    """Refuse an argument that is not a number between 0 and 1.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is below 0 or above 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number between 0 and 1, got {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {value}")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        TypeError: `value` is not a string.
        UnknownNameError: the message lists the choices, the near ones first.
    """
    known = list(choices)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}; it may be {', '.join(map(repr, known))}")
    if value not in known:
        raise unknown(name, value, known)


def check_divides(name: str, value: int, channels: int, of: str = "channels") -> None:
    """Refuse a number of groups or heads that does not cut the channels, called `of`, into equal parts.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is below 1 or does not divide `channels`; the message lists what does.
    """
    check_count(name, value)
    if channels % value:
        legal = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise ValueError(f"{of}={channels} does not fit {name}={value}: {name} must divide {of}; it may be {legal}")


def check_reduction(channels: int, reduction: int) -> int:
    """floor(channels / reduction), the width of a bottleneck.

    Raises:
        TypeError: `reduction` is not an integer.
        ValueError: `reduction` is below 1 or leaves no hidden unit.
    """
    check_count("reduction", reduction)
    if reduction > channels:
        raise ValueError(
            f"reduction={reduction} does not fit channels={channels}: floor(channels / reduction) hidden units are "
            f"needed, at least 1; choose a reduction between 1 and {channels}"
        )
    return channels // reduction


AXES = {1: "L", 2: "H, W", 3: "T, H, W"}


def check_map(x: Tensor, channels: int, dimensions: int = 2) -> None:
    """Refuse an input that is not a floating-point map (N, C, H, W) of `channels` channels and at least one pixel.

    With other `dimensions` than 2 the map is a sequence (N, C, L) or a video (N, C, T, H, W).

    Raises:
        TypeError: x is not a floating-point tensor.
        ValueError: wrong rank, wrong number of channels, or a map without pixels.
    """
    axes = AXES[dimensions]
    if not isinstance(x, Tensor):
        fix = "convert it, e.g. by torch.as_tensor(x)"
        if type(x).__name__ == "Proxy":
            fix = "torch.fx has to take the module for a leaf, e.g. leaf_modules=[attnlib.base.Attention]"
        raise TypeError(f"expected a tensor (N, {channels}, {axes}), got {type(x).__name__}; {fix}")
    if not x.is_floating_point():
        raise TypeError(f"expected a floating-point map, got {x.dtype}; convert it first, e.g. x.float() / 255")
    if x.dim() != 2 + dimensions:
        raise ValueError(
            f"expected a map (N, {channels}, {axes}), got rank {x.dim()} and shape {tuple(x.shape)}; "
            f"{_other_rank(x, channels, dimensions)}"
        )
    if x.shape[1] != channels:
        raise ValueError(
            f"expected {channels} channels at axis 1, got shape {tuple(x.shape)}; "
            f"build the module with channels={x.shape[1]}, or permute a channels-last array to (N, C, {axes})"
        )
    if 0 in x.shape[2:]:
        raise ValueError(f"expected at least one pixel, got shape {tuple(x.shape)}; {axes} must be 1 or more")


def _other_rank(x: Tensor, channels: int, dimensions: int) -> str:
    """What to do with a tensor of another rank than a map's."""
    if x.dim() == 1 + dimensions and x.shape[0] == channels:
        return "a single image needs x.unsqueeze(0)"
    if dimensions == 2 and x.dim() == 3:
        row = "x[:, :, None]" if x.shape[1] == channels else "x.transpose(1, 2)[:, :, None]"
        return f"a sequence is a map of one row: {row}; a single image needs x.unsqueeze(0)"
    if dimensions == 2 and x.dim() == 5:
        return "the frames of a video (N, C, T, H, W) are maps: x.transpose(1, 2).flatten(0, 1)"
    return "a single image needs x.unsqueeze(0)"


def check_queries(queries: Tensor | None, positions: int) -> None:
    """Refuse chosen queries that are not flat positions of a map; None, which is all of them, passes.

    Raises:
        TypeError: not a tensor of int64 or int32, by which alone rows are chosen (uint8 would be read as a mask).
        ValueError: not one axis of positions, or one outside the map; negative ones do not count from the end.
    """
    if queries is None:
        return
    if not isinstance(queries, Tensor) or queries.dtype not in (torch.int64, torch.int32):
        kind = queries.dtype if isinstance(queries, Tensor) else type(queries).__name__
        raise TypeError(f"queries must be a tensor of int64 or int32, got {kind}; e.g. torch.tensor([0, 5])")
    if queries.dim() != 1:
        raise ValueError(
            f"queries must have one axis, of flat positions i * W + j, got shape {tuple(queries.shape)}; "
            "use queries.flatten()"
        )
    outside = queries[(queries < 0) | (queries >= positions)]
    if len(outside):
        raise ValueError(
            f"queries must be between 0 and {positions - 1}, the flat positions i * W + j of the map that attends, "
            f"got {outside.tolist()}"
        )


class Attention(nn.Module, ABC):
    """A module that a network can take in at a place of its paper's choosing.

    Args:
        channels: number of channels C of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def network_init_(self) -> None:
        """Set the parameters as the paper's network does; `attach` calls it, `create` does not. Default: no change."""


class ScaleAttention(Attention):
    """Attention that rescales a map: the output is x times a gate computed from x."""

    @abstractmethod
    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, " N #C #H #W"]:
        """What x is multiplied by: it broadcasts to x and has x's dtype."""

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x * self.gate(x)


class SelfAttention(Attention):
    """Attention that mixes positions: every query position takes a weighted sum over key positions."""

    @abstractmethod
    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N heads Q keys"] | list[torch.Tensor]:
        """The share each query takes from each key.

        `queries` are flat positions i * W + j; all of them where it is None. Only the rows asked for are built, so a
        large map never holds all of them. A list where a paper has one matrix per cell or branch.
        """


def at_least_float32(x: Tensor) -> Tensor:
    """x, or its float32 copy where x is narrower: means and variances of bfloat16 maps need the digits."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def full_precision(device: str) -> AbstractContextManager:
    """Autocast off: it would take the products back to half precision."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


PLAIN = {
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Sequential),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    nn.SyncBatchNorm,  # a batch norm, but where `_synchronises`
}


def is_plain(layer: nn.Module) -> bool:
    """Whether calling a layer does what its class says and nothing else, so that its weight may be read in its place.

    Not where it has another class, as under a parametrisation, LoRA or quantisation, not where it is hooked, as under
    pruning, an observer or a counter, and not where it asks other processes: those see and change a layer that is
    called.
    """
    return type(layer) in PLAIN and not _hooked(layer) and not _synchronises(layer)


def may_be_read(layer: nn.Module) -> bool:
    """As `is_plain`, except that the hooks of a tracer, which are on every layer, do not count while it traces.

    A batch norm that keeps no statistics (track_running_stats=False) has none to read.
    """
    plain = type(layer) in PLAIN and getattr(layer, "running_mean", layer) is not None
    return plain and (torch.jit.is_tracing() or not _hooked(layer)) and not _synchronises(layer)


def _hooked(layer: nn.Module) -> bool:
    # Nothing public says whether a layer has hooks.
    hooks = (layer._forward_pre_hooks, layer._forward_hooks, layer._backward_pre_hooks, layer._backward_hooks)
    return any(hooks) or is_watched()


def is_watched() -> bool:
    """Whether a hook sees every layer, as those of counters do (torch's FlopCounterMode is one)."""
    return not torch.compiler.is_compiling() and bool(_has_any_global_hook())


def _synchronises(layer: nn.Module) -> bool:
    """Whether a norm takes its statistics over the batches of several processes."""
    group = torch.distributed
    return (
        type(layer) is nn.SyncBatchNorm
        and layer.training
        and group.is_available()
        and group.is_initialized()
        and group.get_world_size() > 1
    )


def is_channels_last(x: Tensor) -> bool:
    """Whether x is channels_last and not, as maps of one channel or one pixel are, contiguous as well."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
