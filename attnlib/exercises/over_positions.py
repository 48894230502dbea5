"""The judges of the exercises of the page on attention over positions."""

import torch

from attnlib.exercises.judges import Function, Number


def _axial(height: int, width: int) -> torch.Tensor:
    row = torch.arange(height * width) // width
    column = torch.arange(height * width) % width
    return (row[:, None] == row) | (column[:, None] == column)


JUDGES = {
    "over-positions-exercise-early": Number(
        "69c54aeebbc7fb47",
        decimals=1,
        known={
            "0cdb0a0a521362cc": "that is for one head",
            "26a24eda4fecd135": "a number was counted as one byte",
            "fa33a24ca0176852": "that is for one image",
        },
    ),
    "over-positions-exercise-axial": Function(
        lambda rng: [(3, 5), (4, 2)], _axial, asked="a function inside(H, W) that gives a mask (H W, H W)"
    ),
}
