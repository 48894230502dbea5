"""Checkpoints of a run: written whole or not at all, and known to be whole when they are read."""

import errno
import hashlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from attnlib.data.files import read_bytes, write_bytes
from attnlib.errors import shortened

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
                write_bytes(path, content)
            except OSError as error:
                kept = self._files()
                if error.errno != errno.ENOSPC or len(kept) < 2:
                    raise
                kept[0].unlink()  # the newest stays, and perhaps this makes room enough
                write_bytes(path, content)
        except OSError as error:
            kept = self._files()
            still = f"the checkpoint of step {_step(kept[-1])} is kept" if kept else "there is no earlier one"
            reason = os.strerror(error.errno or 0)
            raise type(error)(
                error.errno,
                f"cannot write a checkpoint of {len(content) / 1e6:.1f} MB into {self.folder} ({reason}); "
                f"{still}: make room and give the same command again",
            ) from error
        for older in self._files()[:-2]:
            older.unlink()

    def load(self) -> tuple[dict[str, Any] | None, list[Path]]:
        """The newest state that is whole, or None; and the files newer than it, which are damaged.

        Raises:
            OSError: a file cannot be read, which says nothing of what is in it.
            ValueError: a file is whole, and no state.
        """
        for partial in self.folder.glob(".checkpoint-*.partial"):  # of a process that was killed while it wrote
            partial.unlink()
        damaged = []
        for path in reversed(self._files()):
            try:
                content = read_bytes(path)
            except OSError as error:
                raise type(error)(
                    error.errno,
                    f"the checkpoint {path} cannot be read ({os.strerror(error.errno or 0)}); nothing was changed: "
                    "make it readable and give the same command again; moved away, it "
                    "costs the steps since the one before",
                ) from error
            if _digest(content) == _NAME.fullmatch(path.name)[2]:
                return _state(path, content), damaged
            damaged.append(path)
        return None, damaged

    def set_aside(self, path: Path) -> str:
        """Rename a damaged file, which would count as one of the two newest; gives the sentence that says so."""
        aside = path.rename(path.with_name(f"damaged-{path.name}"))
        return f"the checkpoint of step {_step(path)} is damaged and was set aside ({aside.name})"

    def clear(self) -> None:
        """Remove all of them."""
        for path in self._files():
            path.unlink()

    def _files(self) -> list[Path]:
        """By step, the newest last."""
        return sorted((p for p in self.folder.iterdir() if _NAME.fullmatch(p.name)), key=_step)


def _state(path: Path, content: bytes) -> dict[str, Any]:
    """What a whole file holds. It is read without running what is in it, and may still be no state of a run."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"it holds a {type(state).__name__}")
    except Exception as error:  # the errors of pickle, zip and torch are of all kinds
        raise ValueError(
            f"{path} is whole but no checkpoint of a run ({shortened(error)}); move it away, or begin anew by "
            "restart=True (--restart)"
        ) from error
    return state


def _step(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)[1])


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
