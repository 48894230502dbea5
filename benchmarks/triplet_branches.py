"""The branches of triplet attention on generated shapes: trained without each, and exchanged after training.

python -m benchmarks.triplet_branches   some ten minutes on one core

Every network is that of the recipe `smoke`, on one thread; it is tested on images that no run has trained on. Where all
three branches were trained, a row also says how many points of accuracy the network loses with other gates in all its
blocks, and which share of what the gates let through above their mean lies on the object, by block, beside the share by
chance: `turned` is the sum of the two turned gates, averaged over the channels, `spatial` the third gate.

Two more variants ask why the third branch costs what it does. In one it stays at one half, and learns nothing. In the
other all three learn, and their mean is stretched about one half by 3/2, so that two of them swing as far as they would
without the third. `fresh` is the accuracy after the norms of the gates have taken their statistics anew, from images of
another seed.
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
from attnlib.data.looking import share_inside
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.scale_attention.triplet import BRANCHES, Triplet
from attnlib.training import Recipe, Trained, train
from benchmarks import exchanged
from benchmarks.measure import TABLES, measure_runs

TEST_IMAGES, TEST_SEED, LOOKED_AT, ORDERS = 2000, 7, 1000, 2
STATISTICS_IMAGES, STATISTICS_SEED = 1000, 11
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "constant 1/2": ("constant", {"value": 0.5}),
    "all three": ("triplet", {}),
    "without C-W": ("triplet", {"channel_width": False}),
    "without H-C": ("triplet", {"channel_height": False}),
    "without H-W": ("triplet", {"spatial": False}),
    "all start at 1/2": ("triplet", {}),
    "H-W stays at 1/2": ("triplet", {}),
    "all three, swing of two": ("triplet", {}),
}
WITH_FRESH = ("all three", "without H-W", "H-W stays at 1/2", "all three, swing of two")
SHORT = dict(zip(BRANCHES, ("C-W", "H-C", "H-W"), strict=True))
Gates = dict[str, Tensor]


def close(module: Triplet) -> None:
    """As `network_init_`, but the norm of every branch starts with the scale 0."""
    for branch in module.branches.values():
        nn.init.kaiming_normal_(branch.conv.weight, mode="fan_out")
        nn.init.zeros_(branch.norm.weight)


as_released = Triplet.network_init_


def freeze(module: Triplet) -> None:
    """As `network_init_`; the third branch's norm, which starts with the scale 0, learns nothing."""
    as_released(module)
    module.branches["spatial"].norm.requires_grad_(False)


def stretched(module: Triplet, x: Tensor) -> Tensor:
    """The map times its gate stretched about one half: (g_CW + g_HC + g_HW) / 2 - 1/4."""
    return x * (3 / 2 * module.gate(x) - 1 / 4)


CHANGES: dict[str, tuple[str, Callable]] = {
    "all start at 1/2": ("network_init_", close),
    "H-W stays at 1/2": ("network_init_", freeze),
    "all three, swing of two": ("forward", stretched),
}


def gates_of(module: Triplet, x: Tensor, order: Tensor | None = None) -> Gates:
    """The gate of every branch, of length 1 along the axis that it pools; with an order the channels stand in it."""
    found = {}
    ordered = x if order is None else x[:, order]
    for name, branch in module.branches.items():
        axis = BRANCHES[name]
        z = torch.cat([ordered.amax(axis, True), ordered.mean(axis, True)], axis).transpose(1, axis)
        gate = torch.sigmoid(branch(z)).transpose(1, axis)
        found[name] = gate if order is None or axis == 1 else gate[:, order.argsort()]
    return found


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, exchange: Callable[[Triplet, Tensor], Gates]) -> float:
    """In per cent, with these gates in every block."""

    def scaled(module: Triplet, x: Tensor) -> Tensor:
        gates = exchange(module, x)
        return x * sum(gates.values()) / len(gates)

    return 100 * exchanged.accuracy(model, inputs, labels, scaled)


