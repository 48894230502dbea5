"""The floor: what a linear model reaches on raw pixels."""

import torch
from torch import nn

from attnlib.data import Images, channel_statistics
from attnlib.training.batches import Normalisation


def linear_accuracy(train: Images, test: Images, penalty: float = 1e-2, iterations: int = 100) -> float:
    """Test accuracy, as a fraction, of logistic regression on the normalised pixels of `train`.

    The loss is convex and starts from zero weights, so that there is nothing random in it.

    Args:
        train, test: two splits of one data set.
        penalty: of the squared weights.
        iterations: of L-BFGS at most.
    """
    normalise = Normalisation(*channel_statistics(train.images))
    pixels, labels = normalise(torch.tensor(train.images)).flatten(1), torch.tensor(train.labels)
    model = nn.Linear(pixels.shape[1], len(train.classes))
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), labels) + penalty * model.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        scores = model(normalise(torch.tensor(test.images)).flatten(1))
    return (scores.argmax(1) == torch.tensor(test.labels)).double().mean().item()
