"""The judges of the exercises of the chapter on stand-alone self-attention."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _queries(rng):
    """Queries of one head, and its vectors for rows and for columns, in windows of three sizes."""
    found = []
    for pixels, half, side in ((5, 2, 3), (4, 3, 7), (6, 1, 5)):
        shapes = ((pixels, 2 * half), (half, side), (half, side))
        found.append(tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes))
    return found


def _position_logits(q, rho, kappa):
    half, side = rho.shape
    offsets = (half, side, side)
    r = torch.cat([rho[:, :, None].expand(offsets), kappa[:, None, :].expand(offsets)])
    return torch.einsum("pc,cab->pab", q, r)


JUDGES = {
    "sasa-exercise-saved": Number(
        "ef87e1e18619fb9d",
        decimals=1,
        known={
            "b94ae75f97f441db": "that is what is left, not what is saved",
            "e8b5f115f561bea8": "the vectors belong to rows and to columns, not to each offset",
            "93daff943e5986b7": "the relative vectors are parameters, too",
        },
    ),
    "sasa-exercise-split": Function(_queries, _position_logits, asked="a function of q, rho and kappa"),
    "sasa-exercise-border": Number(
        "cd270f3164eb4295",
        decimals=0,
        known={
            "93beb981790ff0a7": "that is the share of the pixels that are on the map",
            "dd84412fa512d852": "that is the middle of an edge; a corner's window reaches beyond two edges",
            "80063fa78bda9877": "the query's own row and column are on the map",
        },
    ),
    "sasa-exercise-window": Exact(
        "88b0492fd847f29f",
        known={
            "1959f66ff0fb7318": "the side of a window is odd",
            "31d249d6d6f3a629": "that is the answer for 128 channels",
            "f385ad884f084fab": "this window costs more than the convolution",
            "7223cf2122af31f3": "the relative positions take products, too",
        },
    ),
    "sasa-exercise-stages": Exact(
        "837a9abee495ffe4",
        known={
            "1e0c777866614187": "the relative vectors are parameters, too",
            "8db2cc488c738f3b": "that is the convolution alone; attention has parameters, too",
            "fbb4d32853b8578a": "that is what the attention has",
            "b8fe1b2ef54ee5e3": "that is with a window of 7 x 7",
        },
    ),
}
