"""The judges of the exercises of the chapter on NAM and of its second page."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _norms(rng):
    """Scale and shift of a batch norm, of either sign."""
    return [tuple(torch.randn(2, channels, generator=rng, dtype=torch.float64)) for channels in (3, 8)]


def _folded(scale, shift):
    return 0.5 * scale, 0.5 * shift


JUDGES = {
    "nam-exercise-shares": Exact(
        "d24c577ad5511a97",
        known={
            "705e13a74e7cf63e": "a share has the sign of nothing: it is made of absolute values",
            "def27186712c2487": "these are the shares without absolute values",
            "f590735883a2305b": "the sum has absolute values, too",
        },
    ),
    "nam-exercise-pixel": Number(
        "384d0cd53b65939e",
        decimals=5,
        known={
            "71a3f3379875bfc3": "the slope of the sigmoid is at most one quarter",
            "c63d1bb73433992e": "one of the values is the bright one itself",
        },
    ),
    "nam-exercise-fold": Function(_norms, _folded, asked="a function of a scale and a shift that returns two"),
    "nam-exercise-move": Exact(
        "d7c38994826ae4b3",
        known={
            "5e622f25eb020d17": "that is a block of the first stage",
            "8d874c33eb23ebed": "that is a block of the second stage",
            "fc386bff1897c734": "the basic blocks of ResNet-20 have no fourfold width",
        },
    ),
    "nam-exercise-out": Number(
        "a5af68e185ee0c09",
        decimals=2,
        known={"f1d3b1f53e7cf374": "the slope of the sigmoid is at most one quarter"},
    ),
    "nam-exercise-size": Exact(
        "09579c65193ff0fa",
        known={
            "002fc8a8030e42a7": "each position has a scale and a shift",
            "1b0b8dfe46c693b3": "that is for a side of 448",
            "190bd856f8a0a39b": "that is the channel part",
        },
    ),
}
