"""Residual attention."""

from functools import partial
from typing import Any

from tests.harness import Case
from tests.reference.residual_attention import residual_attention

# Small maps: a module has sixty tensors, each checked at twenty coordinates. Larger ones: the module's own tests.
_SHAPES = ((2, 5, 3), (2, 2, 3), (2, 2, 2))


def _case(
    channels: int, gate_range: tuple[float, float], shapes: tuple[tuple[int, ...], ...] = _SHAPES, **options: Any
) -> Case:
    return Case(
        "residual_attention",
        channels,
        partial(residual_attention, **options),
        None,
        options,
        shapes=shapes,
        smallest=2 ** options.get("levels", 1),
        gate_range=gate_range,
        pixels_alike=False,
        half=0.1,  # a dozen convolutions and norms behind each other
    )


CASES = [
    _case(8, (1.0, 2.0)),
    _case(4, (1.0, 2.0), ((2, 5, 7), (2, 4, 5), (2, 4, 4)), t=1, r=2, levels=2),
    _case(8, (-1.000001, 1.000001), t=1, activation="channel", learning="naive"),  # 1 and a rounding
    _case(8, (1.0, 2.0), t=1, activation="spatial"),
]
