"""Checks of the claims of CBAM; paper.yml says what each is held against."""

from typing import Any

from torch import nn
from torchvision.models import get_model
from torchvision.ops import Conv2dNormActivation

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import Built, Call, Module, Network, added, multiply_adds, parameters
from attnlib.ledger.profilers import by_layers
from attnlib.ledger.schema import load
from attnlib.ledger.variants import IMAGE, resnext_stride_first, wide_resnet18
from attnlib.ledger.verdict import Finding
from attnlib.networks.mobilenet import DepthwiseSeparable
from attnlib.scale_attention.cbam import CBAM

BUILDERS = {
    "WideResNet-18 (1.5)": Call(wide_resnet18, 1.5),
    "WideResNet-18 (2.0)": Call(wide_resnet18, 2.0),
    "ResNeXt-50 32x4d": Call(resnext_stride_first, 50),
    "ResNeXt-101 32x4d": Call(resnext_stride_first, 101),
}
MAPS = (2, 32, 9, 7)
KEYS = {"baseline": "none", "SE": "se", "CBAM": "cbam"}

PLAIN = Network("resnet50_v1")
RELEASED = Network("resnet50_v1", "cbam")
SE = Network("resnet50_v1", "se")
BAM = Network("resnet50_v1", "bam")
CHANNEL = {
    pools: Network("resnet50_v1", "cbam", (("spatial", False), ("channel_pools", pools)))
    for pools in (("avg",), ("max",), ("avg", "max"))
}
BOTH = CHANNEL["avg", "max"]
SPATIAL = {
    (descriptor, kernel): Network("resnet50_v1", "cbam", (("descriptor", descriptor), ("kernel_size", kernel)))
    for descriptor in ("conv", "max-avg")
    for kernel in (3, 7)
}
TABLE_1 = dict(
    zip(("baseline", "AvgPool (SE)", "MaxPool", "AvgPool & MaxPool"), (PLAIN, *CHANNEL.values()), strict=True)
)
TABLE_2 = {"channel (SE)": SE, "channel": BOTH} | {
    f"channel + spatial ({'1x1 conv' if descriptor == 'conv' else 'avg&max'}, k={kernel})": network
    for (descriptor, kernel), network in SPATIAL.items()
}
SSD = Module(Call(get_model, "ssd300_vgg16", weights=None, weights_backbone=None, num_classes=21))


def _convolutions(model: nn.Module) -> list[str]:
    """All convolutions of a MobileNet, each with its norm and ReLU."""
    return [path for path, layer in model.named_modules() if isinstance(layer, Conv2dNormActivation)]


def _blocks(model: nn.Module) -> list[str]:
    """The depthwise separable convolutions of a MobileNet."""
    return [path for path, layer in model.named_modules() if isinstance(layer, DepthwiseSeparable)]


def _late_stride(model: nn.Module) -> None:
    """ZAM's MobileNet keeps 32 x 32 pixels in the second stage."""
    convolution = next(layer for layer in model.layer2.modules() if isinstance(layer, nn.Conv2d))
    convolution.stride = (1, 1)


BARE = (("bias", False), ("norm", False))
ZAM = {
    "ResNet18": Network("resnet18_cifar", classes=100),
    "ResNet18 + CBAM": Network("resnet18_cifar", "cbam", (*BARE, ("reduction", 8)), classes=100),
    "MobileNet": Network("mobilenet_v1_cifar", classes=100, change=_late_stride),
    "MobileNet + CBAM": Network(
        "mobilenet_v1_cifar", "cbam", BARE, classes=100, change=_late_stride, placement=_blocks
    ),
}


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Module | int | str:
    """The network that a printed cost belongs to, or why it is not recomputed."""
    if table == "table-1":
        return TABLE_1[row["variant"]]
    if table == "table-2":
        return TABLE_2[row["variant"]]
    if table == "table-7":
        return _detector(row)
    if table == "zam":
        return ZAM[row["model"]]
    if table == "pytorchinsight":
        return _pytorchinsight(row["model"], column)
    return _network(row["model"], KEYS[row["method"]])


def _network(model: str, attention: str) -> Network | Built:
    """A network of Tables 4 and 5."""
    if model in BUILDERS:
        return Built(BUILDERS[model], IMAGE, attention)
    if model.startswith("MobileNet"):
        return _mobilenet(model.removeprefix("MobileNet "), attention)
    depth = int(model.removeprefix("ResNet-"))
    return Network(f"resnet{depth}_v1" if depth >= 50 else f"resnet{depth}", attention)


def _mobilenet(width: str, attention: str) -> Network:
    backbone = {"0.7": "mobilenet_v1_070", "1.0": "mobilenet_v1"}[width]
    return Network(backbone, attention, placement=None if attention == "none" else _convolutions)


def _detector(row: dict[str, Any]) -> Module | str:
    if row["detector"] != "SSD":
        return "StairNet is not among the networks of attnlib"
    return SSD if row["backbone"] == "VGG16" else "SSD on MobileNet is not among the networks of attnlib or torchvision"


def _pytorchinsight(model: str, column: str) -> Network | int:
    *method, name, depth = model.lower().split("-")
    network = Network(name + depth, *method)
    return network if column == "params_M" else by_layers(network)


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
