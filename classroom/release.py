"""What students get: the notebook without solutions and hidden tests, `kit`, and what to install."""

import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.course import Course
from classroom.nbgrader_calls import call
from classroom.sets import Set, kit_files

MARKS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN", "jupytext", "Rubric")

# without it pip installs five times as much on Linux, for graphics cards that no set uses; it may be out of reach
CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"


def release(course: Course, chosen: Set) -> Path:
    """Register a set in the course's gradebook and write what students get; its folder.

    Raises:
        ValueError: something of a solution would have been released.
        RuntimeError: nbgrader refused, with what it said.
    """
    source = course.root / "source" / chosen.name
    shutil.rmtree(source, ignore_errors=True)
    chosen.write_source(source / f"{chosen.name}.ipynb")
    needed = [CPU, *chosen.judge.packages, "jupyterlab"]
    (source / "requirements.txt").write_text("\n".join(needed) + "\n", encoding="utf-8")
    kit = source / "kit"
    kit.mkdir()
    for name, path in kit_files().items():
        shutil.copy(path, kit / name)
    call(course, "generate_assignment", chosen.name, force=True)
    target = course.root / "release" / chosen.name
    if leaks := list(leaked(chosen, nbformat.read(target / f"{chosen.name}.ipynb", as_version=4))):
        shutil.rmtree(target)
        raise ValueError(f"{chosen.name} is not released, since it holds solutions: {'; '.join(leaks)}")
    return target


def leaked(chosen: Set, released: NotebookNode) -> list[str]:
    """Where a released notebook holds a mark or a line of a solution: in sources, outputs and metadata."""
    text = nbformat.writes(released)
    found = [f"the mark {mark!r}" for mark in MARKS if mark in text]
    outside = "\n".join(cell.source for cell in released.cells)
    for line in solution_lines(chosen):
        if line in outside:
            found.append(f"the line {line!r}")
    return found


def solution_lines(chosen: Set) -> set[str]:
    """The lines of all solutions that stand nowhere else in the set and are long enough to tell something."""
    inside, others = set[str](), []
    for cell in chosen.notebook.cells:
        parts = re.split(r"^.*(?:BEGIN|END) SOLUTION.*$", cell.source, flags=re.M)
        inside |= {line.strip() for part in parts[1::2] for line in part.splitlines()}
        others += parts[::2]
    rest = "\n".join(others)
    return {line for line in inside if len(line) > 12 and line not in rest}
