"""Checks of the claims of spatial group-wise enhancement; attnlib/published/sge.yml says what each is held against."""

from functools import cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.measure import Module, Network, gated_values, multiply_adds, operations, parameters, work
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.networks.attach import output_shapes
from attnlib.published import load
from attnlib.scale_attention.sge import EPS, SGE

PLAIN, WITH_SGE, WITH_CBAM = Network("resnet50"), Network("resnet50", "sge"), Network("resnet50", "cbam")
LARGE_IMAGE = (1, 3, 800, 1333)


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Module | tuple[Network, Network] | int | str:
    """The network that a printed cost belongs to, its operations where they are put together, or why there is none."""
    name = (row.get("backbone") or row["model"]).removesuffix(" (modified)")
    method, _, depth = f"-{name}".rpartition("-ResNet-")
    attention = {"": "none", "-SE": "se", "-BAM": "bam", "-CBAM": "cbam", "-SGE": "sge"}.get(method)
    if attention is None:
        return f"{method.removeprefix('-')} is not among the modules of attnlib"
    backbone = f"resnet{depth}"
    network = Network(backbone, attention)
    if table == "detection":
        return _large(backbone, attention) if column == "gflops" else _body(backbone, attention)
    if column == "module_parameters":
        return network, Network(backbone)
    return network if column != "gflops" else hooked(network) + _pooled_by_cbam(network)


def _without_classifier(backbone: str, attention: str) -> nn.Module:
    model = Network(backbone, attention).build()
    model.avgpool, model.fc = nn.Identity(), nn.Identity()
    return model


@cache  # partials of equal arguments are not equal, and what is counted is kept by module
def _body(backbone: str, attention: str = "none") -> Module:
    """The network without its classifier, for a large image."""
    return Module(partial(_without_classifier, backbone, attention), (LARGE_IMAGE,))


def _large(backbone: str, attention: str) -> int:
    """Operations for a large image; attention adds the values that it pools, and its products, which fit any image."""
    plain = operations(_body(backbone), "layers")
    if attention == "none":
        return plain
    products = multiply_adds(Network(backbone, attention)) - multiply_adds(Network(backbone))
    return plain + _large_values(backbone) + products


def _large_values(backbone: str) -> int:
    """Values of the gated maps: those that are added to a shortcut."""
    return work(_body(backbone))["elementwise"]["add"]


@cache
def hooked(network: Network) -> int:
    """Operations layer by layer, with two kinds that `measure.operations` leaves out: ReLU6 and the biases of BAM."""
    count = operations(network, "layers") + work(network)["elementwise"].get("hardtanh", 0)
    if network.attention == "bam":
        model = network.build_empty()
        modules = attention_modules(model)
        shapes = output_shapes(model, list(modules), network.image_size)
        for path, module in modules.items():
            biases = sum(layer.out_channels for layer in module.modules() if isinstance(layer, nn.Conv2d))
            count += biases * prod(shapes[path][2:])
    return count


def _pooled_by_cbam(network: Network) -> int:
    """What CBAM's two pooling layers read; the rule counts SE's and SGE's by itself."""
    return 2 * gated_values(network.backbone) if network.attention == "cbam" else 0


def _added(backbone: str) -> int:
    return parameters(Network(backbone, "sge")) - parameters(Network(backbone))


def parameters_module() -> Finding:
    counts = {sum(p.numel() for p in create("sge", c).parameters()) for c in (64, 128, 256, 512, 1024, 2048)}
    return Finding(max(counts, key=lambda count: abs(count - 128)), f"all counts: {sorted(counts)}")


def parameters_resnet50() -> Finding:
    return Finding(_added("resnet50"), f"{len(attention_modules(WITH_SGE.build_empty()))} modules")


def parameters_resnet101() -> Finding:
    return Finding(_added("resnet101"))


def parameters_against_cbam() -> Finding:
    counts = parameters(WITH_CBAM), parameters(WITH_SGE)
    return Finding((counts[0] - counts[1]) / 1e6, "{:,} against {:,}".format(*counts))


def gflops_resnet50() -> Finding:
    macs, layers = _added_operations("multiply-adds"), _added_operations("layers")
    note = f"{macs:,} multiply-adds; {layers:,} operations with the values that are pooled"
    return Finding(macs / 1e9, note, otherwise=layers / 1e9)