def losses(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Points of accuracy lost with other gates."""

    def on_each(change: Callable[[str, Tensor], Tensor]) -> float:
        exchange = lambda module, x: {name: change(name, gate) for name, gate in gates_of(module, x).items()}  # noqa: E731
        return own - accuracy(model, inputs, labels, exchange)

    def in_random_order(seed: int) -> float:
        draw = torch.Generator().manual_seed(seed)
        exchange = lambda module, x: gates_of(module, x, torch.randperm(module.channels, generator=draw))  # noqa: E731
        return own - accuracy(model, inputs, labels, exchange)

    own = accuracy(model, inputs, labels, gates_of)
    lost = {f"{SHORT[b]} closed": on_each(lambda n, g, b=b: torch.full_like(g, 0.5) if n == b else g) for b in BRANCHES}
    lost["all closed"] = on_each(lambda _, gate: torch.full_like(gate, 0.5))
    lost["average gates"] = on_each(lambda _, gate: gate.mean(0, True))
    lost["another image's"] = on_each(lambda _, gate: gate.roll(1, 0))
    lost |= {f"order {seed}": in_random_order(seed) for seed in range(ORDERS)}
    return {f"lost, {name}": round(points, 4) for name, points in lost.items()}


def looks(model: nn.Module, inputs: Tensor, masks: Tensor) -> dict[str, float]:
    """For each block the share on the object and that by chance."""
    shares = {}
    with torch.no_grad(), plots.captured(model, gates_of) as seen:
        model(inputs)
    for block, gates in enumerate(seen.values(), start=1):
        turned = gates["channel_width"].mean(1) + gates["channel_height"].mean(1)
        for name, gate in (("turned", turned), ("spatial", gates["spatial"][:, 0])):
            own, chance = share_inside(gate, masks)
            shares[f"{name}_{block}"], shares[f"{name}_{block}_chance"] = round(own, 4), round(chance, 4)
    return shares


def take_statistics(trained: Trained) -> None:
    """Give the gates' norms the mean statistics of batches of 100 images, which no run has trained on."""
    images, _, _ = generate(STATISTICS_IMAGES, STATISTICS_SEED)
    blocks = attention_modules(trained.model).values()
    norms = [branch.norm for block in blocks for branch in block.branches.values()]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
        norm.train()
    with torch.no_grad():
        for inputs in trained.inputs(images).split(100):
            trained.model(inputs)
    for norm in norms:
        norm.eval()


def rows(variant: str, seed: int) -> list[dict[str, Any]]:
    change = patch.object(Triplet, *CHANGES[variant]) if variant in CHANGES else nullcontext()
    with change:
        return [row(variant, seed)]


def row(variant: str, seed: int) -> dict[str, Any]:
    attention, arguments = VARIANTS[variant]
    trained = train(Recipe.named("smoke", attention=attention, attention_args=arguments, seed=seed))
    trained.model.eval()
    images, labels, masks = generate(TEST_IMAGES, TEST_SEED)
    labels, masks = torch.from_numpy(labels), torch.from_numpy(masks)

    def right() -> float:
        return round((trained.predict(images).argmax(1) == labels).double().mean().item(), 4)

    found = {"accuracy": right()}
    if variant == "all three":
        model, inputs = trained.model.eval(), trained.inputs(images[:LOOKED_AT])
        found |= losses(model, inputs, labels[:LOOKED_AT]) | looks(model, inputs, masks[:LOOKED_AT])
    if variant in WITH_FRESH:
        take_statistics(trained)
        found["fresh"] = right()
    return found


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each variant, from seed 0 on.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `triplet-branches.json`; go on where a run was cut off."""
    torch.set_num_threads(1)
    settings = {"recipe": "smoke", "test_images": TEST_IMAGES, "test_seed": TEST_SEED, "looked_at": LOOKED_AT}
    runs = [{"variant": variant, "seed": seed} for seed in range(seeds) for variant in VARIANTS]
    measure_runs(out / "triplet-branches.json", settings, runs, rows)


if __name__ == "__main__":
    typer.run(main)
