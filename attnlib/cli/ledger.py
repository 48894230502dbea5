"""`attnlib ledger`: the papers' claims and printed costs."""

import json
from collections import Counter
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from attnlib.cli.shared import err, out, plain_errors, tell


def ledger(
    paper: Annotated[str | None, typer.Option(help="Only this paper, a key such as se.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="paper, for what the paper claims, or code, for paper against released code."),
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option(help="holds, holds with a note, open, does not hold, awaits a record or not testable here."),
    ] = None,
    disagreement: Annotated[
        str | None,
        typer.Option(help="contradiction, counting rule, rounding, reading or better than printed."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--id", help="Only this claim, e.g. sa-parameters-resnet50.")] = None,
    costs: Annotated[bool, typer.Option("--costs", help="Printed costs beside recomputed ones instead.")] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Judge and count anew (seconds to a minute a paper) and file it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead of a table.")] = False,
) -> None:
    """What the papers claim, beside what this code gives, with a verdict that code computed.

    Without an option: how many claims of each paper have which verdict. Figures are those on file; the tests compute
    them anew and compare.
    """
    with plain_errors():
        from attnlib import papers
        from attnlib.ledger.entries import select

        if costs and (kind or verdict or disagreement or claim):
            raise ValueError(
                "--kind, --verdict, --disagreement and --id choose among claims; leave them out with --costs"
            )
        chosen, broken = [], []
        for key in papers.list_papers() if paper is None else [paper]:
            try:
                each = papers.paper(key)
                if not recompute:
                    _ = each.cells  # reads what is on file
                chosen.append(each)
            except (ValueError, OSError) as error:
                if paper is not None:
                    raise
                broken.append(error)
                tell("passed over", error, "yellow")
        if recompute:
            for each in chosen:
                with err.status(f"judging {each.key}"):
                    try:
                        each.recompute()
                    except OSError as error:  # the result is there all the same
                        tell("note", f"not stored: {error}", "yellow")
        if costs:
            rows = [cell for each in chosen for cell in each.cells]
        else:
            judged = [v for each in chosen for v in each.verdicts(most=None)]
            rows = select(judged, kind, verdict, disagreement, claim)
        if as_json:
            typer.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
            raise typer.Exit(1 if broken else 0)
        if costs:
            _show_costs(rows)
            _show_countings(chosen)
        elif not any((paper, kind, verdict, disagreement, claim)):
            _show_summary(chosen, rows)
        else:
            _show_verdicts(rows)
        if broken:
            raise typer.Exit(1)


def _show_summary(chosen: list, verdicts: list) -> None:
    """A row a paper, then what to ask next."""
    from attnlib.papers import by_unkindness

    words = by_unkindness(v.verdict for v in verdicts)
    table = Table(Column("paper", no_wrap=True), *words)
    for each in chosen:
        found = Counter(v.verdict for v in each.verdicts(most=None))
        table.add_row(each.key, *(str(found[word] or "") for word in words))
    out.print(table)
    _show_counts(verdicts)
    out.print("One paper: attnlib ledger --paper se. One verdict: attnlib ledger --verdict 'does not hold'.")


def _show_verdicts(verdicts: list) -> None:
    table = Table(show_lines=True)
    for column, ratio in {"claim": 3, "published": 1, "measured": 1, "verdict": 1}.items():
        table.add_column(column, ratio=ratio, overflow="fold")
    for v in verdicts:
        notes = [(f"\n{line}", "dim") for line in (v.note, *map(str, v.evidence)) if line]
        unit = f" {v.unit}" if v.unit else ""
        table.add_row(
            Text.assemble((v.id, "bold"), f" ({v.kind}): {v.claim}", *notes),
            _figure(v.published, unit),
            _figure(v.measured, unit),
            v.words,
        )
    out.print(table)
    _show_counts(verdicts)


def _show_counts(verdicts: list) -> None:
    counts = Counter(v.words for v in verdicts)
    words = "; ".join(f"{word.replace(': ', ', ')}: {count}" for word, count in counts.most_common())
    out.print(f"{len(verdicts)} claims; {words}")


def _show_costs(cells: list) -> None:
    table = Table("paper, table, row", "column", "published", "measured", "agrees")
    for cell in cells:
        agrees = {True: "yes", False: "no", None: cell.reason}[cell.agrees]
        name = f"{cell.paper}, {cell.table}: {cell.row}"
        table.add_row(name, cell.column, _figure(cell.published), _figure(cell.measured), agrees)
    out.print(table)
    recomputed = sum(cell.measured is not None for cell in cells)
    agree = sum(cell.agrees is True for cell in cells)
    out.print(f"{len(cells)} printed costs: {recomputed} recomputed, {agree} agree to the printed digits")


def _show_countings(papers: list) -> None:
    """The rules of counting that fit a table better than the one its file states."""
    table = Table("paper, table", "rule that fits it better", "cells that agree", "as stated", "cells")
    for paper in papers:
        for stated, best in paper.better_countings:
            name = f"{paper.key}, {best.table}: {best.quantity}"
            table.add_row(name, best.rule, str(best.agree), str(stated.agree), str(best.cells))
    if table.row_count:
        out.print(table)


def _figure(value: float | int | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.6g}{unit}"
