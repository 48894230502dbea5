"""The judges of the exercises of the page on one equation."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _groups(rng):
    """Maps, a number of groups, and a weight and a bias for each group."""

    def draw(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    return [(draw(n, c, 5, 4) + 0.5, k, draw(k), draw(k)) for n, c, k in ((2, 12, 3), (1, 8, 4))]


def _group_means(x, groups, w, b):
    means = torch.stack([part.flatten(1).mean(1) for part in x.chunk(groups, 1)], 1)
    return torch.sigmoid(w * means + b).repeat_interleave(x.shape[1] // groups, 1)[:, :, None, None]


JUDGES = {
    "one-equation-exercise-deaf": Exact(
        "a5312b17d13bba90",
        known={
            "8d53f4c67897c5c4": "a gate that moves with the object is not the same gate",
            "effa86fc32012065": "SEM squeezes to the mean, too",
            "7edee5844630b278": "only those that see the means alone",
        },
    ),
    "one-equation-exercise-line": Function(_groups, _group_means, asked="a function of x, groups, w and b"),
    "one-equation-exercise-factor": Number(
        "0d03b62e78eb7863",
        decimals=4,
        known={
            "88dc0ed1db87f4ab": "the deviation is a root",
            "13c6d957a98f3e34": "which of the two is smaller?",
            "1981f4d2a39414a1": "that is on 63 pixels",
        },
    ),
}
