"""The judges of the exercises of the chapter on the history of attention."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _places(rng: torch.Generator) -> list[tuple]:
    """Scores of places, their features, and of how many to take the mean: one, a few, all."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    return [(draw(n, places), draw(n, places, c), k) for n, places, c, k in ((2, 5, 3, 1), (3, 6, 2, 4), (1, 4, 5, 4))]


def _mean_of_the_highest(scores: torch.Tensor, features: torch.Tensor, k: int) -> torch.Tensor:
    lowest_kept = scores.sort(1, descending=True).values[:, k - 1 : k]
    weights = scores.masked_fill(scores < lowest_kept, -torch.inf).softmax(1)
    return torch.einsum("nl,nlc->nc", weights, features)


JUDGES = {
    "history-exercise-steps": Exact(
        "10afe9883c038404",
        known={
            "77c7ee5e0bc8b47c": "the decoder has to wait for the reader",
            "f1debe67a4700e6b": "the two directions of the reader do not wait for each other",
            "f0d951ddbbb16bb4": "the scores of one step are computed at the same time",
        },
    ),
    "history-exercise-draws": Exact(
        "a49d35af5812e940",
        known={
            "fc910ce234b0fbdf": "the coarse view is read, too",
            "a3e643e17fbdcc74": "that is one window",
            "72e65c34233afddc": "the coarse view is the same for all four windows",
        },
    ),
    "history-exercise-baseline": Number(
        "36cee7ce9e8ea330",
        decimals=1,
        known={
            "70b067a15c4880d7": "then a draw of the first place says nothing, and one of the other says something",
            "55dd41a2eaf54f3b": "then a draw of the other place says nothing, and one of the first says something",
            "a0236763021328c3": "without a baseline the two draws point in opposite directions",
        },
    ),
    "history-exercise-mixed": Function(
        _places, _mean_of_the_highest, asked="a function between(scores, features, k) of scores, features and a number"
    ),
}
