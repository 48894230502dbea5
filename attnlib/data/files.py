"""Folders checked before the work starts, and files that appear only when they are complete."""

import os
import tempfile
from pathlib import Path


def writable_folder(path: str | Path, fix: str) -> Path:
    """The folder `path`, created where it is not there.

    Raises:
        OSError: it cannot be created or written; the message names it and ends with `fix`.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(f"cannot write into {folder} ({error.strerror}); {fix}") from error
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: an interrupted write leaves what was there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name on an empty file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
