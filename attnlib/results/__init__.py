"""Records of real runs, as package data, so that a notebook outside the checkout has them too.

>>> from attnlib.results import records
>>> [record.final.accuracy for record in records("cifar10-slice", attention="se")]
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.results.archive import complete_rounds, failed, records, store
    from attnlib.results.comparison import report
    from attnlib.results.network_costs import CostTable, cost_table, costs
    from attnlib.results.speed import Measurements, measurements

__all__ = [
    "CostTable",
    "Measurements",
    "complete_rounds",
    "cost_table",
    "costs",
    "failed",
    "measurements",
    "records",
    "report",
    "store",
]
__getattr__, __dir__ = later(
    __name__,
    {
        ".archive": ["complete_rounds", "failed", "records", "store"],
        ".comparison": ["report"],
        ".network_costs": ["CostTable", "cost_table", "costs"],
        ".speed": ["Measurements", "measurements"],
    },
)
