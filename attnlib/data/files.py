"""Folders checked before the work starts, and files that appear only when they are complete."""

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from pathlib import Path


def writable_folder(path: str | Path, fix: str) -> Path:
    """The folder `path`, created where it is not there.

    Raises:
        ValueError: `path` is empty.
        OSError: it cannot be created or written; the message names it and ends with `fix`.
    """
    if not str(path).strip():
        raise ValueError(f"a folder needs a name, got {str(path)!r}; {fix}")
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(f"cannot write into {folder} ({error.strerror}); {fix}") from error
    return folder


def writable_file(path: str | Path, fix: str) -> Path:
    """The regular file that writing to `path` would make or replace: behind links, with `~` for the home folder.

    Its folder is created where it is not there.

    Raises:
        ValueError: `path` is empty, or names what is no regular file: a folder, a device, a pipe.
        OSError: its folder cannot be created or written; the message names it and ends with `fix`.
    """
    if not str(path).strip():
        raise ValueError(f"a file needs a name; {fix}")
    file = Path(os.path.realpath(Path(path).expanduser()))
    if file.is_symlink() or (file.exists() and not file.is_file()):  # a link still: it leads to itself
        raise ValueError(f"{path} is {'a folder' if file.is_dir() else 'no regular file'}; {fix}")
    writable_folder(file.parent, fix)
    return file


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write a whole file or nothing, also when the power is cut; all files of this package are written so.

    What was there stays until the new file is complete, a link to it stays a link, and it keeps its permissions. Where
    it fails, nothing is left behind.

    Raises:
        ValueError: `path` leads to what is no regular file: a folder, a device, a pipe.
        OSError: it cannot be written; the message names it and says why, and where the disk is full how much it takes.
    """
    file = Path(os.path.realpath(path))
    if file.is_symlink() or (file.exists() and not file.is_file()):  # a link still: it leads to itself
        raise ValueError(f"{path} is {'a folder' if file.is_dir() else 'no regular file'} and is not written over")
    # A name that nobody can guess, for a new file: in a folder that others write, a link may wait under any other.
    partial = file.with_name(f".{file.name[:200]}.{secrets.token_hex(8)}.partial")
    try:
        with open(partial, "xb") as stream:
            if file.exists():
                os.chmod(partial, file.stat().st_mode & 0o777)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # or a power cut could leave the new name on an empty file
        os.replace(partial, file)
        _keep_name(file.parent)
    except OSError as error:
        raise type(error)(error.errno, f"cannot write {path}: {_reason(error, file.parent, len(content))}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def read_bytes(path: str | Path) -> bytes:
    """A whole file.

    Raises:
        OSError: it cannot be read, or is no regular file: a pipe would be waited for, and a device might never end.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return file.read_bytes()


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` of a text in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def _reason(error: OSError, folder: Path, size: int) -> str:
    reason = os.strerror(error.errno or 0)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return reason
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        return f"{reason}; it takes {size / 1e6:.1f} MB, and {folder} has room for {free / 1e6:.1f} MB: make room"
    return reason


def _keep_name(folder: Path) -> None:
    """Have the disk hold the new name, too."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # from file systems that have nothing to do here
            raise
    finally:
        os.close(opened)
