"""Does a context help to name the object of every pixel, and does OCNet's attention stay on the object?

    python -m benchmarks.object_context      a quarter of an hour on one core

One small network for each head and seed (`attnlib.networks.scene_segmenter`), trained on the same 2,000 pictures of two
objects each. A row has the mIoU on fresh pictures, and, for Base-OC, how much of the weights of the pixels of objects
falls on their own object, on the other one and on the ground, beside the area of each.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from attnlib.data.scenes import CLASSES
from attnlib.networks.scene_segmenter import HEADS, PAIRS, STRIDE, SceneSegmenter, mean_iou, pictures, shares
from attnlib.training import fit
from benchmarks.measure import TABLES, measure_runs

BATCH, RATE, STEPS = 16, 1e-2, 600
TOLD = ("own object", "own class")  # what an oracle says to the head "told"
Pictures = tuple[Tensor, Tensor, Tensor]  # inputs of the network, then labels and objects at its map's positions


def told(head: str, of: Pictures) -> Pictures:
    """The same pictures for a head that is told the classes instead of the objects."""
    inputs, labels, objects = of
    if head != "own class":
        return of
    groups = labels.byte().repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
    return torch.cat([inputs[:, :3], groups[:, None]], 1), labels, objects


def trained(head: str, seed: int, of: Pictures) -> SceneSegmenter:
    torch.manual_seed(seed)
    inputs, labels, _ = told(head, of)
    generator = torch.Generator().manual_seed(seed)

    def draw() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(inputs), (BATCH,), generator=generator)
        return inputs[chosen], labels[chosen]

    return fit(SceneSegmenter("told" if head in TOLD else head, len(CLASSES)), draw, STEPS, RATE)


@torch.no_grad()
def judged(network: SceneSegmenter, head: str, of: Pictures) -> dict[str, float]:
    inputs, labels, objects = told(head, of)
    found = {"miou": mean_iou(network(inputs).argmax(1), labels, len(CLASSES))}
    if network.name == "base":
        weights = network.head.weights(network.map_of(inputs))[:, 0]
        for what, parts in shares(weights, objects).items():
            found |= {f"{where}_{what}": part for where, part in parts.items()}
    return {name: round(value, 4) for name, value in found.items()}


def all_pictures() -> tuple[Pictures, dict[str, Pictures]]:
    """Those to learn from, and fresh ones of every kind of pair."""
    fresh = {pair: pictures(200, 10**6 + n, **asked) for n, (pair, asked) in enumerate(PAIRS.items())}
    return pictures(2000, 0), fresh | {"any": pictures(500, 10**6 + len(PAIRS))}


def rows(head: str, seed: int, seen: Pictures, fresh: dict[str, Pictures]) -> list[dict[str, Any]]:
    """Of one network, one for each kind of pair."""
    network = trained(head, seed, seen)
    return [{"pair": pair} | judged(network, head, of) for pair, of in fresh.items()]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `object-context.json`; go on where a run was cut off."""
    torch.set_num_threads(1)
    settings = {"pictures": 2000, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE}
    seen, fresh = all_pictures()
    heads = [head for head in HEADS if head != "told"] + list(TOLD)
    runs = [{"head": head, "seed": seed} for head in heads for seed in range(seeds)]
    measure_runs(out / "object-context.json", settings, runs, partial(rows, seen=seen, fresh=fresh))


if __name__ == "__main__":
    typer.run(main)
