"""Checks of the claims of triplet attention; paper.yml says what each is held against."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.costs import printed_tolerance
from attnlib.ledger.draw import back_propagate, largest, normal, random_parameters, seeded
from attnlib.ledger.measure import Call, Module, Network, added, count_parameters, empty, multiply_adds, parameters
from attnlib.ledger.printed import column_of
from attnlib.ledger.profilers import layer_hooks
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.networks.detection import detector
from attnlib.scale_attention.triplet import Triplet

PLAIN = Network("resnet50")
BY_KERNEL = {k: Network("resnet50", "triplet", (("kernel_size", k),)) for k in (3, 7)}
MODULES = {
    "SE": Network("resnet50", "se", (("bias", False),)),
    "BAM": Network("resnet50", "bam"),
    "CBAM": Network("resnet50", "cbam"),
    "Triplet attention": BY_KERNEL[7],
}
REDUCTION = 16
MAPS = (2, 12, 9, 7)  # no two axes have the same length
# Branch -> the axis that changes places with the channels; it is also the kernel's axis that then runs over them.
TURNED = {"channel_width": 2, "channel_height": 3}


def network_of(table: str, row: dict[str, Any], column: str) -> Network | tuple[Network, Network] | int | str:
    """The network that a printed cost belongs to, a count that is put together, or why there is none."""
    if table == "slides-coco":
        return _mask_rcnn(row["backbone"])
    if table in ("slides-imagenet", "table-1"):
        method = row["method"].removesuffix("Net")
        if method == "GC" and column != "gflops":
            return _of_global_context() + (0 if table == "table-1" else parameters(PLAIN))
        network = MODULES.get(method, f"{row['method']} is not among the modules of attnlib")
        if table == "table-1":
            return network, PLAIN
    else:
        backbone = row["model"].lower().replace("-", "").replace("netv2", "net_v2")
        network = Network(backbone, "triplet", (("kernel_size", row.get("k", 7)),))
        if column == "module_parameters":
            return network, Network(backbone)
    return layer_hooks(network) if column == "gflops" and isinstance(network, Network) else network


def _global_context(channels: int) -> nn.ModuleList:
    """The layers of a global context block, which is not among the modules of attnlib: for their number alone."""
    hidden = channels // REDUCTION
    down, up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
    return nn.ModuleList([nn.Conv2d(channels, 1, 1), down, nn.LayerNorm((hidden, 1, 1)), up])


@cache
def _widths() -> tuple[int, ...]:
    """Channels behind each residual block of ResNet-50."""
    return tuple(module.channels for module in attention_modules(empty(BY_KERNEL[7])).values())


def _of_global_context() -> int:
    """Parameters of a global context block in each residual block of ResNet-50."""
    return sum(parameters(Module(Call(_global_context, channels))) for channels in _widths())


def _make_mask_rcnn() -> nn.Module:
    """Mask R-CNN on ResNet-50 as detectron2 has it: boxes and masks for the 80 classes, not for the background."""
    model = detector("mask_rcnn", PLAIN.build(), 81)
    model.roi_heads.box_predictor.bbox_pred = nn.Linear(1024, 4 * 80)
    model.roi_heads.mask_predictor.mask_fcn_logits = nn.Conv2d(256, 80, 1)
    return model


@cache
def _of_mask_rcnn() -> tuple[int, int]:
    """All parameters of Mask R-CNN, and those of its batch norms, all of which are the backbone's."""
    model = empty(Module(_make_mask_rcnn))
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    return count_parameters(model), sum(map(count_parameters, norms))


def _mask_rcnn(backbone: str) -> int:
    """Parameters of Mask R-CNN on ResNet-50, with what the module adds to the network."""
    total, norms = _of_mask_rcnn()
    # Rows of another paper, which counts the norms.
    if backbone == "ResNet-50 + 1 NL block":
        return total + parameters(Module(Call(create, "non_local", 1024)))
    if backbone == "GCNet":
        return total + _of_global_context()
    module = {"SENet-50": "SE", "ResNet-50 + Triplet attention": "Triplet attention"}.get(backbone)
    return total - norms + (added(MODULES[module]) if module else 0)


