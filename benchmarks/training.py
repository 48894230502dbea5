"""How fast a network is trained, beside the loop that everybody writes.

    python -m benchmarks.training                 images per second, ratios to the usual loop, and each module's step
    python -m benchmarks.training --accuracy      also what each way reaches on a tenth of CIFAR-10, three seeds

The usual loop has a DataLoader with two worker processes, torchvision's transforms on PIL images, fp32, eager. It and
the package's loop, each in a process of its own, take a few steps in turn, again and again, so that what slows the
machine down slows both; a ratio is the usual loop's time / ours, the median over the turns.

How much faster a loop could be at most is said by `utilisation`: the multiplications and additions of a step / what the
machine does of them in the same time when it multiplies two large matrices of that precision.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from torch.utils.flop_counter import FlopCounterMode

from attnlib.training import Recipe
from attnlib.training.allocator import keep_freed_memory
from attnlib.training.devices import processes_with
from attnlib.training.run import Run
from benchmarks.apart import Apart
from benchmarks.measure import TABLES, header, save
from benchmarks.usual import UsualLoop
from workflow import plan

BATCH = 128


def ours(recipe: Recipe, device: str) -> Run:
    """The package's own as `attnlib train` has it, ready to take steps."""
    keep_freed_memory()
    return Run(recipe, processes_with(recipe.precision, device, 1))


def compiled(recipe: Recipe, device: str) -> Run:
    """The same with its network through torch.compile."""
    run = ours(recipe, device)
    run.wrapped = torch.compile(run.wrapped)
    return run


class Product:
    """What a machine does at its best: a step is the product of two large matrices."""

    SIDE = 2048

    def __init__(self, precision: torch.dtype, device: torch.device) -> None:
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # with TF32, as cuDNN has it for convolutions
        self.one, self.other = (torch.randn(self.SIDE, self.SIDE, device=device).to(precision) for _ in range(2))

    def advance(self) -> None:
        self.one @ self.other


def step_seconds(loop: Any, steps: int, device: torch.device) -> float:
    """Of one step of a loop, the mean over `steps`."""
    return seconds(loop.advance, steps, device)


def seconds(advance: Callable[[], None], steps: int, device: torch.device) -> float:
    """Of one call, the mean over `steps`."""
    began = time.perf_counter()
    for _ in range(steps):
        advance()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / steps


def input_seconds(run: Run, steps: int, device: torch.device) -> float:
    """What making one batch takes, of all that a step takes."""
    batches = itertools.count()
    epoch = run.step // run.epoch_steps
    return seconds(lambda: run.batches.part(epoch, next(batches) % run.epoch_steps, 0), steps, device)


def operations(loop: Any) -> int:
    """Multiplications and additions of one step, forward and backward, in convolutions and products of matrices."""
    with FlopCounterMode(display=False) as counter:
        loop.advance()
    return counter.get_total_flops()


def rates(recipe: Recipe, device: torch.device, workers: int, turns: int, steps: int) -> list[dict[str, Any]]:
    """Images per second of the usual loop and of ours in both precisions, timed in turn."""
    in_bf16 = recipe.model_copy(update={"precision": "bf16-mixed"})
    made = {
        "usual loop, fp32": (UsualLoop, recipe, device, workers),
        "attnlib, fp32": (ours, recipe, device.type),
        "attnlib, bf16": (ours, in_bf16, device.type),
        "attnlib, fp32, torch.compile": (compiled, recipe, device.type),
        "product, fp32": (Product, torch.float32, device),
        "product, bf16": (Product, torch.bfloat16, device),
    }
    times: dict[str, list[float]] = {name: [] for name in made}
    with ExitStack() as stack:
        loops = {name: Apart(*each) for name, each in made.items()}
        for loop in loops.values():
            stack.enter_context(loop.pool)
        for _ in track(range(turns), "in turn", console=Console(stderr=True)):
            for name, loop in loops.items():
                # First untimed: the usual loop uses up the batches that its workers made while it rested; while the
                # others run, they fill their queue again.
                loop.ask(step_seconds, 3 * workers, device)
                times[name].append(loop.ask(step_seconds, steps, device))
        plain = loops["attnlib, fp32"]
        of_input = statistics.median(plain.ask(input_seconds, steps, device) for _ in range(turns))
        in_step = plain.ask(operations)
    best = {kind: 2 * Product.SIDE**3 / statistics.median(times.pop(f"product, {kind}")) for kind in ("fp32", "bf16")}
    return [
        _row(recipe, name, taken, times["usual loop, fp32"])
        | {
            "input_share": None if name.startswith("usual") else round(of_input / statistics.median(taken), 5),
            "utilisation": round(in_step / statistics.median(taken) / best["bf16" if "bf16" in name else "fp32"], 3),
        }
        for name, taken in times.items()
    ]


