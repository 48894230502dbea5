"""The judges of the exercises of the chapter on triplet attention."""

import torch
import torch.nn.functional as F

from attnlib.exercises.judges import Exact, Function, Number


def _maps_and_kernels(rng):
    """Maps of five channels, no axis as long as another, of both signs, and kernels for two planes."""
    shapes = ((2, 5, 9, 8), (2, 7, 7))
    return [tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes) for _ in range(3)]


def _rows_and_channels(x, kernel):
    planes = torch.stack([x.amax(3), x.mean(3)], 1)  # (N, 2, C, H)
    return torch.sigmoid(F.conv2d(planes.transpose(2, 3), kernel.unsqueeze(0), padding=3)).transpose(1, 3)


JUDGES = {
    "triplet-exercise-share": Number(
        "673b3f16020912e4",
        decimals=1,
        known={
            "e3755c23435512d9": "the three kernels slide over planes of different sizes",
            "389595b875b2f805": "two branches are turned",
            "ca9c9b39f9975b96": "that is the share of the branch that is not turned",
            "6abfd8a703dbda2b": "in per cent",
        },
    ),
    "triplet-exercise-branch": Function(
        _maps_and_kernels, _rows_and_channels, asked="a function of the map x and the kernel"
    ),
    "triplet-exercise-unseen": Exact(
        "078c8d5542b70896",
        known={
            "28e67824b02965f6": "the means of the three axes have means in common",
            "4c05e6dc20bd7a2d": "that is the number of means",
            "e2bee43257b246e3": "a map is not seen where all means are zero, not where all are equal",
            "e323ded0c0aa5192": "that is the number of dimensions that the means do see",
            "16b2299fa1ec5c04": "that is the whole space",
        },
    ),
    "triplet-exercise-ends": Number(
        "ae0c86796077931a",
        decimals=1,
        known={
            "41bd1c989c7bd03d": "an order has two ends",
            "0860efb30e3f86bb": "the channel in the middle of the window does not count as reach",
            "2a5ed477a95f29c9": "that is a block of 16 channels",
            "3be7a9db0cb6c58a": "three channels at each end, not six",
        },
    ),
}
