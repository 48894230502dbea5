"""The stamp of a notebook: what its outputs depend on, so that a change is noticed and an unrelated one is not.

A stamp is the entry `stamp` of the notebook's metadata:

    code      hash of the code cells
    lock      hash of requirements.lock
    files     {path in the repository: hash} of every attnlib file that the kernel imported or opened, records included
    folders   {path: hash of the file names} of every folder without Python files that it listed
    lane, device, versions, seconds    how the run went; a difference here makes nothing stale

Python source is hashed by its syntax tree, so a comment or a line break changes nothing. A file or a
folder that was asked for and did not exist has the hash null: the chapter is stale once it appears.

    python book/tools/stamp.py     list the stale notebooks and why; exit status 1 where there are any
"""

import ast
import hashlib
import sys
from pathlib import Path

from nbformat import NotebookNode

from chapters import REPOSITORY, notebooks, read

TRACKED = ("attnlib/",)


def digest(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def canonical(node: object) -> object:
    """A syntax tree as nested tuples, without positions and empty fields, so that Python 3.11 to 3.14 agree on it."""
    if isinstance(node, ast.JoinedStr):  # early releases of 3.12 add an empty string after a nested format
        return ("JoinedStr", *(canonical(part) for part in node.values if getattr(part, "value", None) != ""))
    if isinstance(node, ast.AST):
        fields = ((name, canonical(value)) for name, value in ast.iter_fields(node) if value not in (None, []))
        return (type(node).__name__, *fields)
    if isinstance(node, list):
        return tuple(map(canonical, node))
    return repr(node)


def source_digest(text: str) -> str:
    """Hash of Python source by its syntax tree; of the text where it does not parse (a cell with a magic command)."""
    try:
        return digest(repr(canonical(ast.parse(text))))
    except SyntaxError:
        return digest(text)


def code_digest(notebook: NotebookNode) -> str:
    return digest("\n".join(source_digest(cell.source) for cell in notebook.cells if cell.cell_type == "code"))


def file_digest(path: Path) -> str | None:
    """Hash of a file's content, None where it does not exist."""
    if not path.is_file():
        return None
    return source_digest(path.read_text(encoding="utf-8")) if path.suffix == ".py" else digest(path.read_bytes())


def folder_digest(path: Path) -> str | None:
    """Hash of the names in a folder, None where it does not exist."""
    if not path.is_dir():
        return None
    return digest("\n".join(sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))))


def tracked(paths: list[str], repository: Path) -> dict[str, Path]:
    """Those of a kernel's paths that count, by their name in the repository with forward slashes.

    Compiled files do not: their source is what counts.
    """
    named = {Path(path).relative_to(repository).as_posix(): Path(path) for path in sorted(paths)}
    return {name: path for name, path in named.items() if name.startswith(TRACKED) and "__pycache__" not in path.parts}


def make(notebook: NotebookNode, report: dict, lane: str, seconds: float, repository: Path = REPOSITORY) -> dict:
    """The stamp after a run; `report` is what trace.py wrote in the kernel."""
    files, folders = tracked(report["read"], repository), tracked(report["listed"], repository)
    return {
        "code": code_digest(notebook),
        "lock": file_digest(repository / "requirements.lock"),
        "files": {name: file_digest(path) for name, path in files.items()},
        # Python itself lists the folders with its files when it imports, and a module that is new changes no old one.
        "folders": {name: folder_digest(path) for name, path in folders.items() if not any(path.glob("*.py"))},
        "lane": lane,
        "device": report["device"],
        "versions": report["versions"],
        "seconds": round(seconds, 1),
    }


def reasons(notebook: NotebookNode, repository: Path = REPOSITORY) -> list[str]:
    """Why a notebook is stale, one phrase per cause; empty where its outputs are up to date."""
    stamp = notebook.metadata.get("stamp")
    if stamp is None:
        return ["it was never executed"]
    found = []
    if stamp["code"] != code_digest(notebook):
        found.append("its code cells changed")
    if stamp["lock"] != file_digest(repository / "requirements.lock"):
        found.append("requirements.lock changed")
    for kind, hash_of in (("files", file_digest), ("folders", folder_digest)):
        for name, old in stamp[kind].items():
            new = hash_of(repository / name)
            if new != old:
                found.append(f"{name} {'appeared' if old is None else 'is gone' if new is None else 'changed'}")
    return found


def main() -> int:
    stale = {path: reasons(read(path)) for path in notebooks()}
    for path, why in stale.items():
        for reason in why:
            print(f"{path.relative_to(REPOSITORY)}: {reason}; run `make execute`")
    return int(any(stale.values()))


if __name__ == "__main__":
    sys.exit(main())
