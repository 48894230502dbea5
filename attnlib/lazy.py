"""Names of a package that are imported when they are asked for, so that nobody waits for what they do not use.

>>> __getattr__, __dir__ = later(__name__, {".loop": ["train", "Trained"]})
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType


def later(package: str, names: Mapping[str, Iterable[str]]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        names: the names that each module gives; a module of the package itself is written with a leading dot.
    """
    module_of = {name: module for module, given in names.items() for name in given}

    def __getattr__(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name], package), name)

    def __dir__() -> list[str]:
        there = vars(sys.modules[package]).items()
        own = (name for name, value in there if name.startswith("_") or isinstance(value, ModuleType))
        return sorted({*module_of, *own})

    return __getattr__, __dir__
