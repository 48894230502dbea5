"""The judges of the exercises of the chapter on spatial group-wise enhancement."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _groups(rng):
    """Maps of one group of channels, its scale and its shift."""
    return [
        (torch.randn(shape, generator=rng, dtype=torch.float64), *torch.randn(2, generator=rng, dtype=torch.float64))
        for shape in ((2, 8, 5, 7), (3, 4, 6, 6), (1, 1, 4, 9))
    ]


def _cosine_gate(x, gamma, beta):
    mean = x.mean((2, 3), keepdim=True)
    cosine = (x * mean).sum(1) / (x.norm(dim=1) * mean.norm(dim=1))
    centred = cosine - cosine.mean((1, 2), keepdim=True)
    return torch.sigmoid(gamma * centred / (cosine.std((1, 2), keepdim=True) + 1e-5) + beta)


JUDGES = {
    "sge-exercise-largest": Number(
        "2361bd6599fbf106",
        decimals=2,
        known={
            "2e67f6bd82ea94d7": "that is so where the deviation divides by the number of pixels",
            "f57e23be9e2a0688": "the deviation grows with the outlier, too",
            "f78c08db1639fc25": "divide by the root of the number of pixels",
        },
    ),
    "sge-exercise-length": Exact(
        "9cbb6e383fe9e2fd",
        known={
            "e5f28512e5267bbe": "the squares of the lengths enter the condition",
            "37794440a4890e14": "the two kinds of pixels count with their shares; how does the length enter?",
            "9e7208eab478eadf": "there are nine times as many pixels of the ground",
        },
    ),
    "sge-exercise-cosine": Function(_groups, _cosine_gate, atol=1e-9, asked="a function of x, gamma and beta"),
    "sge-exercise-learned": Exact(
        "a11bcadb5a84f847",
        known={
            "6dde5042b5fcde7f": "there are three blocks in each stage",
            "150ac47524ec53ff": "that is one number a group; a direction has one for each channel of the group",
            "4dba4f8dd8645088": "these are the parameters that SGE has already",
        },
    ),
}
