"""Checks of the claims of efficient channel attention; attnlib/published/eca.yml says what each is held against.

Two profilers are followed here, beside the counts of `measure`: the one that the released script calls, and that of
MMDetection. Both hook layers. A pass on the meta device gives the shapes that they see, in a fraction of a second even
for a detector.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import Any

import torch
from torch import Size, Tensor, nn
from torchvision.models import DenseNet, ResNet, inception_v3
from torchvision.models.resnet import Bottleneck
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from attnlib import create
from attnlib.ledger.costs import Cell, cells
from attnlib.ledger.measure import Module, Network, gated_values, multiply_adds, parameters
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.networks.detection import WIDTH, DensePart, detector
from attnlib.published import load
from attnlib.scale_attention.eca import ECA, GAMMA, B, adaptive_kernel_size
from attnlib.scale_attention.se import SE

NO_BIAS = (("bias", False),)
PLAIN = Network("resnet50")

# The other networks of Table 4.
OTHERS = {
    "ResNet-200": Module(partial(ResNet, Bottleneck, (3, 24, 36, 3)), ((1, 3, 224, 224),)),
    "Inception-v3": Module(partial(inception_v3, init_weights=False), ((1, 3, 299, 299),)),
    "ResNeXt-101": Module(
        partial(ResNet, Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=4), ((1, 3, 224, 224),)
    ),
    "DenseNet-264, k = 32": Module(partial(DenseNet, 32, (6, 12, 64, 48), 64), ((1, 3, 224, 224),)),
    "DenseNet-161, k = 48": Module(partial(DenseNet, 48, (6, 12, 36, 24), 96), ((1, 3, 224, 224),)),
}
# Detectors with their classes; the R-CNNs have one more for the background.
CLASSES = {"faster_rcnn": 81, "mask_rcnn": 81, "retinanet": 80}
IMAGE, BOXES, MASKS = (1, 3, 800, 1280), (1000, WIDTH, 7, 7), (100, WIDTH, 14, 14)


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
    return network if column == "params_Mi" else _script_operations(network)


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


@cache  # partials of equal arguments are not equal, and what is counted is kept by network
def _released(backbone: str) -> Network:
    """The network with the kernels that the README names."""
    name = "ECA-MobileNetV2" if backbone == "mobilenet_v2" else f"ECA-Net{backbone.removeprefix('resnet')}"
    kernels = next(row["kernels"] for row in load("eca").rows("readme") if row["model"] == name)
    return Network(backbone, "eca", change=partial(_set_kernels, kernels))


def _set_kernels(kernels: str, model: nn.Module) -> None:
    """Kernels of ECA by stage, narrowest first, such as "3557"; where it is no number, MobileNetV2's by width."""
    modules = attention_modules(model)
    widths = sorted({module.channels for module in modules.values()})
    by_hand = kernels.isdigit()
    chosen = zip(widths, map(int, kernels), strict=True) if by_hand else ((w, 1 if w < 96 else 3) for w in widths)
    sizes = dict(chosen)
    for path, module in modules.items():
        model.set_submodule(f"{path}.attention", create("eca", module.channels, kernel_size=sizes[module.channels]))


# The profilers.

Call = tuple[nn.Module, Size, Size]  # a layer, and the shapes that it reads and writes in one call
Rules = dict[type[nn.Module], Callable[[Any, Size, Size], int]]


def _convolution(layer: nn.Conv2d, read: Size, written: Size) -> int:
    weights = layer.in_channels // layer.groups * prod(layer.kernel_size)
    return written.numel() * (weights + (layer.bias is not None))


def _se_additions(layer: SE) -> int:
    """Additions of SE's two layers: linear in other code, convolutions here, of which the products are counted."""
    hidden = layer.reduce.out_channels
    return 2 * layer.channels * hidden - layer.channels - hidden


