"""`attnlib train` and `attnlib recipes`."""

import contextlib
import logging
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from attnlib.cli.progress import shown
from attnlib.cli.shared import Arguments, Attention, Root, err, escape, out, parse, plain_errors


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
        list[str] | None,
        typer.Option(help="A rule, a pattern of paths, or (repeated) paths; default the paper's place."),
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

        from attnlib.training.allocator import keep_freed_memory
        from attnlib.training.folder import finished
        from attnlib.training.loop import TrainingFailedError, TrainingInterrupted
        from attnlib.training.loop import train as run
        from attnlib.training.recipe import Recipe

        given = {
            "data": data,
            "backbone": backbone,
            "attention": attention,
            "attention_args": parse(arguments),
            "placement": placement and (placement[0] if len(placement) == 1 else tuple(placement)),
            "seed": seed,
            "epochs": epochs,
            "train_images": train_images,
        }
        given = {field: value for field, value in given.items() if value is not None}
        chosen = Recipe.named(recipe, **given | parse(settings, "--set", "batch_size=64"))
        record_path = out_folder / "record.json"
        record = None if restart else finished(out_folder, chosen)
        warnings.showwarning = _note
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        try:
            if record is None:
                keep_freed_memory()  # here and not in `train`, where the process may be somebody else's
                # A process that helps another shows nothing.
                showing = contextlib.nullcontext() if rank_zero_only.rank else shown(chosen.batch_size, tensorboard)
                with showing as progress:
                    record = run(
                        chosen, out_folder, progress, device, root, devices, restart, deterministic, save_every
                    ).record
        except TrainingFailedError as error:  # the loss is no number, the disk is full, memory ran out ...
            reason = f"{' '.join(str(error).split())}; record: {record_path}"
            err.print(f"[red]failed:[/red] {escape(reason)}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        except TrainingInterrupted:
            if rank_zero_only.rank:
                return
            again = f"interrupted; the epochs so far are in {record_path}; the same command goes on"
            err.print(again, highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None
        if rank_zero_only.rank:
            return
        out.print(
            f"{chosen.backbone} with {chosen.label} on {chosen.data}: test accuracy {record.final.accuracy:.1%}, "
            f"{record.final.test_images} images, protocol {chosen.protocol}, seed {chosen.seed}; record: {record_path}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


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


def _note(message: Warning | str, *_: object, **__: object) -> None:
    err.print(f"[yellow]note:[/yellow] {escape(message)}", highlight=False, soft_wrap=True)
