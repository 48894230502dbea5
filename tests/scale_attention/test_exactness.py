"""Every module equals its loop form, in its values, its running statistics and its gradients."""

import pytest

from attnlib import list_modules
from tests.harness import SIZES, check_forward, check_gradients
from tests.scale_attention.cases import CASES, every_mode

every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


@every_mode
@every_size
def test_output_and_statistics(case, training, size):
    check_forward(case, *size, training)


@every_mode
@every_size
def test_gradients(case, training, size):
    check_gradients(case, *size, training)


def test_the_cases_are_the_whole_family():
    assert {case.key for case in CASES} == {*list_modules("scale"), *list_modules("control")}