_LAYERS: Rules = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d), _convolution),
    **dict.fromkeys((nn.ReLU, nn.ReLU6), lambda layer, read, written: written.numel()),
}
SCRIPT: Rules = _LAYERS | {
    nn.Linear: lambda layer, read, written: (2 * layer.in_features - 1) * written.numel(),
    nn.BatchNorm2d: lambda layer, read, written: 4 * written.numel(),
    nn.MaxPool2d: lambda layer, read, written: layer.kernel_size * written.numel(),
    nn.AvgPool2d: lambda layer, read, written: (layer.kernel_size + 1) * written.numel(),
    nn.AdaptiveAvgPool2d: lambda layer, read, written: read.numel() + written.numel(),
    # What they pool, and the means.
    ECA: lambda layer, read, written: read.numel() + layer.channels,
    SE: lambda layer, read, written: read.numel() + layer.channels + _se_additions(layer),
}
MMDETECTION: Rules = _LAYERS | {
    nn.Linear: lambda layer, read, written: layer.in_features * written.numel(),
    nn.BatchNorm2d: lambda layer, read, written: 2 * written.numel(),
    **dict.fromkeys((nn.MaxPool2d, nn.AdaptiveAvgPool2d, ECA, SE), lambda layer, read, written: read.numel()),
}


def _calls(rules: Rules, model: nn.Module, *inputs: Tensor) -> list[Call]:
    """Every call of a layer that a rule is there for."""
    calls: list[Call] = []

    def note(layer: nn.Module, args: Any, output: Tensor) -> None:
        calls.append((layer, args[0].shape, output.shape))

    for layer in model.modules():
        if type(layer) in rules:
            layer.register_forward_hook(note)
        if isinstance(layer, nn.BatchNorm2d):
            layer.forward = nn.Identity.forward.__get__(layer)  # keeps the shape, and is slow on the meta device
    with torch.no_grad():
        model.eval()(*inputs)
    return calls


def _total(rules: Rules, calls: Iterable[Call]) -> int:
    return sum(rules[type(layer)](layer, read, written) for layer, read, written in calls)


@cache
def _script_operations(network: Network | Module) -> int:
    """Operations as the released script counts them: of a layer that is called several times, the last call."""
    model, inputs = network.part()
    last = {layer: (layer, read, written) for layer, read, written in _calls(SCRIPT, model, *inputs)}
    return _total(SCRIPT, last.values())


def _backbone(depth: int, attention: str) -> Module:
    """A ResNet without its classifier, as a detector has it; SE without biases."""
    return Module(partial(_make_backbone, depth, attention), (IMAGE,))


def _make_backbone(depth: int, attention: str) -> nn.Module:
    model = Network(f"resnet{depth}", attention, NO_BIAS if attention == "se" else ()).build()
    model.avgpool, model.fc = nn.Identity(), nn.Identity()
    return model


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
    model = Module(partial(_make_detector, name, depth)).build_empty()
    with torch.device("meta"):
        calls = _calls(MMDETECTION, DensePart(model), torch.zeros(IMAGE))
        if name != "retinanet":
            heads = model.roi_heads
            hidden = (heads.box_head.fc6, nn.ReLU(), heads.box_head.fc7, nn.ReLU())
            box = nn.Sequential(nn.Flatten(), *hidden, heads.box_predictor)
            calls += _calls(MMDETECTION, box, torch.zeros(BOXES))
        if name == "mask_rcnn":
            mask = nn.Sequential(heads.mask_head, heads.mask_predictor)
            calls += _calls(MMDETECTION, mask, torch.zeros(MASKS))
    everything = sum(parameter.numel() for parameter in model.parameters())
    return _Costs(everything, _trained(model, "backbone.body."), _total(MMDETECTION, calls))


@cache
def _of_backbone(depth: int, attention: str) -> _Costs:
    model, inputs = _backbone(depth, attention).part()
    everything = sum(parameter.numel() for parameter in model.parameters())
    return _Costs(everything, _trained(model, ""), _total(MMDETECTION, _calls(MMDETECTION, model, *inputs)))


def _detector_cost(label: str, backbone: str, method: str, column: str) -> int | str:
    name, depth = label.lower().replace(" ", "_").replace("-", ""), int(backbone.removeprefix("R"))
    plain = _of_detector(name, depth)
    if method == "1 NL":
        if column == "gflops":
            return "copied from another paper, which does not say for which image and boxes"
        return plain.parameters + parameters(Module(partial(create, "non_local", 1024)))
    attention = {"baseline": "none", "SE": "se", "ECA": "eca"}.get(method)
    if attention is None:
        return f"{method} is not among the modules of attnlib"
    quantity = {"params_M": "trained", "gflops": "operations"}[column]
    added = getattr(_of_backbone(depth, attention), quantity) - getattr(_of_backbone(depth, "none"), quantity)
    return getattr(plain, quantity) + added


