"""Checks of the claims of residual attention, which stand in paper.yml."""

from dataclasses import replace
from math import floor
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import Call, Module, Network, count_parameters, empty, multiply_adds, parameters
from attnlib.ledger.printed import row_of
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks.preact_resnet import PreActResNet
from attnlib.networks.residual_attention_net import PreActivationUnit
from attnlib.scale_attention.residual_attention import ResidualAttention, ResidualUnit

MAPS = (2, 16, 8, 8)
ATTENTION_56, ATTENTION_92 = Network("attention56"), Network("attention92")


def resnet1001() -> Module:
    """ResNet-1001 for CIFAR-10, which has no name among the networks."""
    return Module(Call(PreActResNet, 1001, block="bottleneck"))


# Costs.


def parameters_attention92() -> Finding:
    finding = _parameters(ATTENTION_92)
    unit = count_parameters(ResidualUnit(1024))
    return replace(finding, note=f"{finding.note}; one unit of 1024 channels has {unit:,}")


def _parameters(network: Network) -> Finding:
    """Otherwise with the running means and variances of the norms, which Caffe keeps beside scale and shift."""
    norms = [layer for layer in empty(network).modules() if isinstance(layer, nn.BatchNorm2d)]
    count, statistics = parameters(network), 2 * sum(norm.num_features for norm in norms)
    note = f"{count:,}, with the norms' running statistics {count + statistics:,}"
    return Finding(count / 1e6, note, (count + statistics) / 1e6, rule="running statistics", table="table-2")


def flops_attention56() -> Finding:
    return _flops(ATTENTION_56)


def _flops(network: Network) -> Finding:
    """Otherwise cut off after one decimal."""
    macs = multiply_adds(network)
    cut = floor(macs / 1e8) / 10
    return Finding(macs / 1e9, f"{macs:,}, cut off {cut}", cut, rule="cut off", table="table-2")


def flops_test_size() -> Finding:
    large, usual = multiply_adds(Network("attention92", side=320)), multiply_adds(ATTENTION_92)
    return Finding(large / 1e9, f"{large / 1e9:.2f} for 320 pixels, {usual / 1e9:.2f} for 224")


def parameters_cifar_attention452() -> Finding:
    finding = _cifar_parameters(452)
    surplus = [unit for module in _modules(empty(_cifar(452))) for unit in module.mask.lowest[module.r :]]
    count = sum(map(count_parameters, surplus))
    note = (
        f"{finding.note}; the paper prints no widths for CIFAR; the second half of the units on the lowest levels has "
        f"{count:,}, and without them {(finding.measured * 1e6 - count) / 1e6:.2f} million are left"
    )
    return Finding(finding.measured, note, finding.otherwise)


def _cifar_parameters(depth: int) -> Finding:
    """For ten classes, otherwise for a hundred."""
    hundred, linear = parameters(_cifar(depth)), empty(_cifar(depth)).fc
    ten = hundred - 90 * (linear.in_features + 1)
    return Finding(ten / 1e6, f"{ten:,} for 10 classes, {hundred:,} for 100", otherwise=hundred / 1e6)


def _cifar(depth: int) -> Network:
    return Network(f"attention{depth}_cifar", classes=100)


def _modules(model: nn.Module) -> list[ResidualAttention]:
    return [module for module in model.modules() if isinstance(module, ResidualAttention)]


def with_unused_shortcuts(network: Network) -> int:
    """Parameters with a 1 x 1 shortcut for all units, also where neither width nor size change and it is not used."""
    layers = list(empty(network).modules())
    widths = [layer.branch[0].num_features for layer in layers if isinstance(layer, ResidualUnit)]
    plain = [layer for layer in layers if isinstance(layer, PreActivationUnit) and layer.downsample is None]
    widths += [layer.bn1.num_features for layer in plain]
    return parameters(network) + sum(width**2 for width in widths)


# What is printed against what is printed.


def _printed(table: str, network: str, column: str) -> float:
    return row_of("residual_attention", table, network=network)[column]


def parameters_resnet152() -> Finding:
    """Otherwise cut off."""
    finding = _share("Attention-56", "ResNet-152", "params_M")
    note = f"{finding.note}, {finding.measured:.2f}"
    return Finding(finding.measured, note, floor(finding.measured), rule="cut off")


def _share(ours: str, theirs: str, column: str) -> Finding:
    part, whole = (_printed("table-7", network, column) for network in (ours, theirs))
    return Finding(100 * part / whole, f"{part} of {whole}")


def residual_improves() -> Finding:
    errors = [row["arl_top1_err"] for row in load("residual_attention").rows("table-3")]
    worse = sum(after >= before for before, after in zip(errors, errors[1:], strict=False))
    return Finding(worse, ", ".join(map(str, errors)))


# How the networks are built.


def depth_resnet200() -> Finding:
    depth = _trunk_depth(ATTENTION_92)
    return Finding(100 * depth / 200, f"{depth} layers of 200")


def depth_formula() -> Finding:
    depths = {m: _trunk_depth(_cifar(depth)) for m, depth in {1: 56, 2: 92, 3: 128, 4: 164, 6: 236}.items()}
    return Finding(
        sum(abs(depth - (36 * m + 20)) for m, depth in depths.items()),
        ", ".join(f"m = {m}: {depth}" for m, depth in depths.items()),
    )


def _trunk_depth(network: Network) -> int:
    """Convolutions and linear layers outside of masks and shortcuts."""
    model = empty(network)
    aside = {id(layer) for module in _modules(model) for layer in module.mask.modules()}
    aside |= {id(unit.downsample) for unit in model.modules() if isinstance(unit, PreActivationUnit)}
    return sum(isinstance(layer, nn.Conv2d | nn.Linear) and id(layer) not in aside for layer in model.modules())


# What a module does.


def _drawn(**options: Any) -> ResidualAttention:
    """A module in evaluation mode with small random parameters and random running statistics."""
    return random_parameters(create("residual_attention", 16, **options), std=0.3).eval()


def signal_naive() -> Finding:
    shares = _signal("naive", even=True)
    return Finding(shares.min().item(), f"between {shares.min():.4f} and {shares.max():.4f} of each value")


def signal_residual() -> Finding:
    shares, naive = _signal("residual", even=False), _signal("naive", even=False)
    note = (
        f"between {shares.min():.2f} and {shares.max():.2f} of each value; naive learning leaves "
        f"between {naive.min():.4f} and {naive.max():.4f} of it by the same masks"
    )
    return Finding(max(0.0, 1 - shares.min().item()), note)


@torch.no_grad()
def _signal(learning: str, even: bool) -> Tensor:
    """What four modules leave of each value where all units of the trunk pass their input on; `even`: masks of 1/2."""
    x = y = normal(*MAPS)
    module = _drawn(learning=learning)
    for units in (module.before, module.trunk, module.after):
        for unit in units:
            nn.init.zeros_(unit.branch[-1].weight)
    if even:
        nn.init.zeros_(module.mask.head[-1].weight)
    for _ in range(4):
        y = module(y)
    return y / x


def gradient_filter() -> Finding:
    module, x = _drawn(learning="naive"), normal(*MAPS)
    weights, parts = normal(*MAPS).cos(), list(module.trunk.parameters())
    trunk, mask = module.branches(x)
    through = torch.autograd.grad((trunk * mask * weights).sum(), parts, retain_graph=True)
    filtered = torch.autograd.grad(trunk, parts, mask.detach() * weights)
    differences = [largest(a - b) for a, b in zip(through, filtered, strict=True)]
    return Finding(max(differences), f"{sum(part.numel() for part in parts):,} parameters")
