"""What the tests of the backbones count and train."""

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module

import torch
from torch import nn

from attnlib.networks import zoo
from attnlib.profiling.cost import profile


def named_in(module: str) -> dict[str, tuple[Callable[..., nn.Module], int]]:
    """{name: (builder, side of the images)} of the networks that this module of attnlib.networks builds."""
    source = import_module(f"attnlib.networks.{module}")
    entries = {name: (*entry.target.split(":"), entry) for name, entry in zoo._NETWORKS.items()}
    return {
        name: (partial(getattr(source, function), **entry.arguments), entry.side)
        for name, (place, function, entry) in entries.items()
        if place == module
    }


def parameters(build, *arguments, **options):
    """Of the network that `build` makes, made without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(*arguments, **options).parameters())


def million_macs(build, image_size, **options):
    """Of one image, in convolutions and linear layers, of which the networks consist; their weights stay unset."""
    with torch.device("meta"):
        model = build(**options)
    macs = profile(model.to_empty(device="cpu"), image_size).macs_by_operator
    assert macs.keys() <= {"convolution", "linear"}
    return sum(macs.values()) / 1e6


def unlearned(model, image_size, classes):
    """Parameters without a finite gradient after one step on two images, and those whose gradient is 0 throughout."""
    scores = model(torch.randn(2, 3, image_size, image_size))
    assert scores.shape == (2, classes)
    nn.functional.cross_entropy(scores, torch.tensor([0, classes - 1])).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all() or not grad.any()]


def repeats_under_a_seed(build, **options):
    """Whether two networks under one seed are equal, and one under another seed is not."""
    states = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        states.append(build(**options).state_dict())
    first, second, other = states
    return all(torch.equal(first[name], second[name]) for name in first) and any(
        not torch.equal(first[name], other[name]) for name in first
    )


def not_fan_out_initialised(model):
    """Convolutions whose weights are not N(0, 2 / (k^2 C_out)), by six standard errors, and biases other than 0."""
    wrong = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            side, _ = module.kernel_size
            spread = module.weight.std(correction=0).item() / math.sqrt(2 / (side**2 * module.out_channels))
            wrong += [f"{name}.weight"] * (abs(spread - 1) > 6 / math.sqrt(2 * module.weight.numel()))
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            wrong += [f"{name}.bias"] * bool(module.bias.any())
    return wrong


def shuffle_norms_(model):
    """Scales, shifts and statistics that no two norms share, so that swapped norms or a missing one show."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.normal_()
            module.running_var.uniform_(0.5, 2)
    return model


def branch_end(block):
    """The last child that is a convolution or a norm: where `attach` finds the end of a residual branch."""
    return [child for child in block.children() if isinstance(child, nn.Conv2d | nn.BatchNorm2d)][-1]
