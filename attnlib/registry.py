"""Every module by its key: a table to read, from which `create` imports only what is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, get_args

from torch import nn

from attnlib.errors import unknown

Family = Literal["scale", "self", "control"]


@dataclass(frozen=True)
class ModuleInfo:
    """What is known of a module before it is imported.

    Attributes:
        key: the name that every room of the project uses.
        name: the name in prose.
        paper: authors, title, venue; empty for a control.
        family: "scale" (rescales the map by a gate), "self" (mixes positions), "control" (a baseline, no paper's).
        placement: where in a network the paper puts it.
        status: a candid line on what to expect.
        target: "module:Class" of the implementation.
        groups_for: the number of groups that `attach` and the recipes use at a width, where the paper's default does
            not fit every width; None where the module has no groups.
        needs_size: a function of the keyword arguments: does the module need the map's size?
    """

    key: str
    name: str
    paper: str
    family: Family
    placement: str
    status: str
    target: str = field(repr=False)
    groups_for: Callable[[int], int] | None = field(default=None, repr=False)
    needs_size: Callable[[dict[str, Any]], bool] = field(default=lambda arguments: False, repr=False)

    def arguments_for(self, channels: int, size: tuple[int, int] | None = None, **chosen: Any) -> dict[str, Any]:
        """The keyword arguments that a network uses at this width and size; what the caller chose goes first."""
        arguments = dict(chosen)
        if self.groups_for is not None and "groups" not in arguments:
            arguments["groups"] = self.groups_for(channels)
        if self.needs_size(arguments):
            arguments.setdefault("size", size)
        return arguments


def sa_groups(channels: int) -> int:
    """Groups of shuffle attention at a width: the paper's 64 where that leaves two channels or more in each half.

    ResNet-50's narrowest stage (256 channels) has two; narrower maps get fewer groups instead of thinner halves, and a
    width that such groups do not divide the next number that does.

    Raises:
        ValueError: an odd width.
    """
    if channels % 2:
        raise ValueError(f"channels={channels} is odd: shuffle attention splits channels in halves; use an even width")
    return next(g for g in range(max(1, min(64, channels // 4)), 0, -1) if channels % (2 * g) == 0)


_BEFORE_ADDITION = "in every residual block, after its last norm and before the shortcut is added"

_TABLE = {
    entry.key: entry
    for entry in (
        ModuleInfo(
            key="se",
            name="Squeeze-and-Excitation",
            paper="Hu, Shen, Albanie, Sun and Wu: Squeeze-and-Excitation Networks, CVPR 2018 (arXiv 1709.01507)",
            family="scale",
            placement=_BEFORE_ADDITION,
            status="does what the paper says; about 10 % more parameters on ResNet-50, next to no multiply-adds",
            target="attnlib.scale_attention.se:SE",
        ),
        ModuleInfo(
            key="nam",
            name="Normalization-based attention",
            paper="Liu, Shao, Teng and Hoffmann: NAM, NeurIPS 2021 workshop (arXiv 2111.12419)",
            family="scale",
            placement=_BEFORE_ADDITION,
            status="starts as an almost constant gate of 0.5; compare it with that constant. The spatial part and a "
            "sparsity penalty that acts are in the paper, not in the released code",
            target="attnlib.scale_attention.nam:NAM",
            needs_size=lambda arguments: bool(arguments.get("spatial")),
        ),
        ModuleInfo(
            key="sa",
            name="Shuffle attention",
            paper="Zhang and Yang: SA-Net, ICASSP 2021 (arXiv 2102.00240)",
            family="scale",
            placement=_BEFORE_ADDITION,
            status="light as claimed, but 708 parameters on ResNet-50, not 300; starts as a constant gate of 0.731 and "
            "a permutation of the channels",
            target="attnlib.scale_attention.sa:SA",
            groups_for=sa_groups,
        ),
        ModuleInfo(
            key="constant",
            name="Constant gate",
            paper="",
            family="control",
            placement=_BEFORE_ADDITION,
            status="not attention: one number for every value, the control that attention has to beat",
            target="attnlib.scale_attention.constant:Constant",
        ),
    )
}


def list_modules(family: Family | None = None) -> list[str]:
    """Keys of the papers' modules, or of one family; controls only when asked for by family="control"."""
    if family is not None and family not in get_args(Family):
        raise unknown("family", family, get_args(Family))
    wanted = {"scale", "self"} if family is None else {family}
    return [key for key, entry in _TABLE.items() if entry.family in wanted]


def info(name: str) -> ModuleInfo:
    """What is known of the module `name`.

    Raises:
        UnknownNameError: no such module; the message lists the near matches.
    """
    if name not in _TABLE:
        raise unknown("module", name, {key: entry.name for key, entry in _TABLE.items()})
    return _TABLE[name]


def create(name: str, channels: int, **arguments: Any) -> nn.Module:
    """Build the module `name` for a map of `channels` channels, as its constructor leaves it.

    Arguments go to the module; its docstring lists them. What a paper's network does to the parameters afterwards,
    `attnlib.networks.attach` does.

    Raises:
        UnknownNameError: no such module; the message lists the near matches.
        TypeError, ValueError: from the module, for arguments it does not have or that do not fit.
    """
    module_name, class_name = info(name).target.split(":")
    return getattr(import_module(module_name), class_name)(channels, **arguments)
