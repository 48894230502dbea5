"""Images on the device as uint8, and batches of them made there: no worker process, no copy per batch."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from attnlib.data import Images
from attnlib.training.recipe import Recipe

_PAD = 4
_EVALUATION_PIXELS = 500 * 32 * 32


class Normalisation:
    """From uint8 pixels to what a network takes: mean 0 and deviation 1 in each channel.

    Args:
        mean, std: of each channel, in units of the full range (0 to 1).
    """

    def __init__(self, mean: list[float], std: list[float]) -> None:
        self.mean, self.std = mean, std
        self._rows: dict[tuple[torch.device, int], tuple[Tensor, Tensor]] = {}

    def __call__(self, images: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N 3 H W"]:
        """The channels move to axis 1; in memory they stay last."""
        mean, std = self._row(images.device, images.shape[2])
        return images.float().sub_(mean).div_(std).permute(0, 3, 1, 2)

    def _row(self, device: torch.device, width: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation at each pixel of a row: a CPU takes a row at a time, where it would take three numbers."""
        # Kept, because a copy to a GPU at every step would make the CPU wait for it.
        if (device, width) not in self._rows:
            self._rows[device, width] = tuple(
                torch.tensor(values, dtype=torch.float32, device=device).mul_(255).repeat(width, 1)
                for values in (self.mean, self.std)
            )
        return self._rows[device, width]