def _added_operations(counting: str) -> int:
    return operations(WITH_SGE, counting) - operations(PLAIN, counting)


def gflops_one_per_value() -> Finding:
    values = gated_values("resnet50")
    return Finding(values / 1e9, f"{values:,} values")


def gflops_all_work() -> Finding:
    counts, plain = (work(network)["elementwise"] for network in (WITH_SGE, PLAIN))
    added = {name: count - plain.get(name, 0) for name, count in counts.items()}
    parts = sorted(added.items(), key=lambda part: -part[1])
    note = "one operation for each value: " + ", ".join(f"{name} {count / 1e9:.2e}" for name, count in parts[:4])
    return Finding(sum(added.values()) / 1e9, note)


def gflops_cbam() -> Finding:
    by_layers = hooked(WITH_CBAM)
    pooled = by_layers + _pooled_by_cbam(WITH_CBAM)
    note = f"{by_layers / 1e9:.4f} without its pooling layers, {pooled / 1e9:.4f} with the values that both read"
    return Finding(by_layers / 1e9, note, otherwise=pooled / 1e9)


def gflops_detection() -> Finding:
    macs, layers = multiply_adds(_body("resnet50")), operations(_body("resnet50"), "layers")
    note = f"{macs / 1e9:.2f} multiply-adds, {layers / 1e9:.2f} with batch norms, ReLUs and pooling layers"
    return Finding(macs / 1e9, note, otherwise=layers / 1e9)


def gflops_detection_se() -> Finding:
    plain, se, sge = (_large("resnet101", attention) for attention in ("none", "se", "sge"))
    note = f"SE {(se - plain) / 1e9:.4f}, SGE {(sge - plain) / 1e9:.4f}; both pool the same values"
    return Finding((se - plain) / 1e9, note)


