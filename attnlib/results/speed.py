"""Measured speeds and memory, as package data: one file for each benchmark and device."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from attnlib.errors import unknown
from attnlib.training.recipe import reasons

_FOLDER = Path(__file__).parent / "benchmarks"


class Measurements(BaseModel):
    """What one run of a benchmark found.

    Attributes:
        date: when, in UTC.
        machine: processor, cores, threads, instructions, GPU, system.
        versions: of Python and the packages that took part; None for one that was not there.
        settings: how it was measured, and what a row's figures mean.
        notes: what could not be measured, and why.
        rows: one for each thing measured, all with the same entries.
    """

    model_config = ConfigDict(extra="forbid")

    date: str
    machine: dict[str, str | int | None]
    versions: dict[str, str | None]
    settings: dict[str, Any]
    notes: list[str] = []
    rows: list[dict[str, str | int | float | None]]

    def where(self) -> str:
        """The machine and the versions in one line, for captions."""
        device = self.machine["gpu"] or f"{self.machine['cpu']}, {self.machine['threads']} threads"
        return f"{device}; PyTorch {self.versions['torch']}; {self.date[:10]}"


def measurements(name: str, folder: str | Path = _FOLDER) -> Measurements:
    """Read what a benchmark found, e.g. "cpu-modules" or "cpu-local".

    Raises:
        UnknownNameError: no such table; the message lists those there are.
        ValueError: not such a table; the message says which field and why.
    """
    path = Path(folder) / f"{name}.json"
    try:
        return Measurements.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        known = sorted(each.stem for each in Path(folder).glob("*.json"))
        raise unknown("table of measurements", name, known) from None
    except ValidationError as error:
        raise ValueError(f"{path} is not a table of measurements: {reasons(error)}") from error
