"""The two lanes of a chapter: seconds on a laptop, or the real thing."""

import os

from attnlib.errors import unknown
from attnlib.training.recipe import Recipe

_RECIPES = {"smoke": "smoke", "full": "equal-budget"}


def lane() -> str:
    """ "smoke" or "full", from the environment variable ATTNLIB_LANE; smoke where it is not set.

    Raises:
        UnknownNameError: it is set to anything else.
    """
    chosen = os.environ.get("ATTNLIB_LANE") or "smoke"
    if chosen not in _RECIPES:
        raise unknown("lane (ATTNLIB_LANE)", chosen, _RECIPES)
    return chosen


def chapter_recipe(attention: str, seed: int = 0, **overrides: object) -> Recipe:
    """What a chapter trains in this lane: shapes and a small network, or CIFAR-10 and ResNet-20 for thirty epochs.

    Args:
        attention: a key of `attnlib.list_modules()`, or "none".
        seed: of the run.
        overrides: other fields of the recipe.
    """
    return Recipe.named(_RECIPES[lane()], attention=attention, seed=seed, **overrides)
