"""`attnlib train` and `attnlib recipes`."""

import contextlib
import logging
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from attnlib.cli.progress import shown
from attnlib.cli.shared import Arguments, Attention, Root, end, err, note, out, parse, path, plain_errors
from attnlib.training.workers import is_worker


def train(
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=path,
            metavar="FOLDER",
            help="Folder for record.json and checkpoints; created where it is not there.",
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(help="Where to start from: smoke, cifar10-slice, equal-budget or a paper's (attnlib recipes)."),
    ] = "equal-budget",
    data: Annotated[
        str | None,
        typer.Option(help="cifar10, cifar100, shapes, or a folder of images by class; default the recipe's."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="resnet20, torchvision:NAME, timm:NAME or my_models:function; default the recipe's."),
    ] = None,
    attention: Attention = "none",
    arguments: Arguments = None,
    placement: Annotated[
        list[str] | None,
        typer.Option(help="A rule, a pattern of paths, or (repeated) paths; default the paper's place."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Side to which a folder's images are resized; default the network's own."),
    ] = None,
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
        Path | None,
        typer.Option(
            parser=path, metavar="FOLDER", help="Folder for TensorBoard's curves (needs the package tensorboard)."
        ),
    ] = None,
    root: Root = None,
) -> None:
    """Train a network and write OUT/record.json.

    What is not given comes from the recipe. The same command again goes on where the run was stopped, by Ctrl-C or in
    any other way, and shows the result of a run that is finished.
    """
    with plain_errors():
        from attnlib.training.folder import finished
        from attnlib.training.recipe import Recipe

        options = {
            "data": data,
            "backbone": backbone,
            "attention": None if attention == "none" else attention,  # the option's default, so that it may be --set
            "attention_args": parse(arguments) or None,
            "placement": placement and (placement[0] if len(placement) == 1 else tuple(placement)),
            "seed": seed,
            "epochs": epochs,
            "image_size": image_size,
            "train_images": train_images,
        }
        warnings.showwarning = note
        chosen = Recipe.named(recipe, **_once(options, parse(settings, "--set", "batch_size=64")))
        record_path = out_folder / "record.json"
        record = None if restart else finished(out_folder, chosen)
        if record is None:
            _say_what_a_folder_holds(chosen.data)
            # Not earlier: they bring Fabric and torchvision, for which bad input and a finished run need not wait.
            from attnlib.training.allocator import keep_freed_memory
            from attnlib.training.loop import TrainingFailedError, TrainingInterrupted
            from attnlib.training.loop import train as run

            logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its import sets another
            keep_freed_memory()  # here and not in `train`, where the process may be somebody else's
            try:
                with contextlib.nullcontext() if is_worker() else shown(chosen, tensorboard) as progress:
                    record = run(
                        chosen, out_folder, progress, device, root, devices, restart, deterministic, save_every
                    ).record
            except TrainingFailedError as error:  # the loss is no number, the disk is full, memory ran out ...
                end("failed", f"{' '.join(str(error).split())}; record: {record_path}", 1)
            except TrainingInterrupted:
                if is_worker():
                    return
                again = f"interrupted; the epochs so far are in {record_path}; the same command goes on"
                err.print(again, soft_wrap=True)
                raise typer.Exit(130) from None
        if is_worker():
            return
        out.print(
            f"{chosen.backbone} with {chosen.label} on {chosen.data}: test accuracy {record.final.accuracy:.1%}, "
            f"{record.final.test_images} images, protocol {chosen.protocol}, seed {chosen.seed}; record: {record_path}",
            soft_wrap=True,
        )


def recipes(name: Annotated[str | None, typer.Argument(help="One of them, to see all its fields.")] = None) -> None:
    """List the training recipes, or show one."""
    with plain_errors():
        from attnlib.training.recipe import Recipe

        broken: list[Exception] = []
        if name is None:
            table = Table("name", "network", "data", "protocol", "epochs", "batch")
            for each in Recipe.names():
                try:
                    r = Recipe.named(each)
                except (ValueError, OSError) as error:
                    broken.append(error)
                else:
                    table.add_row(r.name, r.backbone, r.data, r.protocol, str(r.epochs), str(r.batch_size))
        else:
            table = Table("field", "value", title=name)
            for field, value in Recipe.named(name):
                table.add_row(field, str(value))
        out.print(table)
        if broken:
            end("error", "; ".join(map(str, broken)), 1)


def _say_what_a_folder_holds(data: str) -> None:
    from attnlib.data.images import datasets

    if data in datasets() or is_worker():
        return
    from attnlib.data.folder import files

    (classes, training), (_, test) = files(data, "train"), files(data, "test")
    said = f"{data}: {len(training)} training and {len(test)} test images of {len(classes)} classes"
    err.print(f"{said}: {', '.join(classes)}", soft_wrap=True)


def _once(options: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The fields that either gives, where no field is given by both."""
    given = {field: value for field, value in options.items() if value is not None}
    for field in given:
        if field in settings:
            option = "--arg" if field == "attention_args" else f"--{field.replace('_', '-')}"
            raise ValueError(f"{field} is given twice: by {option} and by --set; leave one out")
    return given | settings
