"""Non-local block."""

from functools import partial

from tests.harness import NORM, Case
from tests.reference.non_local import non_local

_SHAPES = ((2, 5, 7), (1, 9, 7), (2, 1, 6))
_SHAPES_OF_POOLED = ((2, 5, 7), (1, 9, 7), (2, 2, 6))


def case(**arguments: object) -> Case:
    """The case of some arguments, each projection a matrix and a bias of the loop form."""
    pairwise, dimensions = arguments.get("pairwise", "embedded"), arguments.get("dimensions", 2)
    subsample = bool(arguments.get("subsample"))
    layers = ["g", "out", *([] if pairwise == "gaussian" else ["theta", "phi"])]
    symbols = {f"{layer}.weight": f"{layer}.matrix" for layer in layers} | {f"{a}.bias": f"{a}.bias" for a in layers}
    if pairwise == "concat":
        symbols["pair.weight"] = "w"
    if arguments.get("norm", True):
        symbols |= {f"norm.{ours}": f"norm.{theirs}" for ours, theirs in NORM.items()}
    shapes = {
        1: ((2, 9), (1, 13), (3, 6)),
        2: _SHAPES_OF_POOLED if subsample else _SHAPES,
        3: ((2, 3, 5, 2), (1, 1, 7, 5), (2, 2, 3, 2)),
    }
    options = {name: value for name, value in arguments.items() if name not in ("reduction", "norm")}
    return Case(
        "non_local",
        5,
        partial(non_local, **options),
        symbols,
        arguments,
        shapes[dimensions],
        smallest=2 if subsample else 1,
        gate_range=None,
        rows_sum_to_one=pairwise in ("embedded", "gaussian"),
        pixels_alike=not subsample,
        single=1e-4,
        half=0.25,
    )


CASES = [
    case(),
    case(scale=False),
    case(reduction=1),
    case(norm=False),
    case(subsample=True),
    case(subsample=True, scale=False, pool="projections"),
    case(pairwise="gaussian"),
    case(pairwise="gaussian", subsample=True),
    case(pairwise="dot"),
    case(pairwise="dot", subsample=True, pool="projections"),
    case(pairwise="concat"),
    case(pairwise="concat", subsample=True),
    case(dimensions=1),
    case(dimensions=1, pairwise="dot", subsample=True),
    case(dimensions=3),
]
