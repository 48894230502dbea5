"""The cost of a network in numbers that do not depend on the machine: `profile(model)`.

Figures are multiply-adds and are called MACs; the one rule that says what is one stands in `operators.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attnlib.base import check_count, check_size
from attnlib.profiling.memory import peak_training_bytes
from attnlib.profiling.operators import UnknownOperatorError
from attnlib.profiling.trace import count_operations

if TYPE_CHECKING:
    import pandas

__all__ = ["Cost", "UnknownOperatorError", "profile"]


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        parameters: trainable or not, each counted once.
        macs_by_operator: multiply-adds of "convolution", "linear", "matmul" and "attention".
        elementwise_by_operator: all other work, under torch's operator names: one operation per element of the largest
            tensor that the call reads or writes.
        activations: elements that convolutions, linear maps and matrix products write (fvcore's convention).
        peak_memory_bytes: most bytes that live at once in one training step; see `memory.peak_training_bytes`.
    """

    parameters: int
    macs_by_operator: dict[str, int]
    elementwise_by_operator: dict[str, int]
    activations: int
    peak_memory_bytes: int

    @property
    def macs(self) -> int:
        return sum(self.macs_by_operator.values())

    @property
    def elementwise(self) -> int:
        return sum(self.elementwise_by_operator.values())

    def __sub__(self, baseline: "Cost") -> "Cost":
        """What `self` costs more than `baseline`: what a module adds to its network."""
        return Cost(
            self.parameters - baseline.parameters,
            _difference(self.macs_by_operator, baseline.macs_by_operator),
            _difference(self.elementwise_by_operator, baseline.elementwise_by_operator),
            self.activations - baseline.activations,
            self.peak_memory_bytes - baseline.peak_memory_bytes,
        )

    def as_dict(self) -> dict:
        """All figures under their names, ready for JSON."""
        return {
            "parameters": self.parameters,
            "macs": self.macs,
            "macs_by_operator": dict(self.macs_by_operator),
            "elementwise": self.elementwise,
            "elementwise_by_operator": dict(self.elementwise_by_operator),
            "activations": self.activations,
            "peak_memory_bytes": self.peak_memory_bytes,
        }

    def table(self) -> "pandas.DataFrame":
        """One row per figure: columns quantity, operator ("all" for a total) and value."""
        import pandas

        rows = []
        for quantity, value in self.as_dict().items():
            if quantity.endswith("_by_operator"):
                parts = sorted(value.items(), key=lambda part: -part[1])
                rows += [(quantity.removesuffix("_by_operator"), operator, count) for operator, count in parts]
            else:
                rows.append((quantity, "all", value))
        return pandas.DataFrame(rows, columns=["quantity", "operator", "value"])


def _difference(ours: dict[str, int], theirs: dict[str, int]) -> dict[str, int]:
    added = {name: ours.get(name, 0) - theirs.get(name, 0) for name in sorted(ours.keys() | theirs.keys())}
    return {name: count for name, count in added.items() if count}


def profile(
    model: nn.Module,
    image_size: int | tuple[int, int] = 224,
    in_channels: int = 3,
    inputs: Sequence[Tensor] | None = None,
) -> Cost:
    """Count what `model` costs for one image; the model itself is not changed.

    MACs, elementwise work and activations come from one traced forward pass in evaluation mode with real tensors (with
    torch's fused attention path off, which hides its products); memory from one training step on the meta device. A
    model on the meta device is traced on the CPU with zeros for its weights.

    Args:
        model: any network or module that takes a map (1, in_channels, H, W).
        image_size: H and W in pixels, or (H, W).
        in_channels: 3 for an image; the width C to profile one module on its own.
        inputs: the arguments of a model that takes anything else, e.g. (noise, labels), in place of the map; the sizes
            are then theirs.

    Raises:
        TypeError: `model` is not an nn.Module; a size or a number of channels that is not whole; an input that is no
            tensor.
        ValueError: a size or a number of channels below 1.
        UnknownOperatorError: an operator without a rule; the message names it and the module it is in.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}; build one with networks.create")
    if inputs is None:
        size = check_size("image_size", image_size)
        check_count("in_channels", in_channels)
        like = next(model.parameters(), torch.empty(0))
        inputs = [torch.zeros(1, in_channels, *size, dtype=like.dtype, device=like.device)]
    elif isinstance(inputs, Tensor) or not all(isinstance(each, Tensor) for each in inputs):
        raise TypeError(f"inputs must be the model's arguments, a sequence of tensors, got {type(inputs).__name__}")

    counts = count_operations(model, *inputs)
    return Cost(
        sum(parameter.numel() for parameter in model.parameters()),
        counts["macs"],
        counts["elementwise"],
        sum(counts["activations"].values()),
        peak_training_bytes(model, *inputs),
    )
