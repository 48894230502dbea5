"""The judges of the exercises of the chapter on switchable excitation."""

import torch

from attnlib.exercises.judges import Function, Number


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
    "sem-exercise-off": Number(
        "174db68ddaf66db2",
        decimals=2,
        known={
            "5476b6b935a18cc3": "that is the ratio the other way round; the gates grow",
            "56acea9d4f6c6e31": "IE's weight is one half at the start, not one",
            "bd65c924656d8856": "an operator that is off has the factor one half, not 1",
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
