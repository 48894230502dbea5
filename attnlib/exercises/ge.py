"""The judges of the exercises of the chapter on Gather-Excite."""

import torch

from attnlib.exercises.judges import Exact, Function


def _maps(rng):
    """Maps of odd and even sizes, larger and smaller than a cell, and an extent."""
    shapes = (((2, 3, 9, 13), 2), ((1, 2, 12, 7), 4), ((2, 1, 5, 11), 8))
    return [(torch.randn(shape, generator=rng, dtype=torch.float64), extent) for shape, extent in shapes]


def _gate_of_cells(x, e):
    rows, columns = (torch.arange(side) // e for side in x.shape[2:])
    means = torch.stack(
        [
            torch.stack([x[:, :, rows == i][..., columns == j].mean((2, 3)) for j in columns.unique()], 2)
            for i in rows.unique()
        ],
        2,
    )
    return torch.sigmoid(means[:, :, rows][..., columns])


JUDGES = {
    "ge-exercise-side": Exact(
        "ca769724cea81e7e",
        known={
            "336ae12825cf0a17": "6 x 6 is 36 weights, and two of the norm",
            "d45bc61ab8b7b001": "this is the number of weights; the side is asked for",
            "09bd6782b6a0a661": "the kernel of 7 x 7 has 49 weights a channel",
        },
    ),
    "ge-exercise-blocks": Exact(
        "dc077977aab0fc8b",
        known={
            "b7f9d580e4f2fc8c": "a map of 9 rows has two windows of extent 8",
            "d021f5b4dbc60b06": "a map of 14 rows has two windows of extent 8",
            "7fe1961bdf64a744": "a window reaches seven pixels to either side; how large are the last maps?",
        },
    ),
    "ge-exercise-cells": Function(_maps, _gate_of_cells, atol=1e-9, asked="a function of x and e"),
    "ge-exercise-norm": Exact(
        "43de4f1a376191e2",
        known={
            "e751b64d18046992": "there are three blocks in each stage",
            "f1bbe5fabb59df4b": "a batch norm has a scale and a shift for each channel",
        },
    ),
}
