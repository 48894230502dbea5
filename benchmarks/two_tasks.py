"""What one layer brings from one position to another: networks whose other layers see a single position each.

    python -m benchmarks.two_tasks      a quarter of an hour on one core

Each network is 1 x 1 convolutions around one module, trained on `announce` (one answer for the whole map) or `lookup`
(an answer for each position) of `attnlib.data.lookup`. A row has the share of right answers on 2,000 fresh maps.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track
from torch import nn

import attnlib
from attnlib.data.lookup import VALUES, announce, lookup
from attnlib.training import fit
from benchmarks.measure import TABLES, header, save

CHANNELS, STEPS, BATCH = 32, 600, 64
TASKS = {"announce": announce, "lookup": lookup}
# SE without a reduction and a single head: the most that each can carry
MODULES: dict[str, dict[str, int]] = {"none": {}, "nam": {}, "se": {"reduction": 1}, "dot_product": {"heads": 1}}


def network(inputs: int, module: str) -> nn.Sequential:
    """1 x 1 convolutions, which see one position, around a module."""
    inside = [attnlib.create(module, CHANNELS, **MODULES[module])] if module != "none" else []
    return nn.Sequential(
        nn.Conv2d(inputs, CHANNELS, 1),
        nn.ReLU(),
        *inside,
        nn.Conv2d(CHANNELS, CHANNELS, 1),
        nn.ReLU(),
        nn.Conv2d(CHANNELS, VALUES, 1),
    )


def accuracy(task: str, side: int, module: str, seed: int) -> float:
    """Of a network that is trained from this seed."""
    torch.manual_seed(seed)
    draw = partial(TASKS[task], side=side, generator=torch.Generator().manual_seed(seed))
    inputs = draw(1)[0].shape[1]
    trained = fit(network(inputs, module), partial(draw, BATCH), STEPS)
    maps, answers = TASKS[task](2000, side, torch.Generator().manual_seed(10**6))
    with torch.no_grad():
        return (trained(maps).argmax(1) == answers).double().mean().item()


def rows(sides: list[int], seeds: int) -> list[dict[str, Any]]:
    runs = [(t, s, m, seed) for t in TASKS for s in sides for m in MODULES for seed in range(seeds)]
    return [
        {"task": task, "positions": side * side, "attention": module, "seed": seed}
        | {"accuracy": round(accuracy(task, side, module, seed), 4)}
        for task, side, module, seed in track(runs, "networks")
    ]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `two-tasks.json`."""
    torch.set_num_threads(1)
    sides = [2, 3, 4, 5]
    settings = {"channels": CHANNELS, "steps": STEPS, "batch_size": BATCH, "modules": MODULES}
    save(out / "two-tasks.json", header(torch.device("cpu"), settings) | {"rows": rows(sides, seeds)})
    print(out / "two-tasks.json")


if __name__ == "__main__":
    typer.run(main)
