"""The toys of the history, over seeds: words said backwards by three kinds of networks, and six ways to take a glimpse.

    python -m benchmarks.history_toys      about five minutes on one core

A row of the task "reversal" has the share of letters said rightly for one length of word; one of "glimpse" the share
of 1,000 fresh pictures named rightly, and how far from an object the network looks.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track

from attnlib.data.reversal import reversal
from attnlib.networks.glimpses import WAYS
from attnlib.networks.reversing import Attending, Recurrent
from attnlib.training import fit
from attnlib.training.glimpses import judged, pictures, train_glimpses
from benchmarks.measure import TABLES, header, save

NETWORKS = {
    "fixed": partial(Recurrent, attention=False),
    "additive": partial(Recurrent, attention=True),
    "positions": partial(Attending, positions=True),
    "no positions": partial(Attending, positions=False),
}
SHORTEST, LONGEST = 2, 12  # letters of the words trained on
LENGTHS = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24]
STEPS, BATCH, RATE = 600, 64, 1e-2


def reverser(name: str, seed: int) -> torch.nn.Module:
    """A network of NETWORKS, trained from a seed on words of 2 to 12 letters, one length a batch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        length = torch.randint(SHORTEST, LONGEST + 1, (1,), generator=generator)
        return reversal(BATCH, int(length), generator)

    return fit(NETWORKS[name](), draw, STEPS, RATE)


@torch.no_grad()
def said_rightly(network: torch.nn.Module, length: int) -> float:
    """The share of the letters of 500 fresh words."""
    words, backwards = reversal(500, length, torch.Generator().manual_seed(10**6))
    return (network(words).argmax(1) == backwards).double().mean().item()


def rows(seeds: int, train: int, steps: int) -> list[dict[str, Any]]:
    found = []
    data, fresh = pictures(train, seed=0), pictures(1000, seed=1)
    runs = [(seed, name) for seed in range(seeds) for name in (*NETWORKS, *WAYS)]
    for seed, name in track(runs, "networks"):
        if name in NETWORKS:
            network = reverser(name, seed)
            row = {"task": "reversal", "network": name, "seed": seed}
            found += [row | {"length": n, "accuracy": round(said_rightly(network, n), 4)} for n in LENGTHS]
        else:
            of = judged(train_glimpses(name, data, steps, seed), fresh)
            found.append({"task": "glimpse", "network": name, "seed": seed} | {k: round(v, 4) for k, v in of.items()})
        print(found[-1])
    return found


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 3,
    train: Annotated[int, typer.Option(min=64, help="Pictures that glimpses are trained on.")] = 4000,
    steps: Annotated[int, typer.Option(min=1, help="Of the training of glimpses.")] = 500,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `history-toys.json`."""
    torch.set_num_threads(1)
    settings = {"steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "trained_on": [SHORTEST, LONGEST]}
    settings["glimpses"] = {"pictures": train, "steps": steps}
    save(out / "history-toys.json", header(torch.device("cpu"), settings) | {"rows": rows(seeds, train, steps)})
    print(out / "history-toys.json")


if __name__ == "__main__":
    typer.run(main)
