"""Checks of the claims of Gather-Excite; paper.yml says what each is held against."""

from functools import cache
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from torch import nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, seeded
from attnlib.ledger.measure import (
    Call,
    Module,
    Network,
    added,
    count_parameters,
    empty,
    gated_values,
    multiply_adds,
    parameters,
)
from attnlib.ledger.printed import difference, row_of
from attnlib.ledger.rules import RULES
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.ge import GE

VARIANTS = {"theta-minus": "theta-", "theta": "theta", "theta-plus": "theta+"}
EXTENTS = {"E2": 2, "E4": 4, "E8": 8, "global": 0}


def _add_gather_biases(block: str, model: nn.Module) -> None:
    """Give the gather kernels of the blocks whose path starts so a bias."""
    for path, module in attention_modules(model).items():
        if path.startswith(block):
            module.gather[0].bias = nn.Parameter(torch.zeros(module.channels))


def _drop_excite_biases(model: nn.Module) -> None:
    """Take the biases of all bottlenecks out."""
    for module in attention_modules(model).values():
        for layer in module.excite:
            if isinstance(layer, nn.Conv2d):
                layer.bias = None


def _ge(backbone: str, variant: str, extent: str = "global", **others: Any) -> Network:
    """A network with GE; `others` are those of `Network`."""
    return Network(backbone, "ge", (("variant", VARIANTS[variant]), ("extent", EXTENTS[extent])), **others)


PLAIN = Network("resnet50_v1")
MINUS, THETA, PLUS = (_ge("resnet50_v1", variant) for variant in VARIANTS)
ONE_BIAS = _ge("resnet50_v1", "theta-plus", change=Call(_add_gather_biases, "layer3.1."))
SRM = {depth: _ge(f"resnet{depth}_v1", "theta", change=Call(_add_gather_biases, "layer")) for depth in ("50", "101")}
ZOO = {
    "resnext29": Network("resnext29_16x64d", classes=10),
    "se": Network("resnext29_16x64d", "se", classes=10),
    "cbam": Network("resnext29_16x64d", "cbam", classes=10),
    "ge": _ge("resnext29_16x64d", "theta-plus", classes=10, change=_drop_excite_biases),
}
ON_CIFAR = _ge("resnet164", "theta", classes=10)


def network_of(table: str, row: dict[str, Any], column: str) -> Network | int | str:
    """The network or count that a printed cost belongs to, or why it is not recomputed."""
    if table == "resnet50":
        known = {"ResNet-50": PLAIN, "SE-ResNet-50": Network("resnet50_v1", "se")}
        return known.get(row["model"]) or _ge("resnet50_v1", row["model"].removeprefix("GE-"))
    if table == "srm":
        module, depth = row["model"].split("ResNet-")
        backbone = f"resnet{depth}_v1"
        known = {"": Network(backbone), "SE-": Network(backbone, "se"), "GE-": SRM[depth]}
        return known.get(module, "SRM is not among the modules of attnlib")
    if table == "cifar-zoo":
        return ZOO[row["model"].split("_")[0]]
    if table == "released-parameters":
        return {"RN50-GEPF": MINUS, "RN50-GEP": THETA, "RN50-GEPP": ONE_BIAS}[row["file"]]
    if row["stage"] != "all":
        return parameters(PLAIN) + _added_by_stage(THETA)[row["stage"]]
    return _ge(f"{row['backbone'].lower().replace('-', '')}_v1", row["variant"], row["extent"])


def _modules(network: Network) -> dict[str, GE]:
    """The modules of a network, by path; to look at."""
    return attention_modules(empty(network))


@cache
def _added_by_stage(network: Network) -> dict[str, int]:
    """Parameters of the modules; conv2 is torchvision's layer1."""
    by_stage: dict[str, int] = {}
    for path, module in _modules(network).items():
        stage = f"conv{int(path[len('layer')]) + 1}"
        by_stage[stage] = by_stage.get(stage, 0) + count_parameters(module)
    return by_stage


def parameter_free() -> Finding:
    widths = [module.channels for module in _modules(MINUS).values()]
    counts = [parameters(Module(Call(create, "ge", c, extent=e))) for e in EXTENTS.values() for c in widths]
    return Finding(sum(counts), f"{len(widths)} modules with each of the extents {', '.join(EXTENTS)}")


def theta_adds() -> Finding:
    stages = ", ".join(f"{stage} {count:,}" for stage, count in _added_by_stage(THETA).items())
    return Finding(added(THETA), stages)


