"""What the benchmarks share: pairs timed in turn, what there is to know of the machine, tables as data."""

import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

import attnlib
from attnlib.data.files import write_text
from attnlib.profiling.timing import machine, milliseconds

TABLES = Path(attnlib.__file__).parent / "results" / "benchmarks"


@dataclass(frozen=True)
class Comparison:
    """Two ways timed in turn: the median of first / second with its quartiles, and the medians in milliseconds."""

    ratio: float
    lower: float
    upper: float
    milliseconds: float
    milliseconds_against: float

    def as_row(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def compare(
    first: Callable[[], Any], second: Callable[[], Any], device: torch.device, pairs: int, settle: bool = False
) -> Comparison:
    """Time both in pairs, now one before the other and now the other, after each has run twice.

    With `settle` each runs once untimed before it is timed: under the default allocator the blocks that one way gives
    back to the system cost the next way page faults, which it would not pay among its own kind.
    """
    for _ in range(2):
        first()
        second()
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        for way in (0, 1) if pair % 2 else (1, 0):
            run = (first, second)[way]
            if settle:
                run()
            times[way].append(milliseconds(run, device))
    ratios = [one / other for one, other in zip(*times, strict=True)]
    lower, ratio, upper = statistics.quantiles(ratios, n=4) if pairs > 1 else ratios * 3
    return Comparison(ratio, lower, upper, *map(statistics.median, times))


def header(device: torch.device, settings: dict[str, Any], packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a table of measurements has to say of itself: date, machine, versions of `packages`, settings."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "versions": {
            "python": platform.python_version(),
            "attnlib": attnlib.__version__,
            "torch": torch.__version__,
            **{package: _version(package) for package in packages},
        },
        "settings": settings,
    }


def measured_before(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that a run cut off has left; none where it was on another machine, of other versions or settings."""
    try:
        left = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    same = all(left[name] == json.loads(json.dumps(head[name])) for name in ("machine", "versions", "settings"))
    return left["rows"] if same else []


def measure_runs(
    path: Path, settings: dict[str, Any], runs: list[dict[str, Any]], measure: Callable[..., list[dict[str, Any]]]
) -> None:
    """Write the table of all runs to `path`, saved after each; where it was cut off, go on from there.

    Args:
        path: of the table.
        settings: what all runs share.
        runs: the arguments of each, in the order in which they are measured; no two are the same.
        measure: the rows of one run, each of which the run's arguments stand before.
    """
    head = header(torch.device("cpu"), settings)
    left = measured_before(path, head)
    found = [[row for row in left if run.items() <= row.items()] for run in runs]
    others = [row for row in left if not any(row in rows for rows in found)]
    for number in track([number for number, rows in enumerate(found) if not rows], path.stem):
        found[number] = [runs[number] | row for row in measure(**runs[number])]
        save(path, head | {"rows": [row for rows in found for row in rows] + others})
    print(path)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def save(path: Path, table: dict[str, Any]) -> None:
    """Write a table as JSON, whole or not at all, one row a line."""
    head = json.dumps({name: value for name, value in table.items() if name != "rows"}, indent=2, ensure_ascii=False)
    rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in table["rows"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f'{head.removesuffix("}").rstrip()},\n  "rows": [\n{rows}\n  ]\n}}\n')
