"""Multi-head self-attention."""

from functools import partial
from typing import Any

from tests.harness import Case
from tests.reference.dot_product import multi_head

_NAMES = {"query": "q", "key": "k", "value": "v", "out": "o"}
_WEIGHTS = {f"{ours}.weight": f"w_{theirs}" for ours, theirs in _NAMES.items()}
_BIASES = {f"{ours}.bias": f"b_{theirs}" for ours, theirs in _NAMES.items()}


def _case(channels: int, heads: int, symbols: dict[str, str] | None = None, **options: Any) -> Case:
    sinusoidal = {"sinusoidal": True} if options.get("positions") == "sinusoidal" else {}
    return Case(
        "dot_product",
        channels,
        partial(multi_head, heads=heads, **sinusoidal),
        _WEIGHTS | (symbols or {}),
        {"heads": heads, **options},
        shapes=((2, 3, 5), (1, 4, 3), (3, 1, 6)),
        gate_range=None,
        rows_sum_to_one=True,
        keeps_type=False,
        pixels_alike="positions" not in options,
        half=0.08,  # scores of ten and more, rounded to bfloat16 before the softmax
    )


CASES = [
    _case(6, 2),
    _case(6, 3, _BIASES, bias=True),
    _case(5, 1),
    _case(12, 3, positions="sinusoidal"),
    _case(6, 2, {"position": "code"}, positions="learned"),
    _case(6, 2, {"offsets.rows": "rows", "offsets.columns": "columns"}, positions="relative"),
]
