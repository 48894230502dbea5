"""Write an experiment's table from the records on file, and say which runs are missing and why.

    python workflow/table.py NAME --experiments FOLDER --records FOLDER --runs FOLDER --out FOLDER

OUT/NAME.md holds every comparison with what can be concluded from it; OUT/NAME/RECIPE-BACKBONE.csv one of them, for a
program.
"""

import argparse
from itertools import groupby
from pathlib import Path

import plan

from attnlib.data.files import write_text
from attnlib.plain import in_markdown, in_terminal
from attnlib.results.comparison import report
from attnlib.results.formats import render
from attnlib.training.record import Record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    for folder in ("experiments", "records", "runs", "out"):
        parser.add_argument(f"--{folder}", type=Path, required=True)
    given = parser.parse_args()
    text = table(given.name, plan.named(given.name, given.experiments), given.records, given.runs, given.out)
    print(in_terminal(text))


def table(name: str, runs: list[plan.Run], records: Path, folder: Path, out: Path) -> str:
    """Write the files; returns the text of the first."""
    out.joinpath(name).mkdir(parents=True, exist_ok=True)
    found = {run.path: _found(run, records / f"{run.path}.json", folder / run.path) for run in runs}
    missing = [f"* {path}: {in_markdown(reason)}" for path, reason in found.items() if isinstance(reason, str)]
    parts = [f"# {in_markdown(name)}", f"{len(runs) - len(missing)} of {len(runs)} runs are on file."]
    if missing:
        parts += ["Missing:", "\n".join(missing)]
    for stem, group in groupby(sorted(runs, key=plan.comparison), key=plan.comparison):
        there = [record for run in group if isinstance(record := found[run.path], Record)]
        parts += [f"## {stem}", _compared(there, out / name / f"{stem}.csv")]
    text = "\n\n".join(parts) + "\n"
    write_text(out / f"{name}.md", text)
    return text


def _compared(records: list[Record], csv: Path) -> str:
    csv.unlink(missing_ok=True)
    try:
        compared = report(records)
    except ValueError as error:  # nothing to compare, or nothing to compare it with
        return f"No table: {in_markdown(error)}."
    write_text(csv, render(compared, "csv"))
    return "\n\n".join([render(compared, "markdown"), *map(in_markdown, [*compared.notes, compared.conclusion])])


def _found(run: plan.Run, path: Path, out: Path) -> Record | str:
    """The run's record, which is filed at `path`, or why there is none; `out` is the folder that it trains in."""
    if not path.exists():
        return _how_far(run, out)
    try:
        record = Record.load(path)
    except ValueError as error:
        return f"{error}; remove the file, and the same command files the run anew"
    if fields := record.recipe.differing_fields(run.recipe):
        return f"{path} is of another recipe, {_differs(fields)}; remove it, or give one of them another name"
    return record if record.status == "finished" else _ended(record)


def _how_far(run: plan.Run, out: Path) -> str:
    own, log = out / "record.json", Path(f"{out}.log")
    last = _last_line(log)
    ending = f"; {log} ends: {last}" if last else ""
    if not own.exists():  # a run that was refused, for its placement say, has a folder too: the log tells
        return ("begun, not ended" if out.exists() else "not begun") + ending
    try:
        record = Record.load(own)
    except ValueError as error:
        return f"{error}; remove the file, and the same command goes on from the last checkpoint"
    if fields := record.recipe.differing_fields(run.recipe):
        return f"{out} holds a run of another recipe, {_differs(fields)}; remove it, or give one of them another name"
    return _ended(record) + ("" if record.error else ending)


def _ended(record: Record) -> str:
    return f"{record.status} after {len(record.epochs)} epochs" + (f": {record.error}" if record.error else "")


def _differs(fields: list[str]) -> str:
    return f"which differs in {', '.join(fields)}"


def _last_line(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    main()
