"""The whole ledger of a paper: its claims with their verdicts and its costs, computed, kept on file and read again."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from attnlib.data.files import write_text
from attnlib.errors import unknown
from attnlib.ledger.cells import Cell, Counting, frame
from attnlib.ledger.schema import Kind, load
from attnlib.ledger.verdict import Disagreement, Verdict, Word, judge
from attnlib.training.recipe import reasons

if TYPE_CHECKING:
    import pandas

_FOLDER = Path(__file__).parents[1] / "papers"


class Ledger(BaseModel):
    """What became of a paper's claims and costs; `countings` has each table under every rule of `ledger.rules`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    verdicts: list[Verdict]
    cells: list[Cell]
    countings: list[Counting] = []

    def costs(self) -> "pandas.DataFrame":
        """The printed costs: table, row, column, published, measured, difference, agrees, reason, confidence."""
        return frame(self.cells)


def compute(key: str) -> Ledger:
    """Judge every claim of the paper `key` and recompute its costs: seconds to a minute.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
        Whatever a check raises.
    """
    from attnlib.ledger.costs import (
        cells,
        countings,
    )  # with all networks, which those who read what is on file need not wait for

    return Ledger(paper=load(key).key, verdicts=judge(key), cells=cells(key), countings=list(countings(key)))


def stored(key: str, folder: Path = _FOLDER) -> Ledger:
    """What `compute` gave when the file was written; the tests compare the two.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
        ValueError: no file for it, or another one.
    """
    path = folder / load(key).key / "verdicts.json"
    try:
        return Ledger.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(
            f"there is no ledger of {key} at {path}; `attnlib ledger --paper {key} --recompute` writes it"
        ) from None
    except ValidationError as error:
        raise ValueError(f"{path} is not a ledger: {reasons(error)}") from error


def select(
    judged: list[Verdict],
    kind: str | None = None,
    verdict: str | None = None,
    disagreement: str | None = None,
    id: str | None = None,
) -> list[Verdict]:
    """The verdicts of one kind, one word, one kind of disagreement or one claim; all where nothing is asked for.

    Raises:
        UnknownNameError: no such kind, verdict, disagreement or claim; the message lists the near matches.
    """
    allowed = {
        "kind": get_args(Kind),
        "verdict": get_args(Word),
        "disagreement": get_args(Disagreement),
        "id": [v.id for v in judged],
    }
    asked = {"kind": kind, "verdict": verdict, "disagreement": disagreement, "id": id}
    asked = {name: value for name, value in asked.items() if value is not None}
    for name, value in asked.items():
        if value not in allowed[name]:
            raise unknown(name, value, allowed[name])
    return [v for v in judged if all(getattr(v, name) == value for name, value in asked.items())]


def store(ledger: Ledger, folder: Path = _FOLDER) -> Path:
    """Write a ledger to its file, in place of an older one; returns the path."""
    path = folder / ledger.paper / "verdicts.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, ledger.model_dump_json(indent=1) + "\n")
    return path
