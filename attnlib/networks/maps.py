"""What the layers of a network give: shapes by a pass on the meta device, and where in them the channels are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from attnlib.base import check_size
from attnlib.networks.placement import branch, is_norm, is_residual_block
from attnlib.networks.structure import Block, Seen, observe, on_meta

Size = int | tuple[int, int]

# Each takes a map (N, C, H, W) or (N, C) and gives the channels at axis 1; the attribute that says how many.
CHANNELS_FIRST = (
    (nn.Conv2d, "out_channels"),
    (nn.ConvTranspose2d, "out_channels"),
    (nn.BatchNorm2d, "num_features"),
    (nn.SyncBatchNorm, "num_features"),
    (nn.InstanceNorm2d, "num_features"),
)


@dataclass(frozen=True)
class Map:
    """Channels and (H, W) of the map that a layer gives, and whether it is (N, H, W, C); size None: not asked for."""

    channels: int
    size: tuple[int, int] | None
    channels_last: bool = False


class Look:
    """Passes through a network, each made when something has to be known.

    Args:
        model: the network; it is not changed.
        image_size: H = W or (H, W) of the images; None tries 224 and 32, or what a network of timm says of itself.
        inputs: the arguments of a network that takes anything else than an image.
        prefix: of the part that runs, see `prefix_of`.
    """

    def __init__(
        self, model: nn.Module, image_size: Size | None = None, inputs: Sequence[Any] | None = None, prefix: str = ""
    ) -> None:
        self.model, self.prefix, self.inputs = model, prefix, inputs
        self.channels: int | None = None  # of the image; `first` finds them
        self.by_name = False  # whether a width may be read off the names of the layers inside a block
        self.part = model.get_submodule(prefix.rstrip("."))
        self.sizes = [check_size("image_size", image_size)] if image_size is not None else _usual_sizes(self.part)

    @cached_property
    def first(self) -> tuple[Seen, tuple[int, int] | None] | str:
        """What a pass showed and for which size; or why there was none."""
        if self.inputs is None and self._first_convolution is None:
            return f"{type(self.model).__name__} has no convolution, so that no image can be sent through it"
        reason = ""
        for size in [None] if self.inputs is not None else self.sizes:
            for channels in [None] if size is None else self._usual_channels:
                self.channels = channels
                try:
                    return self._named(observe(self.part, self._inputs(size))), size
                except Exception as error:  # whatever a network's own forward raises
                    words = str(error).strip().partition("\n")[0] or type(error).__name__
                    taken = f"an image of {size[0]} x {size[1]}" if size else "these inputs"
                    reason = reason or f"{type(self.model).__name__} cannot take {taken}: {words}"
        return reason

    @property
    def _usual_channels(self) -> list[int]:
        """Those of the first convolution; 3 where the pixels of an image are channels before it, as in YOLOv5."""
        return list(dict.fromkeys((self._first_convolution.in_channels, 3)))

    @property
    def _first_convolution(self) -> nn.Conv2d | None:
        return next((module for module in self.part.modules() if isinstance(module, nn.Conv2d)), None)

    @property
    def seen(self) -> Seen | None:
        return None if isinstance(self.first, str) else self.first[0]

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Of what this layer gives; None where it gives no single tensor or was not called.

        Raises:
            ValueError: the network cannot be run.
        """
        if isinstance(self.first, str):
            raise ValueError(self.first)
        return self.first[0].shapes.get(path)

    @cached_property
    def _second(self) -> dict[str, tuple[int, ...] | None]:
        """Shapes for images of another size; empty where the network takes one size alone."""
        if isinstance(self.first, str) or self.first[1] is None:
            return {}
        height, width = self.first[1]
        try:
            inputs = self._inputs((height + max(32, height // 64 * 32), width))
            return self._named(observe(self.part, inputs, follow=False)).shapes
        except Exception:  # as above
            return {}

    def map(self, path: str, needs_size: bool = False) -> Map:
        """The map behind a layer.

        Raises:
            ValueError: no map (N, C, H, W) or (N, H, W, C); the message says what it is and what to do.
        """
        layer = self.model.get_submodule(path)
        known = next((getattr(layer, name) for kind, name in CHANNELS_FIRST if isinstance(layer, kind)), None)
        if known is not None and not needs_size:
            return Map(known, None)
        if not needs_size and (self.by_name or self.seen is None) and (width := _width(layer)) is not None:
            return Map(width, None)
        shape = self.shape(path)
        says = f"layer {path} ({type(layer).__name__}) gives {shape or 'no tensor'}"
        if shape is not None and len(shape) == 3:
            raise ValueError(f"{says}, which are tokens or a sequence; attention follows layers that give a map")
        if shape is None or len(shape) != 4:
            raise ValueError(f"{says}; attention follows layers that give a map (N, C, H, W)")
        last = False if known is not None else self._channels_last(path, shape)
        if last is None:
            raise ValueError(
                f"{says}, in which axis 1 may be channels or rows; give image_size=(H, W) with H and W different"
            )
        channels, size = (shape[3], shape[1:3]) if last else (shape[1], shape[2:])
        return Map(channels, size if needs_size else None, last)

    def _channels_last(self, path: str, shape: tuple[int, ...]) -> bool | None:
        """Which of the axes 1 and 3 does not change with the image; of one size alone, which two are as H to W."""
        other = self._second.get(path)
        if other is not None and len(other) == 4 and other != shape:
            if other[1] == shape[1]:
                return False
            return True if other[3] == shape[3] else None
        if self.first[1] is not None:
            height, width = self.first[1]
            last, first = (above * width == below * height for above, below in (shape[1:3], shape[2:4]))
            if last != first:
                return last
        # A layer behind whose map the image has one size left, as behind global pooling.
        return False if shape[2:] == (1, 1) and shape[1] > 1 else None

    def _inputs(self, size: tuple[int, int] | None) -> tuple[Any, ...]:
        if size is None:
            return on_meta(self.inputs)
        kind = self._first_convolution.weight.dtype
        return (torch.empty(1, self.channels, *size, device="meta", dtype=kind),)

    def _named(self, seen: Seen) -> Seen:
        add = self.prefix.__add__
        blocks = {
            add(path): Block([add(each) for each in block.ends], {add(each) for each in block.branch}, block.shape)
            for path, block in seen.blocks.items()
        }
        return Seen({add(path): shape for path, shape in seen.shapes.items()}, blocks, [add(p) for p in seen.gates])


def output_shapes(model: nn.Module, paths: list[str], image_size: Size) -> dict[str, tuple[int, ...] | None]:
    """Shape of what each layer gives for one image of this size, by a pass on the meta device; None if no tensor.

    Where all layers are in the model's `backbone`, as in a detector, only that runs.

    Raises:
        ValueError: a model without a convolution, or one that cannot take such an image.
    """
    look = Look(model, image_size, prefix=prefix_of(model, paths))
    return {path: look.shape(path) for path in paths}


def prefix_of(model: nn.Module, paths: Sequence[str]) -> str:
    """Of the part of a model that an image is sent through, with a dot; "" where that is the whole.

    A compiled network or one under DataParallel runs as it was before; of a detector, whose other parts depend on the
    image, "backbone." runs where it has all of these layers.
    """
    children = dict(model.named_children())
    for name in ("_orig_mod", "module"):  # `module` is DataParallel's word
        if name in children and (name == "_orig_mod" or isinstance(model, nn.DataParallel)):
            within = [path.removeprefix(f"{name}.") for path in paths]
            return f"{name}.{prefix_of(children[name], within)}"
    inside = paths and "backbone" in children and all(path.startswith("backbone.") for path in paths)
    return "backbone." if inside else ""


def _usual_sizes(model: nn.Module) -> list[tuple[int, int]]:
    told = getattr(model, "default_cfg", None) or {}
    size = told.get("input_size") if isinstance(told, dict) else None
    return [tuple(size[1:])] if size else [(224, 224), (32, 32)]


def _width(layer: nn.Module) -> int | None:
    """Channels behind a norm or a residual block that cannot be run; None where it is not written on the layer."""
    chain = isinstance(layer, nn.Sequential) or is_residual_block(layer)  # others may join what their layers give
    last = list((branch(layer) if chain else {}).values() or [layer])[-1]
    if not (isinstance(last, nn.Conv2d) or is_norm(last)):
        return None
    names = ("num_features", "out_channels", "num_channels")
    return next((getattr(last, name) for name in names if hasattr(last, name)), None)
