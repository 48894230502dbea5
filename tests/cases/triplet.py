"""Triplet attention."""

from tests.harness import NORM, Case
from tests.reference.triplet import triplet

SHAPES = ((2, 9, 7), (1, 13, 11), (2, 1, 6))


def _case(*names: str, kernel_size: int = 7) -> Case:
    symbols = {}
    for name in names:
        symbols[f"branches.{name}.conv.weight"] = f"{name}.weight"
        symbols |= {f"branches.{name}.norm.{ours}": f"{name}.norm.{theirs}" for ours, theirs in NORM.items()}
    off = {name: False for name in ("channel_width", "channel_height", "spatial") if name not in names}
    arguments = off | ({} if kernel_size == 7 else {"kernel_size": kernel_size})
    return Case("triplet", 5, triplet, symbols, arguments, shapes=SHAPES, pixels_alike=False)


CASES = [
    _case("channel_width", "channel_height", "spatial"),
    _case("channel_width", "channel_height", "spatial", kernel_size=3),
    _case("channel_width", "channel_height"),
    _case("channel_width"),
    _case("channel_height", "spatial", kernel_size=5),
    _case("spatial"),
]
