"""Convolutional block attention."""

from functools import partial
from typing import Any

from tests.cases.triplet import SHAPES
from tests.harness import NORM, Case
from tests.reference.cbam import cbam

_MATRICES = {"channel_gate.reduce.weight": "channel.w_0", "channel_gate.expand.weight": "channel.w_1"}
_BIASES = {"channel_gate.reduce.bias": "channel.b_0", "channel_gate.expand.bias": "channel.b_1"}
_SPATIAL = {"spatial_gate.conv.weight": "spatial.weight"}
_NORM = {f"spatial_gate.norm.{ours}": f"spatial.norm.{theirs}" for ours, theirs in NORM.items()}


def _case(channels: int = 5, **options: Any) -> Case:
    symbols: dict[str, str] = {}
    arguments: dict[str, Any] = {"reduction": 2}
    if options.get("channel", True):
        symbols |= _MATRICES | (_BIASES if options.get("bias", True) else {})
    else:
        arguments = {}
    if options.get("spatial", True):
        symbols |= _SPATIAL | (_NORM if options.get("norm", True) else {})
    if options.get("descriptor") == "conv":
        symbols["spatial_gate.descriptor.weight"] = "spatial.descriptor"
    theirs = {name: options[name] for name in ("order", "channel_pools") if name in options}
    alike = not options.get("spatial", True)
    return Case(
        "cbam", channels, partial(cbam, **theirs), symbols, arguments | options, shapes=SHAPES, pixels_alike=alike
    )


CASES = [
    _case(7),
    _case(kernel_size=3),
    _case(spatial=False),
    _case(spatial=False, channel_pools=("avg",), bias=False),
    _case(spatial=False, channel_pools=("max",)),
    _case(channel=False),
    _case(order="spatial-first", kernel_size=3),
    _case(order="parallel", kernel_size=3),
    _case(descriptor="conv", kernel_size=3),
    _case(bias=False, norm=False),
]
