"""Checks of the claims of the non-local block; paper.yml says what each is held against.

The paper's video networks are no networks of attnlib: they are made here from its 2-D ones, on the meta device.
"""

import re
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnlib import create
from attnlib.ledger.costs import Ratio
from attnlib.ledger.draw import back_propagate, largest, normal, seeded
from attnlib.ledger.measure import Call, Module, Network, multiply_adds, parameters
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.self_attention.non_local import PAIRWISE, NonLocal

CLIP = (1, 3, 32, 224, 224)
RES4 = (1, 1024, 4, 14, 14)  # of a clip, its map there
PHOTO = (1, 3, 800, 1344)  # the largest that Mask R-CNN is fed: 800 x 1333, padded to a multiple of 32
MAPS = (2, 16, 8, 6)
POOLED_FIRST = (("subsample", True),)
PROJECTED_FIRST = (*POOLED_FIRST, ("pool", "projections"))


def _to_clips(model: nn.Module, inflated: str = "", padded: bool = False) -> None:
    """Make a 2-D ResNet take clips, in place: Table 1, every kernel over one frame, its blocks over space and time.

    inflated: the convolution of a bottleneck that gets a kernel over three frames (the network's first gets five), in
        the blocks where the released code does so: all of the first stage, every other one of the rest.
    padded: the first pooling pads, so that its maps have the printed side of 56; as released it does not.
    """
    for path, block in attention_modules(model).items():
        over_time = create("non_local", block.channels, subsample=block.subsample, pool=block.pool, dimensions=3)
        model.get_submodule(path).attention = over_time
    for path, layer in list(model.named_modules()):
        if isinstance(layer, nn.Conv2d):
            frames = _frames(path, inflated)
            kernel, padding = (frames, *layer.kernel_size), (frames // 2, *layer.padding)
            convolution = nn.Conv3d(
                layer.in_channels, layer.out_channels, kernel, (1, *layer.stride), padding, bias=False
            )
            model.set_submodule(path, convolution)
        elif isinstance(layer, nn.BatchNorm2d):
            model.set_submodule(path, nn.BatchNorm3d(layer.num_features))
    model.conv1.stride = (2, 2, 2)
    model.maxpool = nn.MaxPool3d(3, 2, 1) if padded else nn.MaxPool3d((2, 3, 3), 2)
    model.layer1.append(nn.MaxPool3d((2, 1, 1)))
    model.avgpool = nn.AdaptiveAvgPool3d(1)


def _frames(path: str, inflated: str) -> int:
    if not inflated:
        return 1
    if path == "conv1":
        return 5
    place = re.fullmatch(rf"layer(\d)\.(\d+)\.{inflated}", path)
    if place is None:
        return 1
    stage, index = map(int, place.groups())
    return 3 if stage == 1 or index % 2 == (stage == 4) else 1


C2D = {depth: Network(f"resnet{depth}_v1", classes=400, change=_to_clips) for depth in (50, 101)}
PADDED = Network("resnet101_v1", classes=400, change=Call(_to_clips, padded=True))
STRIDE_SECOND = Network("resnet101", classes=400, change=_to_clips)
FIVE, FIVE_PROJECTED = (
    {depth: Network(f"resnet{depth}_v1", "non_local", form, classes=400, change=_to_clips) for depth in (50, 101)}
    for form in (POOLED_FIRST, PROJECTED_FIRST)
)
I3D = {
    "I3D 3x3x3": Network("resnet101_v1", classes=400, change=Call(_to_clips, inflated="conv2")),
    "I3D 3x1x1": Network("resnet101_v1", classes=400, change=Call(_to_clips, inflated="conv1")),
}
MASK_RCNN = Network("mask_rcnn_resnet50", classes=91)
MASK_RCNN_POOLED, MASK_RCNN_PROJECTED = (
    Network("mask_rcnn_resnet50", "non_local", form, classes=91, placement="backbone.body.layer3.4")
    for form in (POOLED_FIRST, PROJECTED_FIRST)
)


def _block(channels: int, **arguments: Any) -> Module:
    return Module(Call(create, "non_local", channels, **arguments))


@cache
def _multiply_adds(network: Network, shape: tuple[int, ...] = CLIP) -> int:
    """Counted on the meta device, since `measure.multiply_adds` would run the network; the rule is the same."""
    model, _ = network.part()
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(shape, device="meta"))
    return counter.get_total_flops() // 2


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Module | Ratio | int:
    """What a printed cost belongs to."""
    if table == "released-parameters":
        return _block(row["channels"], pairwise=column)
    if table == "table-2e-baseline":
        return C2D[101] if column == "params_M" else _multiply_adds(C2D[101])
    network = {"C2D baseline": C2D[101], "NL C2D, 5 blocks": FIVE[101], **I3D}[row["model"]]
    if column == "params_rel":
        return Ratio(network, C2D[101])
    return Ratio(_multiply_adds(network), _multiply_adds(C2D[101]))


