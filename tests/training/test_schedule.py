import pytest

from attnlib.training import Recipe
from attnlib.training.schedule import learning_rate

STEPS = 10


def rates(**overrides):
    recipe = Recipe.named("smoke", **{"learning_rate": 0.4, **overrides})
    return [learning_rate(recipe, step, STEPS) for step in range(recipe.epochs * STEPS)]


def test_cosine_grows_linearly_and_falls_to_nothing():
    values = rates(epochs=4, warmup_epochs=1)
    assert values[:10] == pytest.approx([0.04 * step for step in range(1, 11)])
    assert values[10] == pytest.approx(0.4)
    assert values[25] == pytest.approx(0.2)  # half of the way
    assert all(earlier > later for earlier, later in zip(values[10:], values[11:], strict=False))
    assert values[-1] < 0.01


def test_steps_fall_at_each_milestone():
    values = rates(epochs=4, warmup_epochs=0, schedule="steps", milestones=(1, 3), step_factor=0.5)
    assert values == pytest.approx([0.4] * 10 + [0.2] * 20 + [0.1] * 10)


def test_part_of_an_epoch_can_be_warm_up():
    assert rates(epochs=2, warmup_epochs=0.25)[:3] == pytest.approx([0.16, 0.32, 0.4])
