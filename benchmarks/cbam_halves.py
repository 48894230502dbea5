"""The halves of CBAM, and their orders, on generated shapes: what each is worth over seeds, and where it looks.

python -m benchmarks.cbam_halves   some eight minutes on one core

Every network is that of the recipe `smoke`, on one thread; it is tested on 2,000 images that no run has trained on.
"""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from attnlib.data.looking import share_inside
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.training import Recipe, Trained, train
from benchmarks.measure import TABLES, measure_runs

TEST_IMAGES, TEST_SEED = 2000, 7
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "constant 1/4": ("constant", {"value": 0.25}),  # what a fresh CBAM multiplies by
    "channel alone": ("cbam", {"spatial": False}),
    "spatial alone": ("cbam", {"channel": False}),
    "whole": ("cbam", {}),
    "spatial first": ("cbam", {"order": "spatial-first"}),
    "parallel": ("cbam", {"order": "parallel"}),
    "constant 1/2": ("constant", {"value": 0.5}),  # and by what a fresh channel half or a parallel CBAM does
}


def looks(trained: Trained) -> dict[str, float | None]:
    """For each block the share of the spatial gate that lies on the object, and that by chance; None without one."""
    images, _, masks = generate(TEST_IMAGES, TEST_SEED)
    found: dict[int, torch.Tensor] = {}
    hooks = []
    for block, module in enumerate(attention_modules(trained.model).values(), start=1):
        if getattr(module, "spatial_gate", None) is not None:

            def note(gate: torch.nn.Module, args: Any, logits: torch.Tensor, block: int = block) -> None:
                found[block] = torch.sigmoid(logits)[:, 0]

            hooks.append(module.spatial_gate.register_forward_hook(note))
    with torch.no_grad():
        trained.model.eval()(trained.inputs(images))
    for hook in hooks:
        hook.remove()
    row: dict[str, float | None] = {}
    for block in (1, 2, 3):
        shares = share_inside(found[block], torch.from_numpy(masks)) if block in found else (None, None)
        for name, share in zip(("own", "chance"), shares, strict=True):
            row[f"{name}_{block}"] = None if share is None else round(share, 4)
    return row


def rows(variant: str, seed: int) -> list[dict[str, Any]]:
    attention, arguments = VARIANTS[variant]
    trained = train(Recipe.named("smoke", attention=attention, attention_args=arguments, seed=seed))
    images, labels, _ = generate(TEST_IMAGES, TEST_SEED)
    right = trained.predict(images).argmax(1) == torch.from_numpy(labels)
    accuracy = right.double().mean().item()
    return [{"accuracy": round(accuracy, 4)} | looks(trained)]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each variant, from seed 0 on.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `cbam-halves.json`; go on where a run was cut off."""
    torch.set_num_threads(1)
    settings = {"recipe": "smoke", "test_images": TEST_IMAGES, "test_seed": TEST_SEED}
    runs = [{"variant": variant, "seed": seed} for variant in VARIANTS for seed in range(seeds)]
    measure_runs(out / "cbam-halves.json", settings, runs, rows)


if __name__ == "__main__":
    typer.run(main)
