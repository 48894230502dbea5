"""Checks of the claims of OCNet; paper.yml says what each is held against."""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import back_propagate, largest, normal, random_order, random_parameters, seeded, step
from attnlib.ledger.measure import Call, Module, Network, empty, parameters
from attnlib.ledger.printed import column_of, difference, row_of
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks.attachment import output_shapes
from attnlib.self_attention.object_context import SLOPE, PositiveScale, conv_abn
from attnlib.self_attention.ocnet import BaseOC

HEADS = {"Base-OC": "base_oc", "Pyramid-OC": "pyramid_oc", "ASP-OC": "asp_oc"}
MAP = (1, 16, 9, 7)
REDUCTION = Module(Call(conv_abn, 2048, 512, kernel_size=3))
ORDER = (
    *("none", "global pooling", "pyramid pooling (PSPNet)", "ASPP (DeepLabv3)"),
    *("Pyramid-OC", "Base-OC", "ASP-OC"),
)


def _reduced(head: str) -> nn.Sequential:
    return nn.Sequential(conv_abn(2048, 512, kernel_size=3), create(head, 512))


def network_of(table: str, row: dict[str, Any], column: str) -> Module:
    """The head that a count belongs to, alone or with the convolution in front of it."""
    head = HEADS[row["head"]]
    return Module(Call(create, head, 512) if column == "parameters" else Call(_reduced, head))


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
    shape = output_shapes(empty(network), ["layer4"], network.image_size)["layer4"]
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


def _untrained(head: str, channels: int = 16, **arguments: Any) -> nn.Module:
    with seeded():
        return create(head, channels, dropout=0.0, **arguments).double().eval()


def _random(head: str, **arguments: Any) -> nn.Module:
    """A head with random parameters, the zeros among them too."""
    return random_parameters(_untrained(head, **arguments), std=0.5)


def _lists(weights: Tensor | list[Tensor]) -> list[Tensor]:
    return weights if isinstance(weights, list) else [weights]


def cells_apart() -> Finding:
    module, x = _random("pyramid_oc", scales=(2,)), normal(1, 16, 8, 8).requires_grad_()
    context = module.contexts[0](x)
    (gradient,) = torch.autograd.grad(context[..., :4, :4].sin().sum(), x)
    own = largest(gradient[..., :4, :4])
    gradient[..., :4, :4] = 0
    return Finding(largest(gradient), f"of a pixel of its own cell up to {own:.2f}")


def scale_one() -> Finding:
    pyramid, base, x = _random("pyramid_oc", scales=(1,)), _random("base_oc"), normal(*MAP)
    base.context.query.load_state_dict(pyramid.contexts[0].query.state_dict())
    (weights,) = pyramid.weights(x)
    return Finding(largest(weights - base.weights(x)))


def symmetric_scores() -> Finding:
    return Finding(_asymmetry(shared=True))


def separate_scores() -> Finding:
    asymmetry = _asymmetry(shared=False)
    return Finding(float(asymmetry > 1e-3), f"they deviate by up to {asymmetry:.2f}")


def _asymmetry(shared: bool) -> float:
    """log w_pi = s_pi - log Z_p: what the transpose differs by is a number of p less one of i, if s is symmetric."""
    logs = _random("base_oc", shared=shared).weights(normal(*MAP))[0, 0].log()
    change = logs - logs.T
    return largest(change - (change[:, :1] - change[:, 0]))


def rows_sum() -> Finding:
    weights = [each for head in HEADS.values() for each in _lists(_random(head).weights(normal(*MAP)))]
    return Finding(max(largest(each.sum(-1) - 1) for each in weights), f"in {len(weights)} affinities")


def score_scale() -> Finding:
    released, paper, x = _random("base_oc"), _random("base_oc"), normal(*MAP)
    context, transform = paper.context, paper.context.query[2]
    root, context.scale = context.scale**0.5, 1.0  # queries and keys are one transform, and have half of the scale each
    with torch.no_grad():
        transform.weight.copy_((transform.weight.abs() + transform.eps) * root - transform.eps)
        transform.bias *= root
    return Finding(largest(released(x) - paper(x)), f"of 512 channels the code divides by {256**0.5:g}")


def zero_context() -> Finding:
    contexts = [_untrained("base_oc").context, _untrained("asp_oc").context, *_untrained("pyramid_oc").contexts]
    furthest = max(largest(context(normal(1, context.query[0].in_channels, 9, 7))) for context in contexts)
    return Finding(furthest, f"of {len(contexts)} attentions")


def plain_start() -> Finding:
    module, x = _untrained("base_oc"), normal(2, 16, 9, 7)
    module.train()
    convolution, norm, scale, _ = module.fuse
    y = F.conv2d(x, convolution.weight[:, 16:], convolution.bias)
    y = F.batch_norm(y, None, None, scale.weight.abs() + scale.eps, scale.bias, training=True, eps=norm.eps)
    return Finding(largest(module(x) - F.leaky_relu(y, SLOPE)))


