"""How BAM's two branches are combined, on generated shapes: what each form is worth over seeds, and what its gates use.

    python -m benchmarks.bam_forms      some twelve minutes on one core

Every network is that of the recipe `smoke` with a module at its two bottlenecks, r = 4, on one thread; it is tested on
2,000 images that no run has trained on. All forms of one seed begin with the same weights. A row is one network; the
forms with two branches have all of these numbers, the others the accuracy alone:

    accuracy       on the test images
    channel_1      which share of the variance of block 1's gates over channels and places, within an image, lies
                   between the means of its channels; `place_1` between those of its places; the rest is
    interaction_1  what no sum of a function of the channel and one of the place can be
    constant       accuracy with all gates of a module set to one number, their mean over the test images
    fixed          with the same gates for every image: their mean over the test images at each channel and place
    additive       with the gates' best fit by a sum of a function of the channel and one of the place, image by image
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from attnlib.catalogue import TABLE
from attnlib.data.shapes import generate
from attnlib.networks import attention_modules
from attnlib.scale_attention.bam import BAM
from attnlib.training import Recipe, Trained, train
from benchmarks import exchanged
from benchmarks.measure import TABLES, measure_runs

TEST_IMAGES, TEST_SEED, REDUCTION = 2000, 7, 4
sigmoid = torch.sigmoid
FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "product": lambda s, t: 1 + sigmoid(s * t),  # as released
    "sum": lambda s, t: 1 + sigmoid(s + t),
    "gates": lambda s, t: 1 + sigmoid(s) * sigmoid(t),
    "channel": lambda s, t: 1 + sigmoid(s + 0 * t),
    "place": lambda s, t: 1 + sigmoid(0 * s + t),
    "bare product": lambda s, t: sigmoid(s * t),  # without the 1 +
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "constant 1.5": ("constant", {"value": 1.5}),
    "product": ("bam_form", {"form": "product"}),
    "sum": ("bam_form", {"form": "sum"}),
    "sum, norms": ("bam_form", {"form": "sum", "output_norm": True}),  # as in the paper
    "product of gates": ("bam_form", {"form": "gates"}),
    "channel half alone": ("bam_form", {"form": "channel"}),
    "spatial half alone": ("bam_form", {"form": "place"}),
    "product without 1 +": ("bam_form", {"form": "bare product"}),
}


WHOLE = ("product", "sum", "sum, norms", "product of gates")  # what has two branches, and is looked into


class Form(BAM):
    """BAM whose logits are combined by one of `FORMS`."""

    def __init__(self, channels: int, form: str, output_norm: bool = False) -> None:
        super().__init__(channels, reduction=REDUCTION, output_norm=output_norm)
        self.form = form

    def gate(self, x: Tensor) -> Tensor:
        _, s, t = self._branches(x)
        return FORMS[self.form](s, t)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


TABLE["bam_form"] = replace(TABLE["bam"], key="bam_form", target="benchmarks.bam_forms:Form")


def parts(gates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What of gates (N, C, H, W) is the channel's, the place's, and neither's; each without its mean over the image."""
    mean = gates.mean((1, 2, 3), keepdim=True)
    channel = gates.mean((2, 3), keepdim=True) - mean
    place = gates.mean(1, keepdim=True) - mean
    return channel, place, gates - mean - channel - place


def looked(gates: Tensor, block: int) -> dict[str, float]:
    whole = (gates - gates.mean((1, 2, 3), keepdim=True)).square().mean()
    names = ("channel", "place", "interaction")
    shares = zip(names, parts(gates), strict=True)
    return {f"{name}_{block}": (part.square().mean() / whole).item() for name, part in shares}


EXCHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": lambda gates: gates.mean().expand_as(gates),
    "fixed": lambda gates: gates.mean(0, keepdim=True).expand_as(gates),
    "additive": lambda gates: gates - parts(gates)[2],
}


def accuracy(trained: Trained, inputs: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (trained.model.eval()(inputs).argmax(1) == labels).double().mean().item()


def rows(variant: str, seed: int) -> list[dict[str, Any]]:
    attention, arguments = VARIANTS[variant]
    placement = None if attention == "none" else "stage-end"
    recipe = Recipe.named("smoke", attention=attention, attention_args=arguments, placement=placement, seed=seed)
    trained = train(recipe)
    images, labels, _ = generate(TEST_IMAGES, TEST_SEED)
    inputs, labels = trained.inputs(images), torch.from_numpy(labels)
    found: dict[str, Any] = {"accuracy": accuracy(trained, inputs, labels)}
    if variant in WHOLE:
        for name, exchange in EXCHANGES.items():
            scaled = lambda module, x, exchange=exchange: x * exchange(module.gate(x))  # noqa: E731
            found[name] = exchanged.accuracy(trained.model, inputs, labels, scaled)
        for block, module in enumerate(attention_modules(trained.model).values(), start=1):

            def note(module: Form, args: tuple[Tensor], output: Tensor, block: int = block) -> None:
                found.update(looked(module.gate(args[0]), block))

            module.register_forward_hook(note)
        accuracy(trained, inputs, labels)
    return [{name: round(value, 4) for name, value in found.items()}]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each form, from seed 0 on.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `bam-forms.json`; go on where a run was cut off."""
    torch.set_num_threads(1)
    settings = {"recipe": "smoke", "reduction": REDUCTION, "test_images": TEST_IMAGES, "test_seed": TEST_SEED}
    runs = [{"variant": variant, "seed": seed} for seed in range(seeds) for variant in VARIANTS]
    measure_runs(out / "bam-forms.json", settings, runs, rows)


if __name__ == "__main__":
    typer.run(main)
