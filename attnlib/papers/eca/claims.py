"""Checks of the claims of efficient channel attention; paper.yml says what each is held against.

Its tables print what two profilers count: the one that the released script calls, and MMDetection's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torchvision.models import DenseNet, ResNet, inception_v3
from torchvision.models.resnet import Bottleneck
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from attnlib import create
from attnlib.ledger.costs import Cell, cells
from attnlib.ledger.draw import normal, random_parameters
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
from attnlib.ledger.printed import row_of
from attnlib.ledger.profilers import early_thop, mmdetection
from attnlib.ledger.schema import load
from attnlib.ledger.variants import IMAGE, body, resnext
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.networks.detection import WIDTH, DensePart, detector
from attnlib.scale_attention.eca import ECA, GAMMA, B, adaptive_kernel_size

NO_BIAS = (("bias", False),)

# The other networks of Table 4.
OTHERS = {
    "ResNet-200": Module(Call(ResNet, Bottleneck, (3, 24, 36, 3)), IMAGE),
    "Inception-v3": Module(Call(inception_v3, init_weights=False), ((1, 3, 299, 299),)),
    "ResNeXt-101": Module(Call(resnext, 101), IMAGE),
    "DenseNet-264, k = 32": Module(Call(DenseNet, 32, (6, 12, 64, 48), 64), IMAGE),
    "DenseNet-161, k = 48": Module(Call(DenseNet, 48, (6, 12, 36, 24), 96), IMAGE),
}
MAPS = (2, 64, 7, 5)
# Detectors with their classes; the R-CNNs have one more for the background.
CLASSES = {"faster_rcnn": 81, "mask_rcnn": 81, "retinanet": 80}
PHOTO, BOXES, MASKS = (1, 3, 800, 1280), (1000, WIDTH, 7, 7), (100, WIDTH, 14, 14)


def network_of(
    table: str, row: dict[str, Any], column: str
) -> Network | Module | tuple[Network | Module, Network] | int | str:
    """What a printed cost belongs to, its count where a profiler's rule makes it, or why it is not recomputed."""
    if table == "table-5":
        return _detector_cost(row["detector"], row["backbone"], row["method"], column)
    network = _network(row)
    if isinstance(network, str):
        return network
    if column == "module_parameters":
        return network, Network(network.backbone)
    return network if column == "params_Mi" else early_thop(network)


def _network(row: dict[str, Any]) -> Network | Module | str:
    """The network of a row of any table but Table 5, or why there is none."""
    name = row.get("backbone") or row["model"]
    method = row.get("method", "ECA-Net" if name.startswith("ECA-") else "baseline")
    if name in OTHERS:
        return OTHERS[name]
    short = name.removeprefix("ECA-").lower()
    backbone = (
        "mobilenet_v2" if short == "mobilenetv2" else f"resnet{short.removeprefix('resnet-').removeprefix('net')}"
    )
    if method == "ECA-Net":
        return _released(backbone)
    plain = {"baseline": Network(backbone), "CBAM": Network(backbone, "cbam")}
    se = {
        "SENet": Network(backbone, "se", NO_BIAS),
        "SENet, r = 8": Network(backbone, "se", (*NO_BIAS, ("reduction", 8))),
    }
    return (plain | se).get(method, f"{method} is not among the modules of attnlib")


def _released(backbone: str) -> Network:
    """The network with the kernels that the README names."""
    name = "ECA-MobileNetV2" if backbone == "mobilenet_v2" else f"ECA-Net{backbone.removeprefix('resnet')}"
    return Network(backbone, "eca", change=Call(_set_kernels, row_of("eca", "readme", model=name)["kernels"]))


def _set_kernels(kernels: str, model: nn.Module) -> None:
    """Kernels of ECA by stage, narrowest first, such as "3557"; where it is no number, MobileNetV2's by width."""
    modules = attention_modules(model)
    widths = sorted({module.channels for module in modules.values()})
    by_hand = kernels.isdigit()
    chosen = zip(widths, map(int, kernels), strict=True) if by_hand else ((w, 1 if w < 96 else 3) for w in widths)
    sizes = dict(chosen)
    for path, module in modules.items():
        model.set_submodule(f"{path}.attention", create("eca", module.channels, kernel_size=sizes[module.channels]))


