"""Where a run computes: one device, or several processes that share each batch."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from lightning_fabric.utilities.exceptions import MisconfigurationException

from attnlib.base import check_count
from attnlib.training.workers import STARTED, is_worker, local_rank, torchrun_processes, under_torchrun

DEVICES = ("auto", "cpu", "cuda", "mps")
_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


def processes_with(precision: str, device: str, devices: int) -> Fabric:
    """Lightning Fabric on `devices` processes; where they are several, the calling script has been started so often.

    Raises:
        ValueError: a device that is unknown or not here, fewer of them than asked for, or a program that cannot be
            started anew; or torchrun has started another number of processes.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    check_count("devices", devices)
    if under_torchrun() and torchrun_processes() != devices:
        raise ValueError(
            f"torchrun has started {torchrun_processes()} processes, and devices={devices}; make them equal, or leave "
            "torchrun out: the processes are started here"
        )
    if devices > 1:
        _check_program(devices)
    strategy = "auto" if devices == 1 else "ddp"
    try:
        # Named, because Fabric would take the number of processes from SLURM where it finds itself in one of its jobs.
        here = [_OneMachine()]
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
        if is_worker():
            _end_with_the_first()
            fabric.launch()
        else:
            _launch(fabric)
    return fabric


class _OneMachine(LightningEnvironment):
    """Processes on this machine; what other launchers left in the environment of the first one says nothing."""

    launched = False  # by this process, whose workers then come along to the script's next call of `train`

    @property
    def creates_processes_externally(self) -> bool:
        return is_worker() or under_torchrun() or self.launched

    @property
    def main_address(self) -> str:
        return super().main_address if self.creates_processes_externally else "127.0.0.1"

    @property
    def main_port(self) -> int:
        if not self.creates_processes_externally and self._main_port == -1:
            self._main_port = find_free_network_port()
        return super().main_port

    def local_rank(self) -> int:
        return local_rank() if self.creates_processes_externally else 0

    def node_rank(self) -> int:
        return 0


def _launch(fabric: Fabric) -> None:
    """Start the workers, which know by their environment what they are; programs started later do not inherit that."""
    os.environ[STARTED] = str(os.getpid())
    try:
        fabric.launch()
    finally:
        del os.environ[STARTED]
    _OneMachine.launched = True


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
