"""Put an attention module into a network at its paper's place, and take it out again."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import registry
from attnlib.base import check_size
from attnlib.catalogue import ModuleInfo
from attnlib.networks.parts import copy_modules, without_values
from attnlib.networks.placement import RULES, Placement, branch, is_residual_block, places
from attnlib.networks.wrappers import InPlaceOf, WithAttention


@dataclass(frozen=True)
class AttachedModule:
    """One place where attention was put.

    Attributes:
        path: of the layer that it follows or stands for.
        channels: the width of the map that it takes.
        size: (H, W) of the map, where it had to be found; else None.
        arguments: of the module, with those that followed from the width or the layer.
        how: "after" the layer or "instead" of it.
    """

    path: str
    channels: int
    size: tuple[int, int] | None
    arguments: dict[str, Any]
    how: str = "after"


def attach(
    model: nn.Module,
    name: str,
    image_size: int | tuple[int, int] | None = None,
    placement: Placement | None = None,
    dry_run: bool = False,
    **arguments: Any,
) -> list[AttachedModule]:
    """Put module `name` into `model`, in place, where its paper puts it, initialised as in its paper.

    Weights of the network's own layers stay as they are, whatever was loaded into them before; a checkpoint of the
    plain network may be loaded afterwards too, with `strict=False` (see `WithAttention`). Each module gets its layer's
    device and dtype. A module that stands for a batch norm takes over the norm's parameters and statistics.

    Args:
        model: a network of torchvision, timm or `attnlib.networks`.
        name: a key of `attnlib.list_modules()` or a control.
        image_size: H = W or (H, W) of the images. Needed where a module has parameters for every position, as NAM's
            spatial part; one pass on the meta device then finds the sizes of the maps.
        placement: by default the paper's. Otherwise "block-end", "last-convolution", "stage-end", "middle-stages",
            "norms" or "convolutions" (see `attnlib.networks.RULES`); a path or a pattern of paths with * and ?, such as
            "layer?.*.bn3"; a list of paths; or a function of the model that returns paths.
        dry_run: say what would go where, and change nothing.
        arguments: go to the module; groups and size are chosen per width where they are not given.

    Returns:
        What was put where, in the network's order.

    Raises:
        UnknownNameError: no such module or placement.
        TypeError: a model that is no network; an image_size that is neither a side nor a pair (H, W); a function that
            does not return paths.
        ValueError: the model has attention attached already; nothing matches the placement; a module without a place of
            its own and no placement given; a module that does not fit a layer or gives a map of another shape (the
            message names the layer); a size is needed and no image_size given, or one size is given for all layers. The
            model is then unchanged.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"attach takes a network, got {model!r}; build it first, e.g. by attnlib.networks.create")
    if attention_modules(model):
        raise ValueError(f"{type(model).__name__} has attention attached already; detach it first")
    if image_size is not None:
        check_size("image_size", image_size)
    entry = registry.info(name)
    found = places(model, _chosen(entry, placement))
    _check_arguments(entry, arguments)
    maps = _maps(model, entry, found, image_size, arguments) if _replaced(entry) is None else {}
    planned = [_plan(entry, path, layer, maps.get(path), arguments) for path, layer in found.items()]
    if dry_run:
        return planned

    # Build everything before the model is touched, so that an error leaves it as it was.
    first = next(model.parameters())
    wrapped = {each.path: _wrapped(entry, each, found[each.path], first, model.training) for each in planned}
    for path, module in wrapped.items():
        model.set_submodule(path, module)
    return planned


def detach(model: nn.Module) -> int:
    """Take every attached module out again, in place; returns how many. The network is then what it was."""
    wrapped = {path: m for path, m in model.named_modules() if isinstance(m, WithAttention | InPlaceOf)}
    for path, module in wrapped.items():
        model.set_submodule(path, module.layer if isinstance(module, WithAttention) else module.kept[0])
    return len(wrapped)


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The attached modules by the path of the layer that they follow or stand for."""
    return {path: m.attention for path, m in model.named_modules() if isinstance(m, WithAttention | InPlaceOf)}


def _chosen(entry: ModuleInfo, placement: Placement | None) -> Placement:
    """The placement asked for, or the paper's; refused where a module cannot go there."""
    if placement is None:
        if entry.rule is None:
            raise ValueError(
                f"{entry.key!r} has no place in an existing network: {entry.placement}; say where with placement=..."
            )
        return entry.rule
    if isinstance(placement, str) and placement in RULES:
        rule, replaced = RULES[placement], _replaced(entry)
        if rule.replaces is not replaced:
            fitting = ", ".join(key for key, each in RULES.items() if each.replaces is replaced)
            raise ValueError(f"{entry.key!r} cannot go {rule.words} (placement {placement!r}); choose among {fitting}")
    return placement


def _replaced(entry: ModuleInfo) -> type[nn.Module] | None:
    """The kind of layer that a module stands for; None for one that follows a layer."""
    return None if entry.rule is None else RULES[entry.rule].replaces


def _check_arguments(entry: ModuleInfo, arguments: dict[str, Any]) -> None:
    """Refuse an argument that follows from each layer."""
    own = {"channels", "size"} | ({"out_channels", "stride"} if _replaced(entry) is nn.Conv2d else set())
    for name in own & arguments.keys():
        fix = "give image_size, sizes follow" if name == "size" else "it follows from the layer, leave it out"
        raise ValueError(f"{name}={arguments[name]} cannot be the same for every layer: {fix}")