def _row(recipe: Recipe, name: str, taken: list[float], usual: list[float]) -> dict[str, Any]:
    lower, middle, upper = statistics.quantiles((u / t for u, t in zip(usual, taken, strict=True)), n=4)
    return {
        "network": recipe.backbone,
        "way": name,
        "images_per_second": round(recipe.batch_size / statistics.median(taken), 1),
        "ratio": round(middle, 3),
        "lower": round(lower, 3),
        "upper": round(upper, 3),
    }


def accuracies(recipe: Recipe, device: torch.device, workers: int, seeds: int) -> list[dict[str, Any]]:
    """The test accuracy that each way reaches after all of the recipe's epochs."""
    rows = []
    for seed in track(range(seeds), "to the end", console=Console(stderr=True)):
        chosen = recipe.model_copy(update={"seed": seed})
        for name in ("usual loop, fp32", "attnlib, fp32", "attnlib, bf16"):
            if name.startswith("usual"):
                torch.manual_seed(seed)
                loop = UsualLoop(chosen, device, workers)
                for _ in range(recipe.epochs * len(loop.batches)):
                    loop.advance()
                reached = loop.accuracy()
            else:
                precision = "32-true" if name.endswith("fp32") else "bf16-mixed"
                run = ours(chosen.model_copy(update={"precision": precision}), device.type)
                while run.step < run.steps:
                    run.advance()
                    if run.epoch_is_over:
                        run.finish_epoch()
                reached = run.final_accuracy()
            rows.append({"way": name, "seed": seed, "accuracy": reached})
    return rows


def module_steps(recipe: Recipe, device: torch.device, turns: int) -> Iterator[dict[str, Any]]:
    """The time of a training step with each module, beside that of the plain network, timed in turn."""
    plain = ours(recipe, device.type)
    # The places of the table of short runs: all of them are affordable on a CPU.
    attentions = [run.recipe for run in plan.load()["cifar10-slice"] if run.recipe.seed == 0]
    for each in track(attentions, "modules", console=Console(stderr=True)):
        fields = ("attention", "attention_args", "placement")
        chosen = recipe.model_copy(update={field: getattr(each, field) for field in fields})
        run = ours(chosen, device.type)
        for loop in (plain, run):
            step_seconds(loop, 2, device)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(turns):
            for loop, taken in zip((plain, run), times, strict=True):
                taken.append(step_seconds(loop, 2, device))
        ratio = statistics.median(mine / without for without, mine in zip(*times, strict=True))
        yield {
            "network": recipe.backbone,
            "attention": chosen.label,
            "step_ms": round(1e3 * statistics.median(times[1]), 1),
            "ratio": round(ratio, 3),
        }


def main(
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    networks: Annotated[list[str] | None, typer.Option(help="Default resnet20; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Of the usual loop's DataLoader.")] = 2,
    turns: Annotated[int, typer.Option(min=2, help="How often each way is timed.")] = 7,
    steps: Annotated[int, typer.Option(min=1, help="Steps in each turn.")] = 20,
    loops: Annotated[bool, typer.Option(help="Time the loops.")] = True,
    modules: Annotated[bool, typer.Option(help="Time a step with each module.")] = True,
    accuracy: Annotated[bool, typer.Option("--accuracy", help="Also train each way to the end.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each way, with --accuracy.")] = 3,
) -> None:
    """Time training on real CIFAR-10 (or what ATTNLIB_DATA holds) and file the tables."""
    where = torch.device(device)
    torch.backends.cudnn.benchmark = True  # as `train` has it
    recipe = Recipe.named("equal-budget", batch_size=BATCH, epochs=1000)
    settings = {"batch_size": BATCH, "turns": turns, "steps": steps, "workers": workers, "augmentation": "crop-flip"}
    rows = []
    for network in (networks or ["resnet20"]) if loops else []:
        rows += rates(recipe.model_copy(update={"backbone": network}), where, workers, turns, steps)
    reached = []
    if accuracy:
        reached = accuracies(Recipe.named("cifar10-slice", augmentation="crop-flip"), where, workers, seeds)
    console = Console()
    for row in rows + reached:
        console.print(row)
    about = (
        "ratio: the usual loop's time / this way's, median of the turns with quartiles; input_share: of a step; "
        "utilisation: operations per second / those of the product of two large matrices in the same precision"
    )
    tables = {f"{device}-loop": (rows, about), f"{device}-loop-accuracy": (reached, "cifar10-slice with crop-flip")}
    if modules:
        about = "ratio: time of a step / that of the plain network's step, median of the turns"
        tables[f"{device}-training"] = (list(module_steps(recipe, where, turns)), about)
    for name, (filed, about) in tables.items():
        if filed:
            save(TABLES / f"{name}.json", {**header(where, {**settings, "about": about}), "rows": filed})
            console.print(f"filed: {name}")


if __name__ == "__main__":
    typer.run(main)
