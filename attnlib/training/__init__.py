"""Train a network by a recipe and keep a record of the run.

>>> from attnlib.training import Recipe, train
>>> trained = train(Recipe.named("smoke", attention="se"))
>>> trained.record.final.accuracy
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.training.lanes import chapter_recipe, lane
    from attnlib.training.linear import linear_accuracy
    from attnlib.training.loop import Trained, TrainingFailedError, TrainingInterrupted, train
    from attnlib.training.recipe import Recipe
    from attnlib.training.record import Record
    from attnlib.training.toy import fit

__all__ = [
    "Recipe",
    "Record",
    "Trained",
    "TrainingFailedError",
    "TrainingInterrupted",
    "chapter_recipe",
    "fit",
    "lane",
    "linear_accuracy",
    "train",
]
__getattr__, __dir__ = later(
    __name__,
    {
        ".lanes": ["chapter_recipe", "lane"],
        ".linear": ["linear_accuracy"],
        ".loop": ["Trained", "TrainingFailedError", "TrainingInterrupted", "train"],
        ".recipe": ["Recipe"],
        ".record": ["Record"],
        ".toy": ["fit"],
    },
)
