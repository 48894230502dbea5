"""What stands in a network for a layer with attention; attributes and plain checkpoints still reach the layer."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class WithAttention(nn.Module):
    """A layer and the attention module that follows it.

    It stands where the layer stood, so that the network's own forward needs no change. For other code it passes for
    the layer: an attribute that it does not have itself, such as `weight`, `stride` or a mark that a library put on the
    layer, is read from and written to the layer. Who folds the layer into another by its attributes and then drops it
    drops the attention too: `detach` first.

    State dicts are written with keys that say where a module is: the layer's entries gain the prefix `layer.`, those
    of the attention are under `attention.`, and `detach` takes both away again. Both kinds are read: `load_state_dict`
    also takes the keys of the plain network for the layer, and then misses those of the attention alone, which
    `strict=False` leaves as they are.

    Args:
        layer: what gives the map.
        attention: the module that takes it.
        channels_last: the layer gives (N, H, W, C), as the linear layers of ConvNeXt and Swin do: the module gets the
            map as (N, C, H, W), and what it gives is turned back.
    """

    def __init__(self, layer: nn.Module, attention: nn.Module, channels_last: bool = False) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.layer, self.attention = layer, attention
        self.register_load_state_dict_pre_hook(_read_plain_keys)

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            return self.attention(self.layer(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.attention(self.layer(x))

    def extra_repr(self) -> str:
        return "channels last" if self.channels_last else ""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            layer = _layer_behind(self, name)
            if layer is None:
                raise
        return getattr(layer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        layer = _layer_behind(self, name)
        own = name in ("layer", "attention") or name in self.__dict__ or hasattr(type(self), name)
        if layer is not None and not own and hasattr(layer, name):
            setattr(layer, name, value)
        else:
            super().__setattr__(name, value)


class InPlaceOf(nn.Module):
    """An attention module that stands for a layer; the layer is kept aside for `detach`, outside of the state dict.

    The layer follows the network to another device, dtype or mode. Its attributes pass through, except its weights,
    which play no part: those that the module took over (the norm of IEBN) are the module's, others are not there.

    State dicts are written with the module's entries under `attention.`. The keys of the plain network are read too:
    they go to the layer kept aside, and to the norm that the module took over.
    """

    def __init__(self, layer: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.kept = (layer,)  # in a tuple, so that it is no submodule
        self.register_load_state_dict_pre_hook(_read_replaced_keys)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)

    def train(self, mode: bool = True) -> "InPlaceOf":
        self.kept[0].train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "InPlaceOf":
        self.kept[0]._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if (kept := self.__dict__.get("kept")) is None or name.startswith("__"):
                raise
            layer = kept[0]
            if name in layer._parameters or name in layer._buffers:
                layer = _taken_over(self.attention)
                if layer is None:
                    raise
        return getattr(layer, name)


def _layer_behind(wrapper: WithAttention, name: str) -> nn.Module | None:
    """The layer that an attribute may belong to; None for Python's own names and while the wrapper is being built."""
    return None if name.startswith("__") else wrapper.__dict__.get("_modules", {}).get("layer")


def _taken_over(attention: nn.Module) -> nn.Module | None:
    """The norm in which a module that stands for a batch norm keeps what it took over from it."""
    return attention._modules.get("norm")


def _read_plain_keys(wrapper: WithAttention, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Send a plain network's entries to the layer.

    A layer may have children called `layer` or `attention` itself: where all of its entries are there without our
    prefix and not all with it, they are plain.
    """
    names = list(wrapper.layer.state_dict())
    plain = all(prefix + name in state for name in names) and any(
        f"{prefix}layer.{name}" not in state for name in names
    )
    for key in [key for key in state if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if (plain and name in names) or name.partition(".")[0] not in wrapper._modules:
            state[f"{prefix}layer.{name}"] = state.pop(key)


def _read_replaced_keys(
    wrapper: InPlaceOf,
    state: dict[str, Any],
    prefix: str,
    metadata: dict[str, Any],
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    """Give a plain network's entries to the layer kept aside, and to the norm that took its part."""
    layer = wrapper.kept[0]
    names = [name for name in layer.state_dict() if prefix + name in state]
    if not names:
        return
    taken = {prefix + name: state.pop(prefix + name) for name in names}
    layer._load_from_state_dict(dict(taken), prefix, metadata, False, [], [], errors)
    if _taken_over(wrapper.attention) is not None:
        state.update({f"{prefix}attention.norm.{name}": taken[prefix + name] for name in names})
