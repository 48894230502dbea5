"""The names that packages give: each is there, is imported when it is asked for, and means one thing."""

import ast
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import attnlib

PACKAGE = Path(attnlib.__file__).parent
PACKAGES = ["attnlib", *(m.name for m in pkgutil.walk_packages(attnlib.__path__, "attnlib.") if m.ispkg)]
LAZY = [name for name in PACKAGES if hasattr(import_module(name), "__getattr__")]


def test_the_top_of_the_package_has_what_most_readers_need():
    wanted = "create info list_modules attach detach profile paper load train report"
    assert set(wanted.split()) <= set(attnlib.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_name_is_both_a_module_and_something_else(name):
    package = import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        full = f"{name}.{module.name}"
        assert module.name not in getattr(package, "__all__", ()), f"{full} is a module and a name of {name}"
        import_module(full)
        assert isinstance(getattr(package, module.name), ModuleType), f"{full} is a module and a name of {name}"


@pytest.mark.parametrize("name", LAZY)
def test_every_name_is_there_and_its_three_lists_agree(name):
    package = import_module(name)
    path = Path(package.__file__)
    for_checkers = {
        alias.name: f"{node.module}"
        for block in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }
    assert sorted(for_checkers) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for each, module in for_checkers.items():
        assert getattr(package, each) is getattr(import_module(module), each)
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_name_is_the_same_from_both_ends():
    from attnlib.networks import attach
    from attnlib.profiling import profile

    assert attnlib.attach is attach and attnlib.profile is profile


def test_a_star_gives_the_public_names():
    code = "from attnlib import *; print(create, paper, report)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
