"""What each form of attnlib/kernels gains over the form to read, alone and in a training step of a network.

    python -m benchmarks.kernels --threads 2         all of them: five minutes on two cores with nothing else running
    python -m benchmarks.kernels -k triplet          one of them; nothing is filed

A kernel stays while it is at least 1.25 times as fast alone (the geometric mean over the maps, forward and forward with
backward) and a training step of ResNet-20 gains 8 %. A ratio is kernel / readable, both timed in turn in one process.
"""

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from attnlib import create, info, kernels, networks
from attnlib.base import check_choice
from attnlib.training.allocator import keep_freed_memory
from benchmarks.measure import TABLES, Comparison, compare, header, save
from benchmarks.modules import PASSES, SIZES, step

KEYS = ("triplet", "cbam", "iebn", "sa", "sasa")
# What holds every window in its form to read has to fit.
BATCHES = {"sasa": {"64x32x32": 8, "256x8x8": 32, "256x56x56": 1, "512x28x28": 1}}
# Network, images and their side, and how many pairs are timed.
STEPS = {"resnet20": (128, 32, 9), "resnet50": (8, 224, 5)}


def readably(run: Callable[[], None]) -> Callable[[], None]:
    def without() -> None:
        with kernels.off():
            run()

    return without


def alone(key: str, pairs: int) -> Iterator[tuple[str, str, Comparison]]:
    """Map, pass and ratio."""
    for size, (batch, *shape) in SIZES.items():
        torch.manual_seed(0)
        module = create(key, shape[0], **info(key).arguments_for(shape[0], tuple(shape[1:])))
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.1)
        x = torch.randn(BATCHES.get(key, {}).get(size, batch), *shape)
        for which in PASSES:
            run = step(module, x, which, "eager")
            yield size, which, compare(run, readably(run), x.device, pairs)


def in_a_network(key: str, name: str) -> Comparison:
    """A step of SGD with momentum."""
    batch, side, pairs = STEPS[name]
    torch.manual_seed(0)
    network = networks.create(name, classes=10, attention=key).train()
    images, labels = torch.randn(batch, 3, side, side), torch.randint(10, (batch,))
    optimiser = torch.optim.SGD(network.parameters(), 1e-3, 0.9)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return compare(run, readably(run), images.device, pairs)


def rows_of(key: str, pairs: int) -> Iterator[dict[str, Any]]:
    for size, which, found in alone(key, pairs):
        yield {"kernel": key, "where": size, "pass": which, **found.as_row()}
    for name in STEPS:
        yield {"kernel": key, "where": name, "pass": "training step", **in_a_network(key, name).as_row()}


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """A line for each kernel: means alone, then the steps."""
    table = Table("kernel", *PASSES, *STEPS, title="time of the kernel / of the form to read")
    for key in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == key]
        means = (statistics.geometric_mean(row["ratio"] for row in own if row["pass"] == which) for which in PASSES)
        steps = (next(row["ratio"] for row in own if row["where"] == name) for name in STEPS)
        table.add_row(key, *(f"{ratio:.2f}" for ratio in (*means, *steps)))
    console.print(table)


def main(
    keys: Annotated[
        list[str] | None,
        typer.Option("--kernel", "-k", help=f"One of {', '.join(KEYS)}; may be repeated; default all."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; default all cores.")] = None,
    pairs: Annotated[int, typer.Option(min=2, help="How often each pair is timed alone.")] = 9,
    output: Annotated[
        Path | None, typer.Option(help="Where the rows go. A full run goes to the package's results if not given.")
    ] = None,
) -> None:
    """Time the kernels beside the forms to read; print and file the ratios."""
    for key in keys or ():
        try:
            check_choice("kernel", key, KEYS)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    allocator = "keeps freed memory" if keep_freed_memory() else "default"
    if threads is not None:
        torch.set_num_threads(threads)
    rows = [row for key in keys or KEYS for row in rows_of(key, pairs)]
    console, path = Console(), output or (None if keys else TABLES / "cpu-kernels.json")
    show(rows, console)
    if path is None:
        console.print("Part of a run: nothing was filed; --output PATH files it.")
        return
    settings = {
        "pairs": pairs,
        "forward": "evaluation mode, no gradients",
        "forward+backward": "train mode, gradients of the map and of every parameter",
        "training step": {name: f"batch {batch}, {side} pixels, SGD" for name, (batch, side, _) in STEPS.items()},
        "ratio": "median over the pairs of kernel / form to read; lower and upper are its quartiles",
        "allocator": allocator,
    }
    save(path, header(torch.device("cpu"), settings) | {"rows": rows})
    console.print(f"written: {path}")


if __name__ == "__main__":
    typer.run(main)
