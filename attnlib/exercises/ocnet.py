"""The judges of the exercises of the chapter on OCNet."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _symmetric(rng: torch.Generator) -> list[tuple[torch.Tensor]]:
    drawn = [torch.randn(2, positions, positions, generator=rng, dtype=torch.float64) for positions in (4, 7)]
    return [(scores + scores.mT,) for scores in drawn]


JUDGES = {
    "ocnet-exercise-share": Number(
        "d571bcd0a635a5bc",
        decimals=1,
        known={
            "b649e44b1c2904ce": "the ground gets some of the weight, too",
            "30588c3641d98856": "that is the object's area, its share of equal weights",
            "6462fedb6e0ce8cc": "the other object is as much alike",
        },
    ),
    "ocnet-exercise-cells": Exact(
        "3b93629764e9d0ef",
        known={
            "60f03d13c39b8099": "the last row and column of cells are larger",
            "a3e46126304b486c": "that is the whole map, one cell",
            "f8628980ed6a8854": "the cells are not equal, and unequal parts have more pairs",
        },
    ),
    "ocnet-exercise-wander": Function(
        _symmetric,
        lambda scores: scores.logsumexp(-1).softmax(-1),
        asked="a function of the scores S",
    ),
    "ocnet-exercise-positions": Exact(
        "1cf28dbca83b3e9d",
        known={
            "69b12a917d886257": "queries and keys have one transform here",
            "93c19e83d12250b8": "each of the two channels goes to every channel of the queries",
            "a6382229c751fd35": "the biases stay as they are",
        },
    ),
}
