"""Every module by its key; `create` imports only the one asked for."""

import inspect
from importlib import import_module
from typing import Any, get_args

from torch import nn

from attnlib.catalogue import TABLE, Family, ModuleInfo
from attnlib.errors import unknown


def list_modules(family: Family | None = None) -> list[str]:
    """Keys of the papers' modules, or of one family; controls only when asked for by family="control"."""
    if family is not None and family not in get_args(Family):
        raise unknown("family", family, get_args(Family))
    wanted = {"scale", "self"} if family is None else {family}
    return [key for key, entry in TABLE.items() if entry.family in wanted]


def info(name: str) -> ModuleInfo:
    """What is known of the module `name`.

    Raises:
        TypeError: `name` is not a string.
        UnknownNameError: no such module; the message lists the near matches.
    """
    if not isinstance(name, str):
        raise TypeError(f"a module is known by its key, a string such as 'se', got {name!r}; list_modules() has all")
    if name not in TABLE:
        raise unknown("module", name, {key: entry.name for key, entry in TABLE.items()})
    return TABLE[name]


def create(name: str, channels: int, **arguments: Any) -> nn.Module:
    """Build the module `name` for a map of `channels` channels, as its constructor leaves it.

    Arguments go to the module; its docstring lists them. What a paper's network does to the parameters afterwards,
    `attnlib.networks.attach` does.

    Raises:
        UnknownNameError: no such module; the message lists the near matches.
        TypeError: an argument that the module does not have; the message lists the near matches.
        TypeError, ValueError: from the module, for arguments that do not fit.
    """
    module_name, class_name = info(name).target.split(":")
    module = getattr(import_module(module_name), class_name)
    _, *known = inspect.signature(module).parameters
    for argument in arguments:
        if argument not in known:
            raise TypeError(f"{name}: {unknown('argument', argument, known)}")
    return module(channels, **arguments)