def cheap() -> Finding:
    plain = parameters(PLAIN), multiply_adds(PLAIN)
    shares = {
        variant: [100 * added(network, cost) / of for cost, of in zip((parameters, multiply_adds), plain, strict=True)]
        for variant, network in zip(VARIANTS, (MINUS, THETA, PLUS), strict=True)
    }
    note = "% of the parameters and of the multiply-adds: " + ", ".join(
        f"{variant} {more:.1f} and {work:.2f}" for variant, (more, work) in shares.items()
    )
    return Finding(sum(share > 1 for pair in shares.values() for share in pair), note)


def finer_extents() -> Finding:
    """Otherwise those that add none to the plain network."""
    counts = {v: {e: added(_ge("resnet50_v1", v, e)) for e in EXTENTS} for v in ("theta-minus", "theta")}
    finer = [(count, of["global"]) for of in counts.values() for extent, count in of.items() if extent != "global"]
    listed = {v: ", ".join(f"{extent} {count:,}" for extent, count in of.items()) for v, of in counts.items()}
    note = "added to ResNet-50: " + "; ".join(f"{variant} {text}" for variant, text in listed.items())
    return Finding(sum(count <= whole for count, whole in finer), note, otherwise=sum(count == 0 for count, _ in finer))


def theta_weights() -> Finding:
    return _other_kernels(THETA, {"layer1": 56, "layer2": 28, "layer3": 14, "layer4": 7})


def cifar_kernels() -> Finding:
    return _other_kernels(ON_CIFAR, {"layer1": 32, "layer2": 16, "layer3": 8})


def _other_kernels(network: Network, sides: dict[str, int]) -> Finding:
    """How many modules have not one depthwise kernel of the side of their stage's maps."""
    wrong, modules = 0, _modules(network)
    for path, module in modules.items():
        side = sides[path.split(".")[0]]
        wrong += tuple(module.gather[0].weight.shape) != (module.channels, 1, side, side)
    return Finding(wrong, f"{len(modules)} modules")


def theta_file() -> Finding:
    return Finding(parameters(THETA))


def theta_plus_file() -> Finding:
    return Finding(parameters(ONE_BIAS), f"{parameters(PLUS):,} without the bias")


def theta_plus_bias() -> Finding:
    return Finding(parameters(ONE_BIAS) - parameters(PLUS), "the maps of conv4 have as many channels")


def theta_printed() -> Finding:
    return _printed(THETA, "GE-theta")


def theta_plus_printed() -> Finding:
    return _printed(PLUS, "GE-theta-plus")


def _printed(network: Network, model: str) -> Finding:
    rounded = row_of("ge", "resnet50", model="ResNet-50")["params_M"]
    total = rounded + round(added(network) / 1e6, 2)
    with_statistics = RULES["running statistics"].count(network, "each")
    note = (
        f"{parameters(network):,}; {with_statistics:,} with means and variances of batch norms; what {model} adds, "
        f"rounded, on top of the printed {rounded} gives {total:.2f}"
    )
    return Finding(parameters(network) / 1e6, note, with_statistics / 1e6, rule="running statistics", table="resnet50")


def srm_parameters() -> Finding:
    with_biases = parameters(SRM["50"])
    return Finding(with_biases / 1e6, f"{with_biases:,} with biases in the kernels, {parameters(THETA):,} without")


