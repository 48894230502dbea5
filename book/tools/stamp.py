"""Stamps: what a result depends on, so that a change is noticed and an unrelated one is not.

One rule serves the outputs of notebooks, the verdicts on papers and the table of costs. A stamp holds

    files       {path in the repository: hash} of every attnlib file that was imported or opened, records included
    folders     {path: hash of the file names} of every folder without Python files that was listed
    packages    {name: version in requirements.lock} of every package that was imported

Python source is hashed by its syntax tree without docstrings: a comment, a docstring or a line break changes nothing.
What version is installed makes nothing stale, a changed pin of an imported package does. A file or a folder that was
asked for and did not exist has the hash null: the result is stale once it appears.

A notebook has its stamp in its metadata, with the hash of its code cells (code) and how the run went (lane, device,
versions, seconds: a difference there makes nothing stale). A computed file has it in book/stamps, where nobody reads it
who reads the file: what is computed again and comes out the same makes no chapter stale.

    python book/tools/stamp.py     say which notebook, verdict or cost is stale and why; exit status 1 where any is
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from nbformat import NotebookNode

from chapters import REPOSITORY, notebooks, read, write_text

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


def source_digest(text: str, cell: bool = False) -> str:
    """Hash of Python source by its syntax tree; of the text where it does not parse (a cell with a magic command).

    Docstrings count only in a file that reads one. The first string of a cell is none: it may be shown.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return digest(text)
    if "__doc__" not in text:
        remove_docstrings(tree, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, *(() if cell else (ast.Module,))))
    return digest(repr(canonical(tree)))


def remove_docstrings(tree: ast.Module, kinds: tuple[type[ast.AST], ...]) -> None:
    """Take the docstrings of these kinds of nodes out of a syntax tree, in place."""
    for node in ast.walk(tree):
        first = node.body[0] if isinstance(node, kinds) and node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            del node.body[0]


def code_digest(notebook: NotebookNode) -> str:
    return digest(
        "\n".join(source_digest(cell.source, cell=True) for cell in notebook.cells if cell.cell_type == "code")
    )


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


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def distributions() -> dict[str, list[str]]:
    """The packages, as requirements.lock calls them, that give each importable name."""
    return {name: sorted({normalised(each) for each in given}) for name, given in packages_distributions().items()}


def pins(repository: Path) -> dict[str, str]:
    """The version of each package in requirements.lock; several where they depend on the Python."""
    found: dict[str, list[str]] = {}
    for line in (repository / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line):
            found.setdefault(normalised(match[1]), []).append(match[2])
    return {name: ", ".join(versions) for name, versions in found.items()}


def depends_on(read: Iterable[str], listed: Iterable[str], imported: Iterable[str], repository: Path) -> dict:
    """What a result depends on: files that were read, folders that were listed, names that were imported."""
    files, folders = tracked(list(read), repository), tracked(list(listed), repository)
    pinned = pins(repository)
    packages = sorted({each for name in imported for each in distributions().get(name, [])} & pinned.keys())
    return {
        "files": {name: file_digest(path) for name, path in files.items()},
        # Python itself lists the folders with its files when it imports, and a module that is new changes no old one.
        "folders": {name: folder_digest(path) for name, path in folders.items() if not any(path.glob("*.py"))},
        "packages": {name: pinned[name] for name in packages},
    }


def changes(stamp: dict, repository: Path = REPOSITORY) -> list[str]:
    """What of that is no longer so, one phrase each; empty where the result is up to date. The rule for all results."""
    if "packages" not in stamp:
        return ["its stamp is of an older form"]
    found = []
    pinned = pins(repository)
    for name, old in stamp["packages"].items():
        if (new := pinned.get(name)) != old:
            found.append(f"{name} in requirements.lock was {old} and is {new or 'gone'}")
    for kind, hash_of in (("files", file_digest), ("folders", folder_digest)):
        for name, old in stamp[kind].items():
            new = hash_of(repository / name)
            if new != old:
                found.append(f"{name} {'appeared' if old is None else 'is gone' if new is None else 'changed'}")
    return found


# ---- notebooks ----


def make(notebook: NotebookNode, report: dict, lane: str, seconds: float, repository: Path = REPOSITORY) -> dict:
    """The stamp after a run; `report` is what trace.py wrote in the kernel."""
    return {
        "code": code_digest(notebook),
        **depends_on(report["read"], report["listed"], report["imported"], repository),
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
    if "packages" not in stamp:
        return changes(stamp, repository)
    own = ["its code cells changed"] if stamp["code"] != code_digest(notebook) else []
    return own + changes(stamp, repository)


# ---- computed files ----


def stamp_file(name: str, repository: Path = REPOSITORY) -> Path:
    """Where the stamp of a computed file is kept, e.g. of "costs" or "verdicts-se"."""
    return repository / "book" / "stamps" / f"{name}.json"


def file_stamp(name: str, stamp: dict, repository: Path = REPOSITORY) -> None:
    path = stamp_file(name, repository)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(stamp, indent=1) + "\n", path)


def reasons_of_file(name: str, repository: Path = REPOSITORY) -> list[str]:
    """Why a computed file is stale, one phrase per cause; empty where it is up to date."""
    try:
        return changes(json.loads(stamp_file(name, repository).read_text(encoding="utf-8")), repository)
    except FileNotFoundError:
        return ["it was never stamped"]


def papers(repository: Path = REPOSITORY) -> list[str]:
    """Keys of the papers whose verdicts are on file."""
    return sorted(path.parent.name for path in (repository / "attnlib" / "papers").glob("*/verdicts.json"))


def stale(repository: Path = REPOSITORY) -> dict[str, tuple[list[str], str]]:
    """Everything that is stale: why, and the command that mends it."""
    found = {
        str(path.relative_to(repository)): (reasons(read(path), repository), "make execute")
        for path in notebooks(repository)
    }
    for key in papers(repository):
        found[f"verdicts on {key}"] = (reasons_of_file(f"verdicts-{key}", repository), "make verdicts")
    found["costs of networks"] = (reasons_of_file("costs", repository), "python -m benchmarks.costs")
    return {name: (why, command) for name, (why, command) in found.items() if why}


def main() -> int:
    found = stale()
    for name, (why, command) in found.items():
        print(f"{name}: {'; '.join(why)}. Run `{command}`.")
    if not found:
        print("Every notebook, verdict and cost is up to date.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
