"""Real input: on a slice of CIFAR-10 every module is worth more than its branch cut off."""

import pytest

from attnlib import list_modules
from attnlib.data import load
from attnlib.data.cifar import MissingDataError
from attnlib.training import Recipe, train

pytestmark = pytest.mark.cifar


@pytest.fixture(scope="module")
def zero_gate():
    """Test accuracy of the same network with its gate forced to zero: no residual branch takes part."""
    try:
        load("cifar10", "train")
    except MissingDataError as error:
        pytest.skip(str(error))
    recipe = Recipe.named("cifar10-slice", attention="constant", attention_args={"value": 0.0})
    return train(recipe).record.final.accuracy


@pytest.mark.parametrize("attention", list_modules("scale"))
def test_module_beats_the_zero_gate_by_ten_points(attention, zero_gate):
    recipe = Recipe.named("cifar10-slice", attention=attention)
    assert train(recipe).record.final.accuracy > zero_gate + 0.10
