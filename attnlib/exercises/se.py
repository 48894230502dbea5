"""The judges of the exercises of the chapter on Squeeze-and-Excitation."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _layers(rng):
    """Maps of eight channels and the two layers of a block with three hidden units."""
    shapes = ((2, 8, 5, 7), (3, 8), (3,), (8, 3), (8,))
    return [tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes) for _ in range(3)]


def _gate_of_maximum(x, w_1, b_1, w_2, b_2):
    hidden = torch.relu(x.flatten(2).max(-1).values @ w_1.T + b_1)
    return torch.sigmoid(hidden @ w_2.T + b_2)


JUDGES = {
    "se-exercise-stage": Number(
        "ee28809383751624",
        decimals=1,
        known={
            "b735fe50671e1039": "that is the share of the other three stages",
            "ad0f8df832fe3c53": "the share is asked for in per cent",
            "08a90249e840e28c": "the parameters grow with the square of the width",
        },
    ),
    "se-exercise-maximum": Function(_layers, _gate_of_maximum, asked="a function of x, w_1, b_1, w_2 and b_2"),
    "se-exercise-dead": Exact(
        "52ca1a6a191a7c7a",
        known={
            "5ecf19e72fa80d7e": "some of them stand behind the hidden unit, whose output is always zero now",
            "b67f8cec727e91c4": "the weights from the hidden unit are multiplied by its output, which is zero",
        },
    ),
    "se-exercise-rounding": Exact(
        "0a380b049899c356",
        known={
            "bcfcdacccb5aed06": "each width stands in three blocks",
            "f4a1e382b316c090": "these are all of its parameters of attention, not the additional ones",
            "4d230b75e161cc85": "the hidden units have biases, too",
        },
    ),
    "se-exercise-without": Exact(
        "0d0982bfcc32b86e",
        known={
            "d3ba2903ecf301eb": "the biases go, too",
            "7f190fefb8db3d4c": "that is a block of the first stage",
            "1467bb3acfefcb24": "that is a block of the second stage",
        },
    ),
}
