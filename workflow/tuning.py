"""What the runs of a tuning reached on the validation images for what they cost, as a table to choose a recipe by.

    python workflow/tuning.py NAME [--runs FOLDER]

NAME is a file of workflow/experiments whose tables change fields of one recipe. It prints the table and files it as
attnlib/results/tuning/NAME.json. The test accuracies, which must choose nothing, are left out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import plan
import torch

import attnlib
from attnlib.training.record import Record

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measure import header, save

_FOLDER = Path(attnlib.__file__).parent / "results" / "tuning"


def rows(runs: list[plan.Run], folder: Path) -> list[dict[str, Any]]:
    """A row for each run that is finished in `folder`, the best first."""
    found = []
    for run in runs:
        path = folder / run.path / "record.json"
        record = Record.load(path) if path.exists() else None
        if record is None or record.recipe != run.recipe or record.status != "finished":
            continue
        changed = {field: value for field, value in run.changes.items() if field != "name"}
        found.append(
            changed
            | {
                "attention": run.recipe.label,
                "seed": run.recipe.seed,
                "validation_accuracy": record.epochs[-1].validation_accuracy,
                "train_loss": round(record.epochs[-1].train_loss, 4),
                "cpu_seconds": record.provenance.cpu_seconds,
                "commit": record.provenance.commit,
            }
        )
    return sorted(found, key=lambda row: -row["validation_accuracy"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where they were trained")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="where the table is filed")
    given = parser.parse_args(arguments)
    runs = plan.named(given.name)
    found = rows(runs, given.runs)
    for row in found:
        print(row)
    print(f"{len(found)} of {len(runs)} runs are finished")
    if found:
        about = "accuracy on the validation images after the last epoch; CPU seconds of the whole run"
        table = header(torch.device("cpu"), {"experiment": given.name, "about": about})
        save(given.out / f"{given.name}.json", {**table, "rows": found})


if __name__ == "__main__":
    main()
