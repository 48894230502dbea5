"""How fast the modules are beside the operations of the papers' released codes and beside public collections.

    python -m benchmarks.modules                      every module, size and way: about half an hour on two cores
    python -m benchmarks.modules --quick -m nam -m sa two modules, few repetitions

A ratio is ours / theirs: 0.5 is half the time. Both are timed in turn, pair by pair, so that what slows the machine
down slows both; the ratio is the median over the pairs, and repeats from run to run where milliseconds do not. The
floor is what no gate can do without: one mean over each channel's pixels and one copy of the map, scaled; with the
backward pass the same once more for the gradient.
"""

import copy
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor, nn

from attnlib import create, info, list_modules
from attnlib.base import check_choice
from attnlib.training.allocator import keep_freed_memory
from benchmarks import released
from benchmarks.measure import TABLES, compare, header, measured_before, save

Pass = Literal["forward", "forward+backward"]
Mode = Literal["eager", "compiled"]
PASSES: tuple[Pass, ...] = ("forward", "forward+backward")
MODES: tuple[Mode, ...] = ("eager", "compiled")

# N, C, H, W by the name of a map.
SIZES = {
    "64x32x32": (128, 64, 32, 32),
    "256x8x8": (128, 256, 8, 8),
    "256x56x56": (8, 256, 56, 56),
    "512x28x28": (8, 512, 28, 28),
}
# What compares every pixel with every other: the released form's matrix of all pairs has to fit.
BATCHES = {"non_local": {"64x32x32": 64, "256x8x8": 64, "256x56x56": 2, "512x28x28": 8}}

KEYS = [key for key in list_modules() if hasattr(released, key)]

# Geometric means over the sizes, on two CPU cores, eager, forward and forward+backward, that are to be reached: against
# the released form; then against the fastest of pip's peers (the released form where there is none).
GOALS = {
    "nam": (0.25, 0.5),
    "sa": (0.5, 0.6),
    "sge": (0.4, 0.5),
    "cbam": (0.5, 0.7),
    "bam": (0.8, 0.8),
    "triplet": (0.25, 0.3),
    "non_local": (0.8, 0.95),
}
PEER_GOALS = dict.fromkeys(("se", "eca", "ge", "iebn", "sem"), (1.05, 1.05))
TOGETHER = ("nam", "sa", "sge", "cbam", "bam", "triplet"), (0.4, 0.5)


def peers(key: str, channels: int) -> dict[str, nn.Module]:
    """The module as pip's collections have it, by the collection's name; without those that are not installed."""
    found: dict[str, nn.Module] = {}
    try:
        from torchvision.ops import SqueezeExcitation
    except ImportError:
        pass
    else:
        if key == "se":
            found["torchvision"] = SqueezeExcitation(channels, channels // 16)
    try:
        from timm.layers import cbam, eca, gather_excite, non_local_attn, squeeze_excite
    except ImportError:
        return found
    build: dict[str, Callable[[int], nn.Module]] = {
        "se": squeeze_excite.SEModule,
        "eca": eca.EcaModule,
        "ge": lambda channels: gather_excite.GatherExcite(channels, use_mlp=False),
        "cbam": cbam.CbamModule,
        "non_local": non_local_attn.NonLocalAttn,
    }
    if key in build:
        found["timm"] = build[key](channels)
    return found


def measure(
    keys: list[str],
    sizes: list[str],
    modes: list[Mode],
    device: torch.device,
    pairs: int,
    progress: Progress,
    done: set[tuple[str, str, str]],
) -> Iterator[list[dict[str, Any]]]:
    """For each mode, module and size that is not done: a row for each pass and what it is measured against."""
    task = progress.add_task("", total=len(keys) * len(sizes) * len(modes))
    for mode in modes:
        for key in keys:
            for size in sizes:
                if (mode, key, size) in done:
                    progress.advance(task)
                    continue
                rows = []
                batch, *shape = SIZES[size]
                batch = BATCHES.get(key, {}).get(size, batch)
                ours = create(key, shape[0], **info(key).arguments_for(shape[0], tuple(shape[1:])))
                for parameter in ours.parameters():
                    nn.init.normal_(parameter, std=0.1)  # nothing stays hidden behind a 0 or a 1
                check_the_same(key, ours)
                ours, x = ours.to(device), torch.randn(batch, *shape, device=device)
                against = {"released": Released(key, ours)} | peers(key, shape[0])
                for which in PASSES:
                    torch.compiler.reset()  # or the number of versions of one forward would soon be at its limit
                    progress.update(task, description=f"{key} {size} {which} {mode}")
                    own = step(ours, x, which, mode)
                    ways = {name: step(other.to(device), x, which, mode) for name, other in against.items()}
                    if mode == "eager":
                        ways["floor"] = floor(x, which)
                    for name, other in ways.items():
                        found = compare(own, other, device, pairs)
                        where = {"module": key, "size": size, "batch": batch, "pass": which, "mode": mode}
                        rows.append(where | {"against": name} | found.as_row())
                progress.advance(task)
                yield rows


class Released(nn.Module):
    """The released form on the parameters of our module."""

    def __init__(self, key: str, module: nn.Module) -> None:
        super().__init__()
        self.module, self.function = module, getattr(released, key)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.module, x)


