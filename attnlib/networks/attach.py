"""Put an attention module into a network at its paper's place, and take it out again."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import registry
from attnlib.base import check_size


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


@dataclass(frozen=True)
class AttachedModule:
    """One place where attention was put: the layer's path, its channels, the map's size if found, the arguments."""

    path: str
    channels: int
    size: tuple[int, int] | None
    arguments: dict[str, Any]


def residual_ends(model: nn.Module) -> dict[str, nn.Module]:
    """The last norm of every residual block, by its path: the place before the shortcut is added.

    A residual block is a module with norms bn1, bn2 ... and a `downsample`, as in torchvision's, timm's and our
    ResNets.
    """
    ends = {}
    for path, block in model.named_modules():
        norms = [name for name, _ in block.named_children() if name.startswith("bn") and name[2:].isdigit()]
        if hasattr(block, "downsample") and norms:
            last = max(norms, key=lambda name: int(name[2:]))
            ends[f"{path}.{last}".lstrip(".")] = getattr(block, last)
    return ends


def attach(
    model: nn.Module, name: str, image_size: int | tuple[int, int] | None = None, **arguments: Any
) -> list[AttachedModule]:
    """Put module `name` at the end of every residual branch of `model`, in place, initialised as in its paper.

    Weights of the network's own layers stay as they are. The module gets each layer's device and dtype.

    Args:
        model: a ResNet of torchvision, timm or `attnlib.networks`.
        name: a key of `attnlib.list_modules()` or a control.
        image_size: H = W or (H, W) of the images. Only a module with parameters for every position needs it (NAM's
            spatial part); the maps' sizes are then found by one pass on the meta device.
        arguments: go to the module; groups and size are chosen per width where they are not given.

    Returns:
        What was put where, in the network's order.

    Raises:
        UnknownNameError: no such module.
        TypeError: an image_size that is neither a side nor a pair (H, W).
        ValueError: the model has attention attached already, no residual block, or other norms than batch norms; a
            module whose paper puts it elsewhere or that does not fit a width (the message names the layer); a size is
            needed and no image_size given, or one size is given for all layers. The model is then unchanged.
    """
    if attention_modules(model):
        raise ValueError(f"{type(model).__name__} has attention attached already; detach it first")
    ends = residual_ends(model)
    if not ends:
        raise ValueError(
            f"{type(model).__name__} has no residual block (norms bn1 ... beside a downsample) to put {name!r} in; "
            "networks that fit: attnlib.networks.list_networks()"
        )
    if "size" in arguments:
        raise ValueError(f"size={arguments['size']} cannot be the same for every layer: give image_size, sizes follow")
    for path, norm in ends.items():
        if not isinstance(norm, nn.BatchNorm2d) or not norm.affine:
            raise ValueError(f"layer {path} is {norm}: attention goes behind a batch norm with scale and shift")
    entry = registry.info(name)
    if not entry.at_block_end:
        raise ValueError(
            f"{name!r} does not go at the end of a residual branch, where attach puts a module; its place is "
            f"{entry.placement}"
        )
    sizes: dict[str, tuple[int, int]] = {}
    if entry.needs_size(arguments):
        if image_size is None:
            raise ValueError(f"{name!r} with {arguments} has parameters per position: give image_size=H or (H, W)")
        sizes = map_sizes(model, list(ends), image_size)

    # Build everything before the model is touched, so that a width that does not fit leaves it as it was.
    built, attached = [], []
    for path, norm in ends.items():
        channels = norm.num_features
        try:
            chosen = entry.arguments_for(channels, size=sizes.get(path), **arguments)
            module = registry.create(name, channels, **chosen)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name!r} does not fit layer {path}: {error}") from error
        module.network_init_()
        built.append(module.to(norm.weight))
        attached.append(AttachedModule(path, channels, sizes.get(path), chosen))
    for (path, norm), module in zip(ends.items(), built, strict=True):
        model.set_submodule(path, WithAttention(norm, module.train(model.training)))
    return attached


def detach(model: nn.Module) -> int:
    """Take every attached module out again, in place; returns how many. The network's own layers are untouched."""
    wrapped = {path: module for path, module in model.named_modules() if isinstance(module, WithAttention)}
    for path, module in wrapped.items():
        model.set_submodule(path, module.layer)
    return len(wrapped)


def attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The attached modules by the path of the layer they follow."""
    return {path: module.attention for path, module in model.named_modules() if isinstance(module, WithAttention)}


def map_sizes(model: nn.Module, paths: list[str], image_size: int | tuple[int, int]) -> dict[str, tuple[int, int]]:
    """(H, W) of the output of each layer in `paths` for images of this size, by one pass on the meta device."""
    height, width = check_size("image_size", image_size)
    shadow = copy.deepcopy(model).to("meta").eval()
    sizes: dict[str, tuple[int, int]] = {}
    for path in paths:

        def note(module: nn.Module, args: Any, output: Tensor, path: str = path) -> None:
            sizes[path] = (output.shape[2], output.shape[3])

        shadow.get_submodule(path).register_forward_hook(note)
    first = next(m for m in shadow.modules() if isinstance(m, nn.Conv2d))
    shadow(torch.empty(1, first.in_channels, height, width, device="meta", dtype=first.weight.dtype))
    return sizes
