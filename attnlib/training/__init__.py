"""Train a network by a recipe and keep a record of the run.

>>> from attnlib.training import Recipe, train
>>> trained = train(Recipe.named("smoke", attention="se"))
>>> trained.record.final.accuracy
"""

from attnlib.training.lane import chapter_recipe, lane
from attnlib.training.linear import linear_accuracy
from attnlib.training.loop import Trained, TrainingFailedError, TrainingInterrupted, train
from attnlib.training.recipe import Recipe
from attnlib.training.record import Record

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
