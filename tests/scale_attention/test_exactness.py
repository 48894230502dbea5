"""Every module equals its loop form, in its values, its running statistics and its gradients."""

import pytest

from tests.harness import SIZES, check_forward, check_gradients, has_statistics
from tests.scale_attention.cases import CASES

RUNS = [
    pytest.param(case, *size, training, id=f"{case}-{'x'.join(map(str, size))}-{'train' if training else 'eval'}")
    for case in CASES
    for size in SIZES
    for training in ([False, True] if has_statistics(case.build()) else [False])
]


@pytest.mark.parametrize(("case", "batch", "height", "width", "training"), RUNS)
def test_output_and_statistics(case, batch, height, width, training):
    check_forward(case, batch, height, width, training)


@pytest.mark.parametrize(("case", "batch", "height", "width", "training"), RUNS)
def test_gradients(case, batch, height, width, training):
    check_gradients(case, batch, height, width, training)
