"""Shuffle attention."""

from functools import partial

from tests.harness import Case
from tests.reference.sa import sa

_SYMBOLS = {
    "channel_weight": "w_1",
    "channel_bias": "b_1",
    "spatial_weight": "w_2",
    "spatial_bias": "b_2",
    "norm_weight": "scale",
    "norm_bias": "shift",
}


def _case(channels: int, groups: int, **options: bool) -> Case:
    return Case("sa", channels, partial(sa, groups=groups, **options), _SYMBOLS, {"groups": groups, **options})


CASES = [_case(12, 3), _case(12, 3, shuffle=False), _case(10, 1), _case(12, 6)]
