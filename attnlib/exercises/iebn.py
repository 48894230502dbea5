"""The judges of the exercises of the chapter on instance enhancement batch normalisation."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _norms(rng):
    """Scales of a batch norm and biases of a gate whose weights are zero."""
    return [tuple(torch.randn(2, channels, generator=rng, dtype=torch.float64)) for channels in (8, 3)]


def _fold(scale, bias):
    return scale * torch.sigmoid(bias)


JUDGES = {
    "iebn-exercise-parameters": Exact(
        "b23b93924e9f076c",
        known={
            "3951effd932d766a": "the gate has two numbers for each channel",
            "f0a738f1555f50b3": "the shortcuts keep their plain norms",
            "d9ddadc01c6e6041": "scale and shift of the norm are there in a plain network, too",
        },
    ),
    "iebn-exercise-fold": Function(_norms, _fold, asked="a function of scale and bias"),
    "iebn-exercise-pace": Number(
        "7262153ee37808eb",
        decimals=3,
        known={
            "6d1ede7e3a631967": "the gate enters twice: in the gradient of the scale, and in what its step does",
            "27c4f9eba535a288": "the gate's bias moves as well",
            "550d7691494f9853": "the scale moves as well",
        },
    ),
    "iebn-exercise-start": Number(
        "dd6a91cc36e86caa",
        decimals=1,
        known={
            "9d7851648288bb20": "that is the gate; its logit is asked for",
            "6c486ef8bd92dac1": "there the gate is 0.1",
        },
    ),
}
