"""Checks of the claims of OCNet; attnlib/published/ocnet.yml says what each is held against."""

from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.measure import Module, Network, parameters
from attnlib.ledger.verdict import Finding
from attnlib.networks.attach import output_shapes
from attnlib.published import load
from attnlib.self_attention.object_context import SLOPE, PositiveScale, conv_abn
from attnlib.self_attention.ocnet import BaseOC

HEADS = {"Base-OC": "base_oc", "Pyramid-OC": "pyramid_oc", "ASP-OC": "asp_oc"}
REDUCTION = Module(partial(conv_abn, 2048, 512, kernel_size=3))
ORDER = (
    *("none", "global pooling", "pyramid pooling (PSPNet)", "ASPP (DeepLabv3)"),
    *("Pyramid-OC", "Base-OC", "ASP-OC"),
)


def _reduced(head: str) -> nn.Sequential:
    return nn.Sequential(conv_abn(2048, 512, kernel_size=3), create(head, 512))


def network_of(table: str, row: dict[str, Any], column: str) -> Module:
    """The head that a count belongs to, alone or with the convolution in front of it."""
    head = HEADS[row["head"]]
    return Module(partial(create, head, 512) if column == "parameters" else partial(_reduced, head))


def parameters_base() -> Finding:
    return _alone("Base-OC")


def parameters_pyramid() -> Finding:
    return _alone("Pyramid-OC")


def parameters_asp() -> Finding:
    return _alone("ASP-OC")


def _alone(head: str) -> Finding:
    return Finding(parameters(network_of("parameters", {"head": head}, "parameters")))


def parameters_reduction() -> Finding:
    return Finding(parameters(REDUCTION))


def with_reduction_base() -> Finding:
    return _with_reduction("Base-OC")


def with_reduction_pyramid() -> Finding:
    return _with_reduction("Pyramid-OC")


def with_reduction_asp() -> Finding:
    return _with_reduction("ASP-OC")


def _with_reduction(head: str) -> Finding:
    total = parameters(network_of("parameters", {"head": head}, "with_reduction_M"))
    return Finding(total / 1e6, f"{total:,}")


def map_side() -> Finding:
    network = Network("resnet101_base_oc", classes=19)
    shape = output_shapes(network.build_empty(), ["layer4"], network.image_size)["layer4"]
    return Finding(shape[2], f"{shape[1]} x {shape[2]} x {shape[3]} for a side of {network.image_size}")


def _entries(head: str, side: int, **arguments: Any) -> int:
    """How many weights a head of few channels has for a map; only their shapes are computed."""
    with torch.device("meta"):
        module = create(head, 8, **arguments).eval()
        weights = module.weights(torch.zeros(1, 8, side, side))
    return sum(prod(each.shape) for each in (weights if isinstance(weights, list) else [weights]))


def affinity_entries() -> Finding:
    entries = _entries("base_oc", 97)
    return Finding(entries / 1e6, f"{entries:,}, {entries * 4 / 2**20:.0f} MiB in single precision")


def affinity_pooled() -> Finding:
    odd, even = (_entries("base_oc", side) / _entries("asp_oc", side) for side in (97, 96))
    note = f"{odd:.2f} for 97 x 97, of which the pooling drops a row and a column; {even:g} for 96 x 96"
    return Finding(odd, note, otherwise=even)


def affinity_cells() -> Finding:
    whole, ratios = _entries("base_oc", 97), {}
    for scale in (2, 3, 6):
        ratios[scale] = whole / _entries("pyramid_oc", 97, scales=(scale,))
    note = ", ".join(f"{ratio:.2f} times for s = {scale}" for scale, ratio in ratios.items())
    return Finding(max(abs(ratio - scale**2) for scale, ratio in ratios.items()), note)


def cells_remainder() -> Finding:
    with torch.device("meta"):
        module = create("pyramid_oc", 8, scales=(6,)).eval()
        cells = [weights.shape[-1] for weights in module.weights(torch.zeros(1, 8, 97, 97))]
    sides = [16] * 5 + [17]
    expected = [height * width for height in sides for width in sides]
    return Finding(sum(a != b for a, b in zip(cells, expected, strict=True)), f"cells of {sorted(set(cells))} pixels")


