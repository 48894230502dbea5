"""`attnlib data`: the data sets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from attnlib.cli.shared import Root, out, path, plain_errors, tell


def fetch(name: Annotated[str, typer.Argument(help="cifar10 or cifar100.")], root: Root = None) -> None:
    """Download a data set (160 MB), check it and keep it; does nothing where a good copy is here."""
    with plain_errors():
        from attnlib.data.cifar import fetch

        out.print(f"{name} is in {fetch(name, root)}", soft_wrap=True)


def import_(
    archive: Annotated[
        Path,
        typer.Argument(parser=path, metavar="FILE", help="cifar-10-python.tar.gz or cifar-100-python.tar.gz."),
    ],
    root: Root = None,
) -> None:
    """Take a data set from its archive, fetched by hand where this machine has no way out; checked as a download is."""
    with plain_errors():
        from attnlib.data.cifar import import_archive

        folder = import_archive(archive, root)
        out.print(f"{folder.name} is in {folder}", soft_wrap=True)


def info(
    verify: Annotated[bool, typer.Option("--verify", help="Compute the checksums again and compare them.")] = False,
    root: Root = None,
) -> None:
    """Show which data sets are here. Exit status 1 where one is damaged."""
    with plain_errors():
        from attnlib.data import cifar

        entries = cifar.info(root, verify)
        table = Table("name", "status", "MB")
        table.add_column("folder", overflow="fold")
        table.add_row("shapes", "generated, needs no files", "", "")
        for entry in entries:
            table.add_row(entry.name, entry.status, f"{entry.size / 1e6:.0f}", str(entry.folder))
        out.print(table)
    problems = [entry.problem for entry in entries if entry.problem]
    for problem in problems:
        tell("damaged", problem, "red")
    if problems:
        raise typer.Exit(1)
