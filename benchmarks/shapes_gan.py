"""What attention brings a small conditional generator: no layer, a residual layer of equal size, and attention.

    python -m benchmarks.shapes_gan --seeds 6      a quarter of an hour on one core

Each pair of networks of `attnlib.training.shapes_gan` is trained from several seeds. A row is one network at one time:
the share of 2,000 images, 200 of each class, that a classifier takes for the class asked for ("agreement"), the same
with the middle layer left out ("without"), at the end also with equal weights and with those of another image, the
Frechet distance of the classifier's features from those of 2,000 real images, gamma of both networks, and the agreement
class by class.
"""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from attnlib.data.shapes import CLASSES
from attnlib.training.allocator import keep_freed_memory
from attnlib.training.shapes_gan import (
    BATCH,
    BETAS,
    LAYERS,
    RATES,
    WEIGHTS,
    Jury,
    ShapesDiscriminator,
    ShapesGenerator,
    classifier,
    frechet_distance,
    middle_changed,
    outlines,
    play,
    recorded,
    save_weights,
)
from benchmarks.measure import TABLES, header, measured_before, save

IMAGES, JUDGED = 6000, 2000


def trained_classifier(images: Tensor, labels: Tensor, steps: int = 600) -> nn.Sequential:
    """The judge: Adam with one cycle of the learning rate, 128 images a step."""
    torch.manual_seed(0)
    network = classifier()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (128,))
        optimizer.zero_grad()
        F.cross_entropy(network(images[chosen]), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    network = network.eval().requires_grad_(False)
    for parameter in network.parameters():  # as it will be read from the file
        parameter.copy_(parameter.half().float())
    return network


class Judges(Jury):
    """With what a row says of one network."""

    def exchanged(self, generator: ShapesGenerator, change: Any) -> float:
        with middle_changed(generator, change):
            return _share(self.hits(generator))

    def row(self, generator: ShapesGenerator, discriminator: ShapesDiscriminator, last: bool) -> dict[str, Any]:
        hits = self.hits(generator)
        gammas = [getattr(network.middle, "gamma", None) for network in (generator, discriminator)]
        looks = last and hasattr(generator.middle, "weights")
        return {
            "agreement": _share(hits),
            "distance": round(self.distance(generator), 3),
            "gamma": None if gammas[0] is None else round(gammas[0].item(), 4),
            "gamma_discriminator": None if gammas[1] is None else round(gammas[1].item(), 4),
            "without": self.exchanged(generator, None),
            "equal": self.exchanged(generator, lambda A: torch.full_like(A, 1 / A.shape[-1])) if looks else None,
            # classes come in turn: ten further on is another image of the same class, one further one of another
            "same_class": self.exchanged(generator, lambda A: A.roll(len(CLASSES), 0)) if looks else None,
            "other_class": self.exchanged(generator, lambda A: A.roll(1, 0)) if looks else None,
        } | {name: _share(hits[self.asked == label]) for label, name in enumerate(CLASSES)}


def _share(hits: Tensor) -> float:
    return round(hits.double().mean().item(), 4)


def run(layer: str, seed: int, steps: int) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The rows of one pair of networks, and its generator's state."""
    torch.set_num_threads(1)
    keep_freed_memory()
    jury, found = Judges(recorded()["classifier"]), []

    def watch(step: int, generator: ShapesGenerator, discriminator: ShapesDiscriminator) -> None:
        if step % 500 == 0 or step == steps:
            judged = jury.row(generator, discriminator, step == steps)
            found.append({"layer": layer, "seed": seed, "step": step} | judged)

    generator, _ = play(layer, *outlines(IMAGES, seed=1), steps, seed, watch)
    return found, generator.state_dict()


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Of each network.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread each.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train what is not in the table yet, and write `shapes-gan.json` and the generators of seed 0."""
    torch.set_num_threads(1)
    if not WEIGHTS.exists():
        save_weights({"classifier": trained_classifier(*outlines(IMAGES, seed=1)).state_dict()})
    networks = recorded()
    states, judge = {name: each.state_dict() for name, each in networks.items()}, networks["classifier"]
    fresh, classes = outlines(JUDGED, seed=2)
    jury = Jury(judge)
    settings = {"steps": steps, "batch_size": BATCH, "rates": RATES, "betas": BETAS, "images": IMAGES} | {
        "classifier_accuracy": _share(judge(fresh).argmax(1) == classes),
        "distance_of_real": round(frechet_distance(jury.features(fresh), jury.real), 3),
    }
    path, head = out / "shapes-gan.json", header(torch.device("cpu"), settings)
    rows = measured_before(path, head)
    done = {(row["layer"], row["seed"]) for row in rows}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        runs = {
            pool.submit(run, layer, seed, steps): (layer, seed)
            for seed in range(seeds)
            for layer in LAYERS
            if (layer, seed) not in done
        }
        for future in as_completed(runs):
            (layer, seed), (found, state) = runs[future], future.result()
            rows = sorted(rows + found, key=lambda row: (row["seed"], LAYERS.index(row["layer"]), row["step"]))
            save(path, head | {"rows": rows})
            print(json.dumps(found[-1]), flush=True)
            if seed == 0:
                states[layer] = state
                save_weights(states)


if __name__ == "__main__":
    typer.run(main)
