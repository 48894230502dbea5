"""The cost of a network in numbers that do not depend on the machine: `profile(model)`.

Figures are multiply-adds and are called MACs; the one rule that says what is one stands in `operators.py`.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from attnlib.base import check_count, check_size
from attnlib.profiling.memory import peak_training_bytes
from attnlib.profiling.operators import UnknownOperatorError, register
from attnlib.profiling.trace import count, no_rule

if TYPE_CHECKING:
    import pandas

__all__ = ["Cost", "UnknownOperatorError", "profile", "register"]


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
        unknown: calls of operators without a rule, by their name and module; what they cost is in no other figure.
    """

    parameters: int
    macs_by_operator: dict[str, int]
    elementwise_by_operator: dict[str, int]
    activations: int
    peak_memory_bytes: int
    unknown: dict[str, int] = field(default_factory=dict)

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
            _difference(self.unknown, baseline.unknown),
        )

    def as_dict(self) -> dict:
        """All figures under their names, ready for JSON; `unknown` only where there is something unknown."""
        unknown = {"unknown_by_operator": dict(self.unknown)} if self.unknown else {}
        return {
            "parameters": self.parameters,
            "macs": self.macs,
            "macs_by_operator": dict(self.macs_by_operator),
            "elementwise": self.elementwise,
            "elementwise_by_operator": dict(self.elementwise_by_operator),
            "activations": self.activations,
            "peak_memory_bytes": self.peak_memory_bytes,
            **unknown,
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
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Cost:
    """Count what `model` costs for one image; the model itself is not changed.

    MACs, elementwise work and activations come from one traced forward pass in evaluation mode with real tensors (with
    torch's fused attention path off, which hides its products); memory from one training step on the meta device. A
    model on the meta device is traced on the CPU with zeros for its weights.

    Other counters: torch's `FlopCounterMode` gives twice these MACs, except that it sees neither inside its own fused
    attention (`sdpa_kernel(SDPBackend.MATH)` shows it) nor products with a vector. Those that hook layers, as thop and
    torchinfo, see the products of layers and none of attention; thop leaves out layers of a derived class (in SEM) and
    adds norms and pooling, torchinfo adds biases and norms and takes a linear layer of many rows for one row. Where
    layers are hooked, as by all of these, our modules call each of them: `sasa_stem` and `non_local` with
    pairwise="concat" then take more products than the form that is counted here.

    Args:
        model: any network or module that takes a map (1, in_channels, H, W).
        image_size: H and W in pixels, or (H, W).
        in_channels: 3 for an image; the width C to profile one module on its own.
        inputs: the arguments of a model that takes anything else, in place of the map; the sizes are then theirs. A
            sequence such as (noise, labels), or a dict of arguments by name; each may hold tensors in lists and dicts.
        strict: an operator without a rule is an error. Otherwise the figures leave it out, a warning names it, and
            `Cost.unknown` lists it; `register` gives it a rule.

    Raises:
        TypeError: `model` is not an nn.Module, or is scripted; a size or a number of channels that is not whole; inputs
            that are neither a sequence nor a dict.
        ValueError: a size or a number of channels below 1; inputs, or outputs of the model, without a tensor.
        UnknownOperatorError: with `strict` an operator without a rule; the message names it and the module it is in.

    Warns:
        UserWarning: operators without a rule.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}; build one with networks.create")
    if inputs is None:
        size = check_size("image_size", image_size)
        check_count("in_channels", in_channels)
        like = next(model.parameters(), torch.empty(0))
        inputs = [torch.zeros(1, in_channels, *size, dtype=like.dtype, device=like.device)]
    elif isinstance(inputs, Tensor | str) or not isinstance(inputs, Sequence | Mapping):
        raise TypeError(
            "inputs must be the model's arguments, a sequence such as (noise, labels) or a dict of arguments by name, "
            f"got {type(inputs).__name__}"
        )
    elif not any(isinstance(leaf, Tensor) for leaf in tree_leaves(inputs)):
        raise ValueError(f"inputs must have a tensor in them, got {inputs!r}")
    args, kwargs = ((), dict(inputs)) if isinstance(inputs, Mapping) else (tuple(inputs), {})

    counts = count(model, args, kwargs)
    if counts.unknown:
        if strict:
            raise UnknownOperatorError(no_rule(counts.unknown))
        warnings.warn(f"{no_rule(counts.unknown)}; the figures are without it", stacklevel=2)
    return Cost(
        sum(parameter.numel() for parameter in model.parameters()),
        counts.macs,
        counts.elementwise,
        sum(counts.activations.values()),
        peak_training_bytes(model, *args, **kwargs),
        counts.unknown,
    )
