"""How fast a network is trained, beside the loop that everybody writes.

    python -m benchmarks.training                 images per second, ratios to the usual loop, and each module's step
    python -m benchmarks.training --accuracy      also what each way reaches on a tenth of CIFAR-10, three seeds

The usual loop has a DataLoader with two worker processes, torchvision's transforms on PIL images, fp32, eager. It and
the package's loop take a few steps in turn, again and again, so that what slows the machine down slows both; a ratio is
the usual loop's time / ours, the median over the turns.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from attnlib.data import Images, load
from attnlib.training import Recipe
from attnlib.training.batches import split
from attnlib.training.devices import processes_with
from attnlib.training.network import build, parameter_groups
from attnlib.training.run import Run
from attnlib.training.schedule import learning_rate
from benchmarks.measure import TABLES, header, keep_freed_memory, save
from workflow import plan

BATCH = 128


class Pictures(Dataset):
    """CIFAR as torchvision's own data set gives it: one PIL image at a time."""

    def __init__(self, data: Images, chosen: np.ndarray, transform: Callable[[Any], torch.Tensor]) -> None:
        self.images, self.labels, self.transform = data.images[chosen], data.labels[chosen], transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(transforms.functional.to_pil_image(self.images[index])), int(self.labels[index])


class UsualLoop:
    """The loop of most repositories, on the same images, network and schedule as a `Run` of `recipe`."""

    def __init__(self, recipe: Recipe, device: torch.device, workers: int) -> None:
        self.recipe, self.device = recipe, device
        data, test = load(recipe.data, "train"), load(recipe.data, "test")
        chosen, _ = split(data, recipe.train_images, hold_out=recipe.protocol == "clean")
        whole = [transforms.ToTensor(), transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))]
        varied = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        self.batches = DataLoader(
            Pictures(data, chosen, transforms.Compose(varied + whole)),
            recipe.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=True,
        )
        self.test = DataLoader(
            Pictures(test, np.arange(len(test)), transforms.Compose(whole)), 500, num_workers=workers
        )
        self.model = build(recipe, len(data.classes), 32).to(device, memory_format=torch.contiguous_format)
        self.optimiser = torch.optim.SGD(
            parameter_groups(self.model, recipe), recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
        )
        self.step = 0
        self._endless = self._again_and_again()

    def _again_and_again(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from self.batches

    def advance(self) -> None:
        """One step, with the loss read at its end as progress bars do."""
        images, labels = (part.to(self.device, non_blocking=True) for part in next(self._endless))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step, len(self.batches))
        self.model.train()
        self.optimiser.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimiser.step()
        loss.item()
        self.step += 1

    def accuracy(self) -> float:
        """Of all its epochs' end, on the test images."""
        self.model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in self.test:
                correct += (self.model(images.to(self.device)).argmax(1).cpu() == labels).sum().item()
        return correct / len(self.test.dataset)


def ours(recipe: Recipe, device: str) -> Run:
    """The package's own, ready to take steps."""
    return Run(recipe, processes_with(recipe.precision, device, 1))


def seconds(advance: Callable[[], None], steps: int, device: torch.device) -> float:
    """Of one step, the mean over `steps`."""
    began = time.perf_counter()
    for _ in range(steps):
        advance()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / steps


def rates(recipe: Recipe, device: torch.device, workers: int, turns: int, steps: int) -> list[dict[str, Any]]:
    """Images per second of the usual loop and of ours in both precisions, timed in turn."""
    ways = {
        "usual loop, fp32": UsualLoop(recipe, device, workers),
        "attnlib, fp32": ours(recipe, device.type),
        "attnlib, bf16": ours(recipe.model_copy(update={"precision": "bf16-mixed"}), device.type),
        "attnlib, fp32, torch.compile": ours(recipe, device.type),
    }
    compiled = ways["attnlib, fp32, torch.compile"]
    compiled.wrapped = torch.compile(compiled.wrapped)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in track(range(turns), "in turn", console=Console(stderr=True)):
        for name, loop in ways.items():
            # First untimed: the usual loop uses up the batches that its workers made while it rested; while the others
            # run, they fill their queue again.
            seconds(loop.advance, 3 * workers, device)
            times[name].append(seconds(loop.advance, steps, device))
    usual = times["usual loop, fp32"]
    pipeline = statistics.median(input_seconds(ways["attnlib, fp32"], steps, device) for _ in range(turns))
    rows = []
    for name, taken in times.items():
        ratios = [theirs / mine for theirs, mine in zip(usual, taken, strict=True)]
        lower, middle, upper = statistics.quantiles(ratios, n=4)
        step = statistics.median(taken)
        share = None if name.startswith("usual") else pipeline / step
        rows.append(
            {
                "network": recipe.backbone,
                "way": name,
                "images_per_second": round(recipe.batch_size / step, 1),
                "ratio": round(middle, 3),
                "lower": round(lower, 3),
                "upper": round(upper, 3),
                "input_share": share and round(share, 5),
            }
        )
    return rows


def input_seconds(run: Run, steps: int, device: torch.device) -> float:
    """What making one batch takes, of all that a step takes."""
    batches = itertools.count()
    epoch = run.step // run.epoch_steps
    return seconds(lambda: run.batches.part(epoch, next(batches) % run.epoch_steps, 0), steps, device)


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
            seconds(loop.advance, 2, device)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(turns):
            for loop, taken in zip((plain, run), times, strict=True):
                taken.append(seconds(loop.advance, 2, device))
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
    about = "ratio: the usual loop's time / this way's, median of the turns with quartiles; input_share: of a step"
    tables = {f"{device}-loop": (rows, about), f"{device}-loop-accuracy": (reached, "cifar10-slice with crop-flip")}
    if modules:
        about = "ratio: time of a step / that of the plain network's step, median of the turns"
        tables[f"{device}-training"] = (list(module_steps(recipe, where, turns)), about)
    for name, (filed, about) in tables.items():
        if filed:
            save(TABLES / f"{name}.json", {**header(where, {**settings, "about": about}), "rows": filed})
            console.print(f"filed: {name}")


if __name__ == "__main__":
    keep_freed_memory()
    typer.run(main)
