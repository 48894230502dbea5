"""The two halves of a chapter, NAME.ipynb and NAME.py (py:percent), must hold the same cells.

python book/tools/pairs.py            compare; exit status 1 where a pair differs
python book/tools/pairs.py --sync     bring them together: the newer file wins, and of the other one a copy is
                                      kept where git has none; outputs and cell ids are kept
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import zip_longest
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbformat import NotebookNode

from chapters import REPOSITORY, notebooks, of_the_book, read, write, write_text

FORMAT = "py:percent"
KIND = "attention_book"  # the entry of a notebook's metadata that says what kind of page it is; both halves have it
# tells Jupyter's jupytext extension to write both halves
PAIRED = {"formats": f"ipynb,{FORMAT}", "notebook_metadata_filter": KIND}
OVERWRITTEN = ".overwritten"  # copies of halves that lost against the other one
MERGE_MARK = re.compile(r"^(<{7}|>{7}) .*$", re.MULTILINE)
VERSION_LINE = re.compile(r"^#\s+(?:jupytext|format)_version: .*\n", re.MULTILINE)


def as_text(notebook: NotebookNode) -> str:
    """The notebook as py:percent; of its metadata only kind and kernel, since the stamp belongs to the outputs."""
    kept = {key: notebook.metadata[key] for key in (KIND, "kernelspec") if key in notebook.metadata}
    metadata = {"jupytext": dict(PAIRED), **kept}
    text = jupytext.writes(NotebookNode(notebook, metadata=nbformat.from_dict(metadata)), FORMAT)
    return VERSION_LINE.sub("", text)  # the tool's version in use is no part of a chapter


def cells(notebook: NotebookNode) -> list[tuple]:
    """What both halves must agree on: kind, text and metadata of each cell (metadata as the text form keeps it)."""
    return [(c.cell_type, c.source.rstrip(), json.dumps(c.metadata, sort_keys=True)) for c in notebook.cells]


def difference(path: Path) -> str | None:
    """How the pair of this notebook differs, None where it does not."""
    text = path.with_suffix(".py")
    for half in (path, text):
        if not half.exists():
            return f"{half.name} is missing"
    script = jupytext.read(text)
    notebook = jupytext.reads(as_text(read(path)), FORMAT)
    for number, (ours, theirs) in enumerate(zip_longest(cells(script), cells(notebook))):
        if ours != theirs:
            return f"cell {number} differs"
    if script.metadata.get(KIND) != notebook.metadata.get(KIND):
        return f"{KIND} in the metadata differs"
    return None


def halves(repository: Path = REPOSITORY) -> list[Path]:
    """The .ipynb path of every pair, also of those that have only one half so far."""
    scripts = (path for path in (repository / "notebooks").rglob("*.py") if of_the_book(path, repository))
    scripts = (path for path in scripts if "# %%" in path.read_text(encoding="utf-8"))
    return sorted({*notebooks(repository), *(path.with_suffix(".ipynb") for path in scripts)})


def sync(path: Path) -> Path:
    """Pour the newer half into the older one; returns the newer."""
    text = path.with_suffix(".py")
    if text.exists() and (mark := MERGE_MARK.search(text.read_text(encoding="utf-8"))):
        sys.exit(f"{text} holds the mark of a merge, {mark[0]!r}; resolve it first")
    if not path.exists() or (text.exists() and text.stat().st_mtime >= path.stat().st_mtime):
        notebook = jupytext.read(text)
        if path.exists():
            notebook = combine_inputs_with_outputs(notebook, read(path), fmt=FORMAT)
        notebook.metadata["jupytext"] = nbformat.from_dict(PAIRED)
        write(notebook, path)
        os.utime(text)  # equal again: the halves are one version
        return text
    write_text(as_text(read(path)), text)
    return path


def bring_together(paths: list[Path], repository: Path = REPOSITORY) -> None:
    """Synchronise the pairs that differ, and say of each which half was kept, and where a copy of the other one is.

    There is a copy where the other half, too, holds cells that git does not have: somebody may have edited both.
    """
    for path in paths:
        if how := difference(path):
            text = path.with_suffix(".py")
            copies = {half: _copy(half, repository) for half in (path, text) if _only_here(half, repository)}
            kept = sync(path)
            copy = copies.pop(text if kept == path else path, None)
            for needless in copies.values():
                needless.unlink()
            where = f"; what {copy.name} held is in {copy.relative_to(repository)}" if copy else ""
            print(f"{path.relative_to(repository).with_suffix('')}: {how}; kept {kept.name}{where}", flush=True)


def _only_here(half: Path, repository: Path) -> bool:
    """Whether this half holds cells that the last commit does not."""
    if not half.exists():
        return False
    command = ["git", "-C", str(repository), "show", f"HEAD:./{half.relative_to(repository).as_posix()}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:  # no git
        return True
    if shown.returncode:  # no repository, or a file that is not committed
        return True
    if half.suffix == ".py":
        return shown.stdout != half.read_bytes()
    return as_text(nbformat.reads(shown.stdout.decode(), as_version=4)) != as_text(read(half))


def _copy(half: Path, repository: Path) -> Path:
    folder = repository / OVERWRITTEN / time.strftime("%Y-%m-%dT%H-%M-%S") / half.parent.relative_to(repository)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(half, folder))


def main() -> int:
    if "--sync" in sys.argv[1:]:
        bring_together(halves())
        return 0
    differing = {path: how for path in halves() if (how := difference(path))}
    for path, how in differing.items():
        name = path.relative_to(REPOSITORY).with_suffix("")
        print(f"{name}.ipynb and .py: {how}; run `make sync` (the newer file wins)")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