def c2d_multiply_adds() -> Finding:
    printed, fitting, released = (_multiply_adds(net) / 1e9 for net in (PADDED, C2D[101], STRIDE_SECOND))
    note = (
        f"{printed:.2f} with the maps of Table 1 and the stride in the first 1 x 1, {fitting:.2f} with a first pooling "
        f"without padding, as released, and {released:.2f} with the stride in the 3 x 3 too"
    )
    return Finding(printed, note, otherwise=fitting)


def ratio_projected_first() -> Finding:
    plain, projected, pooled = (_multiply_adds(net[101]) for net in (C2D, FIVE_PROJECTED, FIVE))
    return Finding(projected / plain, f"{projected / plain:.3f}; {pooled / plain:.3f} when the map is pooled first")


def share_parameters() -> Finding:
    small, large = parameters(FIVE[50]), parameters(C2D[101])
    return Finding(100 * small / large, f"{small:,} of {large:,} are {100 * small / large:.1f} %")


def share_multiply_adds() -> Finding:
    return _share(FIVE[50])


def share_projected_first() -> Finding:
    return _share(FIVE_PROJECTED[50])


def _share(network: Network) -> Finding:
    small, large = _multiply_adds(network), _multiply_adds(C2D[101])
    return Finding(100 * small / large, f"{small / 1e9:.2f} of {large / 1e9:.2f} are {100 * small / large:.1f} %")


def bottleneck() -> Finding:
    narrow, wide = (
        multiply_adds(
            Module(Call(create, "non_local", 1024, reduction=reduction, subsample=True, dimensions=3), (RES4,))
        )
        for reduction in (2, 1)
    )
    return Finding(
        100 * (1 - narrow / wide), f"{narrow / 1e9:.2f} instead of {wide / 1e9:.2f} on 4 x 14 x 14 positions"
    )


def mask_rcnn() -> Finding:
    plain, pooled, projected = (
        _multiply_adds(network, PHOTO) for network in (MASK_RCNN, MASK_RCNN_POOLED, MASK_RCNN_PROJECTED)
    )
    share, by_text = (100 * (network / plain - 1) for network in (pooled, projected))
    note = (
        f"{share:.2f} % of the {plain / 1e9:.0f} GFLOPs that Mask R-CNN on ResNet-50 spends on the pixels of an image, "
        f"{PHOTO[2]} x {PHOTO[3]}, its heads for single boxes left out; {by_text:.2f} % when keys and values are "
        "pooled behind phi and g"
    )
    return Finding(max(0.0, share - 5), note)


def table_1_sizes() -> Finding:
    return _other_sizes(padded=True)


def table_1_sizes_released() -> Finding:
    return _other_sizes(padded=False)


