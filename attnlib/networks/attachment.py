"""Put an attention module into a network at its paper's place, and take it out again."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from attnlib import registry
from attnlib.base import check_flag, check_size
from attnlib.catalogue import ModuleInfo
from attnlib.networks.maps import Look, Map, output_shapes, prefix_of
from attnlib.networks.parts import copy_modules, without_values
from attnlib.networks.placement import RULES, Paths, Placement, by_structure, no_place, places, refuse_nested
from attnlib.networks.wrappers import InPlaceOf, WithAttention

__all__ = ["AttachedModule", "InPlaceOf", "WithAttention", "attach", "attention_modules", "detach", "output_shapes"]


@dataclass(frozen=True)
class AttachedModule:
    """One place where attention was put.

    Attributes:
        path: of the layer that it follows or stands for.
        channels: the width of the map that it takes.
        size: (H, W) of the map, where it had to be found; else None.
        arguments: of the module, with those that followed from the width or the layer.
        how: "after" the layer or "instead" of it.
        channels_last: whether the layer gives (N, H, W, C); the module gets the map as (N, C, H, W) all the same.
    """

    path: str
    channels: int
    size: tuple[int, int] | None
    arguments: dict[str, Any]
    how: str = "after"
    channels_last: bool = False


class Attached(list[AttachedModule]):
    """What was put where, in the network's order.

    Attributes:
        blocks: how many residual blocks the network has, where the placement goes into every block; else None.
        missed: paths of the blocks that got no module.
    """

    blocks: int | None = None
    missed: tuple[str, ...] = ()


def attach(
    model: nn.Module,
    name: str,
    image_size: int | tuple[int, int] | None = None,
    placement: Placement | None = None,
    dry_run: bool = False,
    strict: bool = False,
    replace: bool | None = None,
    inputs: Sequence[Any] | None = None,
    **arguments: Any,
) -> Attached:
    """Put module `name` into `model`, in place, where its paper puts it, initialised as in its paper.

    Weights of the network's own layers stay as they are, whatever was loaded into them before; a checkpoint of the
    plain network may be loaded afterwards too, with `strict=False` (see `WithAttention`). Each module gets its layer's
    device and dtype. A module that stands for a batch norm takes over the norm's parameters and statistics. The
    optimiser, a moving average of the weights, SyncBatchNorm and DistributedDataParallel are made afterwards: none of
    them learns of parameters that come later.

    A pass of a copy on the meta device shows which blocks there are, whatever their names, and where in a map the
    channels are; hooks on the network run in it, on tensors without values. Maps (N, H, W, C), as in ConvNeXt and Swin,
    are turned for the module and back. A layer under two names has one module behind it under both.

    Args:
        model: a network of torchvision, timm or `attnlib.networks`, or one of your own.
        name: a key of `attnlib.list_modules()` or a control.
        image_size: H = W or (H, W) of the images. Needed where a module has parameters for every position, as NAM's
            spatial part. Default for the pass: 224, then 32.
        placement: by default the paper's. Otherwise "block-end", "last-convolution", "stage-end", "middle-stages",
            "norms" or "convolutions" (see `attnlib.networks.RULES`); a path or a pattern of paths with * and ?, such as
            "layer?.*.bn3"; a list of paths; or a function of the model that returns paths.
        dry_run: say what would go where, and change nothing.
        strict: what is a warning otherwise is an error: blocks without a place, a network that cannot be run for the
            pass, a layer that the pass does not call, a network that has such gates already.
        replace: True puts the module in the place of the gates that the network has, such as SE, or of the modules that
            were attached before; False puts it beside the network's gates without a warning.
        inputs: the arguments of a network that takes anything else than one image, as (image, time step).
        arguments: go to the module; groups and size are chosen per width where they are not given.

    Returns:
        What was put where, in the network's order; its `blocks` says of how many blocks.

    Raises:
        UnknownNameError: no such module or placement.
        TypeError: a model that is no network, or scripted; an image_size that is neither a side nor a pair (H, W); a
            function that does not return paths.
        ValueError: the model has attention attached already, and replace is not True; nothing matches the placement; a
            network of sequences or videos; a module without a place of its own and no placement given; a module that
            does not fit a layer or gives a map of another shape (the message names the layer); a size is needed and no
            image_size given, or one size is given for all layers; DistributedDataParallel around the model. The model
            is then unchanged.

    Warns:
        UserWarning: what `strict` makes an error.
    """
    return _attach(model, name, image_size, placement, arguments, dry_run, strict, replace, inputs)


def attach_by_name(
    model: nn.Module, name: str, image_size: int | tuple[int, int], placement: Placement | None, **arguments: Any
) -> Attached:
    """As `attach` into a network of this package, whose layers have the names that the rules know: without a pass."""
    return _attach(model, name, image_size, placement, arguments, by_name=True)


def _attach(
    model: nn.Module,
    name: str,
    image_size: int | tuple[int, int] | None,
    placement: Placement | None,
    arguments: dict[str, Any],
    dry_run: bool = False,
    strict: bool = False,
    replace: bool | None = None,
    inputs: Sequence[Any] | None = None,
    by_name: bool = False,
) -> Attached:
    if not isinstance(model, nn.Module):
        raise TypeError(f"attach takes a network, got {model!r}; build it first, e.g. by attnlib.networks.create")
    _refuse_wrapped(model)
    if image_size is not None:
        check_size("image_size", image_size)
    check_flag("strict", strict)
    entry = registry.info(name)
    if before := _wrappers(model):
        if not replace:
            raise ValueError(
                f"{type(model).__name__} has attention attached already; detach it first, or replace=True puts "
                f"{name!r} in its place"
            )
        where, stood = _places_of(entry, before) if placement is None else (placement, False)
        detach(model)
        try:
            attached = _attach(model, name, image_size, where, arguments, dry_run, strict, stood, inputs)
        except BaseException:
            _put(model, before)
            raise
        if dry_run:
            _put(model, before)
        return attached
    _refuse_other_dimensions(model)
    notes: list[str] = []
    if replace:
        _check_arguments(entry, arguments)
        look = _look(model, [], image_size, inputs)
        found, blocks, missed = _gates(model, entry, placement, look), None, []
    else:
        chosen = _chosen(entry, placement)
        look, found, blocks, missed = _find(model, chosen, image_size, inputs, by_name, notes)
        _check_arguments(entry, arguments)
        if replace is None and not by_name and chosen == "block-end":
            notes += _words_on_gates(model, name, look)
    attached = Attached(_plans(entry, found, look, image_size, arguments, replaced=bool(replace)))
    aliases = _aliases(model, found)
    for names in aliases.values():
        if len(names) > 1 and entry.needs_size(arguments):
            raise ValueError(f"{' and '.join(names)} are one layer, and {name!r} has parameters for one map size")
    if blocks is not None:
        attached.blocks, attached.missed = blocks, tuple(missed)
    if missed:
        which = ", ".join(missed[:3]) + (", ..." if len(missed) > 3 else "")
        notes.append(
            f"{blocks - len(missed)} of {blocks} blocks of {type(model).__name__} have a place for {name!r}, "
            f"not {which}, where no layer gives the map that is added; say where with placement="
        )
    notes += _held_elsewhere(model, found)
    for note in notes:
        if strict:
            raise ValueError(note)
        warnings.warn(note, stacklevel=3)
    if dry_run:
        return attached

    # Build everything before the model is touched, so that an error leaves it as it was.
    first = next(model.parameters())
    wrapped = {each.path: _wrapped(entry, each, found[each.path], first, model.training) for each in attached}
    _put(model, {each: module for path, module in wrapped.items() for each in aliases[path]})
    return attached


def detach(model: nn.Module) -> int:
    """Take every attached module out again, in place; returns how many. The network is then what it was."""
    wrapped = _wrappers(model)
    _put(model, {path: _behind(module) for path, module in wrapped.items()})
    return len(set(wrapped.values()))


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The attached modules by the path of the layer that they follow or stand for."""
    return {path: m.attention for path, m in model.named_modules() if isinstance(m, WithAttention | InPlaceOf)}


