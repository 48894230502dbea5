"""Where in a network a module goes: rules that find the places by the names of layers.

What the names do not say, `structure.py` sees in a pass through the network; `by_structure` joins both: where the names
lead into the branch of a block their place is kept, else it is the last layer that changes the branch.

By name, a network's residual blocks are known by what torchvision's, timm's and our own have in common: a block has
an attribute `downsample` or `shortcut` (ResNets), `use_res_connect` (torchvision's MobileNetV2) or `has_skip`
(timm's), and two convolutions or more; the layers of its branch are its own convolutions and norms in the order of
their definition, the shortcut's left out. Stages are children called layer1, layer2 and so on; where no child has
such a name, a stage begins at every residual block with a stride. In a network without shortcuts, such as VGG or
MobileNetV1, the children of the stages take the place of the blocks.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from attnlib.errors import unknown
from attnlib.networks.structure import Seen

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
        if isinstance(child, nn.Conv2d) or is_norm(child):
            found[prefix + name] = child
        elif isinstance(child, nn.Sequential) or "Conv" in type(child).__name__:  # timm's ConvNormAct is no Sequential
            found |= branch(child, f"{prefix}{name}.")
    return found


def stages(model: nn.Module) -> list[Paths]:
    """The blocks and other layers with parameters of each stage, by their paths."""
    return _named_stages(model) or _stages_by_stride(model)


def _named_stages(model: nn.Module) -> list[Paths]:
    return [
        {f"{path}.{name}": child for name, child in module.named_children() if any(True for _ in child.parameters())}
        for path, module in model.named_modules()
        if isinstance(module, nn.Sequential) and re.fullmatch(r"layer\d+", path.rpartition(".")[2])
    ]


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
    return {path: model.get_submodule(path) for path in _ends_of([list(stage) for stage in stages(model)])}


def _ends_of(groups: list[list[str]]) -> list[str]:
    return [paths[-1] for paths in groups[:-1] if paths]


def _middle_stages(model: nn.Module) -> Paths:
    units = _units(model)
    return {path: units[path] for path in _middle_of([list(stage) for stage in stages(model)], set(units))}


def _middle_of(groups: list[list[str]], units: set[str]) -> list[str]:
    found = []
    for group, count in zip(groups[1:3], (2, 3), strict=False):
        paths = [path for path in group if path in units]
        step = max(1, len(paths) // count)
        found += paths[step - 1 : step * count : step]
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
        raise no_place(model, looked_for)
    refuse_nested(found)
    return found


def no_place(model: nn.Module, looked_for: str) -> ValueError:
    """The error of a network in which a placement finds nothing."""
    return ValueError(
        f"{type(model).__name__} has no place for the module: {looked_for}; say where with placement=, a pattern such "
        "as 'layer?.*.bn3'"
    )


def refuse_nested(found: Iterable[str]) -> None:
    """Refuse a layer and one inside of it.

    Raises:
        ValueError: the message names both.
    """
    for path in found:
        if outer := [other for other in found if path.startswith(f"{other}.")]:
            raise ValueError(f"the placement finds {outer[0]} and {path} inside of it; one module goes to one of them")


def by_structure(
    model: nn.Module, key: str, named: Paths, seen: Seen, gives_map: Callable[[str], bool]
) -> tuple[Paths, list[str], list[str]]:
    """Places of the rule `key` in a network that was seen at work.

    Args:
        model: the network.
        key: a rule.
        named: what the rule finds by name.
        seen: what a pass showed.
        gives_map: whether a layer gives a map that a module can take.

    Returns:
        The places, the paths of the blocks that they serve, and of those that they miss; no blocks for a rule that does
        not go into every block.
    """
    layers = dict(model.named_modules())
    by_name = residual_blocks(model)
    if key in ("stage-end", "middle-stages") and seen.blocks and not _named_stages(model):
        if list(by_name) == [path for path in layers if path in seen.blocks]:
            return named, [], []
        groups = _by_size(seen, [path for path in seen.blocks if path in layers and gives_map(path)])
        found = _ends_of(groups) if key == "stage-end" else _middle_of(groups, {p for group in groups for p in group})
        return {path: layers[path] for path in found}, [], []
    if key not in ("block-end", "last-convolution") or not seen.blocks:
        return named, [], []

    served, missed, chosen = [], [], set()
    for path, block in seen.blocks.items():
        inside = [each for each in named if each in block.branch]
        if not inside and key == "block-end":
            inside = [each for each in block.ends if gives_map(each)]
        if inside:
            chosen.add(inside[-1] if inside[-1] in named else inside[0])
        (served if inside else missed).append(path)
    for path in named if by_name else ():  # what was not called, or is no block by what it does
        block = max((each for each in by_name if path.startswith(f"{each}.")), key=len)
        touched = any(each == block or each.startswith(f"{block}.") for each in seen.blocks)
        if not touched and not any(path.startswith(f"{each}.") for each in seen.blocks):
            chosen.add(path)
            served.append(block)
    return {path: layer for path, layer in layers.items() if path in chosen}, served, missed


def _by_size(seen: Seen, paths: list[str]) -> list[list[str]]:
    """Blocks in the order of their calls, a new group wherever the shape of the map changes."""
    groups: list[list[str]] = []
    for n, path in enumerate(paths):
        if n == 0 or seen.blocks[path].shape != seen.blocks[paths[n - 1]].shape:
            groups.append([])
        groups[-1].append(path)
    return groups


def _listed(layers: Paths, paths: Iterable[str]) -> Paths:
    if isinstance(paths, str) or not isinstance(paths, Iterable):
        raise TypeError(f"placement must give a list of paths, got {paths!r}")
    wanted = list(paths)
    if strangers := [path for path in wanted if path not in layers]:
        raise ValueError(f"the model has no layer {strangers[0]!r}; paths are those of model.named_modules()")
    return {path: layer for path, layer in layers.items() if path in wanted}


def _convolutions(block: nn.Module) -> Paths:
    return {name: layer for name, layer in branch(block).items() if isinstance(layer, nn.Conv2d)}


def is_norm(layer: nn.Module) -> bool:
    # By name: torchvision's frozen and timm's own batch norms are no nn.BatchNorm2d. What also convolves is a block,
    # and a norm of sequences or videos is behind no map (N, C, H, W).
    name = type(layer).__name__
    return "Norm" in name and "Conv" not in name and not name.endswith(("1d", "3d"))
