"""Object context: the three heads."""

from functools import partial

from tests.harness import Case
from tests.reference.ocnet import asp_oc, base_oc, pyramid_oc

_SHAPES = ((2, 3, 5), (1, 7, 5), (2, 1, 6))
_SHAPES_OF_POOLED = ((2, 5, 7), (1, 7, 5), (2, 2, 6))
_SHAPES_OF_CUT = ((2, 3, 5), (1, 7, 5), (1, 4, 6))
_REFERENCES = {"base_oc": base_oc, "pyramid_oc": pyramid_oc, "asp_oc": asp_oc}


def _case(key, shapes=_SHAPES, smallest=1, pixels_alike=False, fixed_size=False, channels=5, **arguments) -> Case:
    widths = ("key_channels", "value_channels", "branch_channels")
    options = {name: value for name, value in arguments.items() if name not in widths}
    return Case(
        key,
        channels,
        partial(_REFERENCES[key], **options),
        None,
        {**arguments, "dropout": 0.0},
        shapes,
        smallest=smallest,
        gate_range=None,
        rows_sum_to_one=True,
        keeps_type=False,
        pixels_alike=pixels_alike,
        fixed_size=fixed_size,
        single=1e-4,
        half=0.25,
    )


def pyramid_case(**arguments) -> Case:
    """A pyramid of few channels; exported for one size, which its cells are cut from."""
    smallest = max(arguments["scales"])
    return _case("pyramid_oc", _SHAPES_OF_CUT, smallest=smallest, fixed_size=True, channels=3, **arguments)


CASES = [
    _case("base_oc", pixels_alike=True),
    _case("base_oc", pixels_alike=True, shared=False, key_channels=3, value_channels=4),
    _case("base_oc", _SHAPES_OF_POOLED, smallest=2, scale=2),
    _case("pyramid_oc", pixels_alike=True, scales=(1,), key_channels=2),
    pyramid_case(scales=(3, 2), value_channels=2),
    pyramid_case(scales=(1, 2), shared=False),
    _case("asp_oc", _SHAPES_OF_POOLED, smallest=2, dilations=(2,), branch_channels=3),
    _case("asp_oc", dilations=(3, 1), scale=1, shared=False, branch_channels=2),
]
