"""What each form of attnlib/kernels gains over the form to read, alone and in a training step of a network.

    python -m benchmarks.kernels --threads 2         all of them: five minutes on two cores with nothing else running
    python -m benchmarks.kernels -k triplet          one of them

A kernel stays while it is at least 1.25 times as fast alone (the geometric mean over the maps, forward and forward with
backward) and a training step of ResNet-20 gains 8 %. A ratio is kernel / readable, both timed in turn in one process.
"""

import json
import statistics
from collections.abc import Callable
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
from benchmarks.measure import TABLES, compare, measure_runs
from benchmarks.modules import PASSES, SIZES, step

KEYS = ("iebn", "sa", "sasa", "triplet")
# What holds every window in its form to read has to fit.
BATCHES = {"sasa": {"64x32x32": 8, "256x8x8": 32, "256x56x56": 1, "512x28x28": 1}}
PAIRS = 5
# Network, images and their side, and how many pairs are timed.
STEPS = {"resnet20": (128, 32, 7), "resnet50": (8, 224, 3)}


def readably(run: Callable[[], None]) -> Callable[[], None]:
    def without() -> None:
        with kernels.off():
            run()

    return without


def measure(kernel: str, where: str, which: str) -> list[dict[str, Any]]:
    """The row of one kernel on one map or in one network."""
    torch.manual_seed(0)
    run, pairs = in_a_network(kernel, where) if where in STEPS else alone(kernel, where, which)
    return [compare(run, readably(run), torch.device("cpu"), pairs).as_row()]


def alone(key: str, size: str, which: str) -> tuple[Callable[[], None], int]:
    """What is timed on a map, and how many pairs."""
    batch, *shape = SIZES[size]
    module = create(key, shape[0], **info(key).arguments_for(shape[0], tuple(shape[1:])))
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return step(module, torch.randn(BATCHES.get(key, {}).get(size, batch), *shape), which, "eager"), PAIRS


def in_a_network(key: str, name: str) -> tuple[Callable[[], None], int]:
    """A step of SGD with momentum, and how many pairs."""
    batch, side, pairs = STEPS[name]
    network = networks.create(name, classes=10, attention=key).train()
    images, labels = torch.randn(batch, 3, side, side), torch.randint(10, (batch,))
    optimiser = torch.optim.SGD(network.parameters(), 1e-3, 0.9)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return run, pairs


def runs_of(key: str) -> list[dict[str, Any]]:
    """Every measurement of a kernel; of SASA none where all its windows would not fit."""
    maps = [{"kernel": key, "where": size, "which": which} for size in SIZES for which in PASSES]
    steps = [{"kernel": key, "where": name, "which": "training step"} for name in STEPS]
    return maps + (steps[:1] if key == "sasa" else steps)


def show(rows: list[dict[str, Any]]) -> None:
    """A line for each kernel: means alone, then the steps."""
    table = Table("kernel", *PASSES, *STEPS, title="time of the kernel / of the form to read")
    for key in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == key]
        means = (statistics.geometric_mean(row["ratio"] for row in own if row["which"] == which) for which in PASSES)
        steps = (row["ratio"] for row in own if row["where"] in STEPS)
        table.add_row(key, *(f"{ratio:.2f}" for ratio in (*means, *steps)))
    Console().print(table)


def main(
    keys: Annotated[
        list[str] | None, typer.Option("--kernel", "-k", help=f"Of {', '.join(KEYS)}; may be repeated; default all.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; default all cores.")] = None,
    output: Annotated[Path, typer.Option(help="Where the rows go.")] = TABLES / "cpu-kernels.json",
) -> None:
    """Time the kernels beside the forms to read; print and file the ratios.

    A run that is cut off goes on where it stopped when the same command is given again.
    """
    for key in keys or ():
        try:
            check_choice("kernel", key, KEYS)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    allocator = "keeps freed memory" if keep_freed_memory() else "default"
    if threads is not None:
        torch.set_num_threads(threads)
    settings = {
        "forward": "evaluation mode, no gradients",
        "forward+backward": "train mode, gradients of the map and of every parameter",
        "training step": {name: f"batch {batch}, {side} pixels, SGD" for name, (batch, side, _) in STEPS.items()},
        "ratio": "median over the pairs of kernel / form to read; lower and upper are its quartiles",
        "allocator": allocator,
    }
    measure_runs(output, settings, [run for key in keys or KEYS for run in runs_of(key)], measure)
    show(json.loads(output.read_text(encoding="utf-8"))["rows"])


if __name__ == "__main__":
    typer.run(main)
