"""Networks and their costs, built once for all checks of a paper."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib import networks
from attnlib.networks import external
from attnlib.networks.attachment import Placement, attach, output_shapes
from attnlib.networks.placement import RULES
from attnlib.profiling.inputs import counted
from attnlib.profiling.trace import count_operations

# Share of a map that a module's pooling layers read in its paper's released code; other modules have no such layer.
POOLED = {"se": 1.0, "eca": 1.0, "sge": 1.0, "sa": 0.5}


class Call(partial):
    """A `functools.partial` that equals every other of the same function and arguments, which must be hashable.

    Costs are kept by network and module: with a plain partial, one that is described twice would be counted twice.
    """

    def _parts(self) -> tuple[Any, ...]:
        return self.func, self.args, frozenset(self.keywords.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())


@dataclass(frozen=True)
class Network:
    """A network by name, with attention, and changed by a function where the paper's is not there.

    Attributes:
        backbone: a name of `attnlib.networks.list_networks()`, or torchvision:NAME or timm:NAME (1000 classes).
        arguments: of the attention, as ("name", value) pairs.
        change: what is done to the finished network, in place; like `placement` a function of a file or a `Call`.
        placement: see `attnlib.networks.attach`; default the paper's place.
        side: of the square image that operations are counted for; default the one that the network was made for.
    """

    backbone: str
    attention: str = "none"
    arguments: tuple[tuple[str, Any], ...] = ()
    classes: int = 1000
    change: Callable[[nn.Module], None] | None = None
    placement: Placement | None = None
    side: int | None = None

    @property
    def image_size(self) -> int:
        return external.image_size(self.backbone) if self.side is None else self.side

    def plain(self) -> "Network":
        """The same backbone without attention and without a change."""
        return Network(self.backbone, classes=self.classes, side=self.side)

    def build(self) -> nn.Module:
        model = external.build(self.backbone, self.classes)
        if self.attention != "none":
            attach(model, self.attention, self.image_size, self.placement, **dict(self.arguments))
        if self.change is not None:
            self.change(model)
        return model

    def build_empty(self) -> nn.Module:
        """The network on the meta device, its initial values not drawn: no count depends on them."""
        with torch.device("meta"), _Undrawn():
            return self.build()

    def part(self, model: nn.Module | None = None) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """What of a build, by default a new one, is counted, and its inputs; see `profiling.inputs.counted`."""
        what = counted(self.backbone, self.build_empty() if model is None else model, self.image_size)
        return what.model, what.inputs


@dataclass(frozen=True)
class Module:
    """Any module, for a cost that is not a whole network's: one attention module, a head.

    Attributes:
        make: builds it; a function of a file or a `Call`.
        shapes: of its inputs, (1, C, H, W) each.
    """

    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = ()

    def build_empty(self) -> nn.Module:
        """The module on the meta device, its initial values not drawn."""
        with torch.device("meta"), _Undrawn():
            return self.make()

    def part(self, model: nn.Module | None = None) -> tuple[nn.Module, tuple[Tensor, ...]]:
        inputs = tuple(torch.zeros(shape, device="meta") for shape in self.shapes)
        return self.build_empty() if model is None else model, inputs


@dataclass(frozen=True)
class Built(Module):
    """A network that attnlib does not have by name, as `make` builds it, with attention; for the image in `shapes`."""

    attention: str = "none"
    arguments: tuple[tuple[str, Any], ...] = ()
    placement: Placement | None = None

    def build_empty(self) -> nn.Module:
        model = super().build_empty()
        if self.attention != "none":
            with torch.device("meta"), _Undrawn():
                attach(model, self.attention, self.shapes[0][2:], self.placement, **dict(self.arguments))
        return model


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of random values, which takes longer than to count a network."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        drawing = (Tensor.normal_, Tensor.uniform_, nn.init.trunc_normal_)
        return args[0] if func in drawing else func(*args, **(kwargs or {}))


@lru_cache(maxsize=32)
def empty(network: Network | Module) -> nn.Module:
    """The network on the meta device, built once for all who only look at it: it must not be changed."""
    return network.build_empty()


def count_parameters(module: nn.Module) -> int:
    """How many parameters a module has."""
    return sum(parameter.numel() for parameter in module.parameters())


@cache
def parameters(network: Network | Module) -> int:
    """How many parameters a network has."""
    return count_parameters(empty(network))


@cache
def work(network: Network | Module) -> dict[str, dict[str, int]]:
    """Operations on one image; see `profiling.trace.count_operations`, which does not change the network."""
    model, inputs = network.part(empty(network))
    return count_operations(model, *inputs)


def added(network: Network, cost: Callable[[Network], int] = parameters) -> int:
    """What a network costs more than its backbone without attention and without a change."""
    return cost(network) - cost(network.plain())


def multiply_adds(network: Network | Module) -> int:
    """Multiply-adds of a network."""
    return sum(work(network)["macs"].values())


def added_elementwise(network: Network) -> dict[str, int]:
    """Elementwise operations that a network takes more than its backbone, by operator, the most first."""
    counts, plain = (work(each)["elementwise"] for each in (network, Network(network.backbone)))
    more = {name: count - plain.get(name, 0) for name, count in counts.items()}
    return dict(sorted(more.items(), key=lambda part: -part[1]))


@cache
def gated_values(backbone: str) -> int:
    """Values in the maps that attention gates: the sum of C H W over the residual blocks of `backbone`."""
    model = empty(Network(backbone))
    ends = RULES["block-end"].find(model)
    return sum(prod(shape) for shape in output_shapes(model, list(ends), networks.image_size(backbone)).values())


def operations(network: Network | Module, counting: str) -> int:
    """Operations of a network by a rule of `schema.CostColumn`."""
    if counting == "multiply-adds":
        return multiply_adds(network)
    if counting == "two-per-multiply-add":
        return 2 * multiply_adds(network)
    counts = work(network)["elementwise"]
    layers = 2 * counts.get("batch_norm", 0)
    layers += sum(counts.get(name, 0) for name in ("relu", "max_pool2d", "adaptive_avg_pool2d"))
    if isinstance(network, Network) and network.attention in POOLED:
        layers += round(POOLED[network.attention] * gated_values(network.backbone))
    return multiply_adds(network) + layers
