"""`attnlib report`: what records say."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from attnlib.cli.shared import note, out, path, plain_errors


def report(
    recipe: Annotated[str | None, typer.Option(help="Report this one; without it, list what has records.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Of the runs, e.g. resnet20; needed where the recipe has several.")
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="LABEL", help="What the others are compared with, e.g. none or constant.")
    ] = "none",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--records",
            parser=path,
            metavar="FOLDER",
            help="Folder of records, or of run folders; default the package's records.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="Print the table alone, for a page, another program or a paper: markdown, csv, latex."
        ),
    ] = None,
) -> None:
    """Mean, spread and paired differences over the seeds of recorded runs, and what can be concluded from them."""
    with plain_errors():
        from attnlib.results.archive import failed
        from attnlib.results.comparison import inventory, on_file, report, select
        from attnlib.results.formats import render

        warnings.showwarning = note
        found = on_file(folder, recipe)
        if recipe is None:
            if option := f"--backbone {backbone}" if backbone else f"--format {form}" if form else None:
                raise ValueError(f"{option} is for the runs of one recipe: give --recipe, too")
            entries = inventory(found)
            if as_json:
                typer.echo(json.dumps(entries, indent=1))
                return
            table = Table(*entries[0])
            for entry in entries:
                table.add_row(*(str(value) for value in entry.values()))
            out.print(table)
            return
        reported = report(select(found, recipe, backbone), baseline)
        if as_json:
            typer.echo(json.dumps(reported.model_dump(mode="json"), indent=1))
            return
        if form:
            typer.echo(render(reported, form), nl=False)
            return
        _show_report(reported, [run for run in failed(recipe, folder) if run.recipe.backbone == reported.backbone])


def _show_report(report, failed) -> None:
    heading = f"{report.recipe}: test accuracy after the last epoch, %; difference to {report.baseline}, points"
    table = Table(title=heading, show_lines=True)
    table.add_column("attention,\nparameters", overflow="fold")
    best = f"best\n{report.rows[0].best_of}\nepoch"
    for column in ("seeds", "mean,\nspread", best, "difference,\nits seeds", "Student\nt", "boot-\nstrap"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in report.rows:
        cells = [
            (row.label, f"{row.parameters:,}"),
            (str(len(row.seeds)),),
            (f"{row.mean:.2f}", "single run" if row.deviation is None else f"± {row.deviation:.2f}"),
            (f"{row.best_mean:.2f}",),
            ("-",) if row.difference is None else (f"{value:+.2f}" for value in (row.difference, *row.differences)),
            *(("-",) if ends is None else (f"{end:+.2f}" for end in ends) for ends in (row.student, row.bootstrap)),
        ]
        table.add_row(*("\n".join(cell) for cell in cells))
    out.print(table)
    broken = [f"Failed: {run.recipe.label}, seed {run.seed}: {run.error}." for run in failed]
    for sentence in (*report.notes, *broken, report.conclusion):
        out.print(sentence)
