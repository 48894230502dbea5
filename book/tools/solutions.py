"""The book without its solutions: a copy of what the site is built from, for a teacher who sets the exercises.

Everything from a `solution-start` to its `solution-end` goes, code cells and outputs too, and every `solution` block.
Taking it out before the build keeps it out of pages, downloads, sources and the search index alike.
"""

import re
import shutil
from pathlib import Path

from nbformat import NotebookNode

from chapters import ASSIGNMENTS, notebooks, read, write

SOURCES = ("_config.yml", "_toc.yml", "index.md", "README.md", "attnlib", "book", "notebooks")
START = re.compile(r"^([:`]{3,})\{(solution-start|solution)\}")
END = re.compile(r"^([:`]{3,})\{solution-end\}")


def without_solutions(notebook: NotebookNode) -> None:
    """Take all solutions out of a notebook.

    Raises:
        ValueError: a solution that does not end, or an end without its start; then too much or too little would go.
    """
    until = None  # outside a solution; else the pattern of the line that ends what is being left out
    kept = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, until = outside(cell.source, until)
            if cell.source.strip():
                kept.append(cell)
        elif until is None:
            kept.append(cell)
    if until is not None:
        raise ValueError("a solution does not end: each solution-start needs its solution-end, each block its fence")
    notebook.cells = kept


def outside(text: str, until: re.Pattern | None) -> tuple[str, re.Pattern | None]:
    """The lines of a text outside solutions, and what is still awaited at its end."""
    lines = []
    for line in text.split("\n"):
        if until is None and (start := START.match(line)):
            until = END if start[2] == "solution-start" else closing(start[1])
        elif until is None and END.match(line):
            raise ValueError("a solution-end without its solution-start")
        elif until is None:
            lines.append(line)
        elif until is not END and START.match(line):
            raise ValueError(f"a solution begins inside another: {line}")
        elif end := until.match(line):
            until = closing(end[1]) if until is END else None
    return "\n".join(lines), until


def closing(fence: str) -> re.Pattern:
    return re.compile(rf"^{re.escape(fence)}\s*$")


def copy_sources(repository: Path, target: Path) -> None:
    """Copy what the site is built from; the classroom's sets are no part of it."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*", ASSIGNMENTS))
        elif source.exists():
            shutil.copy(source, target / name)


def copy_without_solutions(repository: Path, target: Path) -> None:
    """Copy what the site is built from; of a pair only the notebook, since the other half has the solutions too."""
    copy_sources(repository, target)
    for path in notebooks(target):
        path.with_suffix(".py").unlink(missing_ok=True)
        notebook = read(path)
        try:
            without_solutions(notebook)
        except ValueError as error:
            raise ValueError(f"{path.relative_to(target)}: {error}") from error
        write(notebook, path)