def _map(channels: int = 16, height: int = 9, width: int = 7, count: int = 1) -> Tensor:
    """Maps of normally distributed values, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, height, width, generator=generator, dtype=torch.float64)


def _untrained(head: str, channels: int = 16, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    return create(head, channels, dropout=0.0, **arguments).double().eval()


def _random(head: str, **arguments: Any) -> nn.Module:
    """A head with random parameters, the zeros among them too."""
    module = _untrained(head, **arguments)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def _lists(weights: Tensor | list[Tensor]) -> list[Tensor]:
    return weights if isinstance(weights, list) else [weights]


def cells_apart() -> Finding:
    module, x = _random("pyramid_oc", scales=(2,)), _map(height=8, width=8).requires_grad_()
    context = module.contexts[0](x)
    (gradient,) = torch.autograd.grad(context[..., :4, :4].sin().sum(), x)
    own = gradient[..., :4, :4].abs().max().item()
    gradient[..., :4, :4] = 0
    return Finding(gradient.abs().max().item(), f"of a pixel of its own cell up to {own:.2f}")


def scale_one() -> Finding:
    pyramid, base, x = _random("pyramid_oc", scales=(1,)), _random("base_oc"), _map()
    base.context.query.load_state_dict(pyramid.contexts[0].query.state_dict())
    (weights,) = pyramid.weights(x)
    return Finding((weights - base.weights(x)).abs().max().item())


def symmetric_scores() -> Finding:
    return Finding(_asymmetry(shared=True))


def separate_scores() -> Finding:
    asymmetry = _asymmetry(shared=False)
    return Finding(float(asymmetry > 1e-3), f"they deviate by up to {asymmetry:.2f}")


def _asymmetry(shared: bool) -> float:
    """log w_pi = s_pi - log Z_p: what the transpose differs by is a number of p less one of i, if s is symmetric."""
    logs = _random("base_oc", shared=shared).weights(_map())[0, 0].log()
    difference = logs - logs.T
    return (difference - (difference[:, :1] - difference[:, 0])).abs().max().item()


def rows_sum() -> Finding:
    weights = [each for head in HEADS.values() for each in _lists(_random(head).weights(_map()))]
    return Finding(max((each.sum(-1) - 1).abs().max().item() for each in weights), f"in {len(weights)} affinities")


def score_scale() -> Finding:
    module, x = _untrained("base_oc", 512), _map(512, 3, 4)
    logs = module.weights(x)[0, 0].log()
    transformed = module.context.query(x).flatten(2)[0]
    products = transformed.T @ transformed
    # Differences within a row, which the softmax leaves as they are; the scale by least squares.
    scores, expected = (matrix[:, 1:] - matrix[:, :1] for matrix in (logs, products))
    scale = (scores * expected).sum() / expected.square().sum()
    return Finding(scale.item(), f"the code divides by {1 / scale:.4g}, the square root of its 256 key channels")


def zero_context() -> Finding:
    contexts = [_untrained("base_oc").context, _untrained("asp_oc").context, *_untrained("pyramid_oc").contexts]
    largest = max(context(_map(context.query[0].in_channels)).abs().max().item() for context in contexts)
    return Finding(largest, f"of {len(contexts)} attentions")


def plain_start() -> Finding:
    module, x = _untrained("base_oc"), _map(count=2)
    module.train()
    convolution, norm, scale, _ = module.fuse
    y = F.conv2d(x, convolution.weight[:, 16:], convolution.bias)
    y = F.batch_norm(y, None, None, scale.weight.abs() + scale.eps, scale.bias, training=True, eps=norm.eps)
    return Finding((module(x) - F.leaky_relu(y, SLOPE)).abs().max().item())


def _trained(steps: int) -> BaseOC:
    """Base-OC with the gradients of the last of these steps."""
    module, x = _untrained("base_oc").train(), _map(count=2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        (module(x) * x.cos()).sum().backward()
        if step + 1 < steps:
            optimizer.step()
    return module


def _largest_gradients(module: BaseOC) -> dict[str, float]:
    """Of the weights of the transform of queries and keys, and of the values."""
    layers = {"queries and keys": module.context.query[0], "values": module.context.value}
    return {name: layer.weight.grad.abs().max().item() for name, layer in layers.items()}


def first_step() -> Finding:
    module = _trained(steps=1)
    behind = module.context.out.weight.grad.abs().max().item()
    return Finding(max(_largest_gradients(module).values()), f"up to {behind:.2f} for the convolution behind them")


def second_step() -> Finding:
    gradients = _largest_gradients(_trained(steps=2))
    note = ", ".join(f"{name} up to {value:.1e}" for name, value in gradients.items())
    return Finding(float(min(gradients.values()) > 0), note)


def idle_biases() -> Finding:
    module = _trained(steps=2)
    blocks = {"queries and keys": module.context.query, "output": module.fuse}
    ratios = [block[0].bias.grad.abs().max() / block[2].bias.grad.abs().max() for block in blocks.values()]
    return Finding(max(ratios).item(), f"of {' and '.join(blocks)}")


def positive_scale() -> Finding:
    module, x = _random("base_oc"), _map()
    before = module(x)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, PositiveScale):
                layer.weight.neg_()
    return Finding((module(x) - before).abs().max().item())


def running_statistics() -> Finding:
    module, x = _untrained("base_oc").train(), _map(count=2)
    module(x)
    convolution, norm, *_ = module.context.query
    mean = convolution(x).mean((0, 2, 3))
    share = (norm.running_mean / mean).mean().item()
    other = module.fuse[1].momentum
    return Finding(share, f"{other:g} for the norms that run once")


def no_positions() -> Finding:
    module, x = _random("base_oc"), _map()
    order = torch.randperm(63, generator=torch.Generator().manual_seed(1))

    def permuted(y: Tensor) -> Tensor:
        return y.flatten(2)[..., order].view_as(y)

    return Finding((module(permuted(x)) - permuted(module(x))).abs().max().item())


def asp_width() -> Finding:
    with torch.device("meta"):
        module = create("asp_oc", 512)
    return Finding(module.fuse[0].in_channels, f"context and {len(module.branches)} convolutions")


def _column(table: str, label: str, column: str) -> dict[Any, float]:
    return {row[label]: row[column] for row in load("ocnet").rows(table)}


def order_cityscapes() -> Finding:
    return _out_of_place(_column("table-6", "method", "val"))


def order_ade20k() -> Finding:
    return _out_of_place(_column("table-7", "method", "miou"))


def _out_of_place(miou: dict[str, float]) -> Finding:
    found = sorted(miou, key=miou.get)
    note = ", ".join(f"{head} {miou[head]}" for head in found)
    return Finding(sum(a != b for a, b in zip(found, ORDER, strict=True)), note)


def position_val() -> Finding:
    return _position("val")


def position_test() -> Finding:
    return _position("test")


def _position(split: str) -> Finding:
    miou = _column("table-1", "method", split)
    with_position, without = miou["Base-OC with position"], miou["Base-OC without position"]
    return Finding(with_position - without, f"{with_position} - {without}")


def base_twice() -> Finding:
    first = _column("table-1", "method", "val")["Base-OC without position"]
    second = _column("table-6", "method", "val")["Base-OC"]
    (deviation,) = (row["val_std"] for row in load("ocnet").rows("table-6") if row["method"] == "Base-OC")
    note = f"{first} and {second}, {(first - second) / deviation:.1f} times the standard deviation of the latter"
    return Finding(first - second, note)


def repeated_rows() -> Finding:
    heads = _column("table-6", "method", "val")
    pairs = [
        (_column("table-2", "choice", "val")["e"], heads["Base-OC"]),
        (_column("table-4", "auxiliary", "val")[True], heads["none"]),
        (_column("table-3", "branches", "val")["1"], heads["ASP-OC"]),
        (load("ocnet").rows("table-5")[0]["val"], heads["ASP-OC"]),
    ]
    return Finding(sum(a != b for a, b in pairs), ", ".join(f"{a} and {b}" for a, b in pairs))


def with_val() -> Finding:
    first = load("ocnet").rows("table-5")[-1]["test"]
    rows = load("ocnet").rows("table-2-later")
    (later,) = (row["test"] for row in rows if row["with_val"] and not row["fine_tuning"])
    return Finding(later - first, f"{first} in version 1, {later} later")


def readme_cityscapes() -> Finding:
    later = load("ocnet").rows("table-2-later")[-1]["test"]
    first = load("ocnet").rows("table-8")[-1]["miou"]
    return Finding(later, f"{later}; {first} in version 1")


def readme_ade20k() -> Finding:
    first = _column("table-9", "method", "miou")["OCNet"]
    return Finding(first, f"{first} in version 1")


def readme_others() -> Finding:
    readme, paper = _column("readme-first", "method", "miou"), load("ocnet").rows("table-8")
    off = []
    for name in sorted(readme.keys() - {"OCNet"}):
        # PSANet stands there twice, the second time trained on the validation set too, as in the README.
        (*_, printed) = (row["miou"] for row in paper if row["method"] == name)
        if printed != readme[name]:
            off.append(f"{name} {readme[name]} in the README, {printed} in Table 8")
    return Finding(len(off), "; ".join(off))


def model_zoo() -> Finding:
    released = _column("model-zoo", "method", "miou")["Base-OC"]
    return Finding(released, f"{released - _column('table-6', 'method', 'val')['Base-OC']:+.2f} points")
