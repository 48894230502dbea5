"""Visual attention, each module proven against its paper.

>>> import attnlib
>>> se = attnlib.create("se", channels=64)
>>> attnlib.info("se").status
>>> attnlib.paper("se").verdicts()

The names below are all that most readers need. Each is imported when it is asked for: `import attnlib` itself loads
nothing, and a network, a paper or the training loop only who uses it.
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.checks import check, finding
    from attnlib.comparison import compare
    from attnlib.data import load
    from attnlib.networks import attach, detach
    from attnlib.papers import paper
    from attnlib.profiling import latency, profile
    from attnlib.registry import ModuleInfo, create, info, list_modules
    from attnlib.results import report
    from attnlib.training import train

__version__ = "0.1.0"
__all__ = [
    "ModuleInfo",
    "attach",
    "check",
    "compare",
    "create",
    "detach",
    "finding",
    "info",
    "latency",
    "list_modules",
    "load",
    "paper",
    "profile",
    "report",
    "train",
]
__getattr__, __dir__ = later(
    __name__,
    {
        ".checks": ["check", "finding"],
        ".comparison": ["compare"],
        ".data": ["load"],
        ".networks": ["attach", "detach"],
        ".papers": ["paper"],
        ".profiling": ["latency", "profile"],
        ".registry": ["ModuleInfo", "create", "info", "list_modules"],
        ".results": ["report"],
        ".training": ["train"],
    },
)
