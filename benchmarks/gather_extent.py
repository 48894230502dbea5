"""How far a gate of Gather-Excite has to look: where the right distance is known, and on generated shapes.

    python -m benchmarks.gather_extent      some ten minutes on one core; goes on where it was cut off

`ge-regions.json`: networks of 1 x 1 convolutions around one module, so that all they know of other pixels comes through
its gates, trained on `attnlib.data.regions`. A row has the share of right answers on 500 fresh maps. Of the kinds of
module, "mean" is GE without parameters, "mean and norm" the same with a batch norm behind the mean, "learned" GE-theta.

`ge-shapes.json`: networks of the recipe `smoke`, tested on 1,000 images that no run has trained on. A row has the
accuracy; that with every gate of a channel replaced by its average over images and pixels; and for each block the
deviation of its gates.
"""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

import attnlib
from attnlib.data.regions import ANSWERS, SIDE, regions
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.scale_attention.ge import GE
from attnlib.training import Recipe, fit, train
from benchmarks.measure import TABLES, measure_runs

EXTENTS = (2, 4, 8, 0)  # 0 is global
SIDES = (4, 8, SIDE)  # of the regions
CHANNELS, STEPS, BATCH, RATE = 16, 200, 16, 1e-2
TEST_IMAGES, TEST_SEED = 1000, 7
REGION_SEEDS, SHAPE_SEEDS = 3, 2

# ---- regions ----


def module_of(kind: str, extent: int) -> GE:
    if kind == "learned":
        module = attnlib.create("ge", CHANNELS, extent=extent, variant="theta", **({} if extent else {"size": SIDE}))
        module.network_init_()
        return module
    module = attnlib.create("ge", CHANNELS, extent=extent)
    if kind == "mean and norm":
        module.gather = nn.Sequential(module.gather, nn.BatchNorm2d(CHANNELS))
    return module


def network(module: nn.Module | None) -> nn.Sequential:
    """1 x 1 convolutions, which see one pixel, around a module."""
    inside = [] if module is None else [module]
    first, second = nn.Conv2d(2, CHANNELS, 1), nn.Conv2d(CHANNELS, CHANNELS, 1)
    return nn.Sequential(first, nn.ReLU(), *inside, second, nn.ReLU(), nn.Conv2d(CHANNELS, ANSWERS, 1))


def on_regions(side: int, gate: str, extent: int | None, seed: int) -> list[dict[str, Any]]:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    module = None if extent is None else module_of(gate, extent)
    trained = fit(network(module), lambda: regions(BATCH, side, generator)[:2], STEPS, RATE)
    maps, answers, _ = regions(500, side, torch.Generator().manual_seed(10**6))
    with torch.no_grad():
        right = trained(maps).argmax(1) == answers
    return [{"accuracy": round(right.double().mean().item(), 4)}]


# ---- shapes ----


def on_shapes(attention: str, seed: int, **arguments: Any) -> list[dict[str, Any]]:
    trained = train(Recipe.named("smoke", attention=attention, attention_args=arguments, seed=seed))
    images, labels, _ = generate(TEST_IMAGES, TEST_SEED)
    inputs, answers = trained.inputs(images), torch.from_numpy(labels)
    model = trained.model.eval()
    modules = attention_modules(model) if attention == "ge" else {}
    seen = {path: gates_of(model, module, inputs) for path, module in modules.items()}

    def accuracy(x: Tensor) -> float:
        with torch.no_grad():
            right = torch.cat([model(part).argmax(1) for part in x.split(500)]) == answers
        return round(right.double().mean().item(), 4)

    row = {"accuracy": accuracy(inputs)}
    means = {path: gates.mean((0, 2, 3), keepdim=True) for path, gates in seen.items()}
    hooks = [
        module.register_forward_hook(lambda _, args, __, mean=means[path]: args[0] * mean)
        for path, module in modules.items()
    ]
    row["average_gates"] = accuracy(inputs) if hooks else None
    for hook in hooks:
        hook.remove()
    for block, path in enumerate(modules, start=1):
        row[f"deviation_{block}"] = round((seen[path] - means[path]).square().mean().sqrt().item(), 4)
    return [row]


def gates_of(model: nn.Module, module: GE, inputs: Tensor) -> Tensor:
    """Gates of one module for all images."""
    found: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda ge, args: found.append(ge.gate(args[0])))
    with torch.no_grad():
        for part in inputs.split(500):
            model(part)
    hook.remove()
    return torch.cat(found)


# ---- tables ----


def main(
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = TABLES,
) -> None:
    """Train, and write `ge-regions.json` and `ge-shapes.json`."""
    torch.set_num_threads(1)
    gates = [("none", None)] + [(kind, e) for kind in ("mean", "mean and norm", "learned") for e in EXTENTS]
    of_regions = [
        {"side": side, "gate": kind, "extent": extent, "seed": seed}
        for seed in range(REGION_SEEDS)
        for side in SIDES
        for kind, extent in gates
    ]
    settings = {"channels": CHANNELS, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE}
    measure_runs(out / "ge-regions.json", settings, of_regions, on_regions)
    attentions: list[tuple[str, dict[str, Any]]] = [("none", {}), ("constant", {"value": 0.5})]
    attentions += [("ge", {"variant": variant, "extent": e}) for variant in ("theta-", "theta") for e in EXTENTS]
    of_shapes = [
        {"attention": attention, **arguments, "seed": seed}
        for seed in range(SHAPE_SEEDS)
        for attention, arguments in attentions
    ]
    settings = {"recipe": "smoke", "test_images": TEST_IMAGES, "test_seed": TEST_SEED}
    measure_runs(out / "ge-shapes.json", settings, of_shapes, on_shapes)


if __name__ == "__main__":
    typer.run(main)
