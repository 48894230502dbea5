"""Where a run computes: one device, or several processes that share each batch."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException

from attnlib.base import check_count

DEVICES = ("auto", "cpu", "cuda", "mps")
_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


def processes_with(precision: str, device: str, devices: int) -> Fabric:
    """Lightning Fabric on `devices` processes; where they are several, the calling script has been started so often.

    Raises:
        ValueError: a device that is unknown or not here, fewer of them than asked for, or a program that cannot be
            started anew.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    check_count("devices", devices)
    if devices > 1:
        _check_program(devices)
    strategy = "auto" if devices == 1 else "ddp"
    try:
        # Named, because Fabric would take the number of processes from SLURM where it finds itself in one of its jobs.
        here = [LightningEnvironment()]
        fabric = Fabric(accelerator=device, devices=devices, precision=precision, strategy=strategy, plugins=here)
    except (
        RuntimeError,
        MisconfigurationException,
    ) as error:  # an accelerator that exists, but not here or not so many
        reason = " ".join(str(error).split())
        raise ValueError(
            f"device={device!r}, devices={devices} cannot be used: {reason}; choose fewer devices, or device='cpu'"
        ) from error
    if devices > 1:
        if not is_first():
            _end_with_the_first()
        fabric.launch()
    return fabric


def is_first() -> bool:
    """Whether this is the process that was started by the user, and not one that helps it."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _check_program(devices: int) -> None:
    as_module = sys.modules["__main__"].__spec__ is not None  # python -m
    if hasattr(sys, "ps1") or not (as_module or Path(sys.argv[0]).is_file()):
        raise ValueError(
            f"devices={devices} starts this program once more for each of them, which cannot be done for an "
            "interactive session or `python -c`; put the call into a script, or use the command attnlib train"
        )


def _end_with_the_first() -> None:
    """Else this process might wait for ever for the numbers of the first one, where that has died."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
