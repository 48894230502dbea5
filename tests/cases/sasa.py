"""Stand-alone self-attention."""

from functools import partial

from tests.harness import Case
from tests.reference.sasa import sasa

_SYMBOLS = {"query.weight": "w_q", "value.weight": "w_v", "key.weight": "w_k"}
_OFFSETS = {"row": "row", "column": "column"}
_SHAPES = ((2, 5, 7), (1, 9, 7), (1, 13, 11), (2, 1, 6))  # the third is too large for the dense form


def _case(channels: int = 6, heads: int = 3, kernel_size: int = 3, shapes=_SHAPES, **options) -> Case:
    relative = options.get("positions", "relative") == "relative"
    symbols = _SYMBOLS | (_OFFSETS if relative else {})
    if not options.get("content", True):
        symbols = {name: symbol for name, symbol in symbols.items() if symbol != "w_k"}
    known = {name: value for name, value in options.items() if name in ("border", "stride")}
    known["absolute"] = options.get("positions") == "absolute"
    return Case(
        "sasa",
        channels,
        partial(sasa, heads=heads, kernel_size=kernel_size, **known),
        symbols,
        {"heads": heads, "kernel_size": kernel_size, **options},
        shapes,
        gate_range=None,
        rows_sum_to_one=True,
        keeps_shape=options.get("stride", 1) == 1 and options.get("out_channels", channels) == channels,
        keeps_type=False,
        half=0.2,  # rounding the projections moves logits that nothing scales down
        pixels_alike=False,
    )


CASES = [
    _case(),
    _case(border="mask"),
    _case(kernel_size=7, shapes=((1, 5, 7), (1, 9, 7), (2, 1, 6))),
    _case(kernel_size=7, border="mask", shapes=((1, 5, 7), (1, 9, 7), (2, 1, 6))),
    _case(positions="none"),
    _case(positions="none", border="mask"),
    _case(channels=12, positions="absolute"),
    _case(content=False),
    _case(content=False, border="mask"),
    _case(projections="grouped"),
    _case(out_channels=12, heads=3, projections="grouped", positions="none"),
    _case(channels=5, out_channels=12, stride=2),
    _case(heads=1, stride=3, shapes=((2, 5, 7), (1, 9, 7), (2, 2, 6))),
]
