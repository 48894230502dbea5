"""Where in a network a module goes: rules that find the places of any ResNet-like model.

A network's residual blocks are known by what torchvision's, timm's and our own have in common: a block has an attribute
`downsample` or `shortcut` (ResNets), `use_res_connect` (torchvision's MobileNetV2) or `has_skip` (timm's), and two
convolutions or more; the layers of its branch are its own convolutions and norms in the order of their definition, the
shortcut's left out. Stages are children called layer1, layer2 and so on; where no child has such a name, a stage begins
at every residual block with a stride. In a network without shortcuts, such as VGG or MobileNetV1, the children of the
stages take the place of the blocks.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from attnlib.errors import unknown

SHORTCUTS = ("downsample", "shortcut")
BLOCK_MARKS = (*SHORTCUTS, "use_res_connect", "has_skip")
Paths = dict[str, nn.Module]
Placement = str | Iterable[str] | Callable[[nn.Module], Iterable[str]]


@dataclass(frozen=True)
class Rule:
    """A named rule: what it finds in a model, in words; and the kind of layer that a module then stands for.

    `replaces` is None where a module follows the layer.
    """

    find: Callable[[nn.Module], Paths]
    words: str
    replaces: type[nn.Module] | None = None


def residual_blocks(model: nn.Module) -> Paths:
    """Every residual block by its path."""
    return {path: module for path, module in model.named_modules() if is_residual_block(module)}


def is_residual_block(module: nn.Module) -> bool:
    """Whether a module is marked as a residual block and has two convolutions or more in its branch."""
    return any(hasattr(module, mark) for mark in BLOCK_MARKS) and len(_convolutions(module)) > 1


def branch(block: nn.Module, prefix: str = "") -> Paths:
    """The convolutions and norms of a block's residual branch, by their path inside it, in the order of definition."""
    found: Paths = {}
    for name, child in block.named_children():
        if name in SHORTCUTS:
            continue
        if isinstance(child, nn.Conv2d) or _is_norm(child):
            found[prefix + name] = child
        elif isinstance(child, nn.Sequential) or "Conv" in type(child).__name__:  # timm's ConvNormAct is no Sequential
            found |= branch(child, f"{prefix}{name}.")
    return found


def stages(model: nn.Module) -> list[Paths]:
    """The blocks and other layers with parameters of each stage, by their paths."""
    named = [
        {f"{path}.{name}": child for name, child in module.named_children() if any(True for _ in child.parameters())}
        for path, module in model.named_modules()
        if isinstance(module, nn.Sequential) and re.fullmatch(r"layer\d+", path.rpartition(".")[2])
    ]
    return named or _stages_by_stride(model)


def _stages_by_stride(model: nn.Module) -> list[Paths]:
    found: list[Paths] = []
    for path, block in residual_blocks(model).items():
        if not found or any(max(layer.stride) > 1 for layer in _convolutions(block).values()):
            found.append({})
        found[-1][path] = block
    return found


def _units(model: nn.Module) -> Paths:
    """The residual blocks; in a network without any, all of its stages that convolves."""
    everything = {path: layer for stage in stages(model) for path, layer in stage.items()}
    return residual_blocks(model) or {path: layer for path, layer in everything.items() if _convolutions(layer)}


def _block_ends(model: nn.Module) -> Paths:
    if not residual_blocks(model):
        return _units(model)
    return _last_of_each(model, branch)


def _last_convolutions(model: nn.Module) -> Paths:
    return _last_of_each(model, _convolutions)


def _last_of_each(model: nn.Module, layers: Callable[[nn.Module], Paths]) -> Paths:
    found = {}
    for path, unit in _units(model).items():
        if inside := layers(unit):
            name = list(inside)[-1]
            found[f"{path}.{name}"] = inside[name]
    return found


def _stage_ends(model: nn.Module) -> Paths:
    return dict(list(stage.items())[-1] for stage in stages(model)[:-1] if stage)


