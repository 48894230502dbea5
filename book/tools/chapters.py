"""The notebooks of the book and how they are read and written; shared by the other tools of this folder."""

import os
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

REPOSITORY = Path(__file__).resolve().parent.parent.parent


ASSIGNMENTS = "assignments"  # the classroom's sets are no pages of the book


def notebooks(repository: Path = REPOSITORY) -> list[Path]:
    """Every notebook of the book, sorted."""
    return [path for path in sorted((repository / "notebooks").rglob("*.ipynb")) if of_the_book(path, repository)]


def of_the_book(path: Path, repository: Path = REPOSITORY) -> bool:
    """Whether it is a page: no set of the classroom, no copy that an editor keeps in a hidden folder."""
    parts = path.relative_to(repository).parts
    return ASSIGNMENTS not in parts and not any(part.startswith(".") for part in parts)


def chosen(arguments: list[str], repository: Path = REPOSITORY) -> list[Path]:
    """The notebooks named on a command line (either half of the pair); exits where one does not exist."""
    paths = [Path(argument).resolve().with_suffix(".ipynb") for argument in arguments]
    for path in paths:
        if not path.exists() and not path.with_suffix(".py").exists():
            known = "\n  ".join(str(each.relative_to(repository)) for each in notebooks(repository))
            sys.exit(f"no notebook {path}; there are:\n  {known}")
    return paths


def read(path: Path) -> NotebookNode:
    """A notebook; exits where the file is none, as after a merge."""
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, nbformat.ValidationError) as error:
        reason = (str(error).splitlines() or ["no content"])[0][:100]
        sys.exit(
            f"{path} is damaged, or a merge left its marks in it ({reason}). {path.with_suffix('.py').name} holds all "
            "its cells: remove the .ipynb, then `make sync` writes it again and `make execute` its outputs"
        )


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that an interruption leaves the old file or the new one, never half of one."""
    write_text(nbformat.writes(notebook, version=4) + "\n", path)


def write_text(text: str, path: Path) -> None:
    path = path.resolve()  # a link stays a link
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def kernel_environment() -> dict[str, str]:
    """The environment of every kernel, here and under nbval: one thread and a fixed hash seed, so outputs repeat."""
    lane = os.environ.get("ATTNLIB_LANE") or "smoke"
    return {**os.environ, "ATTNLIB_LANE": lane, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
