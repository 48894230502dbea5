"""Networks that look at a large picture through a small window, after Mnih et al., NIPS 2014 (arXiv 1406.6247).

A toy: one glimpse a picture, where the paper takes several and a recurrent network ties them together; the place is one
of a grid, where the paper draws it from a normal distribution. Neither changes how the place is learned.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.base import check_choice

SIDE, CELL, WINDOW = 64, 8, 16  # pixels of a picture's side, of a coarse cell and of a glimpse
GRID = (SIDE - WINDOW) // CELL + 1
PLACES = GRID**2
WAYS = ("none", "random", "centre", "oracle", "hard", "soft")


class GlimpseNetwork(nn.Module):
    """A coarse view of the whole picture, one sharp glimpse, and the class of what is seen.

    The coarse view has one mean for each cell of 8 x 8 pixels. A glimpse is 2 x 2 such cells, at full resolution.

    Args:
        way: to the place of the glimpse: "none" (no glimpse), "random", "centre", "oracle" (it is told), "hard" (drawn
            from a softmax over all places, the likeliest one in evaluation), or "soft" (all glimpses, averaged by it).
        classes: to tell apart.

    Raises:
        UnknownNameError: no such way.
    """

    def __init__(self, way: str, classes: int = 4) -> None:
        check_choice("way", way, WAYS)
        super().__init__()
        self.way = way
        # of the coarse view to a score for each place: 8 x 8 cells, 7 x 7 squares of four
        self.where = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 2))
        # of a glimpse to one vector; of a whole picture, without a border, to the vectors of all its places
        self.glimpse = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=4),
            nn.ReLU(),
        )
        self.whole = nn.Sequential(nn.Flatten(), nn.Linear(3 * (SIDE // CELL) ** 2, 64), nn.ReLU())
        self.name = nn.Linear(128, classes)

    def forward(
        self, pictures: Float[Tensor, "N 3 H W"], told: Int[Tensor, " N"] | None = None
    ) -> tuple[Float[Tensor, "N classes"], Float[Tensor, "N places"], Int[Tensor, " N"] | None]:
        """The logits of the classes, those of the places, and the place looked at (None for no glimpse and for all).

        Args:
            pictures: of 64 x 64 pixels.
            told: the place for "oracle".
        """
        coarse = F.avg_pool2d(pictures, CELL)
        scores = self.scores(pictures)
        place = self.place(scores, told)
        if self.way == "soft":
            every = self.glimpse(pictures).flatten(2)  # N, 64, places
            seen = (every * scores.softmax(1)[:, None]).sum(2)
        elif place is None:
            seen = pictures.new_zeros(len(pictures), 64)
        else:
            seen = self.glimpse(cut(pictures, place)).flatten(1)
        return self.name(torch.cat([seen, self.whole(coarse)], 1)), scores, place

    def scores(self, pictures: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N places"]:
        """The logits of the places, from the coarse view."""
        return self.where(F.avg_pool2d(pictures, CELL)).flatten(1)

    def everywhere(self, pictures: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N places classes"]:
        """The logits of the classes after a look at each place."""
        every = self.glimpse(pictures).flatten(2).mT  # N, places, 64
        coarse = self.whole(F.avg_pool2d(pictures, CELL))[:, None].expand_as(every)
        return self.name(torch.cat([every, coarse], 2))

    def place(self, scores: Float[Tensor, "N places"], told: Int[Tensor, " N"] | None) -> Int[Tensor, " N"] | None:
        """Where to look, by the way of this network."""
        count = len(scores)
        if self.way == "random":
            return torch.randint(PLACES, (count,))
        if self.way == "centre":
            return torch.full((count,), PLACES // 2)
        if self.way == "oracle":
            return told
        if self.way == "hard":
            return torch.multinomial(scores.detach().softmax(1), 1)[:, 0] if self.training else scores.argmax(1)
        return None

    def pixels(self) -> int:
        """How many numbers of each colour the network reads of one picture, coarse cells included."""
        sharp = {"none": 0, "soft": SIDE**2}.get(self.way, WINDOW**2)
        return (SIDE // CELL) ** 2 + sharp


def cut(pictures: Float[Tensor, "N 3 H W"], place: Int[Tensor, " N"]) -> Float[Tensor, "N 3 h w"]:
    """The glimpse of each picture at its place, which are numbered row by row."""
    pixel = torch.arange(WINDOW)
    rows = CELL * (place // GRID)[:, None] + pixel
    columns = CELL * (place % GRID)[:, None] + pixel
    number = torch.arange(len(pictures))[:, None, None]
    return pictures[number, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
