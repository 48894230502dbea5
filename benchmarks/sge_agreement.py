"""How often SGE's similarity is higher on the object than beside it, before training and after, beside simpler scores.

    python -m benchmarks.sge_agreement      two minutes on one core

Networks are those of the recipe `smoke` with SGE: groups of four channels in the first two blocks, of one channel in
the last. Each sees 500 images of `shapes` that it was not trained on; before training with the statistics of these
images, after it in eval mode. A row is one block of one network and one score:

    similarity      mu . x_i, with the mean mu of the image's own group: what SGE compares
    cosine          the same divided by |mu| |x_i|
    another mean    the inner product with the mean of another image
    fixed           the inner product with the average mu of all images
    random          the inner product with a random direction, the same for all images; four of them
    brightness      the sum of the channels of x_i
    length          |x_i|^2
    distance        |x_i - mu|^2
    gate            sigmoid(gamma z_i + beta), as it comes out

`agreement` is the mean of `attnlib.data.agreement` over images and groups. `either` is what is left when each group may
turn its sign: the mean over groups of 0.5 + |agreement - 0.5|, where a group's agreement is first averaged over images.
`small` and `large` are the agreement on the half of the images with the smaller and with the larger objects.
"""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track
from torch import Tensor, nn

from attnlib import plots
from attnlib.data.agreement import agreement
from attnlib.data.shapes import generate
from attnlib.networks import create
from attnlib.scale_attention.sge import SGE
from attnlib.training import Recipe, train
from benchmarks.measure import TABLES, header, save

IMAGES, SEED_OF_IMAGES, DIRECTIONS = 500, 7, 4


def scores(sge: SGE, x: Tensor) -> dict[str, Tensor]:
    """Maps (N, G, H, W) of each score; of the random directions (N, G DIRECTIONS, H, W)."""
    groups = x.unflatten(1, (sge.groups, -1))
    mean = groups.mean((3, 4), keepdim=True)
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(DIRECTIONS, sge.groups, groups.shape[2], generator=generator)
    return {
        "similarity": (groups * mean).sum(2),
        "cosine": nn.functional.cosine_similarity(groups, mean, dim=2),
        "another mean": (groups * mean.roll(1, 0)).sum(2),
        "fixed": (groups * mean.mean(0)).sum(2),
        "random": torch.einsum("ngchw,dgc->ngdhw", groups, random).flatten(1, 2),
        "brightness": groups.sum(2),
        "length": groups.square().sum(2),
        "distance": (groups - mean).square().sum(2),
        "gate": sge.gate(x)[:, :: groups.shape[2]],
    }


def blocks(network: nn.Module, inputs: Tensor, masks: Tensor) -> list[dict[str, dict[str, float]]]:
    """For each block the agreement of each score."""
    large = masks.sum((1, 2)) > masks.sum((1, 2)).median()

    def judged(sge: SGE, x: Tensor) -> dict[str, dict[str, float]]:
        found = {}
        for name, maps in scores(sge, x).items():
            each = agreement(maps, masks)
            found[name] = {
                "agreement": each.mean().item(),
                "either": 0.5 + (each.mean(0) - 0.5).abs().mean().item(),
                "small": each[~large].mean().item(),
                "large": each[large].mean().item(),
            }
        return found

    with torch.no_grad(), plots.captured(network, judged) as seen:
        network(inputs)
    return list(seen.values())


def rows(seeds: int) -> list[dict[str, Any]]:
    images, _, masks = generate(IMAGES, SEED_OF_IMAGES)
    masks = torch.from_numpy(masks)
    found: list[dict[str, Any]] = []
    for seed in track(range(seeds), "networks"):
        trained = train(Recipe.named("smoke", attention="sge", seed=seed))
        inputs = trained.inputs(images)
        torch.manual_seed(seed)
        fresh = create("resnet8", 10, "sge").train()
        for when, network in (("before", fresh), ("after", trained.model.cpu().eval())):
            for block, by_score in enumerate(blocks(network, inputs, masks), start=1):
                for score, figures in by_score.items():
                    named = {"seed": seed, "training": when, "block": block, "score": score}
                    found.append(named | {name: round(value, 4) for name, value in figures.items()})
    return found


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `sge-agreement.json`."""
    torch.set_num_threads(1)
    settings = {"recipe": "smoke", "images": IMAGES, "directions": DIRECTIONS}
    save(out / "sge-agreement.json", header(torch.device("cpu"), settings) | {"rows": rows(seeds)})
    print(out / "sge-agreement.json")


if __name__ == "__main__":
    typer.run(main)