# Detectors.


def _make_detector(name: str, depth: int) -> nn.Module:
    """torchvision's detector with the layers of MMDetection's."""
    model = detector(name, Network(f"resnet{depth}").build(), CLASSES[name])
    if name == "retinanet":
        model.backbone.fpn.extra_blocks = LastLevelP6P7(4 * 512, WIDTH)
    else:
        for block in model.rpn.head.conv:
            block[1] = nn.Identity()  # there ReLU is a function, which no hook sees
    return model


def _trained(model: nn.Module, body: str) -> int:
    """Parameters that are trained: all but those of the stem and the first stage of the backbone at path `body`."""
    frozen = tuple(f"{body}{part}." for part in ("conv1", "bn1", "layer1"))
    return sum(p.numel() for path, p in model.named_parameters() if not path.startswith(frozen))


@dataclass(frozen=True)
class _Costs:
    """Of a detector, or of attention in its backbone: all parameters, and what MMDetection's counter gives."""

    parameters: int
    trained: int
    operations: int


@cache
def _of_detector(name: str, depth: int) -> _Costs:
    model = Module(Call(_make_detector, name, depth)).build_empty()
    everything, trained = count_parameters(model), _trained(model, "backbone.body.")
    with torch.device("meta"):
        operations = mmdetection(DensePart(model), torch.zeros(PHOTO))
        if name != "retinanet":
            heads = model.roi_heads
            hidden = (heads.box_head.fc6, nn.ReLU(), heads.box_head.fc7, nn.ReLU())
            box = nn.Sequential(nn.Flatten(), *hidden, heads.box_predictor)
            operations += mmdetection(box, torch.zeros(BOXES))
        if name == "mask_rcnn":
            mask = nn.Sequential(heads.mask_head, heads.mask_predictor)
            operations += mmdetection(mask, torch.zeros(MASKS))
    return _Costs(everything, trained, operations)


@cache
def _of_backbone(depth: int, attention: str) -> _Costs:
    """Of a ResNet as a detector has it; SE without biases."""
    arguments = NO_BIAS if attention == "se" else ()
    model, inputs = Module(Call(body, f"resnet{depth}", attention, *arguments), (PHOTO,)).part()
    return _Costs(count_parameters(model), _trained(model, ""), mmdetection(model, *inputs))


def _detector_cost(label: str, backbone: str, method: str, column: str) -> int | str:
    name, depth = label.lower().replace(" ", "_").replace("-", ""), int(backbone.removeprefix("R"))
    plain = _of_detector(name, depth)
    if method == "1 NL":
        if column == "gflops":
            return "copied from another paper, which does not say for which image and boxes"
        return plain.parameters + parameters(Module(Call(create, "non_local", 1024)))
    attention = {"baseline": "none", "SE": "se", "ECA": "eca"}.get(method)
    if attention is None:
        return f"{method} is not among the modules of attnlib"
    quantity = {"params_M": "trained", "gflops": "operations"}[column]
    with_attention, without = (getattr(_of_backbone(depth, name), quantity) for name in (attention, "none"))
    return getattr(plain, quantity) + with_attention - without


# Kernels.


def parameters_resnet50() -> Finding:
    return Finding(added(_released("resnet50")), f"by the paper's rule {added(_by_rule('resnet50'))}")


