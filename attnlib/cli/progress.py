"""What `attnlib train` shows while it goes on."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attnlib.cli.shared import err

if TYPE_CHECKING:
    from attnlib.training import Recipe


@contextlib.contextmanager
def shown(recipe: "Recipe", tensorboard: Path | None) -> Iterator[Callable[[int, int, list], None]]:
    """One line an epoch, below them a bar on a terminal; on standard error. Curves for TensorBoard where asked."""
    from attnlib.training.progress import curves, speed

    with contextlib.ExitStack() as stack:
        # err.is_terminal would also be true of a file, where FORCE_COLOR asks for colours.
        move = stack.enter_context(_bar()) if err.file.isatty() else lambda *_: None
        draw = stack.enter_context(curves(tensorboard)) if tensorboard else lambda _: None
        images_per_second = speed(recipe)
        printed = None

        def advance(step: int, steps: int, epochs: list) -> None:
            nonlocal printed
            speed_now = images_per_second(step, steps)
            if printed is None:  # epochs of an earlier sitting have been printed there
                printed = len(epochs)
                if step > 1:
                    err.print(f"going on from step {step - 1} of {steps}")
            for epoch in epochs[printed:]:
                err.print(f"{_summary(epoch)}, {speed_now:.0f} images/s", soft_wrap=True)
            printed = len(epochs)
            move(step, steps, min(len(epochs) + 1, recipe.epochs), speed_now)
            draw(epochs)

        yield advance


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, int, float], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),  # 80 columns hold six digits of steps and of images per second, and days
        MofNCompleteColumn(),
        TextColumn("{task.fields[images_per_second]:.0f} images/s,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("epoch 1", total=None, images_per_second=0.0)

        def move(step: int, steps: int, epoch: int, images_per_second: float) -> None:
            described = f"epoch {epoch}"
            bar.update(task, completed=step, total=steps, description=described, images_per_second=images_per_second)

        yield move


def _summary(epoch) -> str:
    return f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, held-out accuracy {epoch.held_out_accuracy:.1%}"
