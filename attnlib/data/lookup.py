"""Two tasks on small maps that tell apart what a layer can bring from one position to another.

In both, every position holds one of a few values, and has to say the value of some position of its map. In `announce`
it is the same position for all, the marked one: one answer for the map. In `lookup` every position asks for another, by
its key: an answer for each. Who sees no other position can only guess.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

VALUES = 4


def announce(
    count: int, side: int, generator: torch.Generator
) -> tuple[Float[Tensor, "N channels S S"], Int[Tensor, "N S S"]]:
    """Maps in which one position is marked, and the value of that position, as the answer of every position.

    Args:
        count: number of maps N.
        side: of a map, which has side x side positions.
        generator: of the random numbers.

    Returns:
        maps: the value of a position as one of VALUES channels, then the mark.
        answers: the value, 0 to VALUES - 1.

    Raises:
        ValueError: `count` or `side` is below 1.
    """
    positions = _positions(count, side)
    values = torch.randint(VALUES, (count, positions), generator=generator)
    marked = torch.randint(positions, (count, 1), generator=generator)
    maps = torch.cat([one_hot(values, VALUES), one_hot(marked, positions).mT], 2)
    return _as_map(maps, side), values.gather(1, marked).expand(-1, positions).unflatten(1, (side, side))


def lookup(
    count: int, side: int, generator: torch.Generator
) -> tuple[Float[Tensor, "N channels S S"], Int[Tensor, "N S S"]]:
    """Maps in which every position has a key of its own and asks for one, and the value of who has that key.

    Args:
        count: number of maps N.
        side: of a map, which has side x side positions and as many keys.
        generator: of the random numbers.

    Returns:
        maps: the key of a position, its value and the key it asks for, each as one of so many channels.
        answers: the value of the position that has the key asked for, 0 to VALUES - 1.

    Raises:
        ValueError: `count` or `side` is below 1.
    """
    positions = _positions(count, side)
    keys = torch.stack([torch.randperm(positions, generator=generator) for _ in range(count)])
    values = torch.randint(VALUES, (count, positions), generator=generator)
    asked = torch.randint(positions, (count, positions), generator=generator)
    maps = torch.cat([one_hot(keys, positions), one_hot(values, VALUES), one_hot(asked, positions)], 2)
    holder = keys.argsort(1).gather(1, asked)  # the inverse of a permutation sorts it
    return _as_map(maps, side), values.gather(1, holder).unflatten(1, (side, side))


def _positions(count: int, side: int) -> int:
    for name, value in (("count", count), ("side", side)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return side * side


def _as_map(channels_last: Tensor, side: int) -> Tensor:
    return channels_last.float().mT.unflatten(2, (side, side))
