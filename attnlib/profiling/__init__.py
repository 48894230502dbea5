"""What a network costs: operations (`attnlib.profiling.cost`) and memory (`attnlib.profiling.memory`).

>>> from attnlib.profiling import profile
>>> profile(network, 224).macs
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.profiling.cost import Cost, profile, register

__all__ = ["Cost", "profile", "register"]
__getattr__, __dir__ = later(__name__, {".cost": ["Cost", "profile", "register"]})
