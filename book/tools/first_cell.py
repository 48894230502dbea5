"""The first code cell of every chapter: installs attnlib where it is missing, and does nothing otherwise.

python book/tools/first_cell.py     write it into the chapters, after the address in _config.yml has changed

The address stands in _config.yml alone (repository.url); a notebook that is opened elsewhere has to carry it. Where it
is empty, the cell installs from the checkout around the notebook. ATTNLIB_SOURCE names another source, such as a wheel.
"""

import sys
from pathlib import Path, PurePosixPath

import jupytext
import yaml
from nbformat.v4 import new_code_cell

import pairs
from chapters import REPOSITORY, notebooks, write_text

OPENING = "# Where attnlib is missing (Colab, a bare kernel), this installs it."
TITLE = "Install attnlib where it is missing"
METADATA = {"tags": ["hide-cell"], "mystnb": {"code_prompt_show": TITLE}}
# As `ruff format` leaves it, whatever the length of the address.
SOURCE = (
    OPENING
    + """
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "{source}"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()"""
)


def address(repository: Path = REPOSITORY) -> str:
    """The one configured address of the book's repository; empty where there is none."""
    return yaml.safe_load((repository / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"].rstrip("/")


def source(name: str, url: str) -> str:
    """The cell of a notebook, given its path in the repository and the address."""
    upwards = "/".join([".."] * (len(PurePosixPath(name).parts) - 1))
    return SOURCE.format(source=f"attnlib[chapters] @ git+{url}" if url else f"{upwards}[chapters]")


def put(path: Path, repository: Path = REPOSITORY) -> bool:
    """Write the cell into the text half of a pair, before its first code cell; whether anything changed."""
    text = path.with_suffix(".py")
    notebook = jupytext.read(text)
    wanted = source(path.relative_to(repository).as_posix(), address(repository))
    first = next(n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    if not notebook.cells[first].source.startswith(OPENING):
        notebook.cells.insert(first, new_code_cell())
    cell = notebook.cells[first]
    if cell.source == wanted and cell.metadata == METADATA:
        return False
    notebook.cells[first] = new_code_cell(wanted, metadata=METADATA)
    write_text(pairs.as_text(notebook), text)
    return True


def main() -> int:
    changed = [path for path in notebooks() if "assignments" not in path.parts and put(path)]
    pairs.bring_together(changed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