def formula() -> Finding:
    module = create("triplet", 256)
    kernels = sum(branch.conv.weight.numel() for branch in module.branches.values())
    count = count_parameters(module)
    return Finding(count, f"{kernels} in the kernels, {count - kernels} in the norms", kernels)


def table_1_formulas() -> Finding:
    """BAM stands behind the first three stages and has 3 x 3 convolutions, the others stand in every block."""
    stages = sorted(set(_widths()))[:3]
    by_formula = {
        "SE": sum(2 * c * c // REDUCTION for c in _widths()),
        "CBAM": sum(2 * c * c // REDUCTION + 2 * 7**2 for c in _widths()),
        "BAM": sum(c // REDUCTION * (3 * c + 2 * 3**2 * c // REDUCTION + 1) for c in stages),
        "GC": sum(2 * c * c // REDUCTION + c for c in _widths()),
        "Triplet attention": sum(6 * 7**2 for _ in _widths()),
    }
    printed = column_of("triplet", "table-1", "method", "extra_params_M")
    off = {m: n for m, n in by_formula.items() if abs(n / 1e6 - printed[m]) > printed_tolerance(printed[m], None)}
    return Finding(
        len(off), "; ".join(f"{m}: {printed[m]} printed, {n / 1e6:.5f} by the formula" for m, n in off.items())
    )


def gflops_k7() -> Finding:
    return _gflops(7)


def _gflops(kernel: int) -> Finding:
    macs, layers = multiply_adds(BY_KERNEL[kernel]), layer_hooks(BY_KERNEL[kernel])
    note = f"{macs / 1e9:.4f} multiply-adds, {layers / 1e9:.4f} with batch norms, ReLUs and pooling layers"
    return Finding(macs / 1e9, note, layers / 1e9, rule="layer by layer", table="readme")


def mobilenet_k3() -> Finding:
    with_3, with_7 = (parameters(Network("mobilenet_v2", "triplet", (("kernel_size", k),))) for k in (3, 7))
    return Finding(with_3 / 1e6, f"{with_3:,}; with k = 7 {with_7:,}")


def _random_triplet(**arguments: Any) -> Triplet:
    """In eval mode, each branch with the same random parameters and statistics whatever other branches there are."""
    module = create("triplet", 12, **arguments).double().eval()
    for number, name in enumerate((*TURNED, "spatial")):
        if name in module.branches:
            random_parameters(module.branches[name], seed=number)
    return module


def _only(branch: str) -> Triplet:
    return _random_triplet(**{name: name == branch for name in (*TURNED, "spatial")})


def _as_in_a_network() -> Triplet:
    with seeded():
        module = create("triplet", 12)
        module.network_init_()
    return module.double()


def _initial_gate(branch: str) -> Tensor:
    """The first gate of one branch, by statistics of the batch."""
    module = _as_in_a_network()
    for other in [name for name in module.branches if name != branch]:
        del module.branches[other]
    return module.gate(normal(*MAPS)).detach()


def initial_spatial() -> Finding:
    return Finding(largest(_initial_gate("spatial") - 0.5))


def first_step() -> Finding:
    module = _after_a_backward_pass()
    others = min(module.branches[name].conv.weight.grad.abs().max() for name in TURNED)
    gradient = largest(module.branches["spatial"].conv.weight.grad)
    return Finding(gradient, f"that of the other two kernels is {others:.1e} at least")


def _after_a_backward_pass() -> Triplet:
    module = _as_in_a_network()
    back_propagate(module, normal(*MAPS))
    return module


def rotation() -> Finding:
    return Finding(max(_rotated(name, axis, turn) for name, axis in TURNED.items() for turn in (1, -1)))


def _rotated(name: str, axis: int, turn: int) -> float:
    """The largest difference of a branch from one that turns the tensor by 90 degrees, forwards or backwards."""
    x, module = normal(*MAPS), _only(name)
    turned = torch.rot90(x, turn, (1, axis))
    descriptors = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], 1)
    kernel = module.branches[name].conv.weight
    if turn == -1:  # the channels run backwards
        kernel = kernel.flip(axis)
    logits = nn.functional.conv2d(descriptors, kernel, padding=kernel.shape[2] // 2)
    gated = turned * torch.sigmoid(module.branches[name].norm(logits))
    return largest(torch.rot90(gated, -turn, (1, axis)) - module(x))
