import pytest

from attnlib.data import load
from attnlib.training import Recipe, linear_accuracy, train


@pytest.fixture(scope="module")
def floor():
    return linear_accuracy(load("shapes", "train"), load("shapes", "test"))


@pytest.mark.parametrize(
    "attention", ["none", "sa", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("se", "nam"))]
)
def test_smoke_recipe_ends_well_above_a_linear_model(attention, floor):
    assert train(Recipe.named("smoke", attention=attention)).record.final.accuracy > floor + 0.20
