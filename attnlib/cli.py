"""The `attnlib` command.

Each command imports what only it needs when it runs. Bad input ends with one line on standard error and exit status 2,
a failed run with 1, Ctrl-C with 130.
"""

import ast
import contextlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import attnlib

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Attention modules for vision.")
data_app = typer.Typer(no_args_is_help=True, help="Fetch data sets, and see which are here.")
app.add_typer(data_app, name="data")

out = Console()
err = Console(stderr=True)

Attention = Annotated[
    str,
    typer.Option(
        help="A module (see: attnlib list), put where its paper puts it, constant, or none for the plain network."
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="KEY=VALUE", help="An argument of the module, e.g. reduction=8; may be repeated."),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--placement",
        help="block-end, last-convolution, stage-end, middle-stages, norms, convolutions, or a pattern of paths "
        "such as 'layer?.*.bn3'; default the paper's place.",
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Folder of the data sets; default $ATTNLIB_DATA, then the user's cache folder.")
]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input is one line and exit status 2; Ctrl-C one line and 130."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        err.print(f"[red]error:[/red] {_escape(error)}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(130) from None


@app.command("list")
def list_command(
    family: Annotated[str | None, typer.Option(help="Only this family: scale, self or control.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead of a table.")] = False,
) -> None:
    """List the attention modules: family, parameters at C = 64 and 256, what to expect, paper."""
    from attnlib.overview import WIDTHS, overview

    with plain_errors():
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
                out.print(f"* {entry['key']}: {_escape(reason)}", highlight=False)


@app.command()
def info(name: Annotated[str, typer.Argument(help="A key from: attnlib list.")]) -> None:
    """Say what is known of one module: its paper, its place in a network, what to expect of it."""
    with plain_errors():
        entry = attnlib.info(name)
        table = Table(show_header=False)
        for field in ("key", "name", "paper", "family", "placement", "status"):
            table.add_row(field, getattr(entry, field) or "none")
        out.print(table)


@data_app.command("fetch")
def fetch_command(name: Annotated[str, typer.Argument(help="cifar10 or cifar100.")], root: Root = None) -> None:
    """Download a data set (160 MB), check it and keep it; does nothing where a good copy is here."""
    from attnlib.data.cifar import fetch

    with plain_errors():
        out.print(f"{name} is in {fetch(name, root)}", soft_wrap=True)


