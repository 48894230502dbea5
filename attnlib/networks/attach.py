"""Put an attention module into a network at its paper's place, and take it out again."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import registry
from attnlib.base import check_size
from attnlib.catalogue import ModuleInfo
from attnlib.networks.placement import RULES, branch, places

Placement = str | Callable[[nn.Module], Iterable[str]]


class WithAttention(nn.Module):
    """A layer and the attention module that follows it.

    It stands where the layer stood, so that the network's own forward needs no change; the layer's entries in the
    state dict gain the prefix `layer.`, and `detach` takes it away again.
    """

    def __init__(self, layer: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.layer, self.attention = layer, attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.layer(x))


class InPlaceOf(nn.Module):
    """An attention module that stands for a layer; the layer is kept aside for `detach`, outside of the state dict."""

    def __init__(self, layer: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.kept = (layer,)  # in a tuple, so that it is no submodule

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)


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

    Weights of the network's own layers stay as they are. Each module gets its layer's device and dtype. A module that
    stands for a batch norm takes over the norm's parameters and statistics.

    Args:
        model: a network of torchvision, timm or `attnlib.networks`; of a detector, its `backbone`.
        name: a key of `attnlib.list_modules()` or a control.
        image_size: H = W or (H, W) of the images. Needed where a module has parameters for every position, as NAM's
            spatial part; one pass on the meta device then finds the sizes of the maps.
        placement: by default the paper's. Otherwise "block-end", "last-convolution", "stage-end", "middle-stages",
            "norms" or "convolutions" (see `attnlib.networks.RULES`); a pattern of paths with * and ?, such as
            "layer?.*.bn3"; or a function of the model that returns paths.
        dry_run: say what would go where, and change nothing.
        arguments: go to the module; groups and size are chosen per width where they are not given.

    Returns:
        What was put where, in the network's order.

    Raises:
        UnknownNameError: no such module or placement.
        TypeError: an image_size that is neither a side nor a pair (H, W).
        ValueError: the model has attention attached already; nothing matches the placement; a module without a place of
            its own and no placement given; a module that does not fit a layer (the message names it); a size is needed
            and no image_size given, or one size is given for all layers. The model is then unchanged.
    """
    if attention_modules(model):
        raise ValueError(f"{type(model).__name__} has attention attached already; detach it first")
    entry = registry.info(name)
    found = places(model, _chosen(entry, placement))
    if "size" in arguments:
        raise ValueError(f"size={arguments['size']} cannot be the same for every layer: give image_size, sizes follow")
    instead = _stands_for(entry)
    if instead is not None:
        for path, layer in found.items():
            if not isinstance(layer, instead):
                raise ValueError(f"{name!r} stands for a {instead.__name__}, but layer {path} is {layer}")
    maps = _maps(model, entry, found, image_size, arguments) if instead is None else {}

    # Build everything before the model is touched, so that a layer that does not fit leaves it as it was.
    built, attached = [], []
    for path, layer in found.items():
        try:
            channels, size, given = (*maps[path], {}) if instead is None else _of_the_layer(layer)
            chosen = entry.arguments_for(channels, size=size, **(given | arguments))
            module = registry.create(name, channels, **chosen)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name!r} does not fit layer {path}: {error}") from error
        module.network_init_()
        built.append(module.to(next(layer.parameters(), next(model.parameters()))))
        if instead is nn.BatchNorm2d:
            module.norm.load_state_dict(layer.state_dict())
        attached.append(AttachedModule(path, channels, size, chosen, "after" if instead is None else "instead"))
    if not dry_run:
        wrap = WithAttention if instead is None else InPlaceOf
        for (path, layer), module in zip(found.items(), built, strict=True):
            model.set_submodule(path, wrap(layer, module.train(model.training)))
    return attached


def detach(model: nn.Module) -> int:
    """Take every attached module out again, in place; returns how many. The network is then what it was."""
    wrapped = {path: m for path, m in model.named_modules() if isinstance(m, WithAttention | InPlaceOf)}
    for path, module in wrapped.items():
        if isinstance(module, WithAttention):
            layer = module.layer
        else:  # it has not followed the model to another device or mode
            like = next(module.attention.parameters())
            layer = module.kept[0].to(like).train(module.training)
        model.set_submodule(path, layer)
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
        rule, own = RULES[placement], entry.rule is not None and RULES[entry.rule].instead
        if rule.instead != own or (own and placement != entry.rule):
            fitting = [entry.rule] if own else [key for key, each in RULES.items() if not each.instead]
            raise ValueError(
                f"{entry.key!r} cannot go {rule.words} (placement {placement!r}); choose among {', '.join(fitting)}"
            )
    return placement


def _stands_for(entry: ModuleInfo) -> type[nn.Module] | None:
    """The kind of layer that a module replaces; None for one that follows a layer."""
    return {"norms": nn.BatchNorm2d, "convolutions": nn.Conv2d}.get(entry.rule or "")


def _of_the_layer(layer: nn.Module) -> tuple[int, None, dict[str, Any]]:
    """Width, and the arguments that a module takes over from the layer for which it stands."""
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
    last = list(branch(layer).values() or [layer])[-1]
    return next(
        (getattr(last, name) for name in ("num_features", "out_channels", "num_channels") if hasattr(last, name)), None
    )


def output_shapes(
    model: nn.Module, paths: list[str], image_size: int | tuple[int, int]
) -> dict[str, tuple[int, ...] | None]:
    """Shape of what each layer gives for one image of this size, by a pass on the meta device; None if no tensor."""
    height, width = check_size("image_size", image_size)
    shadow = copy.deepcopy(model).to("meta").eval()
    shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(paths)
    for path in paths:

        def note(module: nn.Module, args: Any, output: Any, path: str = path) -> None:
            shapes[path] = tuple(output.shape) if isinstance(output, Tensor) else None

        shadow.get_submodule(path).register_forward_hook(note)
    first = next(m for m in shadow.modules() if isinstance(m, nn.Conv2d))
    shadow(torch.empty(1, first.in_channels, height, width, device="meta", dtype=first.weight.dtype))
    return shapes
