"""Where in a network a module goes: rules that find the places of any ResNet-like model.

A network's residual blocks are known by what torchvision's, timm's and our own have in common: a block has an
attribute `downsample` (ResNets), `use_res_connect` (torchvision's MobileNetV2) or `has_skip` (timm's); the layers of
its branch are its own convolutions and norms in the order of their definition, the shortcut's left out. Stages are
children called layer1, layer2 and so on.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from attnlib.errors import unknown

SHORTCUTS = ("downsample", "shortcut")
BLOCK_MARKS = ("downsample", "use_res_connect", "has_skip")
Paths = dict[str, nn.Module]


@dataclass(frozen=True)
class Rule:
    """A named rule: what it finds in a model, in words, and whether a module follows each layer or stands for it."""

    find: Callable[[nn.Module], Paths]
    words: str
    instead: bool = False


def residual_blocks(model: nn.Module) -> Paths:
    """Every residual block by its path."""
    return {
        path: module
        for path, module in model.named_modules()
        if any(hasattr(module, mark) for mark in BLOCK_MARKS) and branch(module)
    }


def branch(block: nn.Module, prefix: str = "") -> Paths:
    """The convolutions and norms of a block's residual branch, by their path inside it, in the order of definition."""
    found: Paths = {}
    for name, child in block.named_children():
        if name in SHORTCUTS:
            continue
        if _is_convolution(child) or _is_norm(child):
            found[prefix + name] = child
        elif isinstance(child, nn.Sequential):
            found |= branch(child, f"{prefix}{name}.")
    return found


def stages(model: nn.Module) -> list[tuple[str, nn.Sequential]]:
    """The stages, as path and module: layer1, layer2 ..., wherever in the model they are."""
    return [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.Sequential) and re.fullmatch(r"layer\d+", path.rpartition(".")[2])
    ]


def _block_ends(model: nn.Module) -> Paths:
    return {f"{path}.{name}": layer for path, name, layer in _lasts(model, lambda layer: True)}


def _last_convolutions(model: nn.Module) -> Paths:
    return {f"{path}.{name}": layer for path, name, layer in _lasts(model, _is_convolution)}


def _lasts(model: nn.Module, wanted: Callable[[nn.Module], bool]) -> Iterable[tuple[str, str, nn.Module]]:
    """Of each block's branch the last layer of a kind."""
    for path, block in residual_blocks(model).items():
        layers = [(name, layer) for name, layer in branch(block).items() if wanted(layer)]
        if layers:
            yield path, *layers[-1]


def _stage_ends(model: nn.Module) -> Paths:
    return {f"{path}.{len(stage) - 1}": stage[-1] for path, stage in stages(model)[:-1]}


def _middle_stages(model: nn.Module) -> Paths:
    found: Paths = {}
    for (path, stage), count in zip(stages(model)[1:3], (2, 3), strict=False):
        step = max(1, len(stage) // count)
        for index in range(step - 1, min(len(stage), step * count), step):
            found[f"{path}.{index}"] = stage[index]
    return found


def _main_path_norms(model: nn.Module) -> Paths:
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d) and not set(path.split(".")) & set(SHORTCUTS)
    }


def _wide_convolutions(model: nn.Module) -> Paths:
    return {
        f"{path}.{name}": layer
        for path, block in residual_blocks(model).items()
        for name, layer in branch(block).items()
        if _is_convolution(layer) and max(layer.kernel_size) > 1
    }


RULES = {
    "block-end": Rule(_block_ends, "behind the last layer of every residual branch, before the shortcut is added"),
    "last-convolution": Rule(
        _last_convolutions, "behind the last convolution of every residual branch, before its norm"
    ),
    "stage-end": Rule(_stage_ends, "behind the last block of every stage but the last"),
    "middle-stages": Rule(
        _middle_stages, "behind two blocks of the second stage and three of the third, evenly spaced"
    ),
    "norms": Rule(_main_path_norms, "in place of every batch norm that is not in a shortcut", instead=True),
    "convolutions": Rule(
        _wide_convolutions,
        "in place of every convolution of the residual blocks that is wider than 1 x 1",
        instead=True,
    ),
}


def places(model: nn.Module, placement: str | Callable[[nn.Module], Iterable[str]]) -> Paths:
    """The layers where `placement` puts a module, by their paths, in the network's order.

    Args:
        model: the network.
        placement: a name from RULES; a pattern of paths with * and ?, such as "layer?.*.bn3"; or a function of the
            model that returns paths.

    Raises:
        ValueError: nothing matches, the message says what was looked for; or a layer and one inside of it match.
        AttributeError: a function returned a path that the model does not have.
    """
    if callable(placement):
        found = {path: model.get_submodule(path) for path in placement(model)}
        looked_for = f"{getattr(placement, '__name__', placement)} returned no path"
    elif placement in RULES:
        found = RULES[placement].find(model)
        looked_for = f"placement {placement!r} goes {RULES[placement].words}"
    elif set(placement) & set(".*?["):
        found = {path: module for path, module in model.named_modules() if path and fnmatchcase(path, placement)}
        looked_for = f"no path matches {placement!r}"
    else:
        raise unknown("placement", placement, [*RULES])
    if not found:
        raise ValueError(f"{type(model).__name__} has no place for the module: {looked_for}; see attnlib attach --help")
    for path in found:
        if outer := [other for other in found if path.startswith(f"{other}.")]:
            raise ValueError(f"the placement finds {outer[0]} and {path} inside of it; one module goes to one of them")
    return found


def _is_convolution(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d)


def _is_norm(layer: nn.Module) -> bool:
    return "Norm" in type(layer).__name__  # torchvision's frozen and timm's own batch norms are no nn.BatchNorm2d
