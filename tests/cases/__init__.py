"""Every module with every argument that changes what it computes: one file a paper, its cases in `CASES`.

ATTNLIB_CASES=KEY in the environment leaves the cases of one module alone.
"""

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest

from tests.harness import Case, has_statistics

_FILES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
ONLY = os.environ.get("ATTNLIB_CASES") or None
CASES = [
    case for name in _FILES for case in import_module(f"{__name__}.{name}").CASES if ONLY is None or case.key == ONLY
]

# Train mode is another computation only where there are running statistics.
MODES = [
    (case, training) for case in CASES for training in (False, True) if has_statistics(case.create()) or not training
]

# The first arguments of each module, and its last mode, stand for it where a question hardly depends on them.
FIRST = {case.key: case for case in reversed(CASES)}
_FIRST_MODE = {case.key: training for case, training in MODES if case is FIRST[case.key]}


def cases_with(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """A test of these cases alone; where the cases of one module are chosen, it may concern none of them."""
    return _over("case", [pytest.param(case, id=str(case)) for case in cases])


def modes_with(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """A test of these cases, each in each of its modes."""
    wanted = {id(case) for case in cases}
    return _over(("case", "training"), [_mode(case, training) for case, training in MODES if id(case) in wanted])


def _mode(case: Case, training: bool, *marks: pytest.MarkDecorator):
    return pytest.param(case, training, marks=marks, id=f"{case}-{'train' if training else 'eval'}")


def _over(names, values):
    if not values and ONLY is not None:
        return pytest.mark.skip(reason="none of the chosen cases")
    return pytest.mark.parametrize(names, values)


def _unless(first: bool) -> list[pytest.MarkDecorator]:
    return [] if first else [pytest.mark.thorough]


every_case = cases_with(CASES)
every_mode = modes_with(CASES)
every_module = cases_with(FIRST.values())
# One of each module in `make test`, all of them in `make test-all`.
sampled_cases = _over(
    "case", [pytest.param(case, marks=_unless(case is FIRST[case.key]), id=str(case)) for case in CASES]
)
sampled_modes = _over(
    ("case", "training"),
    [
        _mode(case, training, *_unless(case is FIRST[case.key] and training == _FIRST_MODE[case.key]))
        for case, training in MODES
    ],
)
