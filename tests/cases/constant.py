"""The constant gate."""

from functools import partial

from tests.harness import Case
from tests.reference.constant import constant_gate

CASES = [Case("constant", 5, constant_gate)] + [
    Case("constant", 5, partial(constant_gate, value=value), arguments={"value": value}, gate_range=(value, value))
    for value in (0.0, -1.5)
]
