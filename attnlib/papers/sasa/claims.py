"""Checks of the claims of stand-alone self-attention; paper.yml says what each is held against."""

from math import floor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import seeded
from attnlib.ledger.measure import Call, Module, Network, multiply_adds, operations, parameters, work
from attnlib.ledger.printed import row_of
from attnlib.ledger.rules import Scaled
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import create as create_network
from attnlib.networks.detection import DensePart, detector
from attnlib.networks.sasa_resnet import sasa_resnet
from attnlib.self_attention.sasa import SASA
from attnlib.self_attention.sasa_stem import SASAStem

# Networks are counted on small images, whose maps are smaller than the paper's by one and the same factor.
CLASSIFIED, DETECTED = (224, 32), (640, 128)
SMALL_IMAGE = ((1, 3, 32, 32),)
# What the paper varies, as it is otherwise: two rows of the same network are counted once.
USUAL = {"kernel_size": 7, "positions": "relative", "content": True, "projections": "dense", "stem_values": "aware"}
VALUES = {"stand-alone": "plain", "spatial convolution for values": "convolution", "spatially aware values": "aware"}


class _AppliedFirst(SASAStem):
    """The same stem, except that each value matrix is applied to every pixel, and their values are mixed after that."""

    def _block_values(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N heads width blocks place"]:
        if self.values != "aware":
            return super()._block_values(x)
        values = torch.stack([self._blocks(layer(x)) for layer in self.value])
        return torch.einsum("mnhcbk,km->nhcbk", values, self.block_mixture().flatten(0, 1))


def _make_resnet(depth: int, attention: str, stem: str, **options: Any) -> nn.Module:
    stages = ["attention" if stage in attention else "conv" for stage in "1234"]
    model = sasa_resnet(depth, stages=stages, stem="conv" if stem == "small" else stem, **options)
    if stem == "attention":
        model.conv1 = _AppliedFirst(values=model.conv1.values)
    if stem == "small":
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    return model


def _resnet(depth: int = 50, attention: str = "1234", stem: str = "conv", **options: Any) -> Module:
    """A ResNet with attention in the stages that are named; the stem "small" is a 3 x 3 convolution."""
    changed = {name: value for name, value in options.items() if value != USUAL[name]}
    return Module(Call(_make_resnet, depth, attention, stem, **changed), SMALL_IMAGE)


def _make_retinanet(attention: str, stem: str, pyramid: str, heads: str, scales: int) -> DensePart:
    # RetinaNet has no class for the background, and COCO's go up to 90.
    return DensePart(detector("retinanet", _make_resnet(50, attention, stem), 90, pyramid, heads, scales))


def _retinanet(
    attention: str = "1234", stem: str = "conv", pyramid: str = "attention", heads: str = "attention", scales: int = 2
) -> Module:
    """RetinaNet, by default with attention everywhere but in the stem, and with two scales of three anchors each."""
    return Module(Call(_make_retinanet, attention, stem, pyramid, heads, scales), ((1, 3, DETECTED[1], DETECTED[1]),))


def _flops(network: Module, sides: tuple[int, int] = CLASSIFIED) -> int:
    """Two for each multiply-add of an image of sides[0] pixels, counted on one of sides[1].

    All multiply-adds but those of linear layers belong to a pixel, and grow with the maps.
    """
    by_operator = dict(work(network)["macs"])
    once = by_operator.pop("linear", 0)
    return 2 * ((sides[0] // sides[1]) ** 2 * sum(by_operator.values()) + once)


def _billions(network: Module, sides: tuple[int, int] = CLASSIFIED) -> float:
    return _flops(network, sides) / 1e9


def network_of(table: str, row: dict[str, Any], column: str) -> Module | Scaled:
    """The network that a printed cost belongs to; its operations for the image of the paper."""
    if table == "table-2":
        network, sides = _detector_of(row), DETECTED
    else:
        network, sides = _resnet_of(table, row), CLASSIFIED
    return network if column == "params_M" else Scaled(network, (sides[0] // sides[1]) ** 2)


def _detector_of(row: dict[str, Any]) -> Module:
    kind = "attention" if row["heads_and_pyramid"] == "Attention" else "conv"
    return _retinanet(*_parts(row["backbone"]), kind, kind)


def _parts(method: str) -> tuple[str, str]:
    """Which stages are attention, and what the stem is."""
    return {
        "Baseline": ("", "conv"),
        "Conv-stem + Attention": ("1234", "conv"),
        "Full Attention": ("1234", "attention"),
    }[method]


def _resnet_of(table: str, row: dict[str, Any]) -> Module:
    if table == "table-1":
        attention, stem = _parts(row["method"])
        return _resnet(int(row["depth"].removeprefix("ResNet-")), attention, stem=stem)
    if table == "table-3":
        return _resnet(attention=row["attention"].replace("none", "").replace(", ", ""))
    if table == "table-4":
        return _resnet(kernel_size=row["k"])
    if table == "table-5":
        return _resnet(positions=row["positions"])
    if table == "table-6":
        return _resnet(content="q.k" in row["logit"])
    if table == "table-7":
        return _resnet(stem="attention", stem_values=VALUES[row["stem"]])
    depth = int(row["model"].removeprefix("ResNet-"))
    if row["port"] == "leaderj1001":
        return _resnet(depth, stem="small")
    return Module(Call(_make_shared, depth), SMALL_IMAGE)


def _make_shared(depth: int) -> nn.Module:
    """A ResNet of grouped projections, in which all heads share their relative embeddings."""
    model = _make_resnet(depth, "1234", "conv", projections="grouped")
    for layer in model.modules():
        if isinstance(layer, SASA):
            layer.row, layer.column = nn.Parameter(layer.row[:1]), nn.Parameter(layer.column[:1])
    return model


# Parameters.


def parameters_resnet50() -> Finding:
    return _parameters(_resnet(50))


def _parameters(network: Module) -> Finding:
    """In millions; otherwise cut off after one decimal."""
    count = parameters(network)
    cut = floor(count / 1e5) / 10
    return Finding(count / 1e6, f"{count:,}, cut off {cut}", cut, rule="cut off")


def parameters_grouped() -> Finding:
    grouped, dense = (parameters(_resnet(projections=form)) for form in ("grouped", "dense"))
    return Finding(grouped / 1e6, f"{grouped:,} with grouped projections, {dense:,} with dense ones")


def parameters_share() -> Finding:
    ours, plain = parameters(_resnet(stem="attention")), parameters(_resnet(attention=""))
    return Finding(_saved(plain, ours), f"{ours:,} against {plain:,}")


def parameters_every_depth() -> Finding:
    return _smallest_saving("params_M")


def flops_every_depth() -> Finding:
    return _smallest_saving("flops_B")


def shares_swapped() -> Finding:
    saved = {
        name: _saved(_table_1("ResNet-50", "Baseline", column), _table_1("ResNet-50", "Full Attention", column))
        for name, column in (("parameters", "params_M"), ("operations", "flops_B"))
    }
    said = {"parameters": 12, "operations": 29}
    note = ", ".join(f"{share:.1f} % fewer {name}" for name, share in saved.items()) + "; the two figures are swapped"
    return Finding(sum(abs(saved[name] - said[name]) > 1 for name in said), note)


def _saved(before: float, after: float) -> float:
    return 100 * (1 - after / before)


def _smallest_saving(column: str) -> Finding:
    """Of the printed costs of Table 1."""
    savings = {
        depth: _saved(_table_1(depth, "Baseline", column), _table_1(depth, "Full Attention", column))
        for depth in ("ResNet-26", "ResNet-38", "ResNet-50")
    }
    return Finding(min(savings.values()), ", ".join(f"{depth} {saving:.1f} %" for depth, saving in savings.items()))


def _table_1(depth: str, method: str, column: str) -> float:
    return row_of("sasa", "table-1", depth=depth, method=method)[column]


def parameters_window() -> Finding:
    """Otherwise without the embeddings, one for each row and column of the window."""
    relative, without = (
        parameters(_resnet(kernel_size=11, positions=kind)) - parameters(_resnet(kernel_size=3, positions=kind))
        for kind in ("relative", "none")
    )
    note = f"{relative:,} in the embeddings of rows and columns, {without} elsewhere"
    return Finding(relative, note, otherwise=without)


# Operations.


def _full_flops() -> tuple[float, float]:
    """Of the ResNet-50 that is attention throughout, with the stem as in the package and as `_AppliedFirst`."""
    ours = operations(Network("resnet50_sasa"), "two-per-multiply-add")
    return ours / 1e9, _billions(_resnet(stem="attention"))


def flops_share() -> Finding:
    plain = _billions(_resnet(attention=""))
    ours, applied_first = (_saved(plain, flops) for flops in _full_flops())
    note = f"{ours:.1f} with the value matrices mixed first, {applied_first:.1f} with each applied to every pixel"
    return Finding(ours, note, otherwise=applied_first)


def flops_window() -> Finding:
    counts = {k: _billions(_resnet(kernel_size=k)) for k in (3, 5, 7, 9, 11)}
    return Finding(counts[11] - counts[3], ", ".join(f"{k} x {k}: {count:.3f}" for k, count in counts.items()))


def same_cost_19() -> Finding:
    """Otherwise without q . r."""
    convolution = Module(Call(nn.Conv2d, 128, 128, 3, padding=1, bias=False), ((1, 128, 4, 4),))
    budget = multiply_adds(convolution)
    largest = {
        "dense projections": _largest_window(budget),
        "dense projections without q . r": _largest_window(budget, positions="none"),
        "grouped projections": _largest_window(budget, projections="grouped"),
    }
    note = f"3 x 3: {budget // 16:,} multiply-adds a pixel; " + ", ".join(
        f"{form}: {k} x {k} ({macs // 16:,})" for form, (k, macs) in largest.items()
    )
    return Finding(largest["dense projections"][0], note, otherwise=largest["dense projections without q . r"][0])


def _largest_window(budget: int, **arguments: Any) -> tuple[int, int]:
    """The largest k whose attention of 128 channels takes no more than `budget` on 4 x 4 pixels, and what it takes."""
    k, macs = 1, 0
    while True:
        more = multiply_adds(Module(Call(create, "sasa", 128, kernel_size=k, **arguments), ((1, 128, 4, 4),)))
        if more > budget:
            return k - 2, macs
        k, macs = k + 2, more


# RetinaNet.


def retinanet_parameters() -> Finding:
    nine, six = (parameters(_plain_retinanet(scales)) for scales in (3, 2))
    return Finding(nine / 1e6, f"{nine:,} with 9 anchors, {six:,} with 6", otherwise=six / 1e6)


def _plain_retinanet(scales: int) -> Module:
    return _retinanet("", "conv", "conv", "conv", scales)


def retinanet_attention_parameters() -> Finding:
    both, heads = (parameters(network) / 1e6 for network in _attention_retinanets())
    return Finding(both, f"{both:.3f}; {heads:.3f} with attention in the heads alone", otherwise=heads)


def retinanet_attention_flops() -> Finding:
    both, heads = (_billions(network, DETECTED) for network in _attention_retinanets())
    return Finding(both, f"{both:.1f}; {heads:.1f} with attention in the heads alone", otherwise=heads)


def _attention_retinanets() -> tuple[Module, Module]:
    """With attention in backbone, pyramid and heads, and in backbone and heads."""
    return _retinanet(), _retinanet("1234", "conv", "conv", "attention")


def retinanet_stem() -> Finding:
    conv, full = (_billions(_retinanet(stem=stem), DETECTED) for stem in ("conv", "attention"))
    return Finding(full - conv, f"{full:.1f} - {conv:.1f}")


def retinanet_flops_share() -> Finding:
    """Otherwise with a convolutional stem."""
    full, conv_stem = (_saved(_table_2(0, "flops_B"), _table_2(row, "flops_B")) for row in (4, 3))
    note = f"{full:.2f} with the attention stem, {conv_stem:.2f} with the convolutional one"
    return Finding(full, note, otherwise=conv_stem)


def _table_2(row: int, column: str) -> float:
    return load("sasa").rows("table-2")[row][column]


@torch.no_grad()
def head_values() -> Finding:
    with seeded():
        model = detector("retinanet", create_network("resnet8"), 90, heads="attention", scales=2)
    layers = [layer for layer in model.head.modules() if isinstance(layer, SASA)]
    weights = torch.cat([layer.value.weight.flatten() for layer in layers]).double()
    return Finding(weights.std().item(), f"{weights.numel():,} weights of {len(layers)} layers")


# What is printed against what is printed.


def gain() -> Finding:
    """Otherwise with a convolutional stem."""
    gains = {
        method: _table_1("ResNet-50", method, "top1") - _table_1("ResNet-50", "Baseline", "top1")
        for method in ("Full Attention", "Conv-stem + Attention")
    }
    note = ", ".join(f"{method} {points:+.1f}" for method, points in gains.items())
    return Finding(gains["Full Attention"], note, otherwise=gains["Conv-stem + Attention"])


def stem_convolution() -> Finding:
    worse = [
        f"{depth}: {conv} against {attention}"
        for depth in ("ResNet-26", "ResNet-38", "ResNet-50")
        if (conv := _table_1(depth, "Conv-stem + Attention", "top1"))
        < (attention := _table_1(depth, "Full Attention", "top1"))
    ]
    return Finding(len(worse), ", ".join(worse))


def stem_detection() -> Finding:
    rows = {"convolution": (1, 2), "attention": (3, 4)}
    ap = {kind: [_table_2(row, "AP") for row in pair] for kind, pair in rows.items()}
    better = {kind: conv > attention for kind, (conv, attention) in ap.items()}
    note = ", ".join(f"{kind} in pyramid and heads: {conv} and {attention}" for kind, (conv, attention) in ap.items())
    return Finding(sum(better[kind] != (kind == "convolution") for kind in better), note)


def early_convolution() -> Finding:
    rows = load("sasa").rows("table-3")
    best = [row for row in rows if row["top1_heldout"] == max(row["top1_heldout"] for row in rows)]
    early = [row for row in best if row["convolution"][-1] < row["attention"][0]]  # "none" is behind all digits
    note = " and ".join(f"convolution in {row['convolution']}" for row in best)
    return Finding(len(best) - len(early), note)
