"""Checks of the claims of Squeeze-and-Excitation; paper.yml says what each is held against."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from attnlib import create
from attnlib.ledger.draw import normal, seeded
from attnlib.ledger.measure import Built, Call, Network, added, empty, gated_values, multiply_adds, parameters
from attnlib.ledger.printed import row_of
from attnlib.ledger.rules import RULES
from attnlib.ledger.schema import load
from attnlib.ledger.variants import IMAGE, resnext
from attnlib.ledger.verdict import Finding
from attnlib.networks import WithAttention, attention_modules
from attnlib.networks.mobilenet import DepthwiseSeparable
from attnlib.scale_attention.se import SE

MAPS = (2, 64, 9, 7)
STATISTICS = RULES["running statistics"]
PLAIN = Network("resnet50_v1")
RELEASED = Network("resnet50_v1", "se")
ABLATION = Network("resnet50_v1", "se", (("bias", False),))
NO_SQUEEZE = Network("resnet50_v1", "se", (("bias", False), ("squeeze", "none")))
BY_REDUCTION = {r: Network("resnet50_v1", "se", (("bias", False), ("reduction", r))) for r in (2, 4, 8, 16, 32)}


def _keep_stages(stages: frozenset[int], model: nn.Module) -> None:
    """Take the units of all other stages out; the paper's stage 2 is torchvision's layer1."""
    for path in attention_modules(model):
        if int(path[len("layer")]) + 1 not in stages:
            model.set_submodule(path, model.get_submodule(path).layer)


def _add_inside(model: nn.Module) -> None:
    """Put units after the norms of the 3 x 3 convolutions."""
    for path, norm in list(model.named_modules()):
        if path.endswith(".bn2"):
            model.set_submodule(path, WithAttention(norm, create("se", norm.num_features, bias=False)))


BY_STAGE = {
    stage: Network("resnet50_v1", "se", (("bias", False),), change=Call(_keep_stages, frozenset({stage})))
    for stage in (2, 3, 4)
}
WITHOUT_LAST_STAGE = Network("resnet50_v1", "se", (("bias", False),), change=Call(_keep_stages, frozenset({2, 3, 4})))
INSIDE = Network("resnet50_v1", change=_add_inside)


def _paths_of(kind: type[nn.Module], model: nn.Module) -> list[str]:
    return [path for path, module in model.named_modules() if isinstance(module, kind)]


def _behind_convolutions(model: nn.Module) -> list[str]:
    """The activations of VGG's convolutions, not those of its linear layers."""
    return [path for path in _paths_of(nn.ReLU, model) if path.startswith("features.")]


# In networks without residual blocks a unit follows each convolution's activation, or each depthwise separable pair.
PLACES = {"torchvision:vgg16_bn": _behind_convolutions, "mobilenet_v1": Call(_paths_of, DepthwiseSeparable)}


def _imagenet(model: str, attention: str) -> Network | Built | None:
    """A network of Tables 2 and 3, where it is defined here."""
    if model == "ResNeXt-101":
        return Built(Call(resnext, 101), IMAGE, attention)
    names = {"VGG-16 (BN)": "torchvision:vgg16_bn", "MobileNet 1.0-224": "mobilenet_v1", "ResNeXt-50": "resnext50"}
    names |= {f"ResNet-{depth}": f"resnet{depth}_v1" for depth in (50, 101, 152)}
    return Network(names[model], attention, placement=PLACES.get(names[model])) if model in names else None


def _norm_in_front(model: nn.Module) -> None:
    """imgclsmob's SE-PreResNet has a norm behind the first convolution and none behind the last block."""
    model.conv1 = nn.Sequential(model.conv1, nn.BatchNorm2d(16), nn.ReLU())
    model.bn = nn.Identity()


