"""The sets of exercises: where they stand, and the notebook that nbgrader is given.

A set is a folder with `set.py`, the notebook with its solutions as py:percent, and `judge.py`. The cells of `set.py`
say what they are in their first line, and points stand in `judge.py` alone:

    # %% answer="weights"    the answer to a question; its solution stands between BEGIN SOLUTION and END SOLUTION
    # %% tests="weights"     its visible checks, locked; the hidden ones are the judge's
    # %% [markdown] written="why" points=4      a text that a person grades; the rubric stands in the solution
    # %% solution="figure"   code of the student's that no test looks at, such as a figure
    # %% locked="images"     what a student must not change, such as the data
"""

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode, from_dict

from classroom.questions import Judge

REPOSITORY = Path(__file__).parent.parent
FOLDER = REPOSITORY / "notebooks" / "assignments"
# what stands for a solution until a student writes one; the checks behind it stop there, with these words
STUB = 'raise NotImplementedError("write your answer here first; what is asked for, and a hint, stand above")'
TEXT_STUB = "*Your answer here.*"  # the same for a text
KINDS = ("answer", "tests", "written", "solution", "locked")


@dataclass(frozen=True)
class Set:
    """One set of exercises.

    Attributes:
        folder: it stands in; the folder's name is the set's, "1-attention-by-hand".
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def number(self) -> str:
        return self.name.partition("-")[0]

    @cached_property
    def judge(self) -> Judge:
        """From its `judge.py`.

        Raises:
            ValueError: the file defines no JUDGE.
        """
        path = self.folder / "judge.py"
        spec = importlib.util.spec_from_file_location(f"classroom_set_{self.number}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        judge = getattr(module, "JUDGE", None)
        if not isinstance(judge, Judge):
            raise ValueError(f"{path} defines no JUDGE of classroom.questions.Judge")
        return judge

    @cached_property
    def notebook(self) -> NotebookNode:
        """The notebook with its solutions and nbgrader's metadata.

        Raises:
            ValueError: a question without its two cells, or cells without their question.
        """
        notebook = jupytext.read(self.folder / "set.py")
        names = {"answer": [], "tests": []}
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"
            kind = next((k for k in KINDS if k in cell.metadata), None)
            if kind is None:
                continue
            name = cell.metadata.pop(kind)
            names.setdefault(kind, []).append(name)
            cell.id = f"{kind}-{name}"
            cell.metadata = from_dict({"nbgrader": self._metadata(kind, name, cell)})
        asked = [question.name for question in self.judge.questions]
        for kind in ("answer", "tests"):
            if names[kind] != asked:
                raise ValueError(f"{self.folder}: judge.py asks for {asked}, and set.py has cells {kind}={names[kind]}")
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        notebook.metadata = from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
        return notebook

    def _metadata(self, kind: str, name: str, cell: NotebookNode) -> dict:
        made = {
            "schema_version": 3,
            "grade_id": f"{kind}-{name}",
            "cell_type": cell.cell_type,
            "grade": kind in ("tests", "written"),
            "solution": kind in ("answer", "written", "solution"),
            "locked": kind in ("tests", "locked"),
            "task": False,
        }
        if kind == "tests":
            made["points"] = self.judge.question(name).points
        elif kind == "written":
            made["points"] = float(cell.metadata.pop("points"))
        return made

    def write_source(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(self.notebook, path)


def sets(folder: Path | None = None) -> list[Set]:
    """All sets of a folder: the book's, or those of the folder in the environment's SETS (a course's private variants).

    Raises:
        ValueError: there is none.
    """
    folder = Path(folder or os.environ.get("SETS") or FOLDER).resolve()
    found = sorted(path.parent for path in folder.glob("*/set.py"))
    if not found:
        raise ValueError(f"{folder} has no set: a set is a folder with set.py and judge.py, such as {FOLDER}/1-...")
    return [Set(path) for path in found]


def chosen(number: str, folder: Path | None = None) -> Set:
    """The set of this number or name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    there = sets(folder)
    for each in there:
        if number in (each.number, each.name):
            return each
    raise ValueError(f"no set is called {number!r}; there are: {', '.join(each.name for each in there)}")


def kit_files() -> dict[str, Path]:
    """The students' package, by file name; two of its files are the book's own."""
    kit = Path(__file__).parent / "kit"
    shared = {"checks.py": "attnlib/checks.py", "shapes.py": "attnlib/data/shapes.py"}
    return {path.name: path for path in sorted(kit.glob("*.py"))} | {
        name: REPOSITORY / path for name, path in shared.items()
    }


def stub(source: str, by: str = STUB) -> str:
    """A cell's source as students get it."""
    return re.sub(
        r"^([ \t]*)#+ BEGIN SOLUTION.*?END SOLUTION[^\n]*$", lambda found: found[1] + by, source, flags=re.M | re.S
    )
