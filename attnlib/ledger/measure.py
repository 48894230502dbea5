"""Networks and their costs, built once for all checks of a paper."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib import networks
from attnlib.networks.attach import output_shapes
from attnlib.networks.placement import RULES
from attnlib.profiling.trace import count_operations

# Share of a map that a module's pooling layers read in its paper's released code; other modules have no such layer.
POOLED = {"se": 1.0, "sa": 0.5}


@dataclass(frozen=True)
class Network:
    """A network of `attnlib.networks`, with attention, and changed by a function where the paper's is not there.

    Attributes:
        arguments: of the attention, as ("name", value) pairs.
    """

    backbone: str
    attention: str = "none"
    arguments: tuple[tuple[str, Any], ...] = ()
    classes: int = 1000
    change: Callable[[nn.Module], None] | None = None

    def build(self) -> nn.Module:
        model = networks.create(self.backbone, self.classes, self.attention, dict(self.arguments))
        if self.change is not None:
            self.change(model)
        return model

    def build_empty(self) -> nn.Module:
        """The network on the meta device, its initial values not drawn: no count depends on them."""
        with torch.device("meta"), _Undrawn():
            return self.build()


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of random values, which takes longer than to count a network."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


@cache
def parameters(network: Network) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in network.build_empty().parameters())


@cache
def work(network: Network) -> dict[str, dict[str, int]]:
    """Operations on one image of the size that the network was made for; see `profiling.trace.count_operations`."""
    model = network.build_empty().to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()  # whatever lies in empty memory may be numbers that a CPU is slow with
    side = networks.image_size(network.backbone)
    return count_operations(model, torch.zeros(1, 3, side, side))


def multiply_adds(network: Network) -> int:
    """Multiply-adds of a network."""
    return sum(work(network)["macs"].values())


@cache
def gated_values(backbone: str) -> int:
    """Values in the maps that attention gates: the sum of C H W over the residual blocks of `backbone`."""
    model = Network(backbone).build_empty()
    ends = RULES["block-end"].find(model)
    return sum(prod(shape) for shape in output_shapes(model, list(ends), networks.image_size(backbone)).values())


def operations(network: Network, counting: str) -> int:
    """Operations of a network by a rule of `published.schema.CostColumn`."""
    if counting == "multiply-adds":
        return multiply_adds(network)
    counts = work(network)["elementwise"]
    layers = 2 * counts["batch_norm"]
    layers += sum(counts.get(name, 0) for name in ("relu", "max_pool2d", "adaptive_avg_pool2d"))
    return multiply_adds(network) + layers + round(POOLED.get(network.attention, 0) * gated_values(network.backbone))
