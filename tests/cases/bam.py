"""Bottleneck attention."""

from functools import partial

from tests.harness import NORM, Case
from tests.reference.bam import bam

_LAYERS = {
    "channel_branch.0.weight": "channel.w_0",
    "channel_branch.0.bias": "channel.b_0",
    "channel_branch.3.weight": "channel.w_1",
    "channel_branch.3.bias": "channel.b_1",
    **{f"spatial_branch.{3 * k}.weight": f"spatial.f_{k}" for k in range(4)},
    **{f"spatial_branch.{3 * k}.bias": f"spatial.b_{k}" for k in range(4)},
}
_NORMS = {"channel_branch.1": "channel.norm", **{f"spatial_branch.{3 * k + 1}": f"spatial.norm_{k}" for k in range(3)}}
_OUTPUT_NORMS = {"channel_branch.4": "channel.out", "spatial_branch.10": "spatial.out"}


def _case(reduction: int = 2, output_norm: bool = False, **options: int | str) -> Case:
    norms = _NORMS | (_OUTPUT_NORMS if output_norm else {})
    symbols = _LAYERS | {
        f"{norm}.{ours}": f"{name}.{theirs}" for norm, name in norms.items() for ours, theirs in NORM.items()
    }
    arguments = {"reduction": reduction, **({"output_norm": True} if output_norm else {}), **options}
    return Case("bam", 5, partial(bam, **options), symbols, arguments, gate_range=(1.0, 2.0), pixels_alike=False)


CASES = [
    _case(),
    _case(combine="sum"),
    _case(combine="sum", output_norm=True),
    _case(output_norm=True),
    _case(dilation=1),
]
