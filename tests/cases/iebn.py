"""Instance enhancement batch normalization."""

from functools import partial

from tests.harness import Case
from tests.reference.iebn import iebn

_SYMBOLS = {
    "norm.weight": "norm.scale",
    "norm.bias": "norm.shift",
    "norm.running_mean": "norm.mean",
    "norm.running_var": "norm.variance",
    "norm.num_batches_tracked": "norm.batches",
    "gate_scale": "gate_scale",
    "gate_shift": "gate_shift",
}


CASES = [
    Case("iebn", 6, iebn, _SYMBOLS),
    Case("iebn", 5, partial(iebn, momentum=0.3), _SYMBOLS, {"momentum": 0.3}),
]
