"""Maps whose regions are switched on or off: who wants to know which, has to look around, and not too far.

Every pixel holds a value of its own and a hint at the state of its region. One hint is in doubt, the mean of many is
not; but they have to be hints of the same region.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SIDE = 32
NOISE = 3.0  # deviation of a hint, whose mean is 1 where the region is on and -1 where it is off
ANSWERS = 3


def regions(
    count: int, side: int, generator: torch.Generator
) -> tuple[Float[Tensor, "N 2 S S"], Int[Tensor, "N S S"], Bool[Tensor, "N S S"]]:
    """Maps of 32 x 32 pixels, cut into square regions by a grid that lies anywhere.

    Args:
        count: number of maps N, at least 1.
        side: of a region, 1 to 32; 32 makes the whole map one region.
        generator: of the random numbers.

    Returns:
        maps: a pixel's value, -1 or 1, and its hint: 1 or -1 for on or off, and noise of deviation 3.
        answers: 0 where the region is off, else 1 for a value of -1 and 2 for a value of 1.
        on: the states.

    Raises:
        ValueError: `count` or `side` is out of range.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; ask for one map or more")
    if not 1 <= side <= SIDE:
        raise ValueError(f"side must lie between 1 and {SIDE}, the side of a map, got {side}")

    def coins(*shape: int) -> Tensor:
        return torch.randint(2, (count, *shape), generator=generator)

    cells = SIDE // side + 1 + (SIDE % side > 0) if side < SIDE else 1
    shifts = torch.randint(side if side < SIDE else 1, (2, count, 1), generator=generator)
    rows, columns = (torch.arange(SIDE) + shifts) // side
    on = coins(cells, cells).bool()[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    values = 2.0 * coins(SIDE, SIDE) - 1
    hints = 2.0 * on - 1 + NOISE * torch.randn(count, SIDE, SIDE, generator=generator)
    answers = on * (1 + (values > 0).long())
    return torch.stack([values, hints], 1), answers, on
