"""Visual attention, each module proven against its paper.

>>> import attnlib
>>> se = attnlib.create("se", channels=64)
>>> attnlib.info("se").status

`import attnlib` loads torch and nothing heavier; data, training, profiling and plots are submodules, imported by name.
"""

from attnlib.checks import check, finding
from attnlib.registry import ModuleInfo, create, info, list_modules

__all__ = ["ModuleInfo", "check", "create", "finding", "info", "list_modules"]
__version__ = "0.1.0"
