"""SAGAN's self-attention."""

from functools import partial

from tests.harness import Case
from tests.reference.sagan import sagan

_SYMBOLS = {"key.weight": "w_f", "query.weight": "w_g", "value.weight": "w_h", "out.weight": "w_v", "gamma": "gamma"}


def _case(form: str, **rest: object) -> Case:
    return Case(
        "sagan",
        17,  # 2 channels for queries and keys, 8 for the released values
        partial(sagan, form=form),
        _SYMBOLS,
        {"form": form},
        gate_range=None,
        rows_sum_to_one=True,
        single=1e-4,
        half=0.25,
        **rest,
    )


CASES = [
    _case("released", shapes=((2, 5, 7), (1, 9, 7), (2, 2, 6)), smallest=2, pixels_alike=False),
    _case("text", shapes=((2, 5, 7), (1, 9, 7), (2, 1, 6))),
]
