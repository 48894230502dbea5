"""Squeeze-and-Excitation."""

import math
from functools import partial

from tests.harness import Case
from tests.reference.se import se

_MATRICES = {"reduce.weight": "w_1", "expand.weight": "w_2"}
_BIASES = {"reduce.bias": "b_1", "expand.bias": "b_2"}


def _case(bias: bool = True, gate_range: tuple[float, float] = (0.0, 1.0), **options: str) -> Case:
    arguments = {"reduction": 3, **({} if bias else {"bias": False}), **options}
    symbols = _MATRICES | (_BIASES if bias else {})
    return Case("se", 10, partial(se, **options), symbols, arguments, gate_range=gate_range)


CASES = [
    _case(),
    _case(bias=False),
    _case(squeeze="max"),
    _case(squeeze="none"),
    _case(squeeze="none", bias=False),
    _case(activation="tanh", gate_range=(-1.0, 1.0)),
    _case(activation="relu", gate_range=(0.0, math.inf)),
]
