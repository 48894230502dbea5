"""Gather-Excite."""

from functools import partial

from tests.harness import SHAPES, Case
from tests.reference.ge import gather_excite, gather_excite_free

_NORM = {
    "weight": "scale",
    "bias": "shift",
    "running_mean": "mean",
    "running_var": "variance",
    "num_batches_tracked": "batches",
}
_BOTTLENECK = {"excite.1.weight": "w_1", "excite.1.bias": "b_1", "excite.3.weight": "w_2", "excite.3.bias": "b_2"}
# With an extent of 8 a map has to be wider than 8 pixels for two windows side by side.
_WIDE = ((2, 9, 11), (2, 17, 9), (3, 1, 6))


def _free(extent: int = 0) -> Case:
    arguments = {"extent": extent} if extent else {}
    shapes = _WIDE if extent == 8 else SHAPES
    return Case(
        "ge", 5, partial(gather_excite_free, extent=extent), {}, arguments, shapes=shapes, pixels_alike=extent == 0
    )


def _learned(variant: str, extent: int = 0) -> Case:
    layers = max(1, extent.bit_length() - 1)
    symbols = {f"gather.{3 * i}.weight": f"kernels.{i}" for i in range(layers)}
    symbols |= {
        f"gather.{3 * i + 1}.{ours}": f"norms.{i}.{theirs}" for i in range(layers) for ours, theirs in _NORM.items()
    }
    plus = variant == "theta+"
    arguments = {"variant": variant, **({"extent": extent} if extent else {}), **({"reduction": 3} if plus else {})}
    return Case(
        "ge",
        7 if plus else 5,
        partial(gather_excite, extent=extent),
        symbols | (_BOTTLENECK if plus else {}),
        arguments,
        shapes=_WIDE if extent == 8 else SHAPES,
        pixels_alike=False,
    )


CASES = [_free(extent) for extent in (0, 2, 4, 8)] + [
    _learned(variant, extent) for variant in ("theta", "theta+") for extent in (0, 2, 4, 8)
]
