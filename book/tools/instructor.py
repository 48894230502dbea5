"""The book for teachers: a copy of its sources with the classroom's sets, solutions included, behind it."""

import sys
from pathlib import Path

import yaml

from chapters import ASSIGNMENTS, REPOSITORY, write
from solutions import copy_sources


def copy_with_sets(repository: Path, target: Path) -> None:
    """Copy the sources, add the notebook of each set, and list them in the copy's table of contents."""
    sys.path.insert(0, str(REPOSITORY))
    from classroom.sets import sets

    copy_sources(repository, target)
    contents = target / "_toc.yml"
    parts = yaml.safe_load(contents.read_text(encoding="utf-8"))
    chapters = []
    for each in sets():
        notebook = each.notebook
        for cell in notebook.cells:
            cell.metadata.pop("nbgrader", None)
        path = target / "notebooks" / ASSIGNMENTS / f"{each.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(notebook, path)
        chapters.append({"file": str(path.relative_to(target).with_suffix(""))})
    parts["parts"].append({"caption": "Sets, with solutions", "chapters": chapters})
    contents.write_text(yaml.safe_dump(parts, sort_keys=False), encoding="utf-8")
