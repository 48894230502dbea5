"""Which code ran, on what."""

import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

import attnlib
from attnlib.training.record import Provenance

_PACKAGE = Path(attnlib.__file__).parent


def provenance(
    device: torch.device,
    processes: int,
    started: str,
    seconds: float,
    images_per_second: float | None,
    cpu_seconds: float | None = None,
) -> Provenance:
    """What there is to say at the end of a run that took `seconds`, in all its sittings, on `device`."""
    on_gpu = device.type == "cuda"
    return Provenance(
        commit=commit(),
        attnlib=attnlib.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=torch.cuda.get_device_name(device) if on_gpu else device.type,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        processes=processes,
        threads=torch.get_num_threads(),
        started=started,
        seconds=round(seconds, 3),
        images_per_second=images_per_second and round(images_per_second, 1),
        cpu_seconds=cpu_seconds and round(cpu_seconds, 1),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        peak_memory_bytes=torch.cuda.max_memory_allocated(device) if on_gpu else _peak_resident_bytes(),
    )


@cache
def commit() -> str | None:
    """The commit of the checkout that attnlib was imported from, with "+changes" where its files differ from it.

    As it was when this was first asked: what changes later is not what runs.
    """
    return _commit_of(_PACKAGE)


def _commit_of(package: Path) -> str | None:
    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        # No lock: another git in this repository must not fail because a run looks at it.
        command = ["git", "--no-optional-locks", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        # An installed copy may lie inside somebody else's repository: only a tracked file makes it our checkout.
        if git("ls-files", "--error-unmatch", "__init__.py").returncode:
            return None
        # New records change nothing that runs; a new module does, tracked or not.
        changed = git("status", "--porcelain", "--untracked-files=normal", "--", ".", ":!results/records").stdout
        return git("rev-parse", "HEAD").stdout.strip() + ("+changes" if changed else "")
    except FileNotFoundError:  # no git
        return None


def _peak_resident_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
