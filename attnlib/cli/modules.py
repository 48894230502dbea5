"""`attnlib list` and `attnlib info`: the attention modules."""

import json
from typing import Annotated

import typer
from rich.table import Table

import attnlib
from attnlib.cli.shared import out, plain_errors


def list_(
    family: Annotated[str | None, typer.Option(help="Only this family: scale, self or control.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead of a table.")] = False,
) -> None:
    """List the attention modules: family, parameters at C = 64 and 256, what to expect, paper."""
    with plain_errors():
        from attnlib.overview import WIDTHS, overview

        entries = overview(family)
        if as_json:
            typer.echo(json.dumps(entries, indent=2))
            return
        table = Table("key", "family", *(f"C = {width}" for width in WIDTHS), "name, paper, status", show_lines=True)
        for entry in entries:
            counts = ["-" if count is None else f"{count:,}" for count in entry["parameters"].values()]
            described = "\n".join(text for text in (entry["name"], entry["paper"], entry["status"]) if text)
            table.add_row(entry["key"], entry["family"], *counts, described)
        out.print(table)
        out.print("Parameters with the default arguments. Where there is a dash:")
        for entry in entries:
            for reason in entry["reasons"].values():
                out.print(f"* {entry['key']}: {reason}")


def info(name: Annotated[str, typer.Argument(help="A key from: attnlib list.")]) -> None:
    """Say what is known of one module: its paper, its place in a network, what to expect of it."""
    with plain_errors():
        entry = attnlib.info(name)
        table = Table(show_header=False)
        for field in ("key", "name", "paper", "family", "placement", "status"):
            table.add_row(field, getattr(entry, field) or "none")
        out.print(table)
