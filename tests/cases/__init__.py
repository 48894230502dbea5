"""Every module with every argument that changes what it computes: one file a paper, its cases in `CASES`.

ATTNLIB_CASES=KEY in the environment leaves the cases of one module alone.
"""

import os
from importlib import import_module
from pathlib import Path

import pytest

from tests.harness import has_statistics

_FILES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
ONLY = os.environ.get("ATTNLIB_CASES")
CASES = [
    case for name in _FILES for case in import_module(f"{__name__}.{name}").CASES if ONLY is None or case.key == ONLY
]

# Train mode is another computation only where there are running statistics.
MODES = [
    (case, training) for case in CASES for training in (False, True) if has_statistics(case.create()) or not training
]

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_mode = pytest.mark.parametrize(
    ("case", "training"), MODES, ids=[f"{case}-{'train' if training else 'eval'}" for case, training in MODES]
)
