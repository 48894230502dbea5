"""The judges of the exercises of the chapter on residual attention."""

import torch

from attnlib.exercises.judges import Exact, Function


def _maps(rng):
    """Maps; in one of them some pixels are zero in all channels."""
    maps = [torch.randn(shape, generator=rng, dtype=torch.float64) for shape in ((2, 6, 5, 7), (1, 3, 4, 4))]
    maps[0][:, :, 1:3, 2] = 0
    return [(z,) for z in maps]


def _unit_length(z):
    length = z.square().sum(1, keepdim=True).sqrt()
    return torch.where(length > 0, z / length.clamp_min(1e-300), torch.zeros_like(z))


JUDGES = {
    "residual-attention-exercise-fade": Exact(
        "3e5b22d2c731606f",
        known={
            "d4b73ae1d6fed480": "2 to the power of -9 is 1/512",
            "203464abb8962e6a": "halves multiply, they do not add up",
        },
    ),
    "residual-attention-exercise-size": Exact(
        "d68c6ea694ff3840",
        known={
            "2f4ab9812e67e59c": "the mask ends in two convolutions with their norms",
            "d9a705f6a4190bf4": "that is one unit",
        },
    ),
    "residual-attention-exercise-half": Exact(
        "87f57df8251d0120",
        known={
            "854e5f9a3bdce2e4": "factors of modules one behind the other multiply",
            "f8597c14d3410f8e": "factors of modules one behind the other multiply",
        },
    ),
    "residual-attention-exercise-channel": Function(_maps, _unit_length, atol=1e-9, asked="a function of z"),
}
