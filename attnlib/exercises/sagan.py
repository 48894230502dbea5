"""The judges of the exercises of the chapter on SAGAN."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _windows(rng):
    """Windows of one channel, with weights of both signs, each with the side of a map."""
    for m, side in ((3, 8), (3, 15), (5, 12)):
        yield torch.randn(m, m, generator=rng, dtype=torch.float64), side


def _stretch(window, side):
    return torch.fft.fft2(window, s=(side, side)).abs().max()


JUDGES = {
    "sagan-exercise-window": Exact(
        "9028bf75a72f014a",
        known={
            "c20e3d0c0670d948": "that is a window of 3 by 3",
            "f755e73b8e000859": "the weights are divided by the norm of 25 equal numbers first",
            "b5a07faace33e684": "that is the norm of the matrix, not what the layer does to a constant image",
        },
    ),
    "sagan-exercise-even": Exact(
        "10eeeaa49ade1bad",
        known={
            "724590634b34efb2": "that is where both cost the same with half as many channels",
            "56358085bf097b3c": "a term of the projections is missing",
            "2fe41da1c3e261fb": "the number of positions is asked for, not the side of the map",
        },
    ),
    "sagan-exercise-third": Number(
        "c74a6594f114e651",
        decimals=2,
        known={
            "1584209fd694d10d": "that is the second step",
            "6030f9d2788df6b3": "the gradient is not the same in both steps: what is it proportional to?",
            "0b42018bf7fa0a2f": "a step is one learning rate only where all gradients had the same square",
        },
    ),
    "sagan-exercise-stretch": Function(_windows, _stretch, asked="a function of window and side"),
    "sagan-exercise-alone": Exact(
        "717370576fc1b935",
        known={
            "8140bcba46287ceb": "one of the two networks keeps its layer",
            "4094c2be7a776bdb": "that is the form of the text",
            "582b3bc8ba1c8c98": "gamma goes, too",
        },
    ),
}