# Kernels.


def _added(network: Network) -> int:
    return parameters(network) - parameters(Network(network.backbone))


def parameters_resnet50() -> Finding:
    return Finding(_added(_released("resnet50")), f"by the paper's rule {_added(_by_rule('resnet50'))}")


def parameters_by_rule() -> Finding:
    inner = sum(
        adaptive_kernel_size(m.channels // 4) for m in attention_modules(_by_rule("resnet50").build_empty()).values()
    )
    note = f"on the bottlenecks' inner widths {inner}; with the kernels set by hand {_added(_released('resnet50'))}"
    return Finding(_added(_by_rule("resnet50")), note)


def kernels_resnet50() -> Finding:
    return _other_kernels([50])


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
    modules = attention_modules(network.build_empty())
    return {path.partition(".")[0]: module.conv.kernel_size[0] for path, module in modules.items()}


def kernels_mobilenet() -> Finding:
    by_rule = _added(_by_rule("mobilenet_v2"))
    return Finding(_added(_released("mobilenet_v2")), f"by the paper's rule {by_rule}")


def _before_odd(channels: int) -> float:
    return abs((math.log2(channels) + B) / GAMMA)


def nearest_odd() -> Finding:
    def nearest(value: float) -> int:
        return max(range(1, 15, 2), key=lambda odd: (-abs(odd - value), odd))

    return Finding(sum(adaptive_kernel_size(c) != nearest(_before_odd(c)) for c in range(1, 4097)))


def ties() -> Finding:
    even = [c for c in (2**n for n in range(13)) if _before_odd(c) % 2 == 0]
    note = "of the powers of 2 up to 4096, ties at " + ", ".join(map(str, even))
    return Finding(_before_odd(128), f"{note}; the listing takes {adaptive_kernel_size(128)}")


def inverse() -> Finding:
    return Finding(max(abs(adaptive_kernel_size(2 ** (GAMMA * k - B)) - k) for k in range(1, 14, 2)))


# Costs.


def total_resnet50() -> Finding:
    total = parameters(_released("resnet50"))
    return Finding(total / 1e6, f"{total:,}, which is {total / 2**20:.3f} times 2^20", otherwise=total / 2**20)


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


def gflops_resnet50() -> Finding:
    return _gflops("resnet50")


def gflops_resnet101() -> Finding:
    return _gflops("resnet101")


def _gflops(backbone: str) -> Finding:
    """Multiply-adds; otherwise the script's count in units of 2^30."""
    macs, script = multiply_adds(Network(backbone)), _script_operations(Network(backbone))
    stride_first = multiply_adds(Network(f"{backbone}_v1"))
    note = (
        f"{macs / 1e9:.4f} by multiply-adds; the released script counts {script / 1e9:.4f}, which is "
        f"{script / 2**30:.4f} times 2^30; {stride_first / 1e9:.4f} multiply-adds with the stride in the first 1 x 1"
    )
    return Finding(macs / 1e9, note, otherwise=script / 2**30)


def gflops_added() -> Finding:
    added = multiply_adds(_released("resnet50")) - multiply_adds(PLAIN)
    script = _script_operations(_released("resnet50")) - _script_operations(PLAIN)
    note = (
        f"{added:,} multiply-adds of the kernels; {script:,} operations by the released script, "
        f"{gated_values('resnet50'):,} of them for the values that are pooled"
    )
    return Finding(added / 1e9, note, otherwise=script / 2**30)


def faster_rcnn_parameters() -> Finding:
    costs = _of_detector("faster_rcnn", 50)
    note = f"{costs.parameters:,} in all, {costs.trained:,} without the frozen stem and first stage"
    return Finding(costs.parameters / 1e6, note, otherwise=costs.trained / 1e6)


# The gate.


def _normal(channels: int) -> Tensor:
    """Two maps of normally distributed values, always the same."""
    return torch.randn(2, channels, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _random_eca(channels: int, **arguments: Any) -> ECA:
    """An ECA with a normally distributed kernel, the same for the same arguments."""
    module, generator = create("eca", channels, **arguments).double(), torch.Generator().manual_seed(0)
    nn.init.normal_(module.conv.weight, generator=generator)
    return module


def not_shared() -> Finding:
    excess = 0
    for channels in (256, 512, 1024, 2048):
        module = create("eca", channels, shared=False)
        excess += sum(p.numel() for p in module.parameters()) - adaptive_kernel_size(channels) * channels
    return Finding(excess)


def equal_kernels() -> Finding:
    shared, separate, x = _random_eca(64), create("eca", 64, shared=False).double(), _normal(64)
    with torch.no_grad():
        separate.conv.weight.copy_(shared.conv.weight.expand_as(separate.conv.weight))
        return Finding((shared(x) - separate(x)).abs().max().item())


def listing() -> Finding:
    module, x = _random_eca(64), 3 * _normal(64)
    factor = torch.logit(module.gate(x)).detach()
    note = f"between {factor.min():.2f} and {factor.max():.2f} for one kernel drawn at random"
    return Finding(int(factor.min() < 0 and factor.max() > 1), note)


def channel_order() -> Finding:
    x, order = _normal(64), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    eca = _random_eca(64)
    torch.manual_seed(0)
    se, reordered = create("se", 64).double(), create("se", 64).double()
    with torch.no_grad():
        reordered.load_state_dict(se.state_dict())
        reordered.reduce.weight.copy_(se.reduce.weight[:, order])
        for name in ("weight", "bias"):
            getattr(reordered.expand, name).copy_(getattr(se.expand, name)[order])
        change = (eca.gate(x[:, order]) - eca.gate(x)[:, order]).abs().max().item()
        se_change = (reordered.gate(x[:, order]) - se.gate(x)[:, order]).abs().max().item()
    note = f"ECA's gate changes by up to {change:.2f}, SE's by {se_change:.0e}"
    return Finding(int(change > 1e-3 and se_change < 1e-12), note)


def initial_kernel() -> Finding:
    torch.manual_seed(0)
    modules = attention_modules(_by_rule("resnet18").build()).values()
    excess = max(m.conv.weight.abs().max().item() - m.conv.kernel_size[0] ** -0.5 for m in modules)
    return Finding(max(0.0, excess))


# The tables.


def _rows(table: str, label: str) -> dict[str, dict[str, Any]]:
    return {row[label]: row for row in load("eca").rows(table)}


def se_rows() -> Finding:
    theirs = {row["model"]: row for row in load("se").rows("table-2")}
    forms = {"baseline": "reimpl", "SENet": "se"}
    largest, compared = 0.0, 0
    for row in load("eca").rows("table-3"):
        if row["backbone"] in theirs and row["method"] in forms:
            for top in ("top1", "top5"):
                error = theirs[row["backbone"]][f"{forms[row['method']]}_{top}_err"]
                largest, compared = max(largest, abs(100 - error - row[top])), compared + 1
    return Finding(largest, f"{compared} accuracies compared")


def _plain_top5() -> tuple[float, float]:
    in_table_3 = next(
        r for r in load("eca").rows("table-3") if (r["backbone"], r["method"]) == ("ResNet-50", "baseline")
    )
    return _rows("table-2", "method")["Vanilla"]["top5"], in_table_3["top5"]


def baseline_top5() -> Finding:
    second, third = _plain_top5()
    return Finding(abs(second - third), f"{second} in Table 2, {third} in Table 3")


def _top1_resnet50(method: str) -> float:
    rows = load("eca").rows("table-3")
    return next(row["top1"] for row in rows if (row["backbone"], row["method"]) == ("ResNet-50", method))


def released_weights() -> Finding:
    released = _rows("readme", "model")["ECA-Net50"]["top1"]
    return Finding(released, f"{released - _top1_resnet50('ECA-Net'):+.2f} points")


def gain_resnet50() -> Finding:
    gain = _top1_resnet50("ECA-Net") - _top1_resnet50("baseline")
    return Finding(max(0.0, 2 - gain), f"it gains {gain:.2f}")


def _gain(better: str, worse: str) -> float:
    rows = _rows("table-2", "method")
    return rows[better]["top1"] - rows[worse]["top1"]


def gain_parameter_free() -> Finding:
    return Finding(_gain("SE-Var1 sigma(y)", "Vanilla"))


def gain_over_reduction() -> Finding:
    return Finding(_gain("SE-Var2 sigma(w * y)", "SE"))


def gain_over_full_matrix() -> Finding:
    gain = _gain("ECA", "SE-Var3 sigma(W y)")
    return Finding(max(0.0, -gain), f"{gain:+.2f} points")
