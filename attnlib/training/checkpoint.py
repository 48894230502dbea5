"""Checkpoints of a run: written whole or not at all, and known to be whole when they are read."""

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

_NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.pt")


class Checkpoints:
    """The checkpoints in one folder, `checkpoint-<step>-<digest of the file>.pt`; the two newest are kept.

    Two, so that a file damaged on the disk costs the time since the one before it, and not the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check_room(self, size: int) -> None:
        """Raise OSError where checkpoints of so many bytes will not fit: the two kept ones and one being written."""
        needed, free = max(3 - len(self._files()), 1) * size, shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"checkpoints take {needed / 1e6:.1f} MB, and {self.folder} has room for {free / 1e6:.1f} MB; make "
                "room and give the same command again, or choose another folder",
            )

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps.

        Raises:
            OSError: it cannot be written, e.g. as the disk is full; the message says where, why and what is left.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        path = self.folder / f"checkpoint-{step:09d}-{_digest(content)}.pt"
        try:
            try:
                _write(path, content)
            except OSError as error:
                kept = self._files()
                if error.errno != errno.ENOSPC or len(kept) < 2:
                    raise
                kept[0].unlink()  # the newest stays, and perhaps this makes room enough
                _write(path, content)
        except OSError as error:
            kept = self._files()
            still = f"the checkpoint of step {_step(kept[-1])} is kept" if kept else "there is no earlier one"
            raise type(error)(
                error.errno,
                f"cannot write a checkpoint of {len(content) / 1e6:.1f} MB into {self.folder} ({error.strerror}); "
                f"{still}: make room and give the same command again",
            ) from error
        for older in self._files()[:-2]:
            older.unlink()

    def load(self) -> tuple[dict[str, Any] | None, list[Path]]:
        """The newest state that is whole, or None; and the files newer than it, which are damaged."""
        for partial in self.folder.glob("checkpoint-*.partial"):  # of a process that was killed while it wrote
            partial.unlink()
        damaged = []
        for path in reversed(self._files()):
            with contextlib.suppress(OSError):  # a bad sector
                content = path.read_bytes()
                if _digest(content) == _NAME.fullmatch(path.name)[2]:
                    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), damaged
            damaged.append(path)
        return None, damaged

    def remove(self, path: Path) -> str:
        """Remove a damaged file, which would count as one of the two newest; gives the sentence that says so."""
        path.unlink()
        return f"the checkpoint of step {_step(path)} is damaged and was removed ({path.name})"

    def clear(self) -> None:
        """Remove all of them."""
        for path in self._files():
            path.unlink()

    def _files(self) -> list[Path]:
        """By step, the newest last."""
        return sorted((p for p in self.folder.iterdir() if _NAME.fullmatch(p.name)), key=_step)


def _write(path: Path, content: bytes) -> None:
    """The file is there whole, also after a power cut, or not at all."""
    partial = path.with_suffix(".partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _step(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)[1])


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
