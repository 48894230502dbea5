"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as plain arrays in a cache folder.

    <root>/<name>/{train,test}_images.npy   uint8 (N, 32, 32, 3), RGB
    <root>/<name>/{train,test}_labels.npy   uint8 (N,)
    <root>/<name>/meta.json                 counts, checksums, class names, mean and standard deviation

`meta.json` is written last: a folder without it is an interrupted download and counts as absent.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import ssl
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import getproxies

import numpy as np
import platformdirs
from filelock import FileLock
from pydantic import BaseModel, ValidationError

from attnlib.data.files import writable_folder, write_bytes, write_text
from attnlib.data.statistics import channel_statistics
from attnlib.errors import unknown

SOURCES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}  # our name -> torchvision's class
IMAGE = (32, 32, 3)
# sha256 of the arrays, images and labels: a cache whose meta.json agrees with itself may still hold something else.
SUMS = {
    "cifar10": {
        "train": (
            "68ac6bb9ae0ad8642ed1e2fb439900a6eeca5d75eaa0552b25c83e69fd542d1a",
            "0b4edc8bc56e323687b319b3a213544cbb5dd8699f698f342eb32108020b58a3",
        ),
        "test": (
            "a06e0d797ec8d295769d1eb039dcbbef84daad329969f963474481ae671e016d",
            "2241c810e627da9ee342467849a7d12c3dd2d9022132cf5065c81cc7eee3e30e",
        ),
    },
    "cifar100": {
        "train": (
            "3bdbd4b308fb9fbeb5a125bb76c8a863ce3558695734cd037540458994ece4b1",
            "b47068ccf8a2a5227ea4d546cf7bbf3b70af77424e322e8539624266a54df457",
        ),
        "test": (
            "54d96ec27501fcf570997836d960def663d784a9226dbb17a4e60898d3374f16",
            "d0e651f8b413f35b2c48db305258ff6520b8d11d132da87e5388eb690479f2ef",
        ),
    },
}
_PATIENCE = 25.0  # seconds for which a server may say nothing; torchvision tries twice


class _Split(BaseModel):
    """What meta.json says of a split, as far as it is needed to check its arrays."""

    n: int
    sha256_pixels_nhwc_uint8: str
    sha256_labels_uint8: str


class _Meta(BaseModel):
    classes: list[str]
    train: _Split
    test: _Split


class MissingDataError(FileNotFoundError):
    """A data set is not on this machine and could not be downloaded."""


class DamagedDataError(ValueError):
    """Files of a data set that do not fit their checksum or their meta.json."""


@dataclass(frozen=True)
class CacheEntry:
    """What `info` found of one data set; `size` is in bytes, `problem` says what is damaged."""

    name: str
    folder: Path
    status: Literal["complete", "absent", "damaged"]
    size: int
    problem: str | None = None


def data_root(root: str | Path | None = None) -> Path:
    """The folder that holds the data sets: `root`, else `$ATTNLIB_DATA`, else the user's cache folder."""
    chosen = root or os.environ.get("ATTNLIB_DATA") or platformdirs.user_cache_path("attnlib", appauthor=False) / "data"
    return Path(chosen).expanduser()