def _wrappers(model: nn.Module) -> dict[str, WithAttention | InPlaceOf]:
    """What stands for a layer with attention, under all of its names."""
    everything = model.named_modules(remove_duplicate=False)
    return {path: module for path, module in everything if isinstance(module, WithAttention | InPlaceOf)}


def _behind(wrapper: WithAttention | InPlaceOf) -> nn.Module:
    """The network's own layer."""
    return wrapper.layer if isinstance(wrapper, WithAttention) else wrapper.kept[0]


def _put(model: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    for path, module in modules.items():
        model.set_submodule(path, module)


def _places_of(entry: ModuleInfo, before: dict[str, WithAttention | InPlaceOf]) -> tuple[list[str], bool]:
    """Where the modules attached before are, and whether they stand in a layer's place."""
    stands = {path: isinstance(module, InPlaceOf) for path, module in before.items()}
    kind = _replaced(entry)
    for path, module in before.items():
        if stands[path] and kind is None and isinstance(_behind(module), nn.BatchNorm2d | nn.Conv2d):
            layer = type(_behind(module)).__name__
            raise ValueError(
                f"{path} is a module that stands for a {layer}, which {entry.key!r} does not; detach it first, or give "
                "placement="
            )
        if kind is not None and not isinstance(_behind(module), kind):
            raise ValueError(f"{entry.key!r} stands for a {kind.__name__}, which is not behind {path}; detach it first")
    first = {id(module): path for path, module in reversed(before.items())}  # a layer may have several names
    return [*first.values()], kind is None and any(stands.values())


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


def _refuse_wrapped(model: nn.Module) -> None:
    """Refuse what has looked through the network already and would not see new parameters in it."""
    for module in model.modules():
        kind = type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(f"{type(model).__name__} is scripted, or has a part that is; attach to the network it was")
        if kind in ("DistributedDataParallel", "FullyShardedDataParallel"):
            raise ValueError(
                f"{kind} shares the gradients of those parameters that it found when it was built; attach to the "
                "network first and wrap it then"
            )


def _held_elsewhere(model: nn.Module, found: Paths) -> list[str]:
    """What to say of layers that a plain list or dict of the network holds too: called from there, they stay alone."""
    paths = {id(layer): path for path, layer in found.items()}
    for outer, module in model.named_modules():
        for name, value in vars(module).items():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
            if name != "_modules" and (hit := next((each for each in held if id(each) in paths), None)) is not None:
                where = f"{outer}.{name}" if outer else name
                return [
                    f"layer {paths[id(hit)]} is in the plain {type(value).__name__} {where} too; where it is called "
                    "from there it is called without its module: use nn.ModuleList, nn.ModuleDict or its name"
                ]
    return []


def _refuse_other_dimensions(model: nn.Module) -> None:
    """Refuse a network of sequences or videos, before a module fails in its forward."""
    kinds = {type(module) for module in model.modules()}
    others = [kind.__name__ for kind in (nn.Conv1d, nn.Conv3d) if kind in kinds]
    if others and not any(issubclass(kind, nn.Conv2d) for kind in kinds):
        raise ValueError(
            f"{type(model).__name__} has no place for the module: its convolutions are {' and '.join(others)}, and "
            "attention follows layers that give a map (N, C, H, W); for sequences and videos there is "
            "create('non_local', channels, dimensions=1 or 3), to be put in by hand"
        )


def _look(model: nn.Module, paths: Sequence[str], image_size: Any, inputs: Sequence[Any] | None) -> Look:
    return Look(model, image_size, inputs, prefix_of(model, [] if inputs is not None else paths))


def _find(
    model: nn.Module,
    placement: Placement,
    image_size: Any,
    inputs: Sequence[Any] | None,
    by_name: bool,
    notes: list[str],
) -> tuple[Look, Paths, int | None, list[str]]:
    """The layers where the module goes, how many blocks there are and those that are missed; adds to the notes."""
    ruled = isinstance(placement, str) and placement in RULES
    found = RULES[placement].find(model) if ruled else places(model, placement)
    look = _look(model, list(found), image_size, inputs)
    look.by_name = by_name
    if ruled and (by_name or RULES[placement].replaces is not None):
        return look, places(model, placement), None, []
    if by_name:
        return look, found, None, []
    if look.seen is None:
        if ruled:
            places(model, placement)  # says what it looked for where it found nothing
            notes.append(
                f"{look.first}; so blocks are known by the names of their layers alone: give image_size= or inputs="
            )
        return look, found, None, []
    uncalled = [path for path in found if path not in look.seen.shapes]
    if uncalled and not ruled:
        notes.append(f"a pass through {type(model).__name__} in evaluation mode does not call layer {uncalled[0]}")
    if not ruled:
        return look, found, None, []

    def gives_map(path: str) -> bool:
        try:
            look.map(path)
        except ValueError:
            return False
        return True

    found, served, missed = by_structure(model, placement, found, look.seen, gives_map)
    if not found:
        words = f"placement {placement!r} goes {RULES[placement].words}"
        if missed:
            words += f"; of its {len(missed)} blocks none gives a map (N, C, H, W) or (N, H, W, C) there"
        raise no_place(model, words)
    refuse_nested(found)
    return look, found, len(served) + len(missed) or None, missed


def _words_on_gates(model: nn.Module, name: str, look: Look) -> list[str]:
    gates = look.seen.gates if look.seen else []
    if not gates:
        return []
    kind = type(model.get_submodule(gates[0])).__name__
    return [
        f"{type(model).__name__} scales its maps already, by {len(gates)} gates such as {gates[0]} ({kind}); "
        f"replace=True puts {name!r} in their place, replace=False beside them without this warning"
    ]


def _gates(model: nn.Module, entry: ModuleInfo, placement: Placement | None, look: Look) -> Paths:
    """The gates that a module replaces."""
    if _replaced(entry) is not None:
        raise ValueError(f"replace=True is for modules that follow a layer; {entry.key!r} stands for one by itself")
    if placement is not None:
        return places(model, placement)
    if look.seen is None:
        raise ValueError(f"{look.first}; so its gates are not known: give image_size=, inputs= or placement=")
    if not look.seen.gates:
        raise ValueError(f"{type(model).__name__} has no gate that replace=True could replace; leave it out")
    found = {path: model.get_submodule(path) for path in look.seen.gates}
    refuse_nested(found)
    return found


def _aliases(model: nn.Module, found: Paths) -> dict[str, list[str]]:
    """All names of each layer: one module goes behind a layer, whoever calls it by whichever name."""
    names: dict[int, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(path)
    return {path: names[id(layer)] for path, layer in found.items()}


def _check_arguments(entry: ModuleInfo, arguments: dict[str, Any]) -> None:
    """Refuse an argument that follows from each layer."""
    own = {"channels", "size"} | ({"out_channels", "stride"} if _replaced(entry) is nn.Conv2d else set())
    for name in own & arguments.keys():
        fix = "give image_size, sizes follow" if name == "size" else "it follows from the layer, leave it out"
        raise ValueError(f"{name}={arguments[name]} cannot be the same for every layer: {fix}")


def _plans(
    entry: ModuleInfo, found: Paths, look: Look, image_size: Any, arguments: dict[str, Any], replaced: bool
) -> list[AttachedModule]:
    """What goes to each layer."""
    needs_size = entry.needs_size(arguments)
    if _replaced(entry) is None and needs_size and image_size is None and look.inputs is None:
        raise ValueError(f"{entry.key!r} with {arguments} has parameters per position: give image_size=H or (H, W)")
    planned = []
    for path, layer in found.items():
        given: dict[str, Any] = {}
        if _replaced(entry) is None:
            behind, how = look.map(path, needs_size), "instead" if replaced else "after"
        try:
            if _replaced(entry) is not None:
                channels, given = _of_the_layer(layer, _replaced(entry))
                behind, how = Map(channels, None), "instead"
            chosen = entry.arguments_for(behind.channels, size=behind.size, **(given | arguments))
            _check_shape(entry, behind.channels, behind.size, chosen, layer)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{entry.key!r} does not fit layer {path}: {error}") from error
        planned.append(AttachedModule(path, behind.channels, behind.size, chosen, how, behind.channels_last))
    return planned


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
        wrapper, mode = WithAttention(layer, module, planned.channels_last), training
    else:
        wrapper, mode = InPlaceOf(layer, module), layer.training
        if isinstance(layer, nn.BatchNorm2d) and _replaced(entry) is not None:
            module.norm.load_state_dict(layer.state_dict())
    module.train(mode)
    wrapper.training = mode  # not train(mode), which would reach a layer that somebody froze
    return wrapper


def _of_the_layer(layer: nn.Module, replaced: type[nn.Module]) -> tuple[int, dict[str, Any]]:
    """Width, and the arguments that a module takes over from the layer for which it stands."""
    if type(layer) is not replaced:
        raise ValueError(f"it stands for a {replaced.__name__} and for nothing that does more, this one is {layer}")
    if isinstance(layer, nn.BatchNorm2d):
        if not (layer.affine and layer.track_running_stats):
            raise ValueError(f"it stands for batch norms with parameters and running statistics, this one is {layer}")
        return layer.num_features, {"eps": layer.eps, "momentum": layer.momentum}
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.stride[0] != layer.stride[1]:
        raise ValueError(f"attention stands for plain convolutions alone, this one is {layer}")
    return layer.in_channels, {"out_channels": layer.out_channels, "stride": layer.stride[0]}