@dataclass(frozen=True)
class DeviceImages:
    """Some images of a data set and their labels, on one device."""

    images: UInt8[Tensor, "N H W 3"]
    labels: Int64[Tensor, " N"]

    @classmethod
    def select(cls, data: Images, indices: np.ndarray, device: torch.device) -> "DeviceImages":
        return cls(torch.tensor(data.images[indices], device=device), torch.tensor(data.labels[indices], device=device))

    def __len__(self) -> int:
        return len(self.labels)

    def parts(self, rank: int = 0, world: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """All of them in order, in batches for evaluation; of `world` processes, number `rank` gets every world-th."""
        size = evaluation_batch(self.images.shape[1], self.images.shape[2])
        for start in range(rank * size, len(self), world * size):
            yield self.images[start : start + size], self.labels[start : start + size]


def evaluation_batch(height: int, width: int) -> int:
    """How many images go through the network at once where none is learned from: as many pixels as 500 of CIFAR's."""
    return max(1, _EVALUATION_PIXELS // (height * width))


def balanced_order(data: Images) -> np.ndarray:
    """An order of the images in which every prefix holds as many of each class as of any other, to within one.

    It follows from the pixels alone, so that a slice is the same whichever order the images were stored in.
    """
    keys = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in data.images]
    by_key = np.array(sorted(range(len(data)), key=lambda i: (data.labels[i], keys[i])))
    counts = np.bincount(data.labels, minlength=len(data.classes))
    rank = np.concatenate([np.arange(count) for count in counts])
    return by_key[np.argsort(rank, kind="stable")]


def split(data: Images, train_images: int | None, hold_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on, and to validate on: the last tenth of the slice, or none.

    Raises:
        ValueError: more images asked for than there are.
    """
    if train_images is not None and train_images > len(data):
        raise ValueError(f"train_images must be at most {len(data)}, the images of {data.name}, got {train_images}")
    chosen = balanced_order(data)[:train_images]
    held = len(chosen) // 10 if hold_out else 0
    return chosen[: len(chosen) - held], chosen[len(chosen) - held :]


def with_noise(labels: Int64[Tensor, " N"], classes: int, share: float, seed: int) -> Int64[Tensor, " N"]:
    """Each label replaced with probability `share` by one of the other classes, all alike."""
    draw = _generator(seed, _NOISE)
    replaced = torch.rand(len(labels), generator=draw) < share
    shift = torch.randint(1, classes, (len(labels),), generator=draw)
    return torch.where(replaced.to(labels.device), (labels + shift.to(labels.device)) % classes, labels)


@dataclass(frozen=True)
class _Epoch:
    """What one epoch draws: the order of the images, and for each place in it a window, a mirroring and a hole."""

    order: Int64[Tensor, " N"]
    corner: Int64[Tensor, "2 N"]
    mirrored: Tensor
    centre: Int64[Tensor, "2 N"]


class Batches:
    """The batches of a run, each made on the device from its number alone.

    All that is random is drawn on the CPU, an epoch at a time, so that every device and every process sees the same
    batches, and a run that starts in the middle sees those it would have seen.
    """

    def __init__(self, data: DeviceImages, normalise: Normalisation, recipe: Recipe) -> None:
        self._data, self._normalise, self._recipe = data, normalise, recipe
        _, self._height, self._width, _ = data.images.shape
        self._crops = recipe.augmentation == "crop-flip"
        # Padded once with black; a batch is then one gather from here.
        margin = (0, 0, _PAD, _PAD, _PAD, _PAD)
        self._images = torch.nn.functional.pad(data.images, margin) if self._crops else data.images
        self._order, self._augmentation = (_generator(recipe.seed, purpose) for purpose in (_ORDER, _AUGMENTATION))
        self._drawn = 0
        self._epoch: _Epoch | None = None

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self._data) // self._recipe.batch_size)

    def size(self, batch: int) -> int:
        """Images in batch number `batch` of an epoch."""
        return min(self._recipe.batch_size, len(self._data) - batch * self._recipe.batch_size)

    def part(self, epoch: int, batch: int, part: int) -> tuple[Float[Tensor, "N 3 H W"], Int64[Tensor, " N"]]:
        """Network inputs and labels of one of the recipe's `batch_parts`. Epochs, batches and parts count from 0.

        Epochs can only be asked for in order, some may be passed over.
        """
        drawn = self._draws_of(epoch)
        first = batch * self._recipe.batch_size
        places = torch.arange(first, first + self.size(batch)).tensor_split(self._recipe.batch_parts)[part]
        here = slice(int(places[0]), int(places[-1]) + 1)
        inputs = self._normalise(self._gather(drawn, here))
        if self._recipe.cutout:
            inputs = inputs * self._hole(drawn, here)
        return inputs, self._data.labels[drawn.order[here]]

    def _draws_of(self, epoch: int) -> _Epoch:
        while self._drawn <= epoch:
            count, device = len(self._data), self._data.labels.device
            order = torch.randperm(count, generator=self._order)
            corner = torch.randint(0, 2 * _PAD + 1, (2, count), generator=self._augmentation)
            mirrored = torch.randint(0, 2, (count,), generator=self._augmentation, dtype=torch.bool)
            down, right = (
                torch.randint(0, size, (count,), generator=self._augmentation) for size in (self._height, self._width)
            )
            self._epoch = _Epoch(*(t.to(device) for t in (order, corner, mirrored, torch.stack([down, right]))))
            self._drawn += 1
        return self._epoch

    def _gather(self, drawn: _Epoch, here: slice) -> UInt8[Tensor, "N H W 3"]:
        """The images at these places of the epoch, each with its own rows and columns, in reverse where mirrored."""
        indices = drawn.order[here]
        if not self._crops:
            return self._images[indices]
        device = indices.device
        columns = torch.arange(self._width, device=device)
        columns = torch.where(drawn.mirrored[here, None], columns.flip(0), columns) + drawn.corner[1, here, None]
        rows = torch.arange(self._height, device=device) + drawn.corner[0, here, None]
        return self._images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _hole(self, drawn: _Epoch, here: slice) -> Float[Tensor, "N 1 H W"]:
        """0 in a square around each image's centre of cutout, as much of it as lies inside, and 1 elsewhere."""
        start = drawn.centre[:, here, None] - self._recipe.cutout // 2
        rows, columns = (
            (torch.arange(size, device=start.device) - corner)
            for size, corner in zip((self._height, self._width), start, strict=True)
        )
        inside = [(offset >= 0) & (offset < self._recipe.cutout) for offset in (rows, columns)]
        return (~(inside[0][:, None, :, None] & inside[1][:, None, None, :])).float()


# One stream of random numbers for each purpose, unlike those of any other seed.
_ORDER, _AUGMENTATION, _NOISE, TORCH = range(4)


def seed_of(seed: int, purpose: int) -> int:
    """The seed of one of a run's streams."""
    return int(np.random.SeedSequence(seed).generate_state(4, np.uint64)[purpose])


def _generator(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, purpose))
