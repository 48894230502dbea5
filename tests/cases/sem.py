"""Switchable excitation."""

from functools import partial

from tests.harness import Case
from tests.reference.sem import sem

_DECISION = {"decide.weight": "decide.w", "decide.bias": "decide.b"}
_OPERATORS = {
    "fc": {"0.weight": "fc.w_1", "0.bias": "fc.b_1", "2.weight": "fc.w_2", "2.bias": "fc.b_2"},
    "cnn": {"weight": "cnn.w"},
    "ie": {"scale": "ie.scale", "shift": "ie.shift"},
}


def _case(*operators: str, channels: int = 10, reduction: int = 4) -> Case:
    chosen = operators or tuple(_OPERATORS)
    symbols = _DECISION | {
        f"operators.{operator}.{ours}": theirs for operator in chosen for ours, theirs in _OPERATORS[operator].items()
    }
    arguments = {"reduction": reduction, **({"operators": operators} if operators else {})}
    return Case("sem", channels, partial(sem, operators=chosen), symbols, arguments)


CASES = [
    _case(),  # round(10 / 4) = 2
    _case(reduction=3),
    _case("ie", "fc"),
    _case("cnn", "ie"),
    _case("fc"),
    _case("cnn"),
    _case("ie"),
]
