"""What the classroom's tests share: the sets, and answers that students might give."""

import copy
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from classroom.sets import Set, kit_files, sets

ANSWERS = Path(__file__).parent / "answers"


def cells(path: Path) -> list[tuple[str, str]]:
    """(first line, code) of each cell of a file of answers."""
    parts = re.split(r"^# %% ", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    return [tuple(part.split("\n", 1)) for part in parts]


def right_answers(chosen: Set) -> dict[str, dict[str, str]]:
    """{name of a variant: {question: code}}"""
    return {path.stem: dict(cells(path)) for path in sorted((ANSWERS / chosen.number).glob("right_*.py"))}


def wrong_answers(chosen: Set) -> list[tuple[str, set[int], str, str]]:
    """(question, numbers of the parts it loses, what is wrong, code)"""
    found = []
    for line, code in cells(ANSWERS / chosen.number / "wrong.py"):
        question, lost, what = re.fullmatch(r"(\S+) loses ([\d, ]+): (.+)", line).groups()
        found.append((question, {int(number) for number in lost.split(",")}, what, code))
    return found


@pytest.fixture(scope="session")
def solved() -> dict[str, dict[str, object]]:
    """For each set the names that its notebook with solutions defines; `kit` is imported as students do."""
    import matplotlib

    matplotlib.use("agg")
    files = kit_files()
    for name in ("checks", "shapes", "plots"):
        _import(f"kit.{name}", files[f"{name}.py"])
    sys.modules.pop("kit", None)
    _import("kit", files["__init__.py"], [str(files["__init__.py"].parent)])
    found = {}
    for each in sets():
        names = {"__name__": "__main__"}
        for cell in each.notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{each.name}: {cell.id}", "exec"), names)
        found[each.name] = names
    return found


def _import(name: str, path: Path, inside: list[str] | None = None) -> None:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def with_answers(names: dict[str, object], *codes: str) -> dict[str, object]:
    """The names of a solved set with other answers."""
    changed = copy.copy(names)
    for code in codes:
        exec(compile(code, "answer", "exec"), changed)
    return changed