def _normal(channels: int, side: int) -> Tensor:
    """Two maps of normally distributed values, always the same."""
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _random_sge(**arguments: Any) -> SGE:
    """An SGE of 4 groups for 32 channels with normally distributed scales and shifts."""
    module, generator = create("sge", 32, groups=4, **arguments).double(), torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def _standardised(x: Tensor, unbiased: bool = True) -> Tensor:
    """What the module scales: one map for each image and group of 4."""
    module = create("sge", x.shape[1], groups=4, unbiased=unbiased).double()
    nn.init.ones_(module.weight)
    nn.init.zeros_(module.bias)
    return torch.logit(module.gate(x).detach())[:, :: x.shape[1] // 4]


def initial_gate() -> Finding:
    gate = create("sge", 256).double().gate(_normal(256, 9)).detach()
    return Finding((gate - torch.sigmoid(torch.ones_like(gate))).abs().max().item(), f"{gate.flatten()[0]:.7f}")


def initial_gradient() -> Finding:
    x, weights = _normal(256, 9).requires_grad_(), _normal(256, 9).cos()
    (create("sge", 256).double()(x) * weights).sum().backward()
    return Finding((x.grad - torch.sigmoid(torch.ones_like(x)) * weights).abs().max().item())


def first_step() -> Finding:
    module = create("sge", 256).double()
    (module(_normal(256, 9)) * _normal(256, 9).cos()).sum().backward()
    smallest = module.weight.grad.abs().min().item()
    return Finding(int(smallest > 0), f"the smallest is {smallest:.1e}")


def shared_by_group() -> Finding:
    module, x = _random_sge(), _normal(32, 9)
    gate = module.gate(x).detach().unflatten(1, (4, 8))
    within = (gate - gate[:, :, :1]).abs().max().item()
    changed = x.clone()
    changed[:, :8] = changed[:, :8].cos()
    others = (module.gate(changed).detach().unflatten(1, (4, 8)) - gate)[:, 1:].abs().max().item()
    return Finding(max(within, others))


def standardised() -> Finding:
    z = _standardised(1000 * _normal(32, 9))  # so large that eps does not show
    mean, deviation = z.mean((2, 3)).abs().max().item(), (z.flatten(2).std(2) - 1).abs().max().item()
    return Finding(max(mean, deviation), f"mean within {mean:.1e}, deviation within {deviation:.1e}")


def deviation_2x2() -> Finding:
    return _larger_deviation(2)


def deviation_7x7() -> Finding:
    return _larger_deviation(7)


def _larger_deviation(side: int) -> Finding:
    """By how many percent the released deviation exceeds the formula's: what is divided by it shows that."""
    x = 10 * _normal(32, side)  # so large that eps does not show
    by_formula, released = _standardised(x, unbiased=False), _standardised(x)
    ratio = (by_formula.norm() / released.norm()).item()
    return Finding(100 * (ratio - 1), f"{side * side} positions")


def one_pixel() -> Finding:
    module, x = _random_sge(), _normal(32, 1)
    squares = (x - x.mean((2, 3), keepdim=True)).square().sum((2, 3))
    released = (squares / (x[0, 0].numel() - 1)).sqrt() + EPS
    expected = torch.sigmoid(module.bias).repeat_interleave(8).view(1, 32, 1, 1)
    difference = (module.gate(x) - expected).abs().max().item()
    note = f"the released deviation is {released[0, 0]}, our gate differs from sigmoid(beta) by {difference}"
    return Finding(int(released.isnan().all().item() and difference == 0), note)


def saturation() -> Finding:
    x = _normal(32, 9)
    contrasts = (1.0, 4.0)

    def saturated(logits: Tensor) -> float:
        return (torch.sigmoid(logits) - 0.5).abs().gt(0.49).double().mean().item()

    def similarities(maps: Tensor) -> Tensor:
        groups = maps.unflatten(1, (4, 8))
        return (groups * groups.mean((3, 4), keepdim=True)).sum(2)

    raw = [saturated(similarities(contrast * x)) for contrast in contrasts]
    ours = [saturated(_standardised(contrast * x)) for contrast in contrasts]
    note = (
        f"without it {raw[0]:.0%} of the gate's values are below 0.01 or above 0.99, and {raw[1]:.0%} for four times "
        f"the contrast; with it {ours[0]:.0%} and {ours[1]:.0%}"
    )
    return Finding(int(raw[1] > raw[0] + 0.1 and abs(ours[1] - ours[0]) < 0.01), note)


def _logs() -> dict[str, dict[str, Any]]:
    """The logs by the network's name in the README."""
    found = {}
    for row in load("sge").rows("logs"):
        method, _, depth = row["log"].partition("_resnet")
        found[f"ResNet-{depth}" if method == "old" else f"{method.upper()}-ResNet-{depth}"] = row
    return found


def _top1() -> dict[str, float]:
    return {row["model"].removesuffix(" (modified)"): row["top1"] for row in load("sge").rows("readme")}


def best_epoch() -> Finding:
    logs, printed = _logs(), _top1()
    off = {name: row["best_top1"] for name, row in logs.items() if row["best_top1"] != printed[name]}
    note = "; ".join(f"{name}: {printed[name]} printed, {best} in the log" for name, best in off.items())
    return Finding(len(logs) - len(off), f"{len(logs)} logs; {note}")


def last_epoch() -> Finding:
    loss = {name: row["best_top1"] - row["last_top1"] for name, row in _logs().items()}
    name = max(loss, key=loss.get)
    return Finding(loss[name], f"{loss[name]:.3f} for {name}")


def gain_resnet50() -> Finding:
    return _gain("SGE-ResNet-50", "ResNet-50")


def gain_resnet101() -> Finding:
    return _gain("SGE-ResNet-101", "ResNet-101")


def below_cbam() -> Finding:
    return _gain("CBAM-ResNet-50", "SGE-ResNet-50")


def _gain(better: str, worse: str) -> Finding:
    printed = _top1()
    return Finding(printed[better] - printed[worse], f"{printed[better]} - {printed[worse]}")


def gain_by_last_epoch() -> Finding:
    last = {name: row["last_top1"] for name, row in _logs().items()}
    return Finding(last["SGE-ResNet-50"] - last["ResNet-50"], f"{last['SGE-ResNet-50']} - {last['ResNet-50']}")


def gain_cascade() -> Finding:
    ap = {(row["backbone"], row["detector"]): row["ap"] for row in load("sge").rows("detection")}
    with_sge, plain = (ap[name, "Cascade R-CNN"] for name in ("SGE-ResNet-101", "ResNet-101"))
    return Finding(with_sge - plain, f"{with_sge} - {plain}")
