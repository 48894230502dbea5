"""The network of a recipe, and which of its parameters decay."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import networks
from attnlib.training.recipe import Recipe


def build(recipe: Recipe, classes: int, image_size: int, model: nn.Module | None = None) -> nn.Module:
    """The network with its initial weights; the caller's random state is left as it was.

    A `model` of the caller's stands for the recipe's backbone: it is copied, weights and all, and not changed.

    Raises:
        ValueError: a network of the caller's or of another library that does not give a score for each class.
    """
    own = model is not None or ":" in recipe.backbone
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # torch.manual_seed would seed every GPU's generator too
        if own:
            model = copy.deepcopy(model) if model is not None else _named(recipe.backbone, classes)
            _check_scores(model, recipe.backbone, classes, image_size)
            if recipe.attention != "none":
                networks.attach(model, recipe.attention, image_size, recipe.placement, **recipe.attention_args)
        else:
            model = networks.create(
                recipe.backbone, classes, recipe.attention, recipe.attention_args, image_size, recipe.placement
            )
    if recipe.sparsity:
        sparsity_penalty(model, recipe.sparsity)  # refuses a network without NAM before anything is trained
    # Convolutions on small images are faster with the channels last, on a CPU as on a GPU.
    return model.to(memory_format=torch.channels_last)


def _named(name: str, classes: int) -> nn.Module:
    # Imported where it is used: a chapter depends on every file its kernel loads.
    from attnlib.networks.external import build

    return build(name, classes)


def _check_scores(model: nn.Module, name: str, classes: int, image_size: int) -> None:
    """Try the network on two grey images, in a copy, so that the network itself stays as it is."""
    tried = copy.deepcopy(model).eval()
    like = next(tried.parameters(), torch.empty(0))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        scores = tried(like.new_zeros(2, 3, image_size, image_size))
    shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if shape != (2, classes):
        raise ValueError(
            f"{name} gives {shape} for two images of {image_size} x {image_size}, where training takes (2, {classes}), "
            f"a score for each of {classes} classes; build it with so many outputs"
        )


def sparsity_penalty(model: nn.Module, strength: float) -> Float[Tensor, ""]:
    """NAM's penalty on its scales."""
    # Imported where it is used: a chapter depends on every file its kernel loads, and only NAM's should on nam.py.
    from attnlib.scale_attention.nam import sparsity_penalty

    return sparsity_penalty(model, strength)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict]:
    """All parameters, those with one axis apart where the recipe spares them the weight decay."""
    spared = [p for p in model.parameters() if p.dim() <= 1 and not recipe.decay_norms]
    decayed = [p for p in model.parameters() if p.dim() > 1 or recipe.decay_norms]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
