"""Checks of the claims of BAM; paper.yml says what each is held against."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import DenseNet

from attnlib import create
from attnlib.ledger.costs import printed_tolerance
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import Built, Call, Network, multiply_adds, parameters
from attnlib.ledger.profilers import by_layers
from attnlib.ledger.schema import load
from attnlib.ledger.variants import IMAGE, stride_first, wide_resnet18
from attnlib.ledger.verdict import Finding
from attnlib.scale_attention.bam import BAM

FORMS = {"paper": (("combine", "sum"), ("output_norm", True)), "released": ()}
MAPS = (4, 32, 9, 9)


def _densenet() -> nn.Module:
    """DenseNet 100-BC with 12 channels a layer, for 32 x 32 images of 100 classes."""
    model = DenseNet(12, (16, 16, 16), 24, num_classes=100)
    model.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        model.features.set_submodule(name, nn.Identity())
    return model


DENSENET = "DenseNet 100-BC (k=12)"
CIFAR = {
    "ResNet 50": "resnet50_cifar",
    "ResNet 101": "resnet101_cifar",
    "PreResNet 110": "resnet164_preact",
    "WideResNet 28 (w=8)": "wrn28_8",
    "WideResNet 28 (w=10)": "wrn28_10",
    "ResNeXt 29 8x64d": "resnext29_8x64d",
    "ResNeXt 29 16x64d": "resnext29_16x64d",
}
IMAGENET = {
    "ResNet18": "resnet18",
    "ResNet50": "resnet50",
    "ResNet101": "resnet101",
    "ResNeXt50 32x4d": "resnext50",
    "MobileNet": "mobilenet_v1",
}


# In a network without stages of residual blocks, the layers behind which its maps are halved.
PLACES = {DENSENET: ("features.denseblock1", "features.denseblock2"), "MobileNet": ("layer2.1", "layer3.1", "layer4.5")}


def _behind_fires(arguments: tuple[tuple[str, Any], ...], model: nn.Module) -> None:
    """Put BAM behind the layers of SqueezeNet in front of its second and third pooling.

    `attach` would take the width of such a layer, which concatenates two maps, from the second of them alone.
    """
    for index, channels in ((4, 128), (7, 256)):
        model.features[index] = nn.Sequential(model.features[index], create("bam", channels, **dict(arguments)))


SQUEEZENET = {
    form: Network("torchvision:squeezenet1_1", change=Call(_behind_fires, arguments))
    for form, arguments in FORMS.items()
}
TABLES = ("reduction", "cifar100", "cifar100-preresnet", "imagenet")


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Built | int:
    """The network that a printed cost belongs to."""
    if table in TABLES:
        return _in_the_paper(row, "paper")
    if table == "pytorchinsight":
        *method, name, depth = row["model"].lower().split("-")
        network = Network(name + depth, *method)
        return network if column == "params_M" else by_layers(network)
    return Network("resnet50", row["model"].split("-")[0].lower())


def _in_the_paper(row: dict[str, Any], form: str) -> Network | Built:
    """The network of a row of the paper's tables, with the module in the paper's form or in the released one."""
    if "variant" in row:
        argument, _, value = row["variant"].partition(" ")
        return _resnet50("bam", *FORMS[form], (argument, int(value))) if value else _resnet50()
    model, plus, _ = row["model"].partition(" + ")
    if model == "SqueezeNet v1.1":
        return SQUEEZENET[form]
    attention, arguments, placement = ("bam", FORMS[form], PLACES.get(model)) if plus else ("none", (), None)
    if model == DENSENET:
        return Built(_densenet, ((1, 3, 32, 32),), attention, arguments, placement)
    if model.startswith("WideResNet18"):
        widen = float(model.partition("(")[2].removesuffix(")"))
        return Built(Call(wide_resnet18, widen), IMAGE, attention, arguments)
    name, classes = (CIFAR[model], 100) if model in CIFAR else (IMAGENET[model], 1000)
    return Network(name, attention, arguments, classes, stride_first, placement)


def _resnet50(attention: str = "none", *arguments: tuple[str, Any]) -> Network:
    """ResNet-50 for CIFAR-100."""
    return Network("resnet50_cifar", attention, arguments, 100, stride_first)


def reduction_released() -> Finding:
    deviations, notes = [], []
    for row in load("bam").rows("reduction"):
        if row["variant"].startswith("reduction"):
            counted = parameters(_in_the_paper(row, "released")) / 1e6
            deviations.append(abs(row["params_M"] - counted))
            notes.append(f"{row['variant']}: {row['params_M']} printed, {counted:.4f} counted")
    return Finding(max(deviations), "; ".join(notes))


def paper_form() -> Finding:
    paper, released = (_rows_off(form) for form in FORMS)
    note = f"{'; '.join(paper)}; in the released form {len(released)} rows are off"
    return Finding(len(paper), note)


def _rows_off(form: str) -> list[str]:
    """The rows with BAM whose parameters, in this form of it, do not round to what is printed."""
    off = []
    for table in load("bam").tables:
        for row in load("bam").rows(table.id) if table.id in TABLES else []:
            counted = parameters(_in_the_paper(row, form)) / 1e6
            if abs(counted - row["params_M"]) > printed_tolerance(row["params_M"], table.costs["params_M"].decimals):
                off.append(f"{next(iter(row.values()))}: {row['params_M']} printed, {counted:.4f} counted")
    return off


def gflops_cifar_resnet50() -> Finding:
    return _gflops(Network("resnet50_cifar", classes=100), _resnet50())


def _gflops(released: Network, stride_first: Network) -> Finding:
    """Multiply-adds of a network as released; otherwise with the stride elsewhere."""
    third, first = (multiply_adds(network) / 1e9 for network in (released, stride_first))
    note = f"{third:.4f} with the stride in the 3 x 3 convolution, as released, {first:.4f} with it in the first 1 x 1"
    return Finding(third, note, otherwise=first)


def gflops_reduction_4() -> Finding:
    by_reduction = {r: multiply_adds(_resnet50("bam", ("reduction", r))) / 1e9 for r in (4, 8, 16)}
    note = ", ".join(f"{gflops:.4f} with r = {r}" for r, gflops in by_reduction.items())
    return Finding(by_reduction[4], f"{note}, {multiply_adds(_resnet50()) / 1e9:.4f} without BAM")


def _random_bam(**arguments: Any) -> BAM:
    """A BAM for 32 channels with all its parameters and running statistics random."""
    return random_parameters(create("bam", 32, **arguments))


def gate_range() -> Finding:
    gates = torch.stack([_random_bam(combine=combine).gate(normal(*MAPS)) for combine in ("product", "sum")])
    beyond = torch.maximum(1 - gates, gates - 2).clamp_min(0)
    return Finding(beyond.max().item(), f"between {gates.min():.4f} and {gates.max():.4f}")


def branch_as_printed() -> Finding:
    branch, z = _random_bam().channel_branch.eval(), normal(*MAPS).mean((2, 3))
    _make_identity(branch[1])
    hidden = branch[0](z)
    linear, with_relu = (largest(branch(z) - branch[3](inner)) for inner in (hidden, torch.relu(hidden)))
    note = f"{linear:.3f} without a ReLU behind the hidden layer, {with_relu:.1e} with it"
    return Finding(linear, note, otherwise=with_relu)


def _make_identity(norm: nn.BatchNorm1d) -> None:
    nn.init.ones_(norm.weight)
    nn.init.zeros_(norm.bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def _released_pooling(x: Tensor) -> Tensor:
    """The released code's: a window as wide as the map is high, and the same stride."""
    return F.avg_pool2d(x, x.shape[2], stride=x.shape[2]).flatten(1)


def pooling_wide() -> Finding:
    return _against_the_mean(13)


def _against_the_mean(width: int) -> Finding:
    x = normal(4, 32, 9, width)
    pooled, mean, first = _released_pooling(x), x.mean((2, 3)), x[..., :9].mean((2, 3))
    note = f"{largest(pooled - first):.1e} from the mean over the first nine columns"
    return Finding(largest(pooled - mean), note)


def pooling_tall() -> Finding:
    return _fails(13, 9)


def _fails(height: int, width: int) -> Finding:
    """Whether the channel branch behind the released pooling fails on such a map."""
    try:
        _random_bam().channel_branch(_released_pooling(normal(4, 32, height, width)))
    except RuntimeError as error:
        return Finding(1, str(error))
    return Finding(0, "it runs")
