"""Efficient channel attention."""

from functools import partial

from tests.harness import Case
from tests.reference.eca import eca


def _case(channels: int = 10, **arguments: int | bool) -> Case:
    shared = arguments.get("shared", True)
    return Case("eca", channels, partial(eca, shared=shared), {"conv.weight": "w"}, arguments)


CASES = [
    _case(),
    _case(kernel_size=5),
    _case(3, kernel_size=9),
    _case(gamma=1, b=4),
    _case(shared=False),
    _case(kernel_size=5, shared=False),
]
