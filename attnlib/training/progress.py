"""What to show of a run while it goes on."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from attnlib.training.recipe import Recipe
from attnlib.training.record import Epoch

_WINDOW = 30


def speed(recipe: Recipe) -> Callable[[int, int], float]:
    """A function of the steps done and the steps in all that gives images per second over the last steps.

    It gives 0 until it knows. An epoch's last batch may hold fewer images than the others; how many is known where the
    recipe says how many images there are, and it counts as full elsewhere.
    """
    seen: deque[tuple[float, int, int]] = deque(maxlen=_WINDOW)  # time, step, images

    def images_per_second(step: int, steps: int) -> float:
        if not seen or step > seen[-1][1]:
            seen.append((time.perf_counter(), step, _images(recipe, step, steps)))
        (begun, _, first), (now, _, last) = seen[0], seen[-1]
        return (last - first) / (now - begun) if last > first else 0.0

    return images_per_second


def _images(recipe: Recipe, step: int, steps: int) -> int:
    """How many the first `step` of `steps` steps train on."""
    per_epoch = steps // recipe.epochs
    epochs, batches = divmod(step, per_epoch)
    if recipe.train_images is None:
        in_epoch = per_epoch * recipe.batch_size
    else:  # as `attnlib.training.batches.split` cuts them
        in_epoch = recipe.train_images - (recipe.train_images // 10 if recipe.protocol == "clean" else 0)
    return epochs * in_epoch + batches * recipe.batch_size


@contextlib.contextmanager
def curves(folder: Path) -> Iterator[Callable[[list[Epoch]], None]]:
    """A function of the completed epochs that writes those that are new for TensorBoard.

    Raises:
        ValueError: the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("TensorBoard's curves need the package tensorboard: pip install tensorboard") from None
    with SummaryWriter(folder) as writer:
        written = None

        def write(epochs: list[Epoch]) -> None:
            nonlocal written
            if written is None:  # an earlier sitting has written these
                written = len(epochs)
            for epoch in epochs[written:]:
                for name, value in epoch.model_dump(exclude={"epoch"}, exclude_none=True).items():
                    writer.add_scalar(name, value, epoch.epoch)
            written = len(epochs)

        yield write
