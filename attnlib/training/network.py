"""The network of a recipe, and which of its parameters decay."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import networks
from attnlib.training.recipe import Recipe


def build(recipe: Recipe, classes: int, image_size: int) -> nn.Module:
    """The network with its initial weights; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # torch.manual_seed would seed every GPU's generator too
        model = networks.create(
            recipe.backbone, classes, recipe.attention, recipe.attention_args, image_size, recipe.placement
        )
    if recipe.sparsity:
        sparsity_penalty(model, recipe.sparsity)  # refuses a network without NAM before anything is trained
    # Convolutions on small images are faster with the channels last, on a CPU as on a GPU.
    return model.to(memory_format=torch.channels_last)


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