def parameters_by_rule() -> Finding:
    modules = attention_modules(empty(_by_rule("resnet50"))).values()
    inner = sum(adaptive_kernel_size(module.channels // 4) for module in modules)
    down = sum(_nearest_odd(_before_odd(module.channels), tie=min) for module in modules)
    note = f"with ties rounded down, which the text does not exclude, {down}; on the bottlenecks' inner widths {inner}"
    note += f"; with the kernels set by hand {added(_released('resnet50'))}"
    return Finding(added(_by_rule("resnet50")), note, down)


def kernels_all() -> Finding:
    return _other_kernels([18, 34, 50, 101, 152])


def _other_kernels(depths: list[int]) -> Finding:
    """In how many stages the released kernel is not the rule's; the note has both of each network."""
    different, notes = 0, []
    for depth in depths:
        by_rule, by_hand = (_by_stage(network(f"resnet{depth}")) for network in (_by_rule, _released))
        different += sum(a != b for a, b in zip(by_rule.values(), by_hand.values(), strict=True))
        rule, hand = (",".join(map(str, kernels.values())) for kernels in (by_rule, by_hand))
        notes.append(f"ResNet-{depth}: {rule} by the rule, {hand} released")
    return Finding(different, "; ".join(notes))


def _by_rule(backbone: str) -> Network:
    return Network(backbone, "eca")


def _by_stage(network: Network) -> dict[str, int]:
    """The kernel of each stage."""
    modules = attention_modules(empty(network))
    return {path.partition(".")[0]: module.conv.kernel_size[0] for path, module in modules.items()}


def _before_odd(channels: int) -> float:
    return abs((math.log2(channels) + B) / GAMMA)


def _nearest_odd(value: float, tie: Callable[[list[int]], int]) -> int:
    """Of the odd numbers, the nearest; `tie` chooses between two that are equally near."""
    least = min(abs(odd - value) for odd in range(1, 15, 2))
    return tie([odd for odd in range(1, 15, 2) if abs(odd - value) == least])


def nearest_odd() -> Finding:
    nearest = (_nearest_odd(_before_odd(c), tie=max) for c in range(1, 4097))
    return Finding(sum(adaptive_kernel_size(c) != odd for c, odd in enumerate(nearest, start=1)))


def ties() -> Finding:
    even = [c for c in (2**n for n in range(13)) if _before_odd(c) % 2 == 0]
    note = "of the powers of 2 up to 4096, ties at " + ", ".join(map(str, even))
    return Finding(_before_odd(128), f"{note}; the listing takes {adaptive_kernel_size(128)}")


# Costs.


@cache
def _cells() -> list[Cell]:
    return cells("eca")


def _rows_off(table: str, *columns: str) -> Finding:
    """How many printed costs of a table do not agree with what is recomputed; the note has them."""
    recomputed = [c for c in _cells() if c.table == table and c.column in columns and c.measured is not None]
    off = [cell for cell in recomputed if not cell.agrees]
    shown = [f"{cell.row}: {cell.published} printed, {cell.measured:.3f} counted" for cell in off]
    return Finding(len(off), "; ".join([f"{len(recomputed)} rows recomputed", *shown]))


def table_3_parameters() -> Finding:
    return _rows_off("Table 3", "params_Mi")


def table_3_operations() -> Finding:
    return _rows_off("Table 3", "flops_Gi", "flops_Mi")


def table_5_parameters() -> Finding:
    return _rows_off("Table 5", "params_M")


def table_5_operations() -> Finding:
    return _rows_off("Table 5", "gflops")


def gflops_added() -> Finding:
    macs, script = added(_released("resnet50"), multiply_adds), added(_released("resnet50"), early_thop)
    note = (
        f"{macs:,} multiply-adds of the kernels; {script:,} operations by the released script, "
        f"{gated_values('resnet50'):,} of them for the values that are pooled"
    )
    return Finding(macs / 1e9, note, script / 2**30, rule="profiler")


# The gate.


def _random_eca(channels: int, **arguments: Any) -> ECA:
    """An ECA with a normally distributed kernel."""
    return random_parameters(create("eca", channels, **arguments))


def listing() -> Finding:
    module, x = _random_eca(64), 3 * normal(*MAPS)
    factor = torch.logit(module.gate(x)).detach()
    note = f"between {factor.min():.2f} and {factor.max():.2f} for one kernel drawn at random"
    return Finding(int(factor.min() < 0 and factor.max() > 1), note)


# The tables.


def se_rows() -> Finding:
    theirs = {row["model"]: row for row in load("se").rows("table-2")}
    forms = {"baseline": "reimpl", "SENet": "se"}
    deviations = []
    for row in load("eca").rows("table-3"):
        if row["backbone"] in theirs and row["method"] in forms:
            for top in ("top1", "top5"):
                error = theirs[row["backbone"]][f"{forms[row['method']]}_{top}_err"]
                deviations.append(abs(100 - error - row[top]))
    return Finding(max(deviations), f"{len(deviations)} accuracies compared")