def zoo_parameters() -> Finding:
    total = parameters(ZOO["ge"])
    note = f"{total:,}, rounded {total / 1e6:.1f}, cut off {total // 10**5 / 10:.1f}"
    return Finding(total / 1e6, note, total // 10**5 / 10, rule="cut off", table="cifar-zoo")


def gflops_baseline() -> Finding:
    return _gflops(PLAIN)


def gflops_theta_minus() -> Finding:
    return _gflops(MINUS)


def gflops_theta() -> Finding:
    return _gflops(THETA)


def gflops_theta_plus() -> Finding:
    return _gflops(PLUS)


def _gflops(network: Network) -> Finding:
    """Multiply-adds; otherwise with the additions of the shortcuts, as in the SE paper by the same authors."""
    macs = multiply_adds(network) / 1e9
    with_additions = RULES["additions"].count(network, "multiply-adds") / 1e9
    note = f"{macs:.4f} by multiply-adds, {with_additions:.4f} with the additions of the shortcuts"
    return Finding(macs, note, with_additions, rule="additions", table="resnet50")


def srm_gflops() -> Finding:
    released, printed = (multiply_adds(Network(name)) / 1e9 for name in ("resnet50", "resnet50_v1"))
    return Finding(
        released, f"{released:.4f} in their code, stride in the 3 x 3; {printed:.4f} with it in the first 1 x 1"
    )


def one_operation() -> Finding:
    macs = added(THETA, multiply_adds)
    return Finding(macs - gated_values("resnet50_v1"), f"{macs:,} multiply-adds")


def window() -> Finding:
    x = normal(2, 1, 33, 41).requires_grad_()
    gathered = create("ge", 1, extent=8).gather(x)
    gathered[0, 0, 2, 2].backward()
    reached = x.grad[0, 0].nonzero()
    sides = (reached.amax(0) - reached.amin(0) + 1).tolist()
    return Finding(len(reached), f"{sides[0]} x {sides[1]} pixels")


def border() -> Finding:
    x = torch.full((1, 1, 13, 10), 1.7, dtype=torch.float64)
    gates = torch.cat([create("ge", 1, extent=extent).gate(x).flatten() for extent in (2, 4, 8)])
    return Finding((gates.max() - gates.min()).item(), f"{gates.numel()} gates of {gates.mean():.4f}")


def gathered_size() -> Finding:
    wrong = 0
    for extent in (2, 4, 8):
        for variant in ("theta-", "theta"):
            gather = create("ge", 1, extent=extent, variant=variant).eval().gather
            sizes = {side: gather(torch.zeros(1, 1, side, 3)).shape[2] for side in range(2, 21)}
            wrong += sum(rows != ceil(side / extent) for side, rows in sizes.items())
    return Finding(wrong)


def overlap() -> Finding:
    module, x = create("ge", 16, extent=2), normal(2, 16, 16, 16)
    gates = module.gate(x)
    module.gather = nn.AdaptiveAvgPool2d(8)
    change = largest(module.gate(x) - gates)
    return Finding(float(change > 1e-3), f"gates differ by up to {change:.3f}")


def se_by_mean() -> Finding:
    x, se = normal(2, 16, 9, 7), create("se", 16, reduction=4).double()
    ge = _drawn(16, size=(9, 7), reduction=4)
    _, *bottleneck = ge.excite
    ge.gather = nn.AdaptiveAvgPool2d(1)
    se.reduce, se.expand = bottleneck[0], bottleneck[2]
    as_released = largest(ge(x) - se(x))
    ge.excite = nn.Sequential(*bottleneck)
    as_equation = largest(ge(x) - se(x))
    note = f"{as_released:.1e} with the ReLU of the network file behind the mean, {as_equation:.1e} without it"
    return Finding(as_released, note, otherwise=as_equation)


def _drawn(channels: int, as_released: bool = False, **arguments: Any) -> GE:
    """A GE-theta-plus with PyTorch's initial weights or those of the network file, always the same."""
    with seeded():
        module = create("ge", channels, variant="theta+", **arguments).double()
        if as_released:
            module.network_init_()
        return module


def one_resolution() -> Finding:
    module = create("ge", 16, variant="theta", size=7)
    try:
        module(normal(2, 16, 8, 8).float())
    except ValueError as error:
        return Finding(1, str(error))
    return Finding(0)


def initial_gate() -> Finding:
    module = _drawn(256, as_released=True, size=14)
    gates = module.gate(normal(2, 256, 14, 14)).detach().flatten()
    furthest = gates[(gates - 0.5).abs().argmax()].item()
    return Finding(furthest, f"from {gates.min():.5f} to {gates.max():.5f}")


def cifar_share() -> Finding:
    counts = (_added_by_stage(network) for network in (ON_CIFAR, THETA))
    on_cifar, on_imagenet = (100 * by_stage["conv2"] / sum(by_stage.values()) for by_stage in counts)
    return Finding(on_cifar, f"in ResNet-164; {on_imagenet:.1f} in ResNet-50 for 224 images, the largest share too")


def extents_in_order() -> Finding:
    rows = load("ge").rows("extents")
    accuracies = {m: [row["top1_acc"] for row in rows if row["model"] == m] for m in ("GE-theta-minus", "GE-theta")}
    steps = [after - before for column in accuracies.values() for before, after in pairwise(column)]
    note = "; ".join(f"{model} {', '.join(f'{a:.2f}' for a in column)}" for model, column in accuracies.items())
    return Finding(sum(step <= 0 for step in steps), note)


def theta_minus_against_se() -> Finding:
    return difference(_by_extent("GE-theta-minus", "global"), _by_extent("SE-ResNet-50", None))


def gain_theta_minus() -> Finding:
    return difference(_by_extent("GE-theta-minus", "global"), _by_extent("ResNet-50", None))


def _by_extent(model: str, extent: str | None) -> float:
    return row_of("ge", "extents", model=model, extent=extent)["top1_acc"]


def srm_against_se() -> Finding:
    return _minus("srm", "top1_acc", "GE-ResNet-50", "SE-ResNet-50")


def srm_against_plain() -> Finding:
    return _minus("srm", "top1_acc", "GE-ResNet-101", "ResNet-101")


def _minus(table: str, column: str, first: str, second: str) -> Finding:
    return difference(*(row_of("ge", table, model=model)[column] for model in (first, second)))
