import pytest

from attnlib.errors import UnknownNameError
from attnlib.training import chapter_recipe, lane


def test_smoke_is_the_default(monkeypatch):
    monkeypatch.delenv("ATTNLIB_LANE", raising=False)
    assert lane() == "smoke"
    assert chapter_recipe("se", seed=2).data == "shapes"
    assert chapter_recipe("se", seed=2).seed == 2


def test_full_lane_trains_on_cifar(monkeypatch):
    monkeypatch.setenv("ATTNLIB_LANE", "full")
    recipe = chapter_recipe("nam", epochs=50)
    assert (recipe.data, recipe.attention, recipe.epochs) == ("cifar10", "nam", 50)


def test_unknown_lane_is_refused(monkeypatch):
    monkeypatch.setenv("ATTNLIB_LANE", "fulll")
    with pytest.raises(UnknownNameError, match="ATTNLIB_LANE.*'full'"):
        lane()