def _trained(steps: int) -> BaseOC:
    """Base-OC with the gradients of the last of these steps."""
    module, x = _untrained("base_oc").train(), normal(2, 16, 9, 7)
    for _ in range(steps - 1):
        back_propagate(module, x)
        step(module)
    back_propagate(module, x)
    return module


def _largest_gradients(module: BaseOC) -> dict[str, float]:
    """Of the weights of the transform of queries and keys, and of the values."""
    layers = {"queries and keys": module.context.query[0], "values": module.context.value}
    return {name: largest(layer.weight.grad) for name, layer in layers.items()}


def first_step() -> Finding:
    module = _trained(steps=1)
    behind = largest(module.context.out.weight.grad)
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
    module, x = _random("base_oc"), normal(*MAP)
    before = module(x)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, PositiveScale):
                layer.weight.neg_()
    return Finding(largest(module(x) - before))


def running_statistics() -> Finding:
    module, x = _untrained("base_oc").train(), normal(2, 16, 9, 7)
    module(x)
    convolution, norm, *_ = module.context.query
    mean = convolution(x).mean((0, 2, 3))
    share = (norm.running_mean / mean).mean().item()
    other = module.fuse[1].momentum
    return Finding(share, f"{other:g} for the norms that run once")


def no_positions() -> Finding:
    module, x = _random("base_oc"), normal(*MAP)
    order = random_order(63)

    def permuted(y: Tensor) -> Tensor:
        return y.flatten(2)[..., order].view_as(y)

    return Finding(largest(module(permuted(x)) - permuted(module(x))))


def asp_width() -> Finding:
    with torch.device("meta"):
        module = create("asp_oc", 512)
    return Finding(module.fuse[0].in_channels, f"context and {len(module.branches)} convolutions")


def order_cityscapes() -> Finding:
    return _out_of_place(column_of("ocnet", "table-6", "method", "val"))


def _out_of_place(miou: dict[str, float]) -> Finding:
    found = sorted(miou, key=miou.get)
    note = ", ".join(f"{head} {miou[head]}" for head in found)
    return Finding(sum(a != b for a, b in zip(found, ORDER, strict=True)), note)


def position_val() -> Finding:
    return _position("val")


def position_test() -> Finding:
    return _position("test")


def _position(split: str) -> Finding:
    miou = column_of("ocnet", "table-1", "method", split)
    return difference(miou["Base-OC with position"], miou["Base-OC without position"])


def base_twice() -> Finding:
    first = column_of("ocnet", "table-1", "method", "val")["Base-OC without position"]
    base = row_of("ocnet", "table-6", method="Base-OC")
    second, times = base["val"], (first - base["val"]) / base["val_std"]
    note = f"{first} and {second}, {times:.1f} times the standard deviation of the latter"
    return Finding(first - second, note)


def repeated_rows() -> Finding:
    heads = column_of("ocnet", "table-6", "method", "val")
    pairs = [
        (column_of("ocnet", "table-2", "choice", "val")["e"], heads["Base-OC"]),
        (column_of("ocnet", "table-4", "auxiliary", "val")[True], heads["none"]),
        (column_of("ocnet", "table-3", "branches", "val")["1"], heads["ASP-OC"]),
        (load("ocnet").rows("table-5")[0]["val"], heads["ASP-OC"]),
    ]
    return Finding(sum(a != b for a, b in pairs), ", ".join(f"{a} and {b}" for a, b in pairs))


def readme_cityscapes() -> Finding:
    later = load("ocnet").rows("table-2-later")[-1]["test"]
    first = load("ocnet").rows("table-8")[-1]["miou"]
    return Finding(later, f"{later}; {first} in version 1")


def readme_ade20k() -> Finding:
    first = column_of("ocnet", "table-9", "method", "miou")["OCNet"]
    return Finding(first, f"{first} in version 1")


def readme_others() -> Finding:
    readme, paper = column_of("ocnet", "readme-first", "method", "miou"), load("ocnet").rows("table-8")
    off = []
    for name in sorted(readme.keys() - {"OCNet"}):
        # PSANet stands there twice, the second time trained on the validation set too, as in the README.
        (*_, printed) = (row["miou"] for row in paper if row["method"] == name)
        if printed != readme[name]:
            off.append(f"{name} {readme[name]} in the README, {printed} in Table 8")
    return Finding(len(off), "; ".join(off))


def model_zoo() -> Finding:
    released = column_of("ocnet", "model-zoo", "method", "miou")["Base-OC"]
    printed = column_of("ocnet", "table-6", "method", "val")["Base-OC"]
    return Finding(released, f"{released - printed:+.2f} points")