def _imgclsmob(model: str, classes: int) -> Network:
    attention = "se" if model.startswith("SE") else "none"
    depth = model.split()[0].rpartition("-")[2]
    if "PreResNet" not in model:
        return Network(f"resnet{depth}", attention, classes=classes)
    change = _norm_in_front if attention == "se" else None
    return Network(f"resnet{depth}_preact", attention, classes=classes, change=change)


def _make_small(model: nn.Module) -> None:
    """A 3 x 3 stem and 100 classes: the form for CIFAR-100 of a depth that has no name here."""
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.fc = nn.Linear(model.fc.in_features, 100)


def _weiaicunzai(model: str) -> Network:
    attention, name = "se" if model.startswith("se") else "none", model.removeprefix("se")
    if name == "resnet152":
        return Network("torchvision:resnet152", attention, change=_make_small)
    return Network(f"{name}_cifar", attention, classes=100)


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Built | str:
    """The network that a printed cost belongs to, or why it is not recomputed."""
    if table == "table-10":
        return PLAIN if row["r"] is None else BY_REDUCTION[row["r"]]
    if table == "table-13":
        return {"none": PLAIN, "all": ABLATION}.get(row["where"]) or BY_STAGE[int(row["where"][-1])]
    if table == "table-15":
        return {"SE": ABLATION, "SE 3x3": INSIDE}[row["design"]]
    if table == "table-16":
        return {"ResNet-50": PLAIN, "NoSqueeze": NO_SQUEEZE, "SE": ABLATION}[row["model"]]
    model = row["model"]
    if table == "imgclsmob-cifar":
        return _imgclsmob(model, 10 if column == "c10_params" else 100)
    if table == "weiaicunzai-cifar100":
        return _weiaicunzai(model)
    attention = "se" if column.startswith("se_") else "none"
    return _imagenet(model, attention) or f"{model} is not among the networks of attnlib"


def weights_formula() -> Finding:
    biases = parameters(RELEASED) - parameters(ABLATION)
    return Finding(added(ABLATION), f"counted without biases; the released form has {biases:,} of them")


def parameters_resnet50() -> Finding:
    return Finding(added(RELEASED) / 1e6, f"{added(RELEASED):,} with biases, as released")


def parameters_share() -> Finding:
    return Finding(100 * (parameters(RELEASED) / parameters(PLAIN) - 1), f"of {parameters(PLAIN):,}")


def last_stage_dropped() -> Finding:
    total = parameters(WITHOUT_LAST_STAGE)
    return Finding(100 * (total / parameters(PLAIN) - 1), f"{total:,} parameters in all, without biases")


def table_10_parameters() -> Finding:
    return _largest_deviation("table-10", "r", "params_M")


def table_13_parameters() -> Finding:
    return _largest_deviation("table-13", "where", "params_M")


def _largest_deviation(table: str, label: str, column: str) -> Finding:
    """The largest |printed - counted| of a column of parameters; otherwise with the running statistics."""
    stated, with_statistics = {}, {}
    for row in load("se").rows(table):
        name, network = f"{row[label]}: {row[column]} printed", network_of(table, row, column)
        stated[name] = abs(row[column] - parameters(network) / 1e6)
        with_statistics[name] = abs(row[column] - STATISTICS.count(network, "each") / 1e6)
    note = f"off by more than 0.05 are {_off(stated)}; with means and variances of batch norms {_off(with_statistics)}"
    return Finding(max(stated.values()), note, max(with_statistics.values()), rule="running statistics", table=table)


def _off(deviations: dict[str, float]) -> str:
    return "; ".join(f"{name}, by {d:.3f}" for name, d in deviations.items() if d > 0.05) or "none"


def table_15_parameters() -> Finding:
    total = STATISTICS.count(INSIDE, "each")
    note = f"{parameters(INSIDE):,}, without biases; {total:,} with means and variances of batch norms"
    return Finding(parameters(INSIDE) / 1e6, note, total / 1e6, rule="running statistics", table="table-15")