def _plan(
    entry: ModuleInfo,
    path: str,
    layer: nn.Module,
    found: tuple[int, tuple[int, int] | None] | None,
    arguments: dict[str, Any],
) -> AttachedModule:
    """What goes to one layer; `found` is the width and size of the map behind it, None if the module stands for it."""
    try:
        channels, size, given = _of_the_layer(layer, _replaced(entry)) if found is None else (*found, {})
        chosen = entry.arguments_for(channels, size=size, **(given | arguments))
        _check_shape(entry, channels, size, chosen, layer)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{entry.key!r} does not fit layer {path}: {error}") from error
    return AttachedModule(path, channels, size, chosen, "after" if found is not None else "instead")


def _check_shape(
    entry: ModuleInfo, channels: int, size: tuple[int, int] | None, chosen: dict[str, Any], layer: nn.Module
) -> None:
    """Refuse a module that gives another map than the one it follows, or than the convolution it stands for."""
    x = torch.empty(1, channels, *(size or (28, 28)), device="meta")
    with torch.device("meta"):
        given = registry.create(entry.key, channels, **chosen).eval()(x).shape
    expected = x.shape
    if _replaced(entry) is nn.Conv2d:
        expected = copy_modules(layer, without_values)(x).shape
    if given != expected:
        raise ValueError(f"from a map {tuple(x.shape)} it makes {tuple(given)} where {tuple(expected)} is expected")


def _wrapped(
    entry: ModuleInfo, planned: AttachedModule, layer: nn.Module, first: nn.Parameter, training: bool
) -> nn.Module:
    """The layer with its new module, which is initialised, on the layer's device and in its or the network's mode."""
    module = registry.create(entry.key, planned.channels, **planned.arguments)
    module.network_init_()
    module.to(next(layer.parameters(), first))
    if planned.how == "after":
        wrapper, mode = WithAttention(layer, module), training
    else:
        wrapper, mode = InPlaceOf(layer, module), layer.training
        if isinstance(layer, nn.BatchNorm2d):
            module.norm.load_state_dict(layer.state_dict())
    module.train(mode)
    wrapper.training = mode  # not train(mode), which would reach a layer that somebody froze
    return wrapper


def _of_the_layer(layer: nn.Module, replaced: type[nn.Module]) -> tuple[int, None, dict[str, Any]]:
    """Width, and the arguments that a module takes over from the layer for which it stands."""
    if type(layer) is not replaced:
        raise ValueError(f"it stands for a {replaced.__name__} and for nothing that does more, this one is {layer}")
    if isinstance(layer, nn.BatchNorm2d):
        if not (layer.affine and layer.track_running_stats):
            raise ValueError(f"it stands for batch norms with parameters and running statistics, this one is {layer}")
        return layer.num_features, None, {"eps": layer.eps, "momentum": layer.momentum}
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.stride[0] != layer.stride[1]:
        raise ValueError(f"attention stands for plain convolutions alone, this one is {layer}")
    return layer.in_channels, None, {"out_channels": layer.out_channels, "stride": layer.stride[0]}


def _maps(
    model: nn.Module,
    entry: ModuleInfo,
    found: dict[str, nn.Module],
    image_size: int | tuple[int, int] | None,
    arguments: dict[str, Any],
) -> dict[str, tuple[int, tuple[int, int] | None]]:
    """The width of the map behind each layer, and its size where the module needs it.

    Where they are not written on the layers, one pass on the meta device finds them.
    """
    needs_size = entry.needs_size(arguments)
    if needs_size and image_size is None:
        raise ValueError(f"{entry.key!r} with {arguments} has parameters per position: give image_size=H or (H, W)")
    widths = {path: _width(layer) for path, layer in found.items()}
    if not needs_size and None not in widths.values():
        return {path: (width, None) for path, width in widths.items()}
    maps = {}
    for path, shape in output_shapes(model, list(found), 224 if image_size is None else image_size).items():
        if shape is None or len(shape) != 4:
            raise ValueError(
                f"layer {path} ({type(found[path]).__name__}) gives {shape or 'no tensor'}; attention follows layers "
                "that give a map (N, C, H, W)"
            )
        maps[path] = (shape[1], shape[2:] if needs_size else None)
    return maps


def _width(layer: nn.Module) -> int | None:
    """Channels behind a norm, a convolution or a residual block; None where it is not written on the layer."""
    chain = isinstance(layer, nn.Sequential) or is_residual_block(layer)  # others may join what their layers give
    last = list((branch(layer) if chain else {}).values() or [layer])[-1]
    return next(
        (getattr(last, name) for name in ("num_features", "out_channels", "num_channels") if hasattr(last, name)), None
    )


def output_shapes(
    model: nn.Module, paths: list[str], image_size: int | tuple[int, int]
) -> dict[str, tuple[int, ...] | None]:
    """Shape of what each layer gives for one image of this size, by a pass on the meta device; None if no tensor.

    Where all layers are in the model's `backbone`, as in a detector, only that runs.

    Raises:
        ValueError: a model without a convolution, or one that cannot take such an image.
    """
    height, width = check_size("image_size", image_size)
    prefix = "backbone." if hasattr(model, "backbone") and all(path.startswith("backbone.") for path in paths) else ""
    shadow = copy_modules(model.backbone if prefix else model, without_values).eval()
    shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(paths)
    for path in paths:

        def note(module: nn.Module, args: Any, output: Any, path: str = path) -> None:
            shapes[path] = tuple(output.shape) if isinstance(output, Tensor) else None

        shadow.get_submodule(path.removeprefix(prefix)).register_forward_hook(note)
    first = next((m for m in shadow.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f"{type(model).__name__} has no convolution, so that no image can be sent through it")
    image = torch.empty(1, first.in_channels, height, width, device="meta", dtype=first.weight.dtype)
    try:
        shadow(image)
    except RuntimeError as error:
        raise ValueError(f"{type(model).__name__} cannot take an image of {height} x {width}: {error}") from error
    return shapes
