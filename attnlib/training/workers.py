"""Whether this process was started by the user, or is a worker that shares the batches of another.

Launchers export LOCAL_RANK to whatever they start, and shells keep it: it alone makes nobody a worker.
"""

import os

STARTED = "ATTNLIB_STARTED_BY"  # in the environment of the processes that `train` itself starts


def is_worker() -> bool:
    """Whether `train` or torchrun started this process beside a first one, which shows and writes what there is."""
    return local_rank() != 0 and (STARTED in os.environ or under_torchrun())


def under_torchrun() -> bool:
    """Whether torchrun started several processes, of which this is one."""
    return "TORCHELASTIC_RUN_ID" in os.environ and torchrun_processes() > 1


def torchrun_processes() -> int:
    """WORLD_SIZE, 1 where that is no number."""
    return _number("WORLD_SIZE", 1)


def local_rank() -> int:
    """LOCAL_RANK, 0 where that is no number."""
    return _number("LOCAL_RANK", 0)


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else otherwise
