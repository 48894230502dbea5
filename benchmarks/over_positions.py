"""What attention over positions costs in five forms, against the side of the map; and what each can bring across.

    python -m benchmarks.over_positions      about six minutes on one core

Timed is the attention alone, from query, key and value to the output of the heads, forward and backward, one image, one
thread, in CPU seconds of this process. Memory is the most bytes of tensors that live at once in such a step beyond its
inputs. What a form brings across is measured on `attnlib.data.lookup`: every position asks for the value of another.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich.progress import track
from torch import Tensor, nn

from attnlib.data.lookup import VALUES, lookup
from attnlib.profiling.memory import LiveBytes
from attnlib.self_attention.local import local_attention
from attnlib.training import fit
from benchmarks.measure import TABLES, header, save

CHANNELS, HEADS, WINDOW, CELLS, POOL = 64, 8, 7, 4, 2
SIDES = (8, 16, 32, 64, 96, 128)
STORED_SIDE = 64  # the largest side at which a form that stores all weights is run
STEPS, BATCH, TASK_SIDE, TASK_CHANNELS = 600, 64, 4, 32

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # of query, key and value, (N, heads, d, H, W) each


def dense(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Every position attends to every position; all weights are stored."""
    weights = (query.flatten(3).mT @ key.flatten(3) * query.shape[2] ** -0.5).softmax(3)
    return (value.flatten(3) @ weights.mT).view_as(query)


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same function in blocks; no weight is stored."""
    q, k, v = (t.flatten(3).mT.contiguous() for t in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).mT.reshape(query.shape)


def pooled(query: Tensor, key: Tensor, value: Tensor, pool: int = POOL) -> Tensor:
    """Every position attends to the maxima of squares of positions."""
    key, value = (F.max_pool2d(t.flatten(1, 2), pool).unflatten(1, t.shape[1:3]) for t in (key, value))
    return dense(query, key, value)


def grid(query: Tensor, key: Tensor, value: Tensor, cells: int = CELLS) -> Tensor:
    """The map is cut into cells x cells; every position attends to those of its cell."""
    n, heads, d, height, width = query.shape

    def cut(t: Tensor) -> Tensor:
        t = t.reshape(n, heads, d, cells, height // cells, cells, width // cells)
        return t.permute(3, 5, 0, 1, 2, 4, 6).flatten(0, 2)

    y = dense(cut(query), cut(key), cut(value)).unflatten(0, (cells, cells, n))
    return y.permute(2, 3, 4, 0, 5, 1, 6).reshape(query.shape)


def local(query: Tensor, key: Tensor, value: Tensor, window: int = WINDOW) -> Tensor:
    """Every position attends to the window around it."""
    return local_attention(query * query.shape[2] ** -0.5, key, value, None, None, window, "mask")


FORMS: dict[str, Attend] = {"dense": dense, "fused": fused, "pooled": pooled, "grid": grid, "local": local}
STORED = {"dense": 1, "pooled": POOL**2, "grid": CELLS**2}  # forms that store weights: positions over keys of a query


def inputs(side: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (1, HEADS, CHANNELS // HEADS, side, side)
    return [torch.randn(shape, generator=generator).requires_grad_() for _ in range(3)]


def step(attend: Attend, tensors: list[Tensor]) -> None:
    torch.autograd.grad(attend(*tensors).sum(), tensors)


def seconds(attend: Attend, side: int, repeat: int) -> float:
    """Of the processor, for one step: the median, after one step that is not counted."""
    tensors, took = inputs(side), []
    for _ in range(repeat + 1):
        start = time.process_time()
        step(attend, tensors)
        took.append(time.process_time() - start)
    return statistics.median(took[1:])


def peak_bytes(attend: Attend, side: int) -> int:
    tensors = inputs(side)
    with LiveBytes() as memory:
        step(attend, tensors)
    return memory.peak


def costs(repeat: int) -> list[dict[str, Any]]:
    limits = {form: STORED_SIDE * round(less**0.5) for form, less in STORED.items()}
    tried = [(form, side) for form in FORMS for side in SIDES if side <= limits.get(form, SIDES[-1])]
    return [
        {"form": form, "side": side}
        | {"cpu_s": round(seconds(FORMS[form], side, repeat), 6), "peak_bytes": peak_bytes(FORMS[form], side)}
        for form, side in track(tried, "costs")
    ]


class Mixing(nn.Module):
    """One head of a form between 1 x 1 projections, with the residual sum."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.query, self.key, self.value = (nn.Conv2d(TASK_CHANNELS, TASK_CHANNELS, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (project(x)[:, None] for project in (self.query, self.key, self.value))
        return x + self.attend(q, k, v)[:, 0]


TASK_FORMS: dict[str, Attend] = {
    "dense": dense,
    "pooled": pooled,
    "grid": partial(grid, cells=2),
    "local": partial(local, window=3),
}


def found(form: str, seed: int) -> float:
    """The share of values that a network around this form finds."""
    torch.manual_seed(seed)
    draw = partial(lookup, side=TASK_SIDE, generator=torch.Generator().manual_seed(seed))
    before = nn.Conv2d(draw(1)[0].shape[1], TASK_CHANNELS, 1), nn.ReLU()
    after = nn.Conv2d(TASK_CHANNELS, TASK_CHANNELS, 1), nn.ReLU(), nn.Conv2d(TASK_CHANNELS, VALUES, 1)
    network = fit(nn.Sequential(*before, Mixing(TASK_FORMS[form]), *after), partial(draw, BATCH), STEPS)
    maps, answers = lookup(2000, TASK_SIDE, torch.Generator().manual_seed(10**6))
    with torch.no_grad():
        return (network(maps).argmax(1) == answers).double().mean().item()


def main(
    repeat: Annotated[int, typer.Option(min=1, help="Steps of which the median counts.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Networks a form, from seed 0 on.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Measure, train, and write `over-positions.json`."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = [{"kind": "cost"} | row for row in costs(repeat)]
    tried = [(form, seed) for form in TASK_FORMS for seed in range(seeds)]
    rows += [
        {"kind": "lookup", "form": form, "seed": seed, "found": round(found(form, seed), 4)}
        for form, seed in track(tried, "networks")
    ]
    settings = {"channels": CHANNELS, "heads": HEADS, "window": WINDOW, "cells": CELLS, "pool": POOL, "images": 1}
    save(out / "over-positions.json", header(torch.device("cpu"), settings) | {"rows": rows})
    print(out / "over-positions.json")


if __name__ == "__main__":
    typer.run(main)
