"""The judges of the exercises of the chapter on BAM."""

import torch

from attnlib.exercises.judges import Exact, Function


def _logits(rng):
    """Logits of a channel and a place, with a part that is neither's."""
    return [(torch.randn(shape, generator=rng, dtype=torch.float64) - 0.3,) for shape in ((2, 5, 4, 3), (1, 3, 7, 2))]


def _additive(logits):
    mean = logits.flatten(1).mean(1)[:, None, None, None]
    channel, place = logits.mean((2, 3), keepdim=True), logits.mean(1, keepdim=True)
    return channel + place - mean


JUDGES = {
    "bam-exercise-reach": Exact(
        "95e0ac200a323f07",
        known={
            "0ff0487b1f76735c": "that many offsets there are, but a map of 14 pixels a side does not hold them all",
            "0b32f7836a45710e": "the window has gaps",
            "213294891249aee6": "that is from a place in the middle; some places see more",
            "d61915b94835ee09": "that is from another place; some places see more",
            "47f8f087f4ed0b30": "the window has gaps",
        },
    ),
    "bam-exercise-bias": Exact(
        "36a51cdc0d3a6a54",
        known={
            "0891f11484a8b198": "each channel at its own place is within reach, too: with b = 0",
            "2a257a272abfd387": "that is without b",
            "0869db84f2abbddc": "that is the product of gates",
            "809f5a78e393b475": "the patterns with three open gates count as well",
        },
    ),
    "bam-exercise-ratio": Exact(
        "8f5e45d3652a22a3",
        known={
            "51d843b17a16ec43": "that is one module",
            "4e7c974d3a96ae0d": "ratios multiply",
            "ae8601be5c25b744": "there are three modules",
            "f0e04799403f333d": "that is the ratio where each can also halve",
        },
    ),
    "bam-exercise-additive": Function(_logits, _additive, asked="a function of the logits"),
    "bam-exercise-zero": Exact(
        "aeb2b40bb743b717",
        known={
            "29fa79a5460daa0f": "that is the product; the sum is asked for",
            "6cf887d50b1530f1": "the spatial branch ends with a bias, too",
            "6bc317cfbcfe96ac": "count both branches",
            "9dd2f76a1e471019": "count both branches",
            "643bb2c3cf355103": "the biases and the spatial branch get one, too",
            "7d4b5f2b1e6c05ba": "count both branches",
        },
    ),
}
