"""The judges of the exercises of the chapter on switchable excitation."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _weights_and_logits(rng):
    """Weights between 0 and 1 of three operators, and their logits for some channels."""
    pairs = []
    for images, channels in ((2, 5), (4, 3), (1, 8)):
        w = torch.rand((images, 3), generator=rng, dtype=torch.float64)
        pairs.append((w, 2 * torch.randn((images, 3, channels), generator=rng, dtype=torch.float64)))
    return pairs


def _switched(w, e):
    gate = torch.ones_like(e[:, 0])
    for weight, logits in zip(w.unbind(1), e.unbind(1), strict=True):
        gate = gate * torch.lerp(torch.ones_like(logits), torch.sigmoid(logits), weight.unsqueeze(1))
    return gate


JUDGES = {
    "sem-exercise-half": Number(
        "c0ebd670cd0f8fd6",
        decimals=2,
        known={
            "2890fbe12dba10ce": "that is the factor; its logit is asked for",
            "43ea66ac225b0152": "that is the operator's logit where its weight is one half",
            "78d3f8560fc83f38": "a factor above one half has a positive logit",
        },
    ),
    "sem-exercise-price": Exact(
        "a828e58156172549",
        known={
            "50a95406a10ef52d": "the layer has biases, too",
            "612db10446f466e6": "three weights are decided",
            "1f892f7f0d05f2ff": "these are the others",
        },
    ),
    "sem-exercise-switch": Function(_weights_and_logits, _switched, asked="a function of w and e"),
    "sem-exercise-open": Number(
        "7d53fa890ab8eb00",
        decimals=2,
        known={
            "c3a45c84c3ef613f": "two other factors multiply it",
            "562572ffc7bd0b10": "that is the limit of one factor",
            "a321d859b08fb22b": "IE's factor can come near 1",
        },
    ),
}
