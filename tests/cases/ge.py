"""Gather-Excite."""

from functools import partial

from tests.harness import NORM, SHAPES, Case
from tests.reference.ge import gather_excite, gather_excite_free

_BOTTLENECK = {"excite.1.weight": "w_1", "excite.1.bias": "b_1", "excite.3.weight": "w_2", "excite.3.bias": "b_2"}
# Exported maps have two windows or more a side; test_ge.py has those of one row.
_SIZES = {0: SHAPES, 2: SHAPES, 4: ((2, 9, 7), (2, 13, 11), (2, 3, 6)), 8: ((2, 9, 11), (2, 17, 9), (2, 7, 8))}


def _free(extent: int = 0) -> Case:
    arguments = {"extent": extent} if extent else {}
    return Case(
        "ge",
        5,
        partial(gather_excite_free, extent=extent),
        {},
        arguments,
        shapes=_SIZES[extent],
        pixels_alike=extent == 0,
    )


def _learned(variant: str, extent: int = 0) -> Case:
    layers = max(1, extent.bit_length() - 1)
    symbols = {f"gather.{3 * i}.weight": f"kernels.{i}" for i in range(layers)}
    symbols |= {
        f"gather.{3 * i + 1}.{ours}": f"norms.{i}.{theirs}" for i in range(layers) for ours, theirs in NORM.items()
    }
    plus = variant == "theta+"
    arguments = {"variant": variant, **({"extent": extent} if extent else {}), **({"reduction": 3} if plus else {})}
    return Case(
        "ge",
        7 if plus else 5,
        partial(gather_excite, extent=extent),
        symbols | (_BOTTLENECK if plus else {}),
        arguments,
        shapes=_SIZES[extent],
        pixels_alike=False,
    )


CASES = [_free(extent) for extent in (0, 2, 4, 8)] + [
    _learned(variant, extent) for variant in ("theta", "theta+") for extent in (0, 2, 4, 8)
]
