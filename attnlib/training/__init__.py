"""Train a network by a recipe and keep a record of the run.

>>> from attnlib.training import Recipe, train
>>> trained = train(Recipe.named("smoke", attention="se"))
>>> trained.record.final.accuracy
"""

from importlib import import_module
from typing import TYPE_CHECKING

from attnlib.training.lane import chapter_recipe, lane
from attnlib.training.recipe import Recipe
from attnlib.training.record import Record

if TYPE_CHECKING:
    from attnlib.training.linear import linear_accuracy
    from attnlib.training.loop import Trained, TrainingFailedError, TrainingInterrupted, train

__all__ = [
    "Recipe",
    "Record",
    "Trained",
    "TrainingFailedError",
    "TrainingInterrupted",
    "chapter_recipe",
    "lane",
    "linear_accuracy",
    "train",
]

# Loaded when they are asked for: the loop brings Fabric and torchvision, seconds that who reads records need not wait.
_LATER = {"linear_accuracy": "linear"} | dict.fromkeys(
    ("Trained", "TrainingFailedError", "TrainingInterrupted", "train"), "loop"
)


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
