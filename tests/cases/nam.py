"""Normalization-based attention."""

from functools import partial

from tests.harness import NORM, Case
from tests.reference.nam import nam


def _case(channel: bool = True, spatial: bool = False, **options: bool) -> Case:
    parts = [part for part, present in (("channel", channel), ("spatial", spatial)) if present]
    symbols = {f"{part}_norm.{ours}": f"{part}.{theirs}" for part in parts for ours, theirs in NORM.items()}
    arguments = ({} if channel else {"channel": False}) | ({"spatial": True} if spatial else {}) | options
    return Case("nam", 6, partial(nam, **options), symbols, arguments, pixels_alike=not spatial)


CASES = [
    _case(),
    _case(detach_scale=False),
    _case(signed=True),
    _case(signed=True, detach_scale=False),
    _case(spatial=True),
    _case(spatial=True, detach_scale=False),
    _case(spatial=True, signed=True, detach_scale=False),
    _case(channel=False, spatial=True),
    _case(channel=False, spatial=True, detach_scale=False),
]
