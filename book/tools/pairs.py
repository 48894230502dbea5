"""The two halves of a chapter, NAME.ipynb and NAME.py (py:percent), must hold the same cells.

python book/tools/pairs.py            compare; exit status 1 where a pair differs
python book/tools/pairs.py --sync     bring them together: the newer file wins; outputs and cell ids are kept
"""

import json
import os
import re
import sys
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
    """Synchronise the pairs that differ, and say of each which half was kept."""
    for path in paths:
        if how := difference(path):
            kept = sync(path)
            print(f"{path.relative_to(repository).with_suffix('')}: {how}; kept {kept.name}", flush=True)


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