def check_the_same(key: str, module: nn.Module) -> None:
    """Refuse to measure two forms that do not compute the same."""
    exact = copy.deepcopy(module).double()
    x = torch.randn(2, module.channels, 9, 9, dtype=torch.float64)
    for training in (True, False):
        exact.train(training)
        torch.testing.assert_close(exact(x), Released(key, exact)(x), atol=1e-9, rtol=1e-9)


def step(module: nn.Module, x: Tensor, which: Pass, mode: Mode) -> Callable[[], None]:
    """What is timed: evaluation without gradients, or a pass in train mode with the gradients of map and parameters."""
    call = torch.compile(module, dynamic=False) if mode == "compiled" else module
    if which == "forward":

        def forward() -> None:
            module.eval()
            with torch.no_grad():
                call(x)

        return forward
    leaf, gradient = x.clone().requires_grad_(), torch.randn_like(x)

    def forward_and_backward() -> None:
        module.train()
        for tensor in (leaf, *module.parameters()):
            tensor.grad = None
        call(leaf).backward(gradient)

    return forward_and_backward


def floor(x: Tensor, which: Pass) -> Callable[[], None]:
    """One mean over pixels and one scaled copy; for the gradient once more."""
    gate, gradient = torch.rand(*x.shape[:2], 1, 1, device=x.device), torch.randn_like(x)

    def run() -> None:
        for tensor in (x,) if which == "forward" else (x, gradient):
            tensor.mean((2, 3))
            tensor * gate

    return run


def compiler_error() -> str | None:
    """Why torch.compile cannot be measured here, in one line; None where it can."""
    try:
        torch.compile(torch.sin)(torch.zeros(1))
    except Exception as error:  # whatever it is, the eager half is worth having
        return str(error).strip().splitlines()[0]
    return None


def means(rows: list[dict[str, Any]], key: str, against: set[str]) -> list[float]:
    """The geometric mean over the sizes for each pass, eager; of several opponents the fastest counts."""
    found = []
    for which in PASSES:
        by_size: dict[str, float] = {}
        for row in rows:
            if (row["module"], row["pass"], row["mode"]) == (key, which, "eager") and row["against"] in against:
                by_size[row["size"]] = max(row["ratio"], by_size.get(row["size"], 0.0))
        found.append(statistics.geometric_mean(by_size.values()))
    return found


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """All ratios, a line for each module, pass, mode and opponent; then the means beside what is to be reached."""
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    table = Table("module", "pass", "mode", "against", *sizes, "mean", title="ours / theirs")
    lines: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        lines.setdefault((row["module"], row["pass"], row["mode"], row["against"]), {})[row["size"]] = row["ratio"]
    for line, ratios in lines.items():
        table.add_row(
            *line, *(f"{ratios[size]:.2f}" for size in sizes), f"{statistics.geometric_mean(ratios.values()):.2f}"
        )
    console.print(table)

    goals = Table("module", "against", *PASSES, "at most", title="geometric means over the sizes, eager")
    reached = {}
    for key, at_most in (GOALS | PEER_GOALS).items():
        opponents = {row["against"] for row in rows if (row["module"], row["mode"]) == (key, "eager")} - {"floor"}
        if key in GOALS:
            opponents &= {"released"}
        elif len(opponents) > 1:
            opponents -= {"released"}
        if opponents:
            reached[key] = means(rows, key, opponents)
            add_goal(goals, key, " or ".join(sorted(opponents)), reached[key], at_most)
    keys, at_most = TOGETHER
    if reached.keys() >= set(keys):
        together = [statistics.geometric_mean(reached[key][i] for key in keys) for i in range(len(PASSES))]
        add_goal(goals, ", ".join(keys), "released", together, at_most)
    console.print(goals)