def open_split(
    name: str, split: str, root: str | Path | None = None, verify: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images (memory-mapped), labels (int64) and class names of one split; downloads the data set where it is absent.

    Raises:
        MissingDataError, DamagedDataError: as in `attnlib.data.load`.
    """
    folder = data_root(root) / name
    if not (folder / "meta.json").is_file():
        fetch(name, root)
    meta = _read_meta(folder)
    images = _open(folder, split, "images", meta, verify)
    labels = _open(folder, split, "labels", meta, verify)
    return images, labels.astype(np.int64), meta.classes


def fetch(name: str, root: str | Path | None = None, progress: bool = True) -> Path:
    """Download a data set with torchvision, check it and put it into the cache, unless a good copy is there.

    Everything is downloaded and converted in a folder of its own beside the cache; an interrupted fetch leaves the
    cache as it was, and the next one starts afresh.

    Args:
        name: "cifar10" or "cifar100".
        root: folder that holds the data sets, see `data_root`.
        progress: show torchvision's progress bar on standard error.

    Returns:
        The data set's folder.

    Raises:
        UnknownNameError: nothing of this name can be fetched.
        MissingDataError: no connection; the message says every way to get the data.
        DamagedDataError: the download does not have the checksum it should have; both are in the message.
        OSError: the folder cannot be written.
    """
    if name not in SOURCES:
        raise unknown("dataset to fetch", name, SOURCES)
    folder = data_root(root) / name
    if _problem(folder, verify=True) is None:
        return folder
    writable_folder(folder.parent, fix="set ATTNLIB_DATA to a folder you may write")
    with FileLock(folder.parent / f".{name}.lock"):
        if _problem(folder, verify=True):  # not so where another fetch held the lock and is done
            with _workspace(folder.parent / f".{name}.partial") as workspace:
                _store(_download(name, workspace, folder, progress), folder)
    return folder


def import_archive(archive: str | Path, root: str | Path | None = None) -> Path:
    """Put a data set into the cache from its authors' archive, fetched by hand; nothing is downloaded.

    Which data set it is follows from the checksum, whatever the file is called. The archive stays where it is.

    Args:
        archive: cifar-10-python.tar.gz or cifar-100-python.tar.gz.
        root: folder that holds the data sets, see `data_root`.

    Returns:
        The data set's folder.

    Raises:
        FileNotFoundError: no such file.
        DamagedDataError: neither of the two archives, or not the whole of one; the message says what to fetch.
        OSError: the folder cannot be written.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5

    file = Path(archive).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{archive} is {'a folder' if file.is_dir() else 'not there'}; give the archive's path")
    sources = {name: getattr(datasets, source) for name, source in SOURCES.items()}
    found = calculate_md5(file)
    name = next((name for name, source in sources.items() if source.tgz_md5 == found), None)
    if name is None:
        wanted = " or ".join(f"{source.url} (md5 {source.tgz_md5})" for source in sources.values())
        raise DamagedDataError(
            f"{archive} has md5 {found} and {file.stat().st_size} bytes, and is none of {wanted}; fetch one anew"
        )
    folder = data_root(root) / name
    writable_folder(folder.parent, fix="set ATTNLIB_DATA to a folder you may write")
    with (
        FileLock(folder.parent / f".{name}.lock"),
        _workspace(folder.parent / f".{name}.partial") as workspace,
    ):
        if _problem(folder, verify=True):
            shutil.copyfile(
                file, workspace / sources[name].filename
            )  # where torchvision finds it, it downloads nothing
            _store(_download(name, workspace, folder, progress=False), folder)
    return folder


def info(root: str | Path | None = None, verify: bool = False) -> list[CacheEntry]:
    """What the cache holds, one entry per data set that can be downloaded.

    Args:
        root: folder that holds the data sets, see `data_root`.
        verify: also compute the checksums of the arrays and compare them with meta.json.
    """
    entries = []
    for name in SOURCES:
        folder = data_root(root) / name
        size = sum(file.stat().st_size for file in folder.glob("*.npy"))
        if not (folder / "meta.json").is_file():
            entries.append(CacheEntry(name, folder, "absent", size))
        elif problem := _problem(folder, verify):
            entries.append(CacheEntry(name, folder, "damaged", size, problem))
        else:
            entries.append(CacheEntry(name, folder, "complete", size))
    return entries


def _problem(folder: Path, verify: bool) -> str | None:
    """What is wrong with a cached data set, None where it is good."""
    try:
        meta = _read_meta(folder)
        for split in ("train", "test"):
            for what in ("images", "labels"):
                _open(folder, split, what, meta, verify)
    except (OSError, DamagedDataError) as error:
        return str(error)
    return None


def _read_meta(folder: Path) -> _Meta:
    path = folder / "meta.json"
    try:
        meta = _Meta.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f" field {'.'.join(map(str, first['loc']))}:" if first["loc"] else ""
        fix = f"to replace it, run: attnlib data fetch {folder.name}"
        raise DamagedDataError(f"{path}:{where} {first['msg']}; {fix}") from error
    for split, sums in SUMS[folder.name].items():
        said = getattr(meta, split)
        for what, expected, found in zip(
            ("images", "labels"), sums, (said.sha256_pixels_nhwc_uint8, said.sha256_labels_uint8), strict=True
        ):
            if found != expected:
                raise DamagedDataError(
                    f"{path}: says that the {split} {what} have sha256 {found}; those of {folder.name} have {expected}"
                    f"; to replace it, run: attnlib data fetch {folder.name}"
                )
    return meta


def _open(folder: Path, split: str, what: str, meta: _Meta, verify: bool) -> np.ndarray:
    """One array of the cache, memory-mapped, after it was compared with `meta`."""
    path = folder / f"{split}_{what}.npy"
    fix = f"to replace it, run: attnlib data fetch {folder.name}"
    expected: _Split = getattr(meta, split)
    expected_sha = expected.sha256_pixels_nhwc_uint8 if what == "images" else expected.sha256_labels_uint8
    try:
        array = np.load(path, mmap_mode="r")
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive of arrays")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedDataError(
            f"{path}: expected an array with sha256 {expected_sha}, found a file that cannot be read ({error}); {fix}"
        ) from error
    shape = (expected.n, *(IMAGE if what == "images" else ()))
    if array.shape != shape or array.dtype != np.uint8:
        raise DamagedDataError(
            f"{path}: expected uint8 {shape} with sha256 {expected_sha}, "
            f"found {array.dtype} {array.shape} with sha256 {_sha256(array)}; {fix}"
        )
    if verify and (found := _sha256(array)) != expected_sha:
        raise DamagedDataError(f"{path}: expected sha256 {expected_sha}, found {found}; {fix}")
    return array


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