def gflops_resnet50() -> Finding:
    finding = _gflops(PLAIN)
    elsewhere = multiply_adds(Network("resnet50")) / 1e9
    return replace(finding, note=f"{finding.note}; {elsewhere:.4f} with the stride in the 3 x 3")


def _gflops(network: Network | Built) -> Finding:
    return _by_both_rules(network, 1e9, "table-2")


def _by_both_rules(network: Network | Built, unit: float, table: str) -> Finding:
    """Multiply-adds; otherwise with the shortcuts' additions and one operation for each value that is pooled."""
    macs = multiply_adds(network) / unit
    total = RULES["additions and pooled values"].count(network, "multiply-adds") / unit
    note = (
        f"{macs:.4f} by multiply-adds, {total:.4f} with the additions of the shortcuts and the values that are pooled"
    )
    return Finding(macs, note, total, rule="additions and pooled values", table=table)


def flops_share() -> Finding:
    plain, values = multiply_adds(PLAIN), gated_values("resnet50_v1")
    more = added(RELEASED, multiply_adds)
    printed = _table_2("ResNet-50")
    rounded = 100 * (printed["se_gflops"] / printed["reimpl_gflops"] - 1)
    note = (
        f"{100 * more / plain:.3f} by multiply-adds, {100 * (more + values) / plain:.3f} with the values that the "
        f"squeeze reads, {100 * (more + 2 * values) / plain:.3f} with their scaling too; the printed "
        f"{printed['se_gflops']} and {printed['reimpl_gflops']} differ by {rounded:.2f}"
    )
    return Finding(100 * more / plain, note, rounded, rule="rounded figures")


def nosqueeze_parameters() -> Finding:
    return Finding(parameters(NO_SQUEEZE) - parameters(ABLATION), f"{parameters(ABLATION):,} each")


def file_size_resnet50() -> Finding:
    """4 bytes for every parameter and running statistic, in units of 2^20 bytes."""
    statistics = sum(buffer.numel() for buffer in empty(RELEASED).buffers() if buffer.is_floating_point())
    values = parameters(RELEASED) + statistics
    return Finding(4 * values / 2**20, f"{values:,} values, {4 * values / 1e6:.1f} in units of 10^6 bytes")


def _unit(**arguments: Any) -> SE:
    """A unit of 64 channels with random weights, always the same."""
    with seeded():
        return create("se", 64, **arguments).double()


def _table_2(model: str) -> dict[str, Any]:
    return row_of("se", "table-2", model=model)


def channel_response() -> Finding:
    """Of units with the paper's initial weights; with W_2 replaced by -W_2 each gate that grew falls."""
    with seeded():
        unit = create("se", 256, bias=False).double()
        unit.network_init_()
    means = normal(256).abs()
    own = torch.autograd.functional.jacobian(lambda z: unit.gate(z.view(1, -1, 1, 1)).flatten(), means).diagonal()
    growing, falling = (100 * (sign * own > 0).double().mean().item() for sign in (1, -1))
    gates = unit.gate(means.view(1, -1, 1, 1)).detach().flatten()
    ranks = torch.stack([means.argsort().argsort(), gates.argsort().argsort()]).double()
    note = (
        f"untrained, 256 channels: {growing:.1f} % of gates grow and {falling:.1f} % fall with their channel's mean, "
        f"and with W_2 of the other sign each does the opposite; over the channels the rank correlation of gate and "
        f"mean is {torch.corrcoef(ranks)[0, 1]:.2f}. The equation takes no side; what a trained unit does is in its "
        f"weights"
    )
    return Finding(growing, note)


def enhances() -> Finding:
    gates = torch.cat([_unit().gate(scale * normal(*MAPS)).flatten() for scale in (1, 1000)]).detach()
    note = (
        f"a sigmoid is at most 1: {gates.numel()} gates, of inputs of deviation 1 and 1000, are {gates.min():.3f} to "
        f"{gates.max():.3f}. What SE does is weaken the others more"
    )
    return Finding(float((gates > 1).any()), note)