def add_goal(table: Table, key: str, against: str, reached: list[float], at_most: tuple[float, float]) -> None:
    cells = (
        f"[{'green' if mean <= most else 'red'}]{mean:.2f}[/]" for mean, most in zip(reached, at_most, strict=True)
    )
    table.add_row(key, against, *cells, " / ".join(f"{most:.2f}" for most in at_most))


def main(
    modules: Annotated[
        list[str] | None,
        typer.Option("--module", "-m", help=f"One of {', '.join(KEYS)}; may be repeated; default all."),
    ] = None,
    sizes: Annotated[
        list[str] | None, typer.Option("--size", "-s", help=f"One of {', '.join(SIZES)}; may be repeated; default all.")
    ] = None,
    mode: Annotated[str, typer.Option(help="eager, compiled (inductor) or both.")] = "both",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; default all cores.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="How often each pair is timed.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="Three pairs: for a look, not for the record.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the rows go, as JSON. A full run goes to the package's results if this is not given."),
    ] = None,
) -> None:
    """Time the modules beside the released codes' operations, pip's peers and the floor; print and file the ratios.

    A run that is cut off goes on where it stopped when the same command is given again.
    """
    try:
        for name, chosen_names, known in (("module", modules, KEYS), ("size", sizes, SIZES)):
            for value in chosen_names or ():
                check_choice(name, value, known)
        check_choice("mode", mode, (*MODES, "both"))
        check_choice("device", device, ("cpu", "cuda"))
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda is not there; use --device cpu")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    # Blocks above a size cost a page fault for every page, as much as the operation that writes it; a training run soon
    # stops paying that, and a benchmark should not pay it.
    allocator = "keeps freed memory" if keep_freed_memory() else "default"
    torch.manual_seed(0)
    if threads is not None:
        torch.set_num_threads(threads)
    console, notes = Console(), []
    modes = list(MODES) if mode == "both" else [mode]
    if "compiled" in modes and (reason := compiler_error()):
        modes.remove("compiled")
        notes.append(f"torch.compile cannot be measured here: {reason}")
        console.print(notes[-1], highlight=False)
    pairs = 3 if quick else pairs
    full = modules is None and sizes is None and mode == "both" and not quick
    path = output or (TABLES / f"{device}-modules.json" if full else None)
    settings = {
        "pairs": pairs,
        "forward": "evaluation mode, no gradients",
        "forward+backward": "train mode, gradients of the map and of every parameter",
        "floor": "one mean over pixels and one scaled copy, in forward+backward twice",
        "ratio": "median over the pairs of ours / theirs; lower and upper are its quartiles",
        "at most, against the released form": GOALS,
        "at most, against the fastest peer": PEER_GOALS,
        "allocator": allocator,
    }
    head = header(torch.device(device), settings, ("timm", "torchvision")) | {"notes": notes}
    part = path and path.with_suffix(".part.json")
    rows = measured_before(part, head) if part else []
    done = {(row["mode"], row["module"], row["size"]) for row in rows}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for found in measure(modules or KEYS, sizes or list(SIZES), modes, torch.device(device), pairs, progress, done):
            rows += found
            if part:
                save(part, head | {"rows": rows})
    show(rows, console)
    if path is None:
        console.print("Part of a run: nothing was filed; --output PATH files it.")
        return
    save(path, head | {"rows": rows})
    part.unlink(missing_ok=True)
    console.print(f"written: {path}")


if __name__ == "__main__":
    typer.run(main)
