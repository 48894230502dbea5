"""What a training step of each row of a table of runs costs, in CPU seconds, which a shared machine can tell, too.

    python -m benchmarks.steps cifar10-cpu

One thread, as the driver trains. It prints and files the rows, by which `workflow/driver.py` puts the cheapest first
and says when it will be done.
"""

import os
import statistics
import time
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track

from benchmarks.measure import TABLES, header, save
from benchmarks.training import ours
from workflow import plan


def step_cpu_seconds(run: Any, steps: int) -> float:
    """Of this process for one step, the median of `steps` after two that are not timed."""
    taken = []
    for _ in range(steps + 2):
        began = time.process_time()
        run.advance()
        taken.append(time.process_time() - began)
    return statistics.median(taken[2:])


def rows(runs: list[plan.Run], steps: int) -> list[dict[str, Any]]:
    """One for each recipe and attention."""
    found = []
    for each in track(runs, "rows", console=Console(stderr=True)):
        run = ours(each.recipe, "cpu")
        seconds = step_cpu_seconds(run, steps)
        found.append(
            {
                "recipe": each.recipe.name,
                "attention": each.recipe.label,
                "step_cpu_s": round(seconds, 4),
            }
        )
    return found


def main(
    name: Annotated[str, typer.Argument(help="A file of workflow/experiments.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps timed of each row.")] = 20,
) -> None:
    """Measure a step of every row and file the table."""
    torch.set_num_threads(1)
    runs = plan.load()[name]
    first = min(run.recipe.seed for run in runs)
    measured = rows([run for run in runs if run.recipe.seed == first], steps)
    console = Console()
    for row in sorted(measured, key=lambda row: row["step_cpu_s"]):
        console.print(row)
    about = (
        "CPU seconds of one step, median; load: processes that wanted a core meanwhile, which slow each other down "
        "beyond the cores that they take"
    )
    settings = {"steps": steps, "load": round(os.getloadavg()[1], 1), "about": about}
    save(TABLES / f"cpu-steps-{name}.json", {**header(torch.device("cpu"), settings), "rows": measured})


if __name__ == "__main__":
    typer.run(main)
