"""`attnlib attach` and `attnlib profile`: networks with modules in them, and their costs."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from attnlib.cli.shared import Arguments, Attention, Sides, Where, out, parse, parse_size, path, plain_errors, tell
from attnlib.errors import shortened


def attach_(
    network: Annotated[str, typer.Argument(help="One of ours, or torchvision:NAME or timm:NAME, e.g. timm:resnet26.")],
    module: Annotated[str, typer.Argument(help="A key from: attnlib list.")],
    placement: Where = None,
    image_size: Sides = None,
    arguments: Arguments = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go where.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Blocks without a place, and all else that is warned of, are an error.")
    ] = False,
    replace: Annotated[
        bool | None,
        typer.Option(
            "--replace/--beside", help="Put it in the place of the network's own gates, as SE, or beside them."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=path,
            metavar="FILE",
            help="Write the initial weights of the network with attention, a state dict.",
        ),
    ] = None,
) -> None:
    """Put a module into a network and say what went where; with --dry-run nothing is written."""
    with plain_errors():
        if dry_run == (output is not None):
            raise ValueError("give --dry-run to see the places, or --out FILE to write the network's initial weights")
        import torch

        from attnlib.data.files import writable_file, write_bytes
        from attnlib.networks.attachment import attach
        from attnlib.networks.external import build

        size = None if image_size is None else parse_size(image_size)
        file = None if output is None else writable_file(output, fix="choose another file for --out")
        model = build(network)
        before = sum(parameter.numel() for parameter in model.parameters())
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always", UserWarning)
            attached = attach(model, module, size, placement, strict=strict, replace=replace, **parse(arguments))
        table = Table("how", "layer", "channels", "map", "arguments", title=f"{module} in {network}")
        for entry in attached:
            sides = "" if entry.size is None else f"{entry.size[0]} x {entry.size[1]}"
            shown = ", ".join(f"{key}={value}" for key, value in entry.arguments.items())
            last = " (last axis)" if entry.channels_last else ""
            table.add_row(entry.how, entry.path, f"{entry.channels}{last}", sides, shown)
        out.print(table)
        for note in notes:
            tell("note", note.message, "yellow")
        after = sum(parameter.numel() for parameter in model.parameters())
        places = f"{len(attached)} places"
        if attached.blocks is not None:
            places += f", {attached.blocks - len(attached.missed)} of {attached.blocks} blocks"
        out.print(f"{places}; parameters {before:,} -> {after:,} ({after - before:+,})")
        if file is not None:
            buffer = io.BytesIO()
            torch.save(model.state_dict(), buffer)
            write_bytes(file, buffer.getbuffer())
            out.print(f"written: {output}", soft_wrap=True)


@contextlib.contextmanager
def _fits(told: str) -> Iterator[None]:
    """What a network of somebody else raises where size or classes do not fit it, or memory, as one line."""
    try:
        yield
    except (ValueError, TypeError):
        raise
    except Exception as error:
        raise ValueError(f"{told} ({type(error).__name__}: {shortened(error)}); choose others") from error


def profile(
    backbone: Annotated[str, typer.Argument(help="One of ours, or torchvision:NAME or timm:NAME, e.g. resnet50.")],
    attention: Attention = "none",
    arguments: Arguments = None,
    placement: Where = None,
    image_size: Sides = None,
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
        from attnlib.networks import attach, external
        from attnlib.profiling.cost import profile as count
        from attnlib.profiling.inputs import counted

        size = parse_size(str(external.image_size(backbone)) if image_size is None else image_size)
        asked = f"{backbone}, one image of {size[0]} x {size[1]}, classes {'as usual' if classes is None else classes}"
        with _fits(f"{asked}: cannot be built"):
            model = external.build(backbone, classes)
        if attention != "none":
            attach(model, attention, size, placement, **parse(arguments))
        elif arguments or placement:
            raise ValueError("--arg and --placement need a module: give --attention")
        with _fits(f"{asked}: cannot be counted"):
            part = counted(backbone, model, size)
            cost = count(part.model, inputs=part.inputs)
        whole = sum(parameter.numel() for parameter in model.parameters())
        if as_json:
            typer.echo(json.dumps({"counted": part.words, "network_parameters": whole} | cost.as_dict(), indent=1))
            return
        label = backbone if attention == "none" else f"{backbone} with {attention}"
        table = Table("quantity", title=f"{label}, one image of {size[0]} x {size[1]}: {part.words}")
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
        for operator, calls in cost.unknown.items():
            table.add_row(f"not counted: {operator}", f"{calls} calls")
        out.print(table)
