"""`attnlib compare`: what modules add to a network, counted and timed."""

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from attnlib.cli.shared import Sides, err, out, parse, parse_size, path, plain_errors, tell


def compare(
    network: Annotated[
        str, typer.Argument(help="One of ours, torchvision:NAME, timm:NAME, or my_models:function of your own.")
    ],
    modules: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE...", help="Keys from: attnlib list; one with arguments in quotes: 'se(reduction=8)'."
        ),
    ],
    image_size: Sides = None,
    latency: Annotated[
        bool, typer.Option("--latency/--no-latency", help="Measure the time of a forward pass, too, or count alone.")
    ] = True,
    runs: Annotated[int, typer.Option(help="Timed passes of each network; all are timed in turn.")] = 20,
    batch: Annotated[int, typer.Option(help="Images of a timed pass; counts are of one image.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Of the processor; default what PyTorch takes.")] = None,
    device: Annotated[str, typer.Option(help="auto takes the GPU where there is one; else cpu, cuda or mps.")] = "auto",
    placement: Annotated[
        str | None,
        typer.Option(help="Where all the modules go, a rule or a pattern of paths; default each paper's place."),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Outputs; default those of the network's usual data.")] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            parser=path,
            metavar="FILE",
            help="Write it, too: .csv, .md, .tex, .json, or .svg for the plot; may be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare a network plain and with each of several modules: parameters, multiply-adds, memory, latency.

    attnlib compare resnet50 se eca cbam --image-size 224 --out costs.tex --out costs.svg

    The second line of a cell is what the module adds to the plain network. Element-wise work is one operation for each
    element of the largest tensor that a call touches; activations are the elements that convolutions and products
    write; training memory is the peak of one step on one image. Of latencies the second line has the quartiles; the
    ratios to the plain network are taken round by round.
    """
    with plain_errors():
        chosen = [_module(each) for each in modules]
        from attnlib import comparison
        from attnlib.data.files import writable_file

        for file in files or []:
            comparison.form_of(file)
            writable_file(file, "choose another file for --out")
        with _bar() as progress, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the notes have them
            compared = comparison.compare(
                network,
                chosen,
                None if image_size is None else parse_size(image_size),
                latency=latency,
                runs=runs,
                batch=batch,
                threads=threads,
                device=device,
                classes=classes,
                placement=placement,
                progress=progress,
            )
        if as_json:
            typer.echo(compared.text("json"), nl=False)
        else:
            _show(compared)
        for note in compared.notes:
            tell("note", note, "yellow")
        for file in files or []:
            err.print(f"written: {compared.save(file)}", soft_wrap=True)


def _module(text: str) -> tuple[str, dict[str, Any]]:
    """`se(reduction=8, bias=False)` to ("se", {"reduction": 8, "bias": False})."""
    found = re.fullmatch(r"(\w+)(?:\((.*)\))?", text.strip())
    if found is None:
        raise ValueError(f"a module is a key, or a key with arguments as 'se(reduction=8)', got {text!r}")
    key, inside = found.groups()
    return key, parse([each.strip() for each in re.split(r",(?=\s*\w+=)", inside)] if inside else [], option=key)


def _show(compared) -> None:
    headings, rows = compared.cells()
    table = Table(title=compared.network, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading.replace(" ", "\n", 1).replace("-", "-\n"), justify="right", no_wrap=True)
    for row in rows:
        label, *figures = ["\n".join(cell) for cell in row]
        table.add_row(label.replace("(", "(\n ", 1).replace(", ", ",\n "), *figures)
    out.print(table)
    out.print(f"{compared.caption}.")


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere; on standard error."""
    if not err.file.isatty():
        yield lambda words, done, steps: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("building")

        def move(words: str, done: int, steps: int) -> None:
            bar.update(task, description=words, completed=done, total=steps)

        yield move
