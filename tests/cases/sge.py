"""Spatial group-wise enhancement."""

from functools import partial

from tests.harness import Case
from tests.reference.sge import sge

_SYMBOLS = {"weight": "weight", "bias": "bias"}

CASES = [Case("sge", channels, sge, _SYMBOLS, {"groups": groups}) for channels, groups in ((12, 3), (10, 1), (6, 6))]
CASES.append(Case("sge", 6, partial(sge, unbiased=False), _SYMBOLS, {"groups": 2, "unbiased": False}))
