"""The judges of the exercises of the chapter on efficient channel attention."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _maps(rng):
    """Maps of seven channels and kernels of one, three, five and seven weights."""
    shapes = [((2, 7, 5, 4), (k,)) for k in (1, 3, 5, 7)]
    return [tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in pair) for pair in shapes]


def _circular(x, w):
    reach, z = len(w) // 2, x.mean((2, 3))
    around = torch.cat([z[:, len(z[0]) - reach :], z, z[:, :reach]], 1)
    return torch.sigmoid(around.unfold(1, len(w), 1) @ w)


JUDGES = {
    "eca-exercise-nine": Exact(
        "0470b02abf3cb768",
        known={
            "79fa8e96704ae6ca": "there the value before rounding is 9 already; an even one goes up, too",
            "6dfaabf35a3a3612": "there the value before rounding is 8.5; is it the first with an integer part of 8?",
            "f5c4be3931a0bb73": "its integer part is still 7",
        },
    ),
    "eca-exercise-unshared": Exact(
        "b8e88f7f7e91c56a",
        known={
            "0fdd4e9f29909fdc": "these are the shared kernels",
            "66cccfb34e7a1e1e": "each stage has several blocks",
            "ff948f493a5b417d": "not every kernel has three weights",
        },
    ),
    "eca-exercise-millions": Number(
        "050648134dc5b1cd",
        decimals=2,
        known={
            "e1f5a753f0df2261": "that is the printed number in its own unit",
            "be86c99ae2e51659": "the other way round: the printed M is the larger unit",
        },
    ),
    "eca-exercise-blocks": Number(
        "5df87e891c5378a7",
        decimals=2,
        known={
            "aa4dea7c362fd5b5": "a pair may stand in both directions",
            "245e321ae031ea7a": "that is the chance of one pair",
        },
    ),
    "eca-exercise-circle": Function(_maps, _circular, asked="a function of x and w"),
}
