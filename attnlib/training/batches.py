"""Images on the device as uint8, and batches of them made there: no worker process, no copy per batch."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from attnlib.data import Images

_PAD = 4


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of the full range (0 to 1)."""

    mean: list[float]
    std: list[float]
    _on_device: dict[torch.device, tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __call__(self, images: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N 3 H W"]:
        """What a network takes: the channels moved to axis 1 (in memory they stay last), mean 0 and deviation 1."""
        scaled = images.permute(0, 3, 1, 2).float() / 255
        mean, std = self._on(images.device)
        return (scaled - mean) / std

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        # Kept, because a copy to a GPU at every step would make the CPU wait for it.
        if device not in self._on_device:
            mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.mean, self.std))
            self._on_device[device] = mean, std
        return self._on_device[device]


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


def epoch_batches(
    data: DeviceImages, batch_size: int, augment: bool, order: torch.Generator, augmentation: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over the images in random order: (uint8 images, labels) per batch, the last one maybe smaller.

    Both generators live on the CPU, so that every device sees the same batches.
    """
    permutation = torch.randperm(len(data), generator=order).to(data.labels.device)
    for indices in permutation.split(batch_size):
        images = data.images[indices]
        yield (crop_flip(images, augmentation) if augment else images), data.labels[indices]


def crop_flip(images: UInt8[Tensor, "N H W 3"], generator: torch.Generator) -> UInt8[Tensor, "N H W 3"]:
    """Pad each image with black, cut it out again at a random place, and mirror every second one at random.

    One gather for the whole batch: each image has its own rows, and its own columns, in reverse where it is mirrored.
    """
    count, height, width, _ = images.shape
    padded = torch.nn.functional.pad(images, (0, 0, _PAD, _PAD, _PAD, _PAD))
    down, right = torch.randint(0, 2 * _PAD + 1, (2, count, 1), generator=generator)
    mirrored = torch.randint(0, 2, (count, 1), generator=generator, dtype=torch.bool)
    columns = torch.arange(width)
    rows = (down + torch.arange(height)).to(images.device)
    columns = (right + torch.where(mirrored, columns.flip(0), columns)).to(images.device)
    return padded[torch.arange(count, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