@data_app.command("info")
def data_info_command(
    verify: Annotated[bool, typer.Option("--verify", help="Compute the checksums again and compare them.")] = False,
    root: Root = None,
) -> None:
    """Show which data sets are here. Exit status 1 where one is damaged."""
    from attnlib.data import cifar

    with plain_errors():
        entries = cifar.info(root, verify)
        table = Table("name", "status", "MB")
        table.add_column("folder", overflow="fold")
        table.add_row("shapes", "generated, needs no files", "", "")
        for entry in entries:
            table.add_row(entry.name, entry.status, f"{entry.size / 1e6:.0f}", str(entry.folder))
        out.print(table)
    problems = [entry.problem for entry in entries if entry.problem]
    for problem in problems:
        err.print(f"[red]damaged:[/red] {_escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@app.command()
def train(
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for record.json and checkpoints; created where it is not there.")
    ],
    recipe: Annotated[
        str,
        typer.Option(help="Where to start from: smoke, cifar10-slice, equal-budget or a paper's (attnlib recipes)."),
    ] = "equal-budget",
    data: Annotated[str | None, typer.Option(help="cifar10, cifar100 or shapes; default the recipe's.")] = None,
    backbone: Annotated[str | None, typer.Option(help="A network, e.g. resnet20; default the recipe's.")] = None,
    attention: Attention = "none",
    arguments: Arguments = None,
    placement: Annotated[
        list[str] | None, typer.Option(help="Where the module goes, a rule or a pattern of paths; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    train_images: Annotated[int | None, typer.Option(help="Use only so many training images.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of the recipe, e.g. batch_size=64."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto takes the GPU where there is one; else cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes that share each batch; see the field batch_parts.")] = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever OUT holds.")] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same numbers each time, on a GPU too; slower there.")
    ] = False,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds from one checkpoint to the next.")] = 60.0,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's curves (needs the package tensorboard).")
    ] = None,
    root: Root = None,
) -> None:
    """Train a network and write OUT/record.json.

    What is not given comes from the recipe. The same command again goes on where the run was stopped, by Ctrl-C or in
    any other way, and shows the result of a run that is finished.
    """
    with plain_errors():
        from lightning_fabric.utilities.rank_zero import rank_zero_only

        from attnlib.training.folder import finished
        from attnlib.training.loop import TrainingInterrupted
        from attnlib.training.loop import train as run
        from attnlib.training.recipe import Recipe

        given = {
            "data": data,
            "backbone": backbone,
            "attention": attention,
            "attention_args": _parse(arguments),
            "placement": placement and (placement[0] if len(placement) == 1 else tuple(placement)),
            "seed": seed,
            "epochs": epochs,
            "train_images": train_images,
            **_parse(settings, "--set"),
        }
        chosen = Recipe.named(recipe, **{field: value for field, value in given.items() if value is not None})
        record_path = out_folder / "record.json"
        record = None if restart else finished(out_folder, chosen)
        warnings.showwarning = _note
        try:
            if record is None:
                with _progress(chosen.batch_size, tensorboard) as progress:
                    record = run(
                        chosen, out_folder, progress, device, root, devices, restart, deterministic, save_every
                    ).record
        except RuntimeError as error:  # the loss is no number, or torch gave up, e.g. out of memory
            reason = " ".join(str(error).split())
            where = f"; record: {record_path}" if record_path.exists() else ""
            err.print(f"[red]failed:[/red] {_escape(reason + where)}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        except TrainingInterrupted:
            again = f"interrupted; the epochs so far are in {record_path}; the same command goes on"
            err.print(again, highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None
        if rank_zero_only.rank:  # a process that helped another
            return
        out.print(
            f"{chosen.backbone} with {chosen.label} on {chosen.data}: test accuracy {record.final.accuracy:.1%}, "
            f"{record.final.test_images} images, protocol {chosen.protocol}, seed {chosen.seed}; record: {record_path}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@app.command()
def recipes(name: Annotated[str | None, typer.Argument(help="One of them, to see all its fields.")] = None) -> None:
    """List the training recipes, or show one."""
    with plain_errors():
        from attnlib.training.recipe import Recipe

        if name is None:
            table = Table("name", "network", "data", "protocol", "epochs", "batch")
            for each in map(Recipe.named, Recipe.names()):
                table.add_row(
                    each.name, each.backbone, each.data, each.protocol, str(each.epochs), str(each.batch_size)
                )
        else:
            table = Table("field", "value", title=name)
            for field, value in Recipe.named(name):
                table.add_row(field, str(value))
        out.print(table)


@app.command("attach")
def attach_command(
    network: Annotated[str, typer.Argument(help="One of ours, or torchvision:NAME or timm:NAME, e.g. timm:resnet26.")],
    module: Annotated[str, typer.Argument(help="A key from: attnlib list.")],
    placement: Where = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images, for parameters per position.")] = None,
    arguments: Arguments = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go where.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--out", help="Write the initial weights of the network with attention, a state dict."),
    ] = None,
) -> None:
    """Put a module into a network and say what went where; with --dry-run nothing is written."""
    with plain_errors():
        if dry_run == (output is not None):
            raise ValueError("give --dry-run to see the places, or --out FILE to write the network's initial weights")
        import torch

        from attnlib.networks.attach import attach
        from attnlib.networks.external import build

        model = build(network)
        before = sum(parameter.numel() for parameter in model.parameters())
        attached = attach(model, module, image_size, placement, **_parse(arguments))
        table = Table("how", "layer", "channels", "map", "arguments", title=f"{module} in {network}")
        for entry in attached:
            size = "" if entry.size is None else f"{entry.size[0]} x {entry.size[1]}"
            shown = ", ".join(f"{key}={value}" for key, value in entry.arguments.items())
            table.add_row(entry.how, entry.path, str(entry.channels), size, shown)
        out.print(table)
        after = sum(parameter.numel() for parameter in model.parameters())
        out.print(f"{len(attached)} places; parameters {before:,} -> {after:,} ({after - before:+,})", highlight=False)
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            temporary = output.with_name(f".{output.name}.tmp")
            torch.save(model.state_dict(), temporary)
            temporary.replace(output)
            out.print(f"written: {output}", soft_wrap=True)


@app.command()
def profile(
    backbone: Annotated[str, typer.Argument(help="One of ours, or torchvision:NAME or timm:NAME, e.g. resnet50.")],
    attention: Attention = "none",
    arguments: Arguments = None,
    placement: Where = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the image in pixels; default what the network was made for.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Default those of the usual data: ImageNet 1000, COCO 91, CIFAR-10 10 ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count what a network costs for one image: parameters, multiply-adds (MACs), activations, peak memory.

    Of a detector, the pyramid and the heads that run at every pixel are counted; boxes and the heads that run once per
    proposal are not.
    """
    with plain_errors():
        from attnlib.base import check_count
        from attnlib.networks import attach, external
        from attnlib.profiling.cost import profile as count
        from attnlib.profiling.inputs import counted

        size = external.image_size(backbone) if image_size is None else image_size
        check_count("image_size", size)
        model = external.build(backbone, classes)
        if attention != "none":
            attach(model, attention, size, placement, **_parse(arguments))
        elif arguments or placement:
            raise ValueError("--arg and --placement need a module: give --attention")
        part = counted(backbone, model, size)
        cost = count(part.model, inputs=part.inputs)
        whole = sum(parameter.numel() for parameter in model.parameters())
        if as_json:
            typer.echo(json.dumps({"counted": part.words, "network_parameters": whole} | cost.as_dict(), indent=1))
            return
        label = backbone if attention == "none" else f"{backbone} with {attention}"
        table = Table("quantity", title=f"{label}, one image of {size} x {size}: {part.words}")
        table.add_column("value", justify="right")
        table.add_row("parameters", f"{cost.parameters:,}")
        if whole != cost.parameters:
            table.add_row("parameters of the whole network", f"{whole:,}")
        table.add_row("MACs", f"{cost.macs:,}", end_section=not cost.macs_by_operator)
        for operator, macs in sorted(cost.macs_by_operator.items(), key=lambda item: -item[1]):
            table.add_row(f"  {operator}", f"{macs:,}")
        table.add_row("elementwise operations", f"{cost.elementwise:,}")
        table.add_row("activations", f"{cost.activations:,}")
        table.add_row("peak memory of a training step, bytes", f"{cost.peak_memory_bytes:,}")
        out.print(table)


@app.command()
def ledger(
    paper: Annotated[str | None, typer.Option(help="Only this paper, a key such as se.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="cost, initial state, identity, gradient, behaviour, accuracy or arithmetic."),
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option(help="holds, holds with a note, does not hold, awaits a record or not testable here."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--id", help="Only this claim, e.g. sa-parameters-resnet50.")] = None,
    costs: Annotated[bool, typer.Option("--costs", help="Printed costs beside recomputed ones instead.")] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Judge and count anew (seconds to a minute a paper) and file it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead of a table.")] = False,
) -> None:
    """What the papers claim, beside what this code gives, with a verdict that code computed.

    Figures are those on file; the tests compute them anew and compare.
    """
    with plain_errors():
        from attnlib import published
        from attnlib.ledger import entries

        if costs and (kind or verdict or claim):
            raise ValueError("--kind, --verdict and --id choose among claims; leave them out with --costs")
        chosen = published.keys() if paper is None else [paper]
        ledgers = [_recomputed(key) if recompute else entries.stored(key) for key in chosen]
        cells = [cell for each in ledgers for cell in each.cells]
        rows = cells if costs else entries.select(ledgers, kind, verdict, claim)
        if as_json:
            typer.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
            return
        show = _show_costs if costs else _show_verdicts
        show(rows)


@app.command("report")
def report_command(
    recipe: Annotated[str | None, typer.Option(help="Report this one; without it, list what has records.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Of the runs, e.g. resnet20; needed where the recipe has several.")
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="LABEL", help="What the others are compared with, e.g. none or constant.")
    ] = "none",
    folder: Annotated[
        Path | None,
        typer.Option("--records", help="Folder of records, or of run folders; default the package's records."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Mean, spread and paired differences over the seeds of recorded runs, and what can be concluded from them."""
    with plain_errors():
        from attnlib.results.report import inventory, on_file, report, select

        found = on_file(folder)
        if recipe is None:
            if backbone is not None:
                raise ValueError(f"--backbone {backbone} chooses among the runs of one recipe: give --recipe, too")
            entries = inventory(found)
            if as_json:
                typer.echo(json.dumps(entries, indent=1))
                return
            table = Table(*entries[0])
            for entry in entries:
                table.add_row(*(_escape(value) for value in entry.values()))
            out.print(table)
            return
        reported = report(select(found, recipe, backbone), baseline)
        if as_json:
            typer.echo(reported.model_dump_json(indent=1))
            return
        _show_report(reported)


def _show_report(report) -> None:
    heading = f"{report.recipe}: test accuracy after the last epoch, %; difference to {report.baseline}, points"
    table = Table(title=_escape(heading), show_lines=True)
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
        table.add_row(*(_escape("\n".join(cell)) for cell in cells))
    out.print(table)
    if any(row.student for row in report.rows):
        out.print(
            "The 95 % intervals are of the mean difference; with three seeds the bootstrap's covers it in 75 % of all "
            "cases, Student's in 95 %.",
            highlight=False,
        )
    for sentence in (*report.notes, report.conclusion):
        out.print(sentence, highlight=False, markup=False)


def _recomputed(key: str):
    from attnlib.ledger import entries

    with err.status(f"judging {key}"):
        ledger = entries.compute(key)
        entries.store(ledger)
    return ledger


def _show_verdicts(verdicts: list) -> None:
    table = Table(show_lines=True)
    for column, ratio in {"claim": 3, "published": 1, "measured": 1, "verdict": 1}.items():
        table.add_column(column, ratio=ratio, overflow="fold")
    for v in verdicts:
        note = f"\n[dim]{_escape(v.note)}[/dim]" if v.note else ""
        unit = f" {v.unit}" if v.unit else ""
        table.add_row(
            f"[bold]{v.id}[/bold] ({v.kind}): {_escape(v.claim)}{note}",
            _figure(v.published, unit),
            _figure(v.measured, unit),
            v.verdict,
        )
    out.print(table)
    counts = Counter(v.verdict for v in verdicts)
    words = "; ".join(f"{word}: {count}" for word, count in counts.most_common())
    out.print(f"{len(verdicts)} claims; {words}", highlight=False)


def _show_costs(cells: list) -> None:
    table = Table("paper, table, row", "column", "published", "measured", "agrees")
    for cell in cells:
        agrees = {True: "yes", False: "no", None: cell.reason}[cell.agrees]
        name = f"{cell.paper}, {cell.table}: {cell.row}"
        table.add_row(_escape(name), cell.column, _figure(cell.published), _figure(cell.measured), _escape(agrees))
    out.print(table)
    recomputed = sum(cell.measured is not None for cell in cells)
    agree = sum(cell.agrees is True for cell in cells)
    out.print(
        f"{len(cells)} printed costs: {recomputed} recomputed, {agree} agree to the printed digits", highlight=False
    )


def _figure(value: float | int | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.6g}{unit}"


def _parse(arguments: list[str] | None, option: str = "--arg") -> dict[str, Any]:
    """`["reduction=8", "squeeze=max"]` to a dictionary; a value that neither JSON nor Python reads is a string."""
    parsed: dict[str, Any] = {}
    for argument in arguments or []:
        key, equals, value = argument.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"{option} takes KEY=VALUE, e.g. {option} reduction=8, got {argument!r}")
        parsed[key] = _value(value)
    return parsed


def _value(text: str) -> Any:
    # Python's spelling too: as a string, "False" would count as true.
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return text


@contextlib.contextmanager
def _progress(batch_size: int, tensorboard: Path | None) -> Iterator[Callable[[int, int, list], None]]:
    """A bar on a terminal, one line an epoch elsewhere; both on standard error. Curves for TensorBoard where asked."""
    from attnlib.training.progress import curves, speed

    with contextlib.ExitStack() as stack:
        show = stack.enter_context(_bar() if err.is_terminal else _lines())
        draw = stack.enter_context(curves(tensorboard)) if tensorboard else lambda _: None
        images_per_second = speed(batch_size)

        def advance(step: int, steps: int, epochs: list) -> None:
            show(step, steps, epochs, images_per_second(step))
            draw(epochs)

        yield advance


@contextlib.contextmanager
def _lines() -> Iterator[Callable[[int, int, list, float], None]]:
    printed = None

    def show(step: int, steps: int, epochs: list, images_per_second: float) -> None:
        nonlocal printed
        if printed is None:  # epochs of an earlier sitting have been printed there
            printed = len(epochs)
            if step > 1:
                err.print(f"going on from step {step - 1} of {steps}", highlight=False)
        for epoch in epochs[printed:]:
            err.print(f"{_summary(epoch)}, {images_per_second:.0f} images/s", highlight=False, soft_wrap=True)
        printed = len(epochs)

    yield show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, list, float], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[images_per_second]:.0f} images/s,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("step", total=None, images_per_second=0.0)

        def show(step: int, steps: int, epochs: list, images_per_second: float) -> None:
            described = _summary(epochs[-1]) if epochs else "step"
            bar.update(task, completed=step, total=steps, description=described, images_per_second=images_per_second)

        yield show


def _summary(epoch) -> str:
    return f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, held-out accuracy {epoch.held_out_accuracy:.1%}"


def _note(message: Warning | str, *_: object, **__: object) -> None:
    err.print(f"[yellow]note:[/yellow] {_escape(message)}", highlight=False, soft_wrap=True)


def _escape(message: object) -> str:
    from rich.markup import escape

    return escape(str(message))
