"""Records by recipe and attention: records/<recipe>/<attention>/<backbone>-seed<k>.json.

An attention has a folder of its own, so that a chapter that draws some of them does not depend on the others.
"""

import os
import re
from pathlib import Path

from attnlib.training.recipe import Recipe
from attnlib.training.record import Record

FOLDER = Path(__file__).parent / "records"


def records(recipe: str | None = None, attention: str | None = None, folder: str | Path = FOLDER) -> list[Record]:
    """The finished runs on file, ordered by attention and seed; an empty list where there are none.

    Args:
        recipe: a recipe's name; default all.
        attention: a recipe's label, e.g. "se" or "constant(value=0.0)"; default all.
        folder: where the records lie; default the package's own.

    Raises:
        ValueError: a file that is not a record; the message says which file, which field and why.
    """
    return [
        r for r in _read(recipe, attention, folder) if r.status == "finished" and attention in (None, r.recipe.label)
    ]


def failed(recipe: str | None = None, folder: str | Path | None = None) -> list[Record]:
    """The runs on file that diverged, of one recipe or of all, in the same order; `error` says where."""
    return [record for record in _read(recipe, None, folder or FOLDER) if record.status == "failed"]


def complete_rounds(recipe: str, folder: str | Path = FOLDER) -> list[Record]:
    """The finished runs of those seeds that every attention on file was trained from, to its end or until it diverged.

    So that a table into which seed after seed is filed compares the same seeds in every row.
    """
    found = _read(recipe, None, folder)
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in found:
        seeds.setdefault((record.recipe.backbone, record.recipe.label), set()).add(record.seed)
    shared = set.intersection(*seeds.values()) if seeds else set()
    return [record for record in found if record.status == "finished" and record.seed in shared]


def store(record: Record, folder: str | Path = FOLDER) -> Path:
    """File a run that is finished, or that diverged, in place of an older one of the same recipe; returns its path.

    Raises:
        ValueError: the run was neither; or the file that it would replace is of another recipe, or no record.
    """
    if record.status != "finished" and not record.diverged:
        raise ValueError(f"only finished and diverged runs are filed, this one is {record.status}; train it again")
    path = Path(folder) / location(record.recipe)
    if path.exists() and (fields := record.recipe.differing_fields(Record.load(path).recipe)):
        raise ValueError(
            f"{path} holds a run of another recipe, which differs in {', '.join(fields)}; "
            "give this recipe a name of its own, or remove the file"
        )
    record.save(path)
    return path


def location(recipe: Recipe) -> Path:
    """`smoke/constant-value-0.0/resnet8-seed0.json`: where the record of a run lies in the folder of records."""
    return Path(recipe.name) / _slug(recipe.label) / f"{_slug(recipe.backbone)}-seed{recipe.seed}.json"


def _read(recipe: str | None, attention: str | None, folder: str | Path) -> list[Record]:
    return sorted(map(Record.load, files(recipe, attention, folder)), key=order)


def files(recipe: str | None = None, attention: str | None = None, folder: str | Path = FOLDER) -> list[Path]:
    """Where the records lie, of all runs, whatever became of them."""
    folder = Path(folder)
    return [
        folder / name / slug / file
        for name in ([recipe] if recipe else _names(folder))
        for slug in ([_slug(attention)] if attention else _names(folder / name))
        for file in _names(folder / name / slug)
        if file.endswith(".json")
    ]


def order(record: Record) -> tuple[str, str, int]:
    """What records are sorted by."""
    return record.recipe.name, record.recipe.label, record.seed


def _slug(label: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", label).strip("-")


def _names(folder: Path) -> list[str]:
    # Not Path.glob, which passes over a missing folder unseen: an audit hook has to see that it was looked for, so that
    # a chapter that says "no record" is known to be out of date once there is one.
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
