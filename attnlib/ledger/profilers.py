"""Other people's counting tools, where a paper's figures are theirs.

thop and MMDetection's counter put a hook on each layer of a kind that they know: what a network does between its layers
they do not see. A pass on the meta device gives the shapes that the hooks see, in a fraction of a second even for a
detector.
"""

from collections.abc import Callable, Iterable
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Size, Tensor, nn

from attnlib.ledger.measure import Module, Network, empty, gated_values, operations, work
from attnlib.networks import attention_modules
from attnlib.networks.attachment import output_shapes
from attnlib.scale_attention.eca import ECA
from attnlib.scale_attention.se import SE

# What one call of a layer counts, by the shapes that it reads and writes.
Rules = dict[type[nn.Module], Callable[[Any, Size, Size], int]]
Seen = tuple[nn.Module, Size, Size]


def _convolution(layer: nn.Conv2d, read: Size, written: Size) -> int:
    weights = layer.in_channels // layer.groups * prod(layer.kernel_size)
    return written.numel() * (weights + (layer.bias is not None))


def _se_additions(layer: SE) -> int:
    """Additions of SE's two layers: linear in other code, convolutions here, of which the products are counted."""
    hidden = layer.reduce.out_channels
    return 2 * layer.channels * hidden - layer.channels - hidden


_COMMON: Rules = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d), _convolution),
    **dict.fromkeys((nn.ReLU, nn.ReLU6), lambda layer, read, written: written.numel()),
}
_THOP: Rules = _COMMON | {
    nn.Linear: lambda layer, read, written: (2 * layer.in_features - 1) * written.numel(),
    nn.BatchNorm2d: lambda layer, read, written: 4 * written.numel(),
    nn.MaxPool2d: lambda layer, read, written: layer.kernel_size * written.numel(),
    nn.AvgPool2d: lambda layer, read, written: (layer.kernel_size + 1) * written.numel(),
    nn.AdaptiveAvgPool2d: lambda layer, read, written: read.numel() + written.numel(),
    # What they pool, and the means.
    ECA: lambda layer, read, written: read.numel() + layer.channels,
    SE: lambda layer, read, written: read.numel() + layer.channels + _se_additions(layer),
}
_MMDETECTION: Rules = _COMMON | {
    nn.Linear: lambda layer, read, written: layer.in_features * written.numel(),
    nn.BatchNorm2d: lambda layer, read, written: 2 * written.numel(),
    **dict.fromkeys((nn.MaxPool2d, nn.AdaptiveAvgPool2d, ECA, SE), lambda layer, read, written: read.numel()),
}


def _calls(rules: Rules, model: nn.Module, *inputs: Tensor) -> list[Seen]:
    """Every call of a layer that a rule is there for; changes the model."""
    calls: list[Seen] = []

    def note(layer: nn.Module, args: Any, output: Tensor) -> None:
        calls.append((layer, args[0].shape, output.shape))

    for layer in model.modules():
        if type(layer) in rules:
            layer.register_forward_hook(note)
        if isinstance(layer, nn.BatchNorm2d):
            layer.forward = nn.Identity.forward.__get__(layer)  # keeps the shape, and is slow on the meta device
    with torch.no_grad():
        model.eval()(*inputs)
    return calls


def _total(rules: Rules, calls: Iterable[Seen]) -> int:
    return sum(rules[type(layer)](layer, read, written) for layer, read, written in calls)


@cache
def early_thop(network: Network | Module) -> int:
    """Operations as an early version of thop counts them, which the released script of ECA calls.

    A multiply-add of a convolution is one operation, that of a linear layer two; a value costs four in a batch norm and
    one in a ReLU; pooling costs what it adds and divides, a max pooling the side of its window for each value. Of a
    layer that is called several times, the last call alone counts.
    """
    model, inputs = network.part()
    last = {layer: (layer, read, written) for layer, read, written in _calls(_THOP, model, *inputs)}
    return _total(_THOP, last.values())


def mmdetection(model: nn.Module, *inputs: Tensor) -> int:
    """Operations as MMDetection's `get_flops.py` counts them; changes the model.

    A multiply-add is one operation; a value costs two in a batch norm, one in a ReLU, and pooling one for each that it
    reads. Every call counts.
    """
    return _total(_MMDETECTION, _calls(_MMDETECTION, model, *inputs))


@cache
def layer_hooks(network: Network) -> int:
    """Operations layer by layer, with two kinds that `measure.operations` leaves out: ReLU6 and the biases of BAM."""
    count = operations(network, "layers") + work(network)["elementwise"].get("hardtanh", 0)
    if network.attention == "bam":
        model = empty(network)
        modules = attention_modules(model)
        shapes = output_shapes(model, list(modules), network.image_size)
        for path, module in modules.items():
            biases = sum(layer.out_channels for layer in module.modules() if isinstance(layer, nn.Conv2d))
            count += biases * prod(shapes[path][2:])
    return count


def pooled_by_cbam(network: Network) -> int:
    """What CBAM's two pooling layers read, in its released code; `measure.operations` counts those of SE and others."""
    return 2 * gated_values(network.backbone) if network.attention == "cbam" else 0


def by_layers(network: Network) -> int:
    """Operations as in SA's Table 1 and the README of implus/PytorchInsight: those of CBAM's pooling layers too."""
    return operations(network, "layers") + pooled_by_cbam(network)
