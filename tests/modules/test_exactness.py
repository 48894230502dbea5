"""Every module equals its loop form, in its values, its running statistics and its gradients."""

from collections.abc import Callable, Iterable

import pytest

from attnlib import list_modules
from tests.cases import CASES, MODES, ONLY
from tests.harness import SHAPES, Case, check_forward, check_gradients


def shapes_of_outputs(case: Case) -> list[tuple[int, ...]]:
    """The shapes of a case, where its gradients are checked too, and for maps the usual ones beside them."""
    sizes = {shape[1:] for shape in case.shapes}
    usual = SHAPES if len(case.shape) == 3 else ()
    legal = [shape for shape in usual if min(shape[1:]) >= case.smallest]
    return [*case.shapes, *(shape for shape in legal if shape[1:] not in sizes)]


def over(shapes: Callable[[Case], Iterable[tuple[int, ...]]]) -> pytest.MarkDecorator:
    """Every case in each of its modes on each of these shapes."""

    def name(value: object) -> str:
        if isinstance(value, bool):
            return "train" if value else "eval"
        return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)

    runs = [(case, training, shape) for case, training in MODES for shape in shapes(case)]
    return pytest.mark.parametrize(("case", "training", "shape"), runs, ids=name)


@over(shapes_of_outputs)
def test_output_and_statistics(case, training, shape):
    check_forward(case, shape, training)


@over(lambda case: case.shapes)
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
