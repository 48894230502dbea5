"""Every scale-attention module with every argument that changes what it computes."""

import math
from functools import partial

import pytest

from tests.harness import Case, has_statistics
from tests.reference.constant import constant_gate
from tests.reference.nam import nam
from tests.reference.sa import sa
from tests.reference.se import se

_MATRICES = {"reduce.weight": "w_1", "expand.weight": "w_2"}
_BIASES = {"reduce.bias": "b_1", "expand.bias": "b_2"}


def _se(bias: bool = True, gate_range: tuple[float, float] = (0.0, 1.0), **options: str) -> Case:
    arguments = {"reduction": 3, **({} if bias else {"bias": False}), **options}
    symbols = _MATRICES | (_BIASES if bias else {})
    return Case("se", 10, partial(se, **options), symbols, arguments, gate_range)


def _nam(channel: bool = True, spatial: bool = False, **options: bool) -> Case:
    symbols = {}
    for part, present in (("channel", channel), ("spatial", spatial)):
        if present:
            names = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
            names["num_batches_tracked"] = "batches"
            symbols |= {f"{part}_norm.{ours}": f"{part}.{theirs}" for ours, theirs in names.items()}
    arguments = ({} if channel else {"channel": False}) | ({"spatial": True} if spatial else {}) | options
    return Case("nam", 6, partial(nam, **options), symbols, arguments, pixels_alike=not spatial)


def _sa(channels: int, groups: int, **options: bool) -> Case:
    symbols = {
        "channel_weight": "w_1",
        "channel_bias": "b_1",
        "spatial_weight": "w_2",
        "spatial_bias": "b_2",
        "norm_weight": "scale",
        "norm_bias": "shift",
    }
    return Case("sa", channels, partial(sa, groups=groups, **options), symbols, {"groups": groups, **options})


CASES = [
    _se(),
    _se(bias=False),
    _se(squeeze="max"),
    _se(squeeze="none"),
    _se(squeeze="none", bias=False),
    _se(activation="tanh", gate_range=(-1.0, 1.0)),
    _se(activation="relu", gate_range=(0.0, math.inf)),
    _nam(),
    _nam(detach_scale=False),
    _nam(signed=True),
    _nam(signed=True, detach_scale=False),
    _nam(spatial=True),
    _nam(spatial=True, detach_scale=False),
    _nam(spatial=True, signed=True, detach_scale=False),
    _nam(channel=False, spatial=True),
    _nam(channel=False, spatial=True, detach_scale=False),
    _sa(12, groups=3),
    _sa(12, groups=3, shuffle=False),
    _sa(10, groups=1),
    _sa(12, groups=6),
    Case("constant", 5, constant_gate),
    Case("constant", 5, partial(constant_gate, value=0.0), arguments={"value": 0.0}, gate_range=(0.0, 0.0)),
    Case("constant", 5, partial(constant_gate, value=-1.5), arguments={"value": -1.5}, gate_range=(-1.5, -1.5)),
]

# Train mode is another computation only where there are running statistics.
MODES = [
    (case, training) for case in CASES for training in (False, True) if has_statistics(case.create()) or not training
]

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_mode = pytest.mark.parametrize(
    ("case", "training"), MODES, ids=[f"{case}-{'train' if training else 'eval'}" for case, training in MODES]
)
