"""What `attnlib train` shows while it goes on."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from attnlib.cli.shared import err


@contextlib.contextmanager
def shown(batch_size: int, tensorboard: Path | None) -> Iterator[Callable[[int, int, list], None]]:
    """A bar on a terminal, one line an epoch elsewhere; both on standard error. Curves for TensorBoard where asked."""
    from attnlib.training.progress import curves, speed

    with contextlib.ExitStack() as stack:
        show = stack.enter_context(_bar() if err.is_terminal else _lines())
        draw = stack.enter_context(curves(tensorboard)) if tensorboard else lambda _: None
        images_per_second = speed(batch_size)

        def advance(step: int, steps: int, epochs: list) -> None:
            show(step, steps, epochs, images_per_second(step))
            draw(epochs)

        yield advance


@contextlib.contextmanager
def _lines() -> Iterator[Callable[[int, int, list, float], None]]:
    printed = None

    def show(step: int, steps: int, epochs: list, images_per_second: float) -> None:
        nonlocal printed
        if printed is None:  # epochs of an earlier sitting have been printed there
            printed = len(epochs)
            if step > 1:
                err.print(f"going on from step {step - 1} of {steps}", highlight=False)
        for epoch in epochs[printed:]:
            err.print(f"{_summary(epoch)}, {images_per_second:.0f} images/s", highlight=False, soft_wrap=True)
        printed = len(epochs)

    yield show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, list, float], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[images_per_second]:.0f} images/s,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("step", total=None, images_per_second=0.0)

        def show(step: int, steps: int, epochs: list, images_per_second: float) -> None:
            described = _summary(epochs[-1]) if epochs else "step"
            bar.update(task, completed=step, total=steps, description=described, images_per_second=images_per_second)

        yield show


def _summary(epoch) -> str:
    return f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, held-out accuracy {epoch.held_out_accuracy:.1%}"
