"""Checks of the claims of OCNet; paper.yml says what each is held against."""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_order, random_parameters, seeded
from attnlib.ledger.measure import Call, Module
from attnlib.ledger.printed import column_of
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.self_attention.object_context import conv_abn

HEADS = {"Base-OC": "base_oc", "Pyramid-OC": "pyramid_oc", "ASP-OC": "asp_oc"}
MAP = (1, 16, 9, 7)


def _reduced(head: str) -> nn.Sequential:
    return nn.Sequential(conv_abn(2048, 512, kernel_size=3), create(head, 512))


def network_of(table: str, row: dict[str, Any], column: str) -> Module:
    """The head that a count belongs to, alone or with the convolution in front of it."""
    head = HEADS[row["head"]]
    return Module(Call(create, head, 512) if column == "parameters" else Call(_reduced, head))


def _entries(head: str, side: int, **arguments: Any) -> int:
    """How many weights a head of few channels has for a map; only their shapes are computed."""
    with torch.device("meta"):
        module = create(head, 8, **arguments).eval()
        weights = module.weights(torch.zeros(1, 8, side, side))
    return sum(prod(each.shape) for each in (weights if isinstance(weights, list) else [weights]))


def affinity_pooled() -> Finding:
    odd, even = (_entries("base_oc", side) / _entries("asp_oc", side) for side in (97, 96))
    note = f"{odd:.2f} for 97 x 97, of which the pooling drops a row and a column; {even:g} for 96 x 96"
    return Finding(odd, note, otherwise=even)


def _untrained(head: str, channels: int = 16, **arguments: Any) -> nn.Module:
    with seeded():
        return create(head, channels, dropout=0.0, **arguments).double().eval()


def _random(head: str, **arguments: Any) -> nn.Module:
    """A head with random parameters, the zeros among them too."""
    return random_parameters(_untrained(head, **arguments), std=0.5)


def symmetric_scores() -> Finding:
    return Finding(_asymmetry(shared=True))


def separate_scores() -> Finding:
    asymmetry = _asymmetry(shared=False)
    return Finding(float(asymmetry > 1e-3), f"they deviate by up to {asymmetry:.2f}")


def _asymmetry(shared: bool) -> float:
    """log w_pi = s_pi - log Z_p: what the transpose differs by is a number of p less one of i, if s is symmetric."""
    logs = _random("base_oc", shared=shared).weights(normal(*MAP))[0, 0].log()
    change = logs - logs.T
    return largest(change - (change[:, :1] - change[:, 0]))


def zero_context() -> Finding:
    contexts = [_untrained("base_oc").context, _untrained("asp_oc").context, *_untrained("pyramid_oc").contexts]
    furthest = max(largest(context(normal(1, context.query[0].in_channels, 9, 7))) for context in contexts)
    return Finding(furthest, f"of {len(contexts)} attentions")


def no_positions() -> Finding:
    module, x = _random("base_oc"), normal(*MAP)
    order = random_order(63)

    def permuted(y: Tensor) -> Tensor:
        return y.flatten(2)[..., order].view_as(y)

    return Finding(largest(module(permuted(x)) - permuted(module(x))))


def readme_cityscapes() -> Finding:
    later = load("ocnet").rows("table-2-later")[-1]["test"]
    first = load("ocnet").rows("table-8")[-1]["miou"]
    return Finding(later, f"{later}; {first} in version 1")


def readme_others() -> Finding:
    readme, paper = column_of("ocnet", "readme-first", "method", "miou"), load("ocnet").rows("table-8")
    off = []
    for name in sorted(readme.keys() - {"OCNet"}):
        # PSANet stands there twice, the second time trained on the validation set too, as in the README.
        (*_, printed) = (row["miou"] for row in paper if row["method"] == name)
        if printed != readme[name]:
            off.append(f"{name} {readme[name]} in the README, {printed} in Table 8")
    return Finding(len(off), "; ".join(off))
