"""Residual attention."""

from functools import partial
from typing import Any

from tests.harness import Case
from tests.reference.residual_attention import residual_attention

# Small maps: a module has sixty tensors, each checked at twenty coordinates. Larger ones: the module's own tests. Of
# fewer than 8 channels, a unit has only one inside, which the first ReLU silences in eval mode.
_SHAPES = ((2, 5, 3), (2, 2, 3), (2, 2, 2))


def _case(gate_range: tuple[float, float], shapes: tuple[tuple[int, ...], ...] = _SHAPES, **options: Any) -> Case:
    return Case(
        "residual_attention",
        8,
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
    _case((1.0, 2.0)),
    _case((1.0, 2.0), ((2, 4, 5), (1, 5, 9), (1, 4, 8)), t=1, levels=2),
    _case((-1.000001, 1.000001), t=1, activation="channel", learning="naive"),  # 1 and a rounding
    _case((1.0, 2.0), t=1, activation="spatial"),
]
