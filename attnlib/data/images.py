"""One way to get every data set: `load(name, split)`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from attnlib.data import cifar, folder, shapes
from attnlib.errors import UnknownNameError, unknown

SPLITS = ("train", "test")
# split -> (how many, seed of the generator)
_SHAPES = {"train": (2_000, 0), "test": (500, 1)}


@dataclass(frozen=True)
class Images:
    """One split of a data set.

    Attributes:
        name: the data set's name, one of `datasets()`.
        split: "train" or "test".
        images: RGB images with the channels last; memory-mapped and read-only where they come from a file.
        labels: the class of each image, an index into `classes`.
        classes: names of the classes.
        masks: true on the object of each image, where the data set knows it, else None.
    """

    name: str
    split: str
    images: UInt8[np.ndarray, "N H W 3"]
    labels: Int64[np.ndarray, " N"]
    classes: list[str]
    masks: Bool[np.ndarray, "N H W"] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def datasets() -> list[str]:
    """Names that `load` knows. "shapes" is generated on the spot, the others are downloaded once."""
    return ["shapes", *cifar.SOURCES]


def check_name(name: str) -> None:
    """Refuse what is neither a data set nor a folder.

    Raises:
        UnknownNameError: the message lists the near matches.
    """
    if name not in datasets() and not Path(name).expanduser().is_dir():
        error = unknown("dataset", name, datasets())
        raise UnknownNameError(f"{error}; a folder of images by class is taken too, and no folder has that name")


def load(
    name: str, split: str, root: str | Path | None = None, verify: bool = False, image_size: int | None = None
) -> Images:
    """Give one split of a data set; a set that is not on this machine is downloaded first.

    Args:
        name: one of `datasets()`, or a folder of images by class: `train/CLASS/*.jpg` and `test/CLASS/*.jpg`, or
            `CLASS/*.jpg`, of which one in five is then a test image.
        split: "train" or "test".
        root: folder that holds the data sets; default `$ATTNLIB_DATA`, then the user's cache folder.
        verify: also compare the files' checksums with meta.json. Shapes, types and counts are always compared.
        image_size: side to which the images of a folder are resized; data sets have a size of their own.

    Raises:
        UnknownNameError: no such data set or split; the message lists the near matches.
        MissingDataError: not on this machine, and it could not be downloaded; the message says how to get it.
        DamagedDataError: files that do not fit their meta.json; files of a folder that are no image.
        ValueError: a folder that does not hold images by class, or without image_size; a size for another data set.
    """
    check_name(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    own = name not in datasets()
    if own != (image_size is not None):
        fix = "say to which side its images are resized" if own else "leave it out, its images have a size of their own"
        raise ValueError(f"image_size={image_size} does not go with {name}: {fix}")
    if own:
        images, labels, classes = folder.read(name, split, image_size)
        return Images(Path(name).name, split, images, labels, classes)
    if name == "shapes":
        count, seed = _SHAPES[split]
        images, labels, masks = shapes.generate(count, seed)
        return Images(name, split, images, labels, list(shapes.CLASSES), masks)
    images, labels, classes = cifar.open_split(name, split, root, verify)
    return Images(name, split, images, labels, classes)
