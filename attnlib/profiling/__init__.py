"""What a network costs: operations (`attnlib.profiling.cost`), memory (`...memory`) and time (`...timing`).

>>> from attnlib.profiling import latency, profile
>>> profile(network, 224).macs
>>> latency(network, 224).median
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.profiling.cost import Cost, profile, register
    from attnlib.profiling.timing import Latency, latencies, latency

__all__ = ["Cost", "Latency", "latencies", "latency", "profile", "register"]
__getattr__, __dir__ = later(
    __name__, {".cost": ["Cost", "profile", "register"], ".timing": ["Latency", "latencies", "latency"]}
)
