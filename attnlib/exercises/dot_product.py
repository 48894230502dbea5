"""The judges of the exercises of the chapter on what attention is."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _sequences(rng):
    """Queries, keys and values of two sentences."""
    return [tuple(torch.randn(2, n, 4, generator=rng, dtype=torch.float64) for _ in range(3)) for n in (1, 5, 7)]


def _masked(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _halves(rng):
    """What was summed of three keys, and of four others: alike, larger, smaller and far larger ones."""
    for shift in (0.0, 5.0, -5.0, 900.0):
        halves = []
        for n, by in ((3, 0.0), (4, shift)):
            scores = torch.randn(n, generator=rng, dtype=torch.float64) + by
            powers = (scores - scores.max()).exp()
            halves += scores.max(), powers.sum(), powers @ torch.randn(n, 5, generator=rng, dtype=torch.float64)
        yield tuple(halves)


def _merged(m, total, u, m2, total2, u2):
    largest = torch.maximum(m, m2)
    a, b = (m - largest).exp(), (m2 - largest).exp()
    return largest, a * total + b * total2, a * u + b * u2


JUDGES = {
    "dot-product-exercise-bank": Number(
        "e1bb6edb12a185bb",
        decimals=3,
        known={"185e9703d7612e75": "that is its weight for a bank of one and one"},
    ),
    "dot-product-exercise-break-even": Exact(
        "becedd69fcfdef95",
        known={
            "dcbba9abc16a4628": "there the pairs of pixels cost as much as the projections",
            "a9d86471d4a6764f": "scores and weighted sums take two products for each pair",
            "cf84e43a8281cdfa": "that is about the side of the map, not its pixels",
        },
    ),
    "dot-product-exercise-slope": Number(
        "1448ec73ff8de209",
        decimals=2,
        known={
            "810066d097749941": "that is the largest weight, not the largest slope",
            "9cd38d03e8a379b1": "that is the weight at which the slope is largest",
        },
    ),
    "dot-product-exercise-stream": Function(_halves, _merged, asked="a function of m, total, u, m2, total2 and u2"),
    "dot-product-exercise-mask": Function(_sequences, _masked, asked="a function of q, k and v"),
    "dot-product-exercise-positions": Exact(
        "c8b8fd2881a322d4",
        known={
            "fa761b4fcec5e4d3": "sines add none, learned vectors do",
            "69cdada194199bee": "each of these vectors has as many entries as the map has channels",
            "123470cab2cafb8e": "a map of 8 by 8 has 64 pixels",
        },
    ),
}
