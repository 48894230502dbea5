"""The decisions of SEM on generated shapes: how they differ between images and layers, and what they are worth.

python -m benchmarks.sem_decisions   some six minutes on one core

Every network is that of the recipe `smoke`, for ten epochs on one thread; it is tested on images that no run has
trained on. Where SEM was trained as it is, a row also has, for each block and operator, the mean of the decision weight
over the images and its standard deviation, and the points of accuracy that the network loses with other decisions in
all its blocks.
"""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer
from torch import Tensor, nn

from attnlib import plots
from attnlib.data.shapes import generate
from attnlib.scale_attention.sem import OPERATORS, SEM
from attnlib.training import Recipe, Trained, train
from benchmarks import exchanged
from benchmarks.measure import TABLES, measure_runs

TEST_IMAGES, TEST_SEED, LOOKED_AT, EPOCHS = 2000, 7, 1000, 10
FRESH = 0.5 * 0.5 * torch.sigmoid(torch.tensor(-0.5)).item()  # a fresh gate, where the means are near zero
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "SEM": ("sem", {}),
    "decisions held at 1/2": ("sem", {}),
    "constant 0.094": ("constant", {"value": FRESH}),
    "none": ("none", {}),
}


def gate_with(module: SEM, x: Tensor, weights: Tensor) -> Tensor:
    """SEM's gate with these decision weights (N or 1, n)."""
    m = x.mean((2, 3))
    gate = torch.ones((), dtype=x.dtype)
    for weight, operator in zip(weights.unbind(1), module.operators.values(), strict=True):
        gate = gate * torch.sigmoid(weight.unsqueeze(1) * operator(m))
    return gate[..., None, None]


def held(module: SEM, x: Tensor) -> Tensor:
    return gate_with(module, x, torch.full((1, len(module.operators)), 0.5))


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, exchange: Callable[[Tensor], Tensor]) -> float:
    """In per cent, with exchanged decision weights in every block."""
    scaled = lambda module, x: x * gate_with(module, x, exchange(module.decision(x)))  # noqa: E731
    return 100 * exchanged.accuracy(model, inputs, labels, scaled)


def losses(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Points of accuracy lost with other decisions."""

    def without(number: int) -> Callable[[Tensor], Tensor]:
        return lambda w: torch.where(torch.arange(len(OPERATORS)) == number, 0.0, w)

    exchanges = {
        "average": lambda w: w.mean(0, keepdim=True),
        "another image's": lambda w: w.roll(1, 0),
        "all 1/2": lambda w: torch.full_like(w, 0.5),
        "all 1": torch.ones_like,
        "all 0": torch.zeros_like,
    }
    exchanges |= {f"{name} off": without(number) for number, name in enumerate(OPERATORS)}
    own = accuracy(model, inputs, labels, lambda w: w)
    return {f"lost, {name}": round(own - accuracy(model, inputs, labels, e), 4) for name, e in exchanges.items()}


def decisions(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Mean and deviation of each decision weight over the images, and the mean gate, by block."""
    row = {}
    look = lambda module, x: (module.decision(x), module.gate(x))  # noqa: E731
    with torch.no_grad(), plots.captured(model, look) as seen:
        model(inputs)
    for block, (weights, gate) in enumerate(seen.values(), start=1):
        row[f"gate_{block}"] = round(gate.mean().item(), 4)
        row[f"gate_images_{block}"] = round(gate.std(0).mean().item(), 4)
        for name, weight in zip(OPERATORS, weights.unbind(1), strict=True):
            row[f"{name}_{block}"], row[f"{name}_{block}_std"] = (
                round(weight.mean().item(), 4),
                round(weight.std().item(), 4),
            )
    return row


def run(variant: str, seed: int) -> Trained:
    attention, arguments = VARIANTS[variant]
    with patch.object(SEM, "gate", held) if "held" in variant else nullcontext():
        return train(Recipe.named("smoke", attention=attention, attention_args=arguments, seed=seed, epochs=EPOCHS))


def rows(variant: str, seed: int) -> list[dict[str, Any]]:
    trained = run(variant, seed)
    images, labels, _ = generate(TEST_IMAGES, TEST_SEED)
    labels = torch.from_numpy(labels)
    model, inputs = trained.model.eval(), trained.inputs(images)
    with patch.object(SEM, "gate", held) if "held" in variant else nullcontext(), torch.no_grad():
        right = model(inputs).argmax(1) == labels
    found = {"accuracy": round(right.double().mean().item(), 4)}
    if variant == "SEM":
        inputs, labels = inputs[:LOOKED_AT], labels[:LOOKED_AT]
        found |= losses(model, inputs, labels) | decisions(model, inputs)
    return [found]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each variant, from seed 0 on.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `sem-decisions.json`; go on where a run was cut off."""
    torch.set_num_threads(1)
    settings = {
        "recipe": "smoke",
        "test_images": TEST_IMAGES,
        "test_seed": TEST_SEED,
        "looked_at": LOOKED_AT,
        "epochs": EPOCHS,
    }
    runs = [{"variant": variant, "seed": seed} for variant in VARIANTS for seed in range(seeds)]
    measure_runs(out / "sem-decisions.json", settings, runs, rows)


if __name__ == "__main__":
    typer.run(main)
