"""Checks of the claims of Squeeze-and-Excitation; attnlib/published/se.yml says what each is held against."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from attnlib import create
from attnlib.ledger.measure import Network, gated_values, multiply_adds, parameters
from attnlib.ledger.verdict import Finding
from attnlib.networks import WithAttention, attention_modules
from attnlib.published import load

PLAIN = Network("resnet50_v1")
RELEASED = Network("resnet50_v1", "se")
ABLATION = Network("resnet50_v1", "se", (("bias", False),))
NO_SQUEEZE = Network("resnet50_v1", "se", (("bias", False), ("squeeze", "none")))
BY_REDUCTION = {r: Network("resnet50_v1", "se", (("bias", False), ("reduction", r))) for r in (2, 4, 8, 16, 32)}


def _keep_stages(stages: set[int], model: nn.Module) -> None:
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
    stage: Network("resnet50_v1", "se", (("bias", False),), change=partial(_keep_stages, {stage}))
    for stage in (2, 3, 4)
}
WITHOUT_LAST_STAGE = Network("resnet50_v1", "se", (("bias", False),), change=partial(_keep_stages, {2, 3, 4}))
INSIDE = Network("resnet50_v1", change=_add_inside)


def network_of(table: str, row: dict[str, Any], column: str) -> Network | str:
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
    if table == "table-2" and model.startswith("ResNet-"):
        attention = "se" if column == "se_gflops" else "none"
        return Network(f"resnet{model.removeprefix('ResNet-')}_v1", attention)
    if table == "imgclsmob-cifar" and "Pre" not in model:
        depth = model.split()[0].rpartition("-")[2]
        classes = 10 if column == "c10_params" else 100
        return Network(f"resnet{depth}", "se" if model.startswith("SE") else "none", classes=classes)
    if table == "weiaicunzai-cifar100" and model.removeprefix("se") in ("resnet18", "resnet50"):
        attention = "se" if model.startswith("se") else "none"
        return Network(f"{model.removeprefix('se')}_cifar", attention, classes=100)
    return f"{model} is not among the networks of attnlib"


def weights_formula() -> Finding:
    biases = parameters(RELEASED) - parameters(ABLATION)
    counted = parameters(ABLATION) - parameters(PLAIN)
    return Finding(counted, f"counted in the network without biases; the released form has {biases:,} biases more")


def parameters_resnet50() -> Finding:
    added = parameters(RELEASED) - parameters(PLAIN)
    return Finding(added / 1e6, f"{added:,} with biases, as released")


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
    """The largest |printed - counted| of a column of parameters; the note has the rows that are off."""
    deviations, off = [], []
    for row in load("se").rows(table):
        counted = parameters(network_of(table, row, column)) / 1e6
        deviations.append(abs(row[column] - counted))
        if deviations[-1] > 0.05:
            off.append(f"{row[label]}: {row[column]} printed, {counted:.3f} counted")
    return Finding(max(deviations), "; ".join(off))


def table_15_parameters() -> Finding:
    return Finding(parameters(INSIDE) / 1e6, f"{parameters(INSIDE):,}, without biases")


def gflops_resnet50() -> Finding:
    finding = _gflops("resnet50_v1")
    elsewhere = multiply_adds(Network("resnet50")) / 1e9
    return replace(finding, note=f"{finding.note}; {elsewhere:.4f} with the stride in the 3 x 3")


def gflops_resnet101() -> Finding:
    return _gflops("resnet101_v1")


def gflops_resnet152() -> Finding:
    return _gflops("resnet152_v1")


def _gflops(backbone: str) -> Finding:
    """Multiply-adds; otherwise with the additions of the shortcuts, which fits every plain ResNet of Table 2."""
    macs = multiply_adds(Network(backbone)) / 1e9
    with_additions = macs + gated_values(backbone) / 1e9
    note = f"{macs:.4f} by multiply-adds, {with_additions:.4f} with the additions of the shortcuts"
    return Finding(macs, note, otherwise=with_additions)


def gflops_se_resnet50() -> Finding:
    macs, values = multiply_adds(RELEASED), gated_values("resnet50_v1")
    note = (
        f"{macs / 1e9:.4f} by multiply-adds, {(macs + 2 * values) / 1e9:.4f} with the additions of the shortcuts and "
        "the values that the squeeze reads"
    )
    return Finding(macs / 1e9, note, otherwise=(macs + 2 * values) / 1e9)


def flops_share() -> Finding:
    plain, values = multiply_adds(PLAIN), gated_values("resnet50_v1")
    added = multiply_adds(RELEASED) - plain
    printed = next(row for row in load("se").rows("table-2") if row["model"] == "ResNet-50")
    rounded = printed["se_gflops"] / printed["reimpl_gflops"] - 1
    note = (
        f"{100 * added / plain:.3f} by multiply-adds, {100 * (added + values) / plain:.3f} with the values that the "
        f"squeeze reads, {100 * (added + 2 * values) / plain:.3f} with their scaling too; the printed "
        f"{printed['se_gflops']} and {printed['reimpl_gflops']} differ by {100 * rounded:.2f}"
    )
    return Finding(100 * added / plain, note)


def gflops_nosqueeze() -> Finding:
    return Finding(multiply_adds(NO_SQUEEZE) / 1e9, f"{multiply_adds(NO_SQUEEZE):,} multiply-adds")


def nosqueeze_parameters() -> Finding:
    return Finding(parameters(NO_SQUEEZE) - parameters(ABLATION), f"{parameters(ABLATION):,} each")


def bias() -> Finding:
    torch.manual_seed(0)
    with_bias, without = create("se", 64).double(), create("se", 64, bias=False).double()
    with_bias.load_state_dict(without.state_dict(), strict=False)
    nn.init.zeros_(with_bias.reduce.bias)
    nn.init.zeros_(with_bias.expand.bias)
    x = torch.randn(2, 64, 9, 7, dtype=torch.float64)
    return Finding(
        (with_bias(x) - without(x)).abs().max().item(), f"{parameters(RELEASED) - parameters(ABLATION):,} biases"
    )


def _top1(table: str, label: str) -> dict[Any, float]:
    return {row[label]: row["top1_err"] for row in load("se").rows(table)}


def table_14_places() -> Finding:
    errors = _top1("table-14", "design")
    before = [errors[place] for place in ("SE", "SE-PRE", "SE-Identity")]
    spread = max(before) - min(before)
    return Finding(max(0.0, spread - 0.1), f"they span {spread:.2f} points")


def table_14_post() -> Finding:
    errors = _top1("table-14", "design")
    return Finding(errors["SE-POST"] - errors["SE"], f"{errors['SE-POST']} against {errors['SE']}")


def table_12_relu() -> Finding:
    relu, plain = _top1("table-12", "activation")["relu"], _top1("table-10", "r")[None]
    return Finding(relu - plain, f"{relu} against {plain}")


def table_10_flat() -> Finding:
    errors = [error for r, error in _top1("table-10", "r").items() if r is not None and r <= 16]
    spread = max(errors) - min(errors)
    return Finding(max(0.0, spread - 0.05), f"they span {spread:.2f} points")
