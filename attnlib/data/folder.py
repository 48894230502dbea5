"""A folder of images by class as a data set.

    FOLDER/train/CLASS/*.jpg, FOLDER/test/CLASS/*.jpg     (val instead of test is taken, too)
    FOLDER/CLASS/*.jpg                                    a fifth of each class is then the test images

Every image is resized until its shorter side fits and cut to the square in its middle.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from attnlib.data.cifar import DamagedDataError

_SHARE = 5  # without a folder of test images, one in so many is one
_NAMED = 5  # files named in an error


def files(folder: str | Path, split: str) -> tuple[list[str], list[tuple[Path, int]]]:
    """The classes, and each image of one split with the number of its class; nothing is opened.

    Raises:
        ValueError: no folder of images by class; a class without an image or in one split alone; too few images to take
            test images from. The message names what is missing.
    """
    root = Path(folder).expanduser()
    splits = _splits(root)
    if not splits:
        classes, found = _listed(root)
        return classes, _chosen(root, classes, found, split)
    listed = {name: _listed(path) for name, path in splits.items()}
    if listed["train"][0] != listed["test"][0]:
        lone = sorted(set(listed["train"][0]) ^ set(listed["test"][0]))
        raise ValueError(
            f"{splits['train']} and {splits['test']} have to hold the same classes; one alone has {_some(lone)}"
        )
    return listed[split]


def read(folder: str | Path, split: str, image_size: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images (N, S, S, 3) uint8 with S = `image_size`, labels (N,) int64 and the names of the classes.

    Raises:
        ValueError: as `files` does.
        DamagedDataError: files that are no image; the message names them, and all are tried before it is raised.
    """
    classes, found = files(folder, split)
    images = np.empty((len(found), image_size, image_size, 3), dtype=np.uint8)

    def place(number: int) -> str | None:
        try:
            images[number] = _image(found[number][0], image_size)
        except Exception as error:  # PIL raises errors of all kinds at what is no image
            return f"{found[number][0]} ({type(error).__name__})"
        return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        unreadable = [each for each in threads.map(place, range(len(found))) if each]
    if unreadable:
        raise DamagedDataError(
            f"{len(unreadable)} of {len(found)} images cannot be read: {_some(unreadable)}; mend or remove them"
        )
    return images, np.array([label for _, label in found], dtype=np.int64), classes


def _image(path: Path, side: int) -> np.ndarray:
    from PIL import Image, ImageOps

    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError("no regular file")
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR))


def _splits(root: Path) -> dict[str, Path]:
    """The folders of the two splits; none where the folder holds the classes themselves."""
    tests = [root / name for name in ("test", "val") if (root / name).is_dir()]
    if not (root / "train").is_dir():
        return {}
    if not tests:
        raise ValueError(f"{root} has a folder train and neither test nor val; add one, or put the classes into {root}")
    return {"train": root / "train", "test": tests[0]}


def _listed(root: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    from torchvision.datasets.folder import IMG_EXTENSIONS

    try:
        classes = sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise ValueError(f"{root} cannot be read ({error.strerror}); give a folder of images by class") from error
    if len(classes) < 2:
        raise ValueError(
            f"{root} has to hold a folder of images for each class, two or more; it holds {_some(classes) or 'none'}"
        )
    found = []
    for label, name in enumerate(classes):
        inside = sorted(
            each
            for each in (root / name).rglob("*")
            if each.suffix.lower() in IMG_EXTENSIONS and not each.name.startswith(".")
        )
        if not inside:
            raise ValueError(f"{root / name} holds no image; an image ends in {', '.join(IMG_EXTENSIONS)}")
        found += [(each, label) for each in inside]
    return classes, found


def _chosen(root: Path, classes: list[str], found: list[tuple[Path, int]], split: str) -> list[tuple[Path, int]]:
    """One split of images that come without: which is a test image follows from its name, the same at every call."""
    chosen = []
    for label, name in enumerate(classes):
        mine = [path for path, own in found if own == label]
        if len(mine) < 2:
            raise ValueError(
                f"{root / name} holds one image, where one to train on and one to test are needed; add some"
            )
        by_name = sorted(mine, key=lambda path: _digest(path.relative_to(root)))
        tests = set(by_name[: max(1, len(mine) // _SHARE)])
        chosen += [(path, label) for path in mine if (path in tests) == (split == "test")]
    return chosen


def _digest(name: Path) -> bytes:
    return hashlib.blake2b(os.fsencode(name.as_posix())).digest()  # also of a name that is not UTF-8


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
