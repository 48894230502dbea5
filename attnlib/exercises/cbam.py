"""The judges of the exercises of the chapter on CBAM."""

import torch
import torch.nn.functional as F

from attnlib.exercises.judges import Exact, Function, Number


def _maps_and_kernels(rng):
    """Maps of eight channels, of both signs, and kernels for two pooled maps."""
    shapes = ((2, 8, 9, 11), (2, 7, 7))
    return [tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes) for _ in range(3)]


def _spatial_gate(u, kernel):
    mean, largest = u.mean(1), u.max(1).values
    return torch.sigmoid(F.conv2d(torch.stack([mean, largest], 1), kernel.unsqueeze(0), padding=3))


def _norms(rng):
    """A kernel, then scale, shift, mean, variance and eps of a batch norm of one channel."""
    found = []
    for _ in range(3):
        w, *rest = (torch.randn(shape, generator=rng, dtype=torch.float64) for shape in ((2, 7, 7), (), (), ()))
        found.append((w, *rest, torch.rand((), generator=rng, dtype=torch.float64) + 0.1, 1e-3))
    return found


def _fold(w, gamma, beta, mu, nu, eps):
    inverse = gamma * (nu + eps).rsqrt()
    return w * inverse, beta - mu * inverse


JUDGES = {
    "cbam-exercise-share": Number(
        "2927e7f614e5bb18",
        decimals=1,
        known={
            "b0eddd2a90a44179": "the two layers have biases, too",
            "b8d5d046918f4edb": "the batch norm has two parameters",
            "26a00750b0650f90": "that is the ratio of the halves, not the share of one",
        },
    ),
    "cbam-exercise-corner": Exact(
        "e7b624cd36109d7f",
        known={
            "05fff43d957eef8c": "there are two maps",
            "98aef2b32f7be83b": "the middle of the window stands on the corner, so that its own row and column count",
            "7bf0178e5aa5ce13": "that is all of them, as in the middle of a map",
        },
    ),
    "cbam-exercise-spatial": Function(_maps_and_kernels, _spatial_gate, asked="a function of u and kernel"),
    "cbam-exercise-fold": Function(_norms, _fold, asked="a function of w, gamma, beta, mu, nu and eps"),
    "cbam-exercise-seventy": Exact(
        "78a0ed8a23df9806",
        known={
            "f7b3e33c5e5d7a0c": "that is where 70 images are one standard deviation",
            "bc834daa1f0d166c": "this many are one too many",
            "47ace2d5cb830267": "take the square",
            "49e5cf6e27116df9": "take the square",
        },
    ),
    "cbam-exercise-seeds": Exact(
        "d206450d876bfd42",
        known={
            "dfa4c03a43c8d821": "take the square",
            "6ca45c9ca6ba1cd2": "1.96 standard errors are asked for, not one",
        },
    ),
}
