"""Memory that a training step frees is kept for the next step."""

import ctypes
import platform

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, from now on; whether it could be told.

    glibc gives large blocks back to the system when they are freed, and the next step then pays for every page of them
    again, as much as some of its operations take. A step needs as much as the one before, so that nothing is lost by
    keeping it. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    # Nothing is mapped apart, and a top of the heap of any size (-1 is the largest there is) stays.
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, -1))