def _other_sizes(padded: bool) -> Finding:
    model = Network("resnet50_v1", classes=400, change=Call(_to_clips, padded=padded)).build_empty().eval()
    layers = [model.conv1, model.maxpool, model.layer1[:-1], model.layer1[-1], model.layer2, model.layer3, model.layer4]
    x, off = torch.zeros(CLIP, device="meta"), []
    for row, layer in zip(load("non_local").rows("table-1"), [*layers, model.avgpool], strict=True):
        x = layer(x)
        size = "x".join(map(str, x.shape[2:]))
        if size != row["output"]:
            off.append(f"{row['layer']} {size}")
    return Finding(len(off), ", ".join(off))


def _released(channels: int, **arguments: Any) -> NonLocal:
    """A block as the released code initialises it."""
    with seeded():
        module = create("non_local", channels, **arguments).double()
        module.network_init_()
    return module


def initial_output() -> Finding:
    x = normal(*MAPS)
    outputs = [_released(16, pairwise=form, subsample=True)(x) for form in PAIRWISE]
    return Finding(max(largest(output - x) for output in outputs))


def initial_deviation() -> Finding:
    deviation = _released(1024).theta.weight.std().item()
    return Finding(deviation, f"{deviation:.4f} as released, {(2 / 1024) ** 0.5:.4f} by He's rule")


@cache
def _first_gradients() -> tuple[float, float]:
    """The largest gradient of the convolutions, and the smaller one of the batch norm's scale and shift."""
    of_convolutions, of_norms = [], []
    for form in PAIRWISE:
        module = _released(16, pairwise=form, subsample=True)
        back_propagate(module, normal(*MAPS))
        for name, parameter in module.named_parameters():
            kind = of_norms if name.startswith("norm.") else of_convolutions
            kind.append(largest(parameter.grad))
    return max(of_convolutions), min(of_norms)


def first_step() -> Finding:
    return Finding(_first_gradients()[0])


def _on_clip(subsample: bool) -> tuple[torch.Size, torch.Size]:
    """Shapes of the output and of the weights for a map of res4."""
    module = Module(Call(create, "non_local", 1024, subsample=subsample, dimensions=3)).build_empty().eval()
    x = torch.zeros(RES4, device="meta")
    return module(x).shape, module.weights(x).shape


def pairs() -> Finding:
    (_, pooled), (_, full) = _on_clip(subsample=True), _on_clip(subsample=False)
    note = f"on 4 x 14 x 14 positions {pooled[-1]} keys of {full[-1]}; the text says that the pairs fall by a quarter"
    return Finding(pooled.numel() / full.numel(), note)


def static_clip() -> Finding:
    weight, frame, frames = normal(4, 3, 3, 3), normal(1, 3, 9, 9), 6
    inflated = (weight / 3)[:, :, None].expand(-1, -1, 3, -1, -1)
    clip = frame[:, :, None].expand(-1, -1, frames, -1, -1)
    change = F.conv3d(clip, inflated, padding=1) - F.conv2d(frame, weight, padding=1)[:, :, None]
    within = largest(change[:, :, 1:-1])
    note = "different in the first and last frame, where a third of the kernel meets the padding; equal in all others"
    return Finding(largest(change), note, otherwise=within)


def _column(table: str, column: str, *labels: str) -> list[float]:
    """A column of the rows of which each label is a word, in the table's order."""
    rows = load("non_local").rows(table)
    return [row[column] for row in rows if set(labels) <= {value for value in row.values() if isinstance(value, str)}]


def longer_clips() -> Finding:
    short, long = _column("table-2f", "top1"), _column("table-2g", "top1")
    gains = [b - a for a, b in zip(short, long, strict=True)]
    return Finding(sum(gain <= 0 for gain in gains), f"they gain {min(gains):.1f} to {max(gains):.1f} points")


def released_runs() -> Finding:
    differences = {
        row["script"]: row["top1"] - row["top1_in_paper"]
        for row in load("non_local").rows("readme")
        if row["top1_in_paper"] is not None
    }
    note = ", ".join(f"{script.removeprefix('run_')} {value:+.1f}" for script, value in differences.items())
    least = min(differences.values())
    return Finding(least if least < 0 else max(differences.values()), note)
