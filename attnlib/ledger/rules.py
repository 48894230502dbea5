"""Other rules by which a paper may have counted: in one place, so that one that saves a figure is tried on all.

A table is recomputed under each rule as a whole (`costs.countings`): a figure that a rule gives while it loses others
of the same table is not explained by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log, prod

import torch
from torch import nn

from attnlib.ledger.measure import Module, Network, empty, operations, parameters, work
from attnlib.ledger.schema import CostColumn
from attnlib.self_attention.sasa import SASA

Count = Callable[[Network | Module, str], int]


@dataclass(frozen=True)
class Scaled:
    """Operations of a network for a larger image than it is counted on: `factor` times as many pixels.

    All but those of linear layers belong to a pixel, and grow with the maps.
    """

    network: Module
    factor: int


def by_stated(network: Network | Module, counting: str) -> int:
    """By the rule of the table's file."""
    return parameters(network) if counting == "each" else operations(network, counting)


@cache
def _parts(network: Network | Module) -> dict[str, int]:
    """What rules leave out or add, all from one build of the network."""
    model = empty(network)
    parts = {"running statistics": 0, "biases": 0, "norms": 0, "relative": _relative_products(network, model)}
    for module in model.modules():
        own = {name: parameter.numel() for name, parameter in module.named_parameters(recurse=False)}
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            parts["biases"] += own.get("bias", 0)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            parts["running statistics"] += 2 * module.num_features
        if isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm):
            parts["norms"] += sum(own.values())
    return parts


def _relative_products(network: Network | Module, model: nn.Module) -> int:
    """Multiply-adds that SASA saves where q . row and q . column are computed apart: 2 k scores instead of k^2."""
    layers = {path: layer for path, layer in model.named_modules() if isinstance(layer, SASA) and layer.row is not None}
    if not layers:
        return 0
    # Of the queries, since the pooling of a layer with a stride comes behind its attention.
    part, inputs = network.part(model)
    sizes: dict[str, int] = {}
    hooks = [
        layer.query.register_forward_hook(
            lambda query, args, out, path=path: sizes.update({path: sizes.get(path, 0) + prod(out.shape[2:])})
        )
        for path, layer in layers.items()
    ]
    with torch.no_grad():
        part.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return sum(
        layer.out_channels * sizes[path] * layer.kernel_size * (layer.kernel_size - 1) for path, layer in layers.items()
    )


def _elementwise(network: Network | Module, *operators: str) -> int:
    counts = work(network)["elementwise"]
    return sum(counts.get(operator, 0) for operator in operators)


def _apart(network: Network | Module, counting: str) -> int:
    each = 2 if counting == "two-per-multiply-add" else 1
    return by_stated(network, counting) - each * _parts(network)["relative"]


@dataclass(frozen=True)
class Rule:
    """A way to count.

    Attributes:
        text: what is counted otherwise than the table's file states.
        quantity: parameters or operations; None for both, "printed" for rules of one source or sentence, by which no
            table is counted here.
        count: the number by this rule, of a network and the counting that the table's file states.
        kind: what a disagreement is that this rule explains.
        binary: in units of 2^10, 2^20 and 2^30 instead of powers of ten.
        cut_off: printed digits are those of the number cut off, not rounded.
    """

    text: str
    quantity: str | None = None
    count: Count = by_stated
    kind: str = "counting rule"
    binary: bool = False
    cut_off: bool = False

    def unit(self, column: CostColumn) -> float:
        if not self.binary or _is_power_of_1024(column.unit):
            return column.unit
        return 1024 ** (log(column.unit, 10) / 3)


def _is_power_of_1024(unit: float) -> bool:
    return unit > 1 and log(unit, 1024).is_integer()


RULES = {
    "running statistics": Rule(
        "with the means and variances of batch norms, which Caffe's files hold among the weights",
        "parameters",
        lambda network, counting: parameters(network) + _parts(network)["running statistics"],
    ),
    "no biases": Rule(
        "without the biases of convolutions and linear layers",
        "parameters",
        lambda network, counting: parameters(network) - _parts(network)["biases"],
    ),
    "no norms": Rule(
        "without the scales and shifts of norms",
        "parameters",
        lambda network, counting: parameters(network) - _parts(network)["norms"],
    ),
    "multiply-adds": Rule(
        "one for each multiply-add", "operations", lambda network, counting: operations(network, "multiply-adds")
    ),
    "two per multiply-add": Rule(
        "two for each multiply-add", "operations", lambda network, counting: operations(network, "two-per-multiply-add")
    ),
    "additions": Rule(
        "with the additions of shortcuts and of whatever else is summed",
        "operations",
        lambda network, counting: by_stated(network, counting) + _elementwise(network, "add"),
    ),
    "pooled values": Rule(
        "with one for each value that a mean reads",
        "operations",
        lambda network, counting: by_stated(network, counting) + _elementwise(network, "mean", "adaptive_avg_pool2d"),
    ),
    "additions and pooled values": Rule(
        "with the additions and one for each value that a mean reads",
        "operations",
        lambda network, counting: (
            by_stated(network, counting) + _elementwise(network, "add", "mean", "adaptive_avg_pool2d")
        ),
    ),
    "layer by layer": Rule(
        "layer by layer: two more for each value of a batch norm, one for each of a ReLU and for each that is pooled",
        "operations",
        lambda network, counting: (
            operations(network, "multiply-adds")
            + 2 * _elementwise(network, "batch_norm")
            + _elementwise(network, "relu", "hardtanh", "max_pool2d", "mean", "adaptive_avg_pool2d")
        ),
    ),
    "rows and columns apart": Rule(
        "with q . row and q . column of relative positions computed apart, 2 k products a pixel instead of k^2",
        "operations",
        _apart,
    ),
    "binary units": Rule("in units of 2^20 and 2^30", binary=True),
    "cut off": Rule("cut off behind the last printed digit instead of rounded", kind="rounding", cut_off=True),
    "scaled values": Rule("with one for each value that a gate scales", "printed"),
    "profiler": Rule("as the profiler that the source calls counts", "printed"),
    "rounded figures": Rule("computed from printed figures, which are rounded", "printed", kind="rounding"),
}


def rules_for(quantity: str) -> dict[str, Rule]:
    """The rules that may apply to a column of this quantity."""
    return {name: rule for name, rule in RULES.items() if rule.quantity in (None, quantity)}
