"""The toys of the history, over seeds: words said backwards by four networks, and seven ways to take a glimpse.

    python -m benchmarks.history_toys      about twelve minutes on one core

A row of the task "reversal" has the share of letters said rightly for one length of word, and of heaviest weights that
lie on the mirrored letter; one of "glimpse" the share of 1,000 fresh pictures named rightly, and how far from an object
the network looks. "exact" is hard attention that learns from the exact gradient. A row of "hard" also has how much
larger the noise of its estimate is, and the share of pictures it names when it is told where to look.
"""

from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from attnlib.data.reversal import reversal
from attnlib.networks.glimpses import WAYS
from attnlib.networks.reversing import Attending, Recurrent
from attnlib.training import fit
from attnlib.training.glimpses import judged, noise, pictures, rewards, train_glimpses
from benchmarks.measure import TABLES, measure_runs

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
def judged_words(network: torch.nn.Module, length: int) -> dict[str, float]:
    """Of 500 fresh words: letters said rightly, and heaviest weights that lie on the mirrored letter."""
    words, backwards = reversal(500, length, torch.Generator().manual_seed(10**6))
    logits, weights = network.with_weights(words)
    found = {"accuracy": logits.argmax(1) == backwards}
    if weights is not None:
        found["mirrored"] = weights.argmax(2) == torch.arange(length).flip(0)
    return {name: round(each.double().mean().item(), 4) for name, each in found.items()}


def rows(network: str, seed: int, train: int, steps: int) -> list[dict[str, Any]]:
    """Of one network from one seed."""
    if network in NETWORKS:
        trained = reverser(network, seed)
        return [{"task": "reversal", "length": n, **judged_words(trained, n)} for n in LENGTHS]
    exact = network == "exact"
    trained = train_glimpses("hard" if exact else network, shown(train, 0), steps, seed, exact=exact)
    fresh = shown(1000, 1)
    of = judged(trained, fresh)
    if network == "hard":
        images, classes, best, _ = fresh
        of["noise"] = noise(trained, shown(train, 0))
        of["told"] = rewards(trained, images, classes).gather(1, best[:, None]).double().mean().item()
    return [{"task": "glimpse"} | {key: round(value, 4) for key, value in of.items()}]


shown = cache(pictures)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 3,
    train: Annotated[int, typer.Option(min=512, help="Pictures that glimpses are trained on.")] = 4000,
    steps: Annotated[int, typer.Option(min=1, help="Of the training of glimpses.")] = 500,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Train, and write `history-toys.json` after every network; a run that was cut off goes on where it stopped."""
    torch.set_num_threads(1)
    settings = {"steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "trained_on": [SHORTEST, LONGEST]}
    settings["glimpses"] = {"pictures": train, "steps": steps}
    networks = (*NETWORKS, *WAYS, "exact")
    runs = [{"network": network, "seed": seed} for seed in range(seeds) for network in networks]
    measure_runs(out / "history-toys.json", settings, runs, partial(rows, train=train, steps=steps))


if __name__ == "__main__":
    typer.run(main)
