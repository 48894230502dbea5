"""Checks of the claims of spatial group-wise enhancement; paper.yml says what each is held against."""

from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import (
    Call,
    Module,
    Network,
    added,
    added_elementwise,
    count_parameters,
    multiply_adds,
    operations,
    work,
)
from attnlib.ledger.profilers import layer_hooks, pooled_by_cbam
from attnlib.ledger.schema import load
from attnlib.ledger.variants import body
from attnlib.ledger.verdict import Finding
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
    return network if column != "gflops" else layer_hooks(network) + pooled_by_cbam(network)


def _body(backbone: str, attention: str = "none") -> Module:
    """The network without its classifier, for a large image."""
    return Module(Call(body, backbone, attention), (LARGE_IMAGE,))


def _large(backbone: str, attention: str) -> int:
    """Operations for a large image; attention adds the values that it pools, and its products, which fit any image."""
    plain = operations(_body(backbone), "layers")
    if attention == "none":
        return plain
    return plain + _large_values(backbone) + added(Network(backbone, attention), multiply_adds)


def _large_values(backbone: str) -> int:
    """Values of the gated maps: those that are added to a shortcut."""
    return work(_body(backbone))["elementwise"]["add"]


def parameters_module() -> Finding:
    counts = {count_parameters(create("sge", c)) for c in (64, 128, 256, 512, 1024, 2048)}
    return Finding(max(counts, key=lambda count: abs(count - 128)), f"all counts: {sorted(counts)}")


def gflops_all_work() -> Finding:
    counts = added_elementwise(WITH_SGE)
    most = [f"{name} {count / 1e9:.2e}" for name, count in list(counts.items())[:4]]
    return Finding(sum(counts.values()) / 1e9, f"one operation for each value: {', '.join(most)}")


def gflops_detection_se() -> Finding:
    gated, scaled = _detection_additions()["SE"]
    note = f"{gated:.4f} with the values that are pooled, {scaled:.4f} with their scaling too"
    return Finding(gated, note, scaled, rule="scaled values")


def _detection_additions() -> dict[str, tuple[float, float]]:
    """What SE and SGE add to ResNet-101, in 10^9: by the column's rule, and with one product for each gated value."""
    plain, se, sge = (_large("resnet101", attention) for attention in ("none", "se", "sge"))
    scaling = _large_values("resnet101")
    return {name: ((n - plain) / 1e9, (n - plain + scaling) / 1e9) for name, n in (("SE", se), ("SGE", sge))}


def _random_sge(**arguments: Any) -> SGE:
    """An SGE of 4 groups for 32 channels with normally distributed scales and shifts."""
    return random_parameters(create("sge", 32, groups=4, **arguments))


def _standardised(x: Tensor, unbiased: bool = True) -> Tensor:
    """What the module scales: one map for each image and group of 4."""
    module = create("sge", x.shape[1], groups=4, unbiased=unbiased).double()
    nn.init.ones_(module.weight)
    nn.init.zeros_(module.bias)
    return torch.logit(module.gate(x).detach())[:, :: x.shape[1] // 4]


def shared_by_group() -> Finding:
    module, x = _random_sge(), normal(2, 32, 9, 9)
    gate = module.gate(x).detach().unflatten(1, (4, 8))
    within = largest(gate - gate[:, :, :1])
    changed = x.clone()
    changed[:, :8] = changed[:, :8].cos()
    others = largest((module.gate(changed).detach().unflatten(1, (4, 8)) - gate)[:, 1:])
    return Finding(max(within, others))


def one_pixel() -> Finding:
    module, x = _random_sge(), normal(2, 32, 1, 1)
    squares = (x - x.mean((2, 3), keepdim=True)).square().sum((2, 3))
    released = (squares / (x[0, 0].numel() - 1)).sqrt() + EPS
    expected = torch.sigmoid(module.bias).repeat_interleave(8).view(1, 32, 1, 1)
    error = largest(module.gate(x) - expected)
    note = f"the released deviation is {released[0, 0]}, our gate differs from sigmoid(beta) by {error}"
    return Finding(int(released.isnan().all().item() and error == 0), note)


def saturation() -> Finding:
    x = normal(2, 32, 9, 9)
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
