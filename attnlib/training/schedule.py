"""The learning rate at every step."""

import math

from attnlib.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate of step `step`, counted from 0.

    It grows linearly over the warm-up, the first step already taking a share of it, and then follows the schedule: a
    half cosine from the highest rate to zero, or falls at the milestones.
    """
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * min(1.0, (step + 1) / warmup)
    if recipe.schedule == "cosine":
        share = (step - warmup) / (recipe.epochs * steps_per_epoch - warmup)
        return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
    passed = sum(step >= milestone * steps_per_epoch for milestone in recipe.milestones)
    return recipe.learning_rate * recipe.step_factor**passed
