"""Checks of the claims of NAM; paper.yml says what each is held against."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import back_propagate, largest, normal, random_parameters
from attnlib.ledger.measure import Network, added, added_elementwise, multiply_adds, parameters
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.profiling.trace import count_operations
from attnlib.scale_attention.nam import NAM

PLAIN = Network("resnet50_cifar", classes=100)
CHANNEL = Network("resnet50_cifar", "nam", classes=100)
CBAM = Network("resnet50_cifar", "cbam", classes=100)
MAPS = (4, 16, 8, 8)


def _random_nam(negative: bool = False, **arguments: Any) -> NAM:
    """A NAM for 16 channels with random parameters: positive scales, but for the first one if asked for."""
    module = random_parameters(create("nam", 16, **arguments))
    with torch.no_grad():
        module.channel_norm.weight.abs_()
        if negative:
            module.channel_norm.weight[0] *= -1
    return module


def initial_gate_256() -> Finding:
    return _initial_gate(256, 16)


def _initial_gate(channels: int, side: int) -> Finding:
    gate = create("nam", channels).double().gate(normal(4, channels, side, side)).detach()
    note = f"between {gate.min():.4f} and {gate.max():.4f} on {gate.numel():,} normally distributed values"
    return Finding(largest(gate - 0.5), note)


def parameters_total() -> Finding:
    return Finding(parameters(CHANNEL))


def parameters_printed() -> Finding:
    note = f"{parameters(CHANNEL):,} with NAM, {parameters(PLAIN):,} without"
    return Finding(parameters(CHANNEL) / 1e6, note)


def parameters_against_cbam() -> Finding:
    cbam, nam = added(CBAM), added(CHANNEL)
    return Finding(100 * nam / cbam, f"{nam:,} against {cbam:,}")


def scale_variance() -> Finding:
    scales, before, after = _scales_and_deviations()
    note = (
        f"scales {scales.min():.2f} to {scales.max():.2f} on channels of deviation {before.min():.2f} to "
        f"{before.max():.2f}: the norm divides by that deviation. The scale is the deviation of what it puts out, to "
        f"{largest(scales - after):.0e}"
    )
    return Finding(largest(scales - before), note)


def _scales_and_deviations() -> tuple[Tensor, Tensor, Tensor]:
    """Positive scales of a norm, the deviations of the channels that it gets and of those that it puts out."""
    norm = _random_nam().channel_norm
    x = normal(*MAPS) * torch.logspace(0, 2, 16).view(-1, 1, 1)
    before, after = (maps.std((0, 2, 3), correction=0).detach() for maps in (x, norm(x)))
    return norm.weight.detach(), before, after


def penalty_saves() -> Finding:
    counts, sparse = {}, _random_nam()
    for name, zeros in {"none": 0, "14": 14}.items():
        with torch.no_grad():
            sparse.channel_norm.weight[:zeros] = 0
        counts[name] = sum(sum(of.values()) for of in count_operations(sparse, normal(*MAPS)).values())
    gate = sparse.gate(normal(*MAPS)).detach()[:, :14]
    others = ", ".join(f"{key} {_all_operations(key) / 1e6:.1f}" for key in ("nam", "se", "cbam"))
    note = (
        f"{counts['14']:,} operations with 14 of 16 scales at zero, {counts['none']:,} with none: a channel of scale "
        f"zero is gated with {gate.min():.1f} and computed as before. In ResNet-50 for CIFAR, in millions of "
        f"elementwise operations and multiply-adds: {others}"
    )
    return Finding(float(counts["14"] < counts["none"]), note)


def _all_operations(attention: str) -> int:
    network = Network("resnet50_cifar", attention)
    return sum(added_elementwise(network).values()) + added(network, multiply_adds)


def _gradients(**arguments: Any) -> dict[str, Tensor]:
    """Gradients of a weighted sum of the output by the input, the scales and the shifts."""
    module, x = _random_nam(**arguments), normal(*MAPS).requires_grad_()
    back_propagate(module, x)
    return {"input": x.grad, "scales": module.channel_norm.weight.grad, "shifts": module.channel_norm.bias.grad}


def detached_scale() -> Finding:
    detached, attached = _gradients()["scales"], _gradients(detach_scale=False)["scales"]
    change = ((detached - attached).norm() / attached.norm()).item()
    return Finding(float(change > 0.01), f"the difference is {change:.0%} of the gradient that the formula gives")


def _released_hook(network: nn.Module, strength: float) -> None:
    """The released penalty, rewritten from its description: p sign(gamma) goes to the gradients of each block's NAM.

    It looks for the stages by name among the network's direct children.
    """
    for name, stage in network.named_children():
        if name in ("layer1", "layer2", "layer3", "layer4"):
            for module in attention_modules(stage).values():
                scales = module.channel_norm.weight
                scales.grad += strength * scales.detach().sign()


def _changed_scales(wrapped: bool) -> int:
    network = CHANNEL.build()
    scales = [module.channel_norm.weight for module in attention_modules(network).values()]
    for scale in scales:
        scale.grad = torch.zeros_like(scale)
    # DataParallel holds the network as its one child, called "module".
    _released_hook(nn.Sequential(OrderedDict(module=network)) if wrapped else network, 1e-4)
    return sum(int(scale.grad.count_nonzero()) for scale in scales)


def sparsity_as_released() -> Finding:
    return Finding(_changed_scales(wrapped=True), "the wrapper's one child is called module")


def sparsity_on_the_network() -> Finding:
    return Finding(_changed_scales(wrapped=False))


def absolute_values_negative() -> Finding:
    difference = _signed_difference(negative=True)
    return Finding(float(difference > 1e-3), f"the outputs differ by up to {difference:.3f}")


def _signed_difference(negative: bool) -> float:
    x = normal(*MAPS)
    paper, code = _random_nam(negative, signed=True), _random_nam(negative)
    return largest(paper(x) - code(x))


def best_top1() -> Finding:
    return _behind_the_best("top1_acc")


def best_top5() -> Finding:
    return _behind_the_best("top5_acc")


def _behind_the_best(column: str) -> Finding:
    accuracies = {row["method"]: row[column] for row in load("nam").rows("cifar100")}
    nam = accuracies.pop("NAM")
    best = max(accuracies, key=accuracies.get)
    return Finding(max(0.0, accuracies[best] - nam), f"NAM {nam}, {best} {accuracies[best]}")