@contextlib.contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed fetch left in it is thrown away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(name: str, workspace: Path, folder: Path, progress: bool) -> dict[str, Any]:
    """torchvision's two splits of the data set, {"train": ..., "test": ...}, checked by torchvision."""
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5

    source = getattr(datasets, SOURCES[name])
    archive = workspace / source.filename
    quiet = contextlib.nullcontext() if progress else contextlib.redirect_stderr(io.StringIO())
    waits = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)  # torchvision sets none
    try:
        with quiet:
            return {
                "train": source(workspace, train=True, download=True),
                "test": source(workspace, train=False, download=False),
            }
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise MissingDataError(
            f"{name} is not in {folder} and {source.url} cannot be reached ({error}){_why(error)}. Either connect to "
            f"the network and run: attnlib data fetch {name}; or fetch that file in a browser and run: "
            f"attnlib data import FILE; or copy the folder {name} from a machine that has it and set ATTNLIB_DATA to "
            f"the folder that holds it."
        ) from error
    except RuntimeError as error:
        found = f"{calculate_md5(archive)}, {archive.stat().st_size} bytes" if archive.is_file() else "no file"
        raise DamagedDataError(
            f"{source.url}: expected md5 {source.tgz_md5}, found {found} ({error}); nothing of it was kept and the "
            f"cache is as it was; run again: attnlib data fetch {name}"
        ) from error
    finally:
        socket.setdefaulttimeout(waits)


def _why(error: Exception) -> str:
    """What a failure of certificates or of a proxy means, and what helps; nothing of other failures."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            ": the certificate cannot be verified, as behind a proxy that opens connections; set SSL_CERT_FILE to the "
            "file of certificates that your organisation gives out"
        )
    if isinstance(reason, ssl.SSLError):
        return ": the encrypted connection broke off, as behind a proxy that does not let it through"
    if getattr(error, "code", None) == 407 or "Tunnel connection failed" in str(reason):
        proxy = getproxies().get("https") or getproxies().get("http") or "none set"
        host = proxy.rpartition("@")[2]  # without name and password
        return f": the proxy refuses ({host}); set HTTPS_PROXY to one that takes you, http://NAME:PASSWORD@HOST:PORT"
    return ""


def _store(splits: dict[str, Any], folder: Path) -> None:
    """Write the arrays and then meta.json; every file is complete before it appears in `folder`."""
    meta: dict[str, Any] = {"classes": list(splits["train"].classes)}
    arrays = {}
    for split, dataset in splits.items():
        images = np.ascontiguousarray(dataset.data)
        labels = np.asarray(dataset.targets, dtype=np.uint8)
        mean, deviation = channel_statistics(images)
        meta[split] = {
            "n": len(labels),
            "sha256_pixels_nhwc_uint8": _sha256(images),
            "sha256_labels_uint8": _sha256(labels),
            "mean": [round(value, 6) for value in mean],
            "std": [round(value, 6) for value in deviation],
        }
        arrays |= {f"{split}_images.npy": images, f"{split}_labels.npy": labels}
    folder.mkdir(exist_ok=True)
    for partial in folder.glob(".*.partial"):  # of a process that was killed while it wrote
        partial.unlink()
    (folder / "meta.json").unlink(missing_ok=True)  # from here to the end, the folder counts as absent
    for file, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        write_bytes(folder / file, buffer.getbuffer())
    write_text(folder / "meta.json", json.dumps(meta, indent=1))
