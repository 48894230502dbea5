"""Records of real runs, as package data, so that a notebook outside the checkout has them too.

>>> from attnlib.results import records
>>> [record.final.accuracy for record in records("cifar10-slice", attention="se")]
"""

from attnlib.results.archive import records, store
from attnlib.results.costs import CostTable, cost_table, costs
from attnlib.results.speed import Measurements, measurements

__all__ = ["CostTable", "Measurements", "cost_table", "costs", "measurements", "records", "store"]