def _middle_stages(model: nn.Module) -> Paths:
    units, found = _units(model), {}
    for stage, count in zip(stages(model)[1:3], (2, 3), strict=False):
        paths = [path for path in stage if path in units]
        step = max(1, len(paths) // count)
        found |= {path: units[path] for path in paths[step - 1 : step * count : step]}
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
        for name, layer in _convolutions(block).items()
        if max(layer.kernel_size) > 1
    }


RULES = {
    "block-end": Rule(
        _block_ends,
        "behind the last layer of every residual branch, before the shortcut is added; without shortcuts behind every "
        "block or convolution of the stages, its ReLU included",
    ),
    "last-convolution": Rule(
        _last_convolutions, "behind the last convolution of every residual branch, before its norm"
    ),
    "stage-end": Rule(_stage_ends, "behind the last block of every stage but the last"),
    "middle-stages": Rule(
        _middle_stages, "behind two blocks of the second stage and three of the third, evenly spaced"
    ),
    "norms": Rule(_main_path_norms, "in place of every batch norm that is not in a shortcut", replaces=nn.BatchNorm2d),
    "convolutions": Rule(
        _wide_convolutions,
        "in place of every convolution of the residual blocks that is wider than 1 x 1",
        replaces=nn.Conv2d,
    ),
}


def places(model: nn.Module, placement: Placement) -> Paths:
    """The layers where `placement` puts a module, by their paths, in the network's order.

    Args:
        model: the network.
        placement: a name from RULES; a path, or a pattern of paths with * and ?, such as "layer?.*.bn3", in which *
            stands for dots too; a list of paths; or a function of the model that returns paths.

    Raises:
        UnknownNameError: neither a rule nor a path.
        TypeError: a function that does not return paths.
        ValueError: nothing matches, the message says what was looked for; a path that the model does not have; or a
            layer and one inside of it match.
    """
    layers = {path: module for path, module in model.named_modules() if path}
    if isinstance(placement, str) and placement in RULES:
        found = RULES[placement].find(model)
        looked_for = f"placement {placement!r} goes {RULES[placement].words}"
    elif isinstance(placement, str):
        found = {path: module for path, module in layers.items() if fnmatchcase(path, placement)}
        looked_for = f"no path matches {placement!r}"
        if not found and not set(placement) & set("*?["):
            raise unknown("placement", placement, [*RULES, *layers])
    else:
        found = _listed(layers, placement(model) if callable(placement) else placement)
        looked_for = f"{getattr(placement, '__name__', 'the list')} gives no path"
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no place for the module: {looked_for}; say where with placement=, a pattern "
            "such as 'layer?.*.bn3'"
        )
    for path in found:
        if outer := [other for other in found if path.startswith(f"{other}.")]:
            raise ValueError(f"the placement finds {outer[0]} and {path} inside of it; one module goes to one of them")
    return found


def _listed(layers: Paths, paths: Iterable[str]) -> Paths:
    if isinstance(paths, str) or not isinstance(paths, Iterable):
        raise TypeError(f"placement must give a list of paths, got {paths!r}")
    wanted = list(paths)
    if strangers := [path for path in wanted if path not in layers]:
        raise ValueError(f"the model has no layer {strangers[0]!r}; paths are those of model.named_modules()")
    return {path: layer for path, layer in layers.items() if path in wanted}


def _convolutions(block: nn.Module) -> Paths:
    return {name: layer for name, layer in branch(block).items() if isinstance(layer, nn.Conv2d)}


def _is_norm(layer: nn.Module) -> bool:
    # By name: torchvision's frozen and timm's own batch norms are no nn.BatchNorm2d. What also convolves is a block,
    # and a norm of sequences or videos is behind no map (N, C, H, W).
    name = type(layer).__name__
    return "Norm" in name and "Conv" not in name and not name.endswith(("1d", "3d"))
