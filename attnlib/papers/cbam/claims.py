"""Checks of the claims of CBAM; paper.yml says what each is held against."""

from typing import Any

from torch import nn
from torchvision.models import get_model
from torchvision.ops import Conv2dNormActivation

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import Built, Call, Module, Network, added, multiply_adds, parameters
from attnlib.ledger.schema import load
from attnlib.ledger.variants import IMAGE, resnext_stride_first, wide_resnet18
from attnlib.ledger.verdict import Finding
from attnlib.networks.mobilenet import DepthwiseSeparable
from attnlib.scale_attention.cbam import CBAM

MAPS = (2, 32, 9, 7)
PLAIN = Network("resnet50_v1")
RELEASED = Network("resnet50_v1", "cbam")
BAM = Network("resnet50_v1", "bam")
BOTH = Network("resnet50_v1", "cbam", (("spatial", False), ("channel_pools", ("avg", "max"))))


# Of the tables' networks: those that attnlib does not have by name, places and changes.


def wide_resnet(widen: float, attention: str = "none") -> Built:
    return Built(Call(wide_resnet18, widen), IMAGE, attention)


def resnext(depth: int, attention: str = "none") -> Built:
    return Built(Call(resnext_stride_first, depth), IMAGE, attention)


def ssd() -> Module:
    return Module(Call(get_model, "ssd300_vgg16", weights=None, weights_backbone=None, num_classes=21))


def convolutions(model: nn.Module) -> list[str]:
    """All convolutions of a MobileNet, each with its norm and ReLU."""
    return [path for path, layer in model.named_modules() if isinstance(layer, Conv2dNormActivation)]


def blocks(model: nn.Module) -> list[str]:
    """The depthwise separable convolutions of a MobileNet."""
    return [path for path, layer in model.named_modules() if isinstance(layer, DepthwiseSeparable)]


def late_stride(model: nn.Module) -> None:
    """ZAM's MobileNet keeps 32 x 32 pixels in the second stage."""
    convolution = next(layer for layer in model.layer2.modules() if isinstance(layer, nn.Conv2d))
    convolution.stride = (1, 1)


# What the claims are held against.


def negligible() -> Finding:
    shares = {
        "parameters": 100 * added(RELEASED) / parameters(PLAIN),
        "multiply-adds": 100 * added(RELEASED, multiply_adds) / multiply_adds(PLAIN),
    }
    note = ", ".join(f"{share:.2f} % more {name}" for name, share in shares.items())
    return Finding(sum(share > 1 for share in shares.values()), note)


def table_1_size() -> Finding:
    note = f"{parameters(BOTH):,}, with any pooling; ResNet-50 with BAM has {parameters(BAM):,}"
    return Finding(parameters(BOTH) / 1e6, note)


def _gflops(network: Network | Module) -> float:
    return multiply_adds(network) / 1e9


def gflops_resnet50() -> Finding:
    released, first = _gflops(Network("resnet50")), _gflops(PLAIN)
    note = (
        f"{released:.4f} with the stride in the 3 x 3 convolution, as released, {first:.4f} with it in the first 1 x 1"
    )
    return Finding(released, note, otherwise=first)


def _random_cbam(**arguments: Any) -> CBAM:
    """A CBAM for 32 channels with all its parameters and running statistics random."""
    return random_parameters(create("cbam", 32, **arguments))


def avg_is_se() -> Finding:
    channel, se = _random_cbam(spatial=False, channel_pools=("avg",)), create("se", 32).double()
    gate = channel.channel_gate
    for ours, theirs in ((gate.reduce, se.reduce), (gate.expand, se.expand)):
        theirs.load_state_dict(
            {name: value.view_as(theirs.state_dict()[name]) for name, value in ours.state_dict().items()}
        )
    return Finding(largest(channel(normal(*MAPS)) - se(normal(*MAPS))))


def bias() -> Finding:
    with_bias, without = _random_cbam(), _random_cbam(bias=False)
    with_bias.load_state_dict(without.state_dict(), strict=False)
    nn.init.zeros_(with_bias.channel_gate.reduce.bias)
    nn.init.zeros_(with_bias.channel_gate.expand.bias)
    return Finding(largest(with_bias(normal(*MAPS)) - without(normal(*MAPS))))


def better_than_se() -> Finding:
    rows = load("cbam").rows("table-4")
    se, cbam = ({row["model"]: row["top1_err"] for row in rows if row["method"] == method} for method in ("SE", "CBAM"))
    others = [f"{model}: {cbam[model]} with CBAM, {se[model]} with SE" for model in se if cbam[model] >= se[model]]
    return Finding(len(others), "; ".join(others))
