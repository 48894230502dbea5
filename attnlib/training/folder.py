"""What the output folder of a run holds of an earlier sitting, and whom it belongs to."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, ValidationError

from attnlib.training.checkpoint import Checkpoints
from attnlib.training.provenance import commit
from attnlib.training.recipe import Recipe, reasons
from attnlib.training.record import Record


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else trains into this folder meanwhile; the lock goes with the process, however it ends."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another run is writing into {folder}; wait for its end, or choose another folder") from None
    for partial in folder.glob(".record.json.*.partial"):  # of a process that was killed while it wrote
        partial.unlink()
    try:
        yield
    finally:
        lock.release()


def finished(out: str | Path, recipe: Recipe) -> Record | None:
    """The record of `recipe`'s run in the folder `out` where that is finished, else None.

    Raises:
        ValueError: what lies there is no record, or one of another recipe.
    """
    path = Path(out) / "record.json"
    if not path.exists():
        return None
    try:
        record = Record.load(path)
    except ValueError as error:
        raise ValueError(f"{error}; remove the file to go on from the last checkpoint, or --restart") from error
    _refuse(path, record.recipe, recipe)
    return record if record.status == "finished" else None


def earlier_sitting(folder: Path, recipe: Recipe) -> tuple[dict[str, Any] | None, Record | None]:
    """The newest checkpoint of `recipe` in this folder and its record where it is finished, or None for each.

    What was damaged, and is then set aside, or has changed since is said.

    Raises:
        ValueError: the folder is another recipe's, or its record or its checkpoint is none; it is left as it is.
        OSError: a checkpoint cannot be read.
    """
    record = finished(folder, recipe)
    checkpoints = Checkpoints(folder)
    state, damaged = checkpoints.load()
    if state is not None:
        _refuse(folder, _recipe(folder, state), recipe)
    if damaged:
        goes_on = f"from step {state['run']['step']}" if state else "from the beginning"
        warnings.warn(f"{'; '.join(map(checkpoints.set_aside, damaged))}; going on {goes_on}", stacklevel=3)
    if state is None:
        return None, record
    if record is None and state["commit"] != (now := commit()):
        warnings.warn(
            f"the checkpoint in {folder} was made by the code of {state['commit']}, which is now {now}; the record "
            "will name the second alone; --restart begins anew",
            stacklevel=3,
        )
    return state, record


class _Kept(BaseModel):
    """What a checkpoint holds, apart from the tensors in `run`, which only the network can judge."""

    recipe: str
    commit: str | None
    started: str
    seconds: float = Field(ge=0, allow_inf_nan=False)
    cpu_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    deterministic: bool
    run: dict[str, Any]


def _recipe(folder: Path, state: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate_json(_Kept.model_validate(state).recipe)
    except ValidationError as error:
        raise ValueError(
            f"the checkpoint in {folder} was made by other code, with another kind of recipe ({reasons(error)}); begin "
            "anew by restart=True (--restart)"
        ) from error


def _refuse(where: Path, there: Recipe, asked: Recipe) -> None:
    if fields := there.differing_fields(asked):
        values = ", ".join(f"{f}={getattr(there, f)!r} there, {getattr(asked, f)!r} asked for" for f in fields)
        raise ValueError(f"{where} holds a run of another recipe ({values}); choose another folder, or --restart")
