"""Every module equals its loop form, in its values, its running statistics and its gradients."""

import pytest

from attnlib import list_modules
from tests.cases import CASES, MODES, ONLY
from tests.harness import check_forward, check_gradients

every_shape = pytest.mark.parametrize(
    ("case", "training", "shape"),
    [(case, training, shape) for case, training in MODES for shape in case.shapes],
    ids=lambda value: {True: "train", False: "eval"}[value] if isinstance(value, bool) else _name(value),
)


def _name(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


@every_shape
def test_output_and_statistics(case, training, shape):
    check_forward(case, shape, training)


@every_shape
def test_gradients(case, training, shape):
    check_gradients(case, shape, training)


@pytest.mark.skipif(ONLY is not None, reason="cases of one module chosen")
def test_every_module_has_cases():
    assert {case.key for case in CASES} == {*list_modules(), *list_modules("control")}


def test_every_case_is_held_against_three_shapes_one_with_odd_sides_that_differ():
    for case in CASES:
        sizes = {shape[1:] for shape in case.shapes}
        assert len(sizes) >= 3, case
        assert any(len(set(size)) == len(size) and all(side % 2 for side in size) for size in sizes), case
