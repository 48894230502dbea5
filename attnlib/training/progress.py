"""What to show of a run while it goes on."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from attnlib.training.record import Epoch

_WINDOW = 30


def speed(batch_size: int) -> Callable[[int], float]:
    """A function of the steps done that gives images per second over the last steps; 0 until it knows."""
    seen: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def images_per_second(step: int) -> float:
        if not seen or step > seen[-1][1]:
            seen.append((time.perf_counter(), step))
        (begun, first), (now, last) = seen[0], seen[-1]
        return batch_size * (last - first) / (now - begun) if last > first else 0.0

    return images_per_second


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
