"""Checks of the claims of SEM; paper.yml says what each is held against."""

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters, seeded
from attnlib.ledger.measure import Call, Module, Network, count_parameters, empty
from attnlib.ledger.printed import row_of
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.sem import SEM

WIDTHS = {64: 32, 128: 16, 256: 8}  # of ResNet-164's blocks, with the sides of their maps
BLOCKS = 18  # of each width
MAPS = (4, 32, 8, 8)


def _without_decision(model: nn.Module) -> None:
    """Leave the operators alone; the network can then be counted, not run."""
    for module in attention_modules(model).values():
        del module.decide


NETWORKS = {
    (module, classes): Network("resnet164", attention, arguments, classes=classes, change=change)
    for classes in (10, 100)
    for module, attention, arguments, change in (
        ("none", "none", (), None),
        ("SE", "se", (), None),
        ("CBAM", "cbam", (("bias", False),), None),
        ("IE", "sem", (("operators", ("ie",)),), _without_decision),
        ("SEM", "sem", (), None),
    )
}
PLAIN, WITH_SEM = NETWORKS["none", 100], NETWORKS["SEM", 100]


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Module | int | str:
    """The network, module or count that a printed cost belongs to, or why it is not recomputed."""
    if table == "released-modules":
        return Module(Call(create, "sem", row["channels"]))
    if table == "released-parts":
        return sum(_parts().values()) if row["part"] == "all" else _parts()[row["part"]]
    hundred = column == "cifar100_params_M" or row.get("dataset") == "CIFAR-100"
    known = NETWORKS.get((row["module"], 100 if hundred else 10))
    return known or f"{row['module']} is not among the modules of attnlib"


@cache
def _parts() -> dict[str, int]:
    """Parameters of all modules of ResNet-164, by part."""
    modules = attention_modules(empty(WITH_SEM)).values()
    by_part = {"FC": 0, "CNN": 0, "IE": 0, "decision": 0}
    for module in modules:
        for part, layer in {"decision": module.decide, **module.operators}.items():
            name = part if part == "decision" else part.upper()
            by_part[name] += count_parameters(layer)
    return by_part


@cache
def _untrained() -> list[tuple[SEM, Tensor]]:
    """The modules of an untrained ResNet-164, each with a map of its size."""
    with seeded():
        return [
            (create("sem", channels).double(), normal(4, channels, side, side, seed=seed))
            for channels, side in WIDTHS.items()
            for seed in range(BLOCKS)
        ]


def initial_gate() -> Finding:
    gates = [module.gate(x).detach() for module, x in _untrained()]
    means = [gate.mean().item() for gate in gates]
    note = (
        f"the means of single modules are {min(means):.4f} to {max(means):.4f}, "
        f"single gates {min(gate.min().item() for gate in gates):.3f} to {max(gate.max().item() for gate in gates):.3f}"
    )
    return Finding(sum(means) / len(means), note)


def _decisions() -> Tensor:
    """The decision weights of untrained modules, for each module and image."""
    return torch.stack([module.decision(x) for module, x in _untrained()]).detach()


def decision_sum() -> Finding:
    sums = _decisions().sum(-1)
    return Finding(
        float(((sums - 1).abs() > 0.1).all()), f"untrained, they sum to {sums.min():.2f} to {sums.max():.2f}"
    )


def _random_sem(operators: tuple[str, ...] = ("fc", "cnn", "ie")) -> SEM:
    """A SEM for 32 channels with random parameters."""
    return random_parameters(create("sem", 32, operators=operators), seed=1)


def _decide(module: SEM, bias: float, only: int | slice = slice(None)) -> SEM:
    """Fix decision weights for all images: 0 by a bias of -1e4, 1 by one of 1e4, to the last digit."""
    with torch.no_grad():
        module.decide.weight[only] = 0
        module.decide.bias[only] = bias
    return module


def _sigmoids(module: SEM, x: Tensor) -> list[Tensor]:
    """The factors of the gate, (N, C) each."""
    means, weights = x.mean((2, 3)), module.decision(x).unbind(1)
    return [torch.sigmoid(w[:, None] * f(means)) for w, f in zip(weights, module.operators.values(), strict=True)]


def decision_interaction() -> Finding:
    """By the second difference of the logits, two channel means moved together less each of them alone."""
    module, se = _random_sem(), random_parameters(create("se", 32, reduction=4), seed=1)
    decision = _interaction(lambda means: torch.logit(module.decision(means)))
    note = (
        f"the logits' second difference is {decision:.0e}, rounding: they are sums over the channels, and the sigmoid "
        f"behind them keeps their order; SE's logits have one of {_interaction(lambda x: torch.logit(se.gate(x))):.1f}"
    )
    return Finding(float(decision > 1e-6), note)


def _interaction(logits: Callable[[Tensor], Tensor]) -> float:
    x = 0.1 * normal(*MAPS)  # so that no sigmoid saturates
    first, second = torch.zeros(2, 1, 32, 1, 1, dtype=x.dtype)
    first[:, 3], second[:, 17] = 0.1, 0.1
    return largest(logits(x + first + second) - logits(x + first) - logits(x + second) + logits(x))


def scaled_out() -> Finding:
    x, ratios = normal(*MAPS), []
    for index in range(3):
        module = _decide(_random_sem(), -1e4, index)
        others = [factor for i, factor in enumerate(_sigmoids(module, x)) if i != index]
        ratios += (module.gate(x)[..., 0, 0] / prod(others)).flatten().tolist()
    return Finding(max(ratios, key=lambda ratio: abs(ratio - 0.5)), f"{len(ratios)} gates, each operator in turn")


def iebn_better() -> Finding:
    iebn = load("iebn").rows("readme")[0]["iebn_acc"]
    sem = row_of("sem", "readme", dataset="CIFAR-100")["sem_acc"]
    return Finding(iebn - sem, f"{iebn} - {sem}; IEBN stands for every norm of the main path, SEM once a block")


def _readmes(dataset: str, module: str) -> dict[str, float]:
    """Accuracies in the READMEs, by repository."""
    rows = load("sem").rows("siblings")
    return {row["repository"]: row["acc"] for row in rows if (row["dataset"], row["module"]) == (dataset, module)}


def readme_is_best() -> Finding:
    best = {row["run"]: row["best_acc"] for row in load("sem").rows("asr-logs")}
    deviations = [abs(_readmes("CIFAR-100", module)["zhongshsh/ASR"] - best[module]) for module in ("none", "SE")]
    return Finding(max(deviations), "of the plain network and of SE")


def best_and_last() -> Finding:
    gaps = [row["best_acc"] - row["last_acc"] for row in load("sem").rows("asr-logs")]
    outside = max(0.0, 0.3 - min(gaps), max(gaps) - 0.8)
    return Finding(outside, ", ".join(f"{gap:.2f}" for gap in gaps))
