"""The judges of the exercises of the chapter on the two families."""

import torch

from attnlib.exercises.judges import Exact, Function, Number


def _maps(rng: torch.Generator) -> list[tuple]:
    """Positions, gates, weights and a matrix, of sizes that differ in every axis."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    return [
        (draw(n, p, c), draw(n, p, c).sigmoid(), draw(n, p, p).softmax(2), draw(c, c))
        for n, p, c in ((2, 5, 3), (1, 4, 6))
    ]


def _mixed_then_scaled(x: torch.Tensor, gate: torch.Tensor, A: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
    return gate * torch.einsum("nij,cd,njd->nic", A, W, x)


JUDGES = {
    "two-families-exercise-guess": Number(
        "fac4cfca1916f49d",
        decimals=1,
        known={
            "2e86160969a32788": "it asks for itself now and then, and then it knows",
            "25efebb30ede92ac": "a wrong guess is not the only outcome where it asks for another",
        },
    ),
    "two-families-exercise-both": Function(
        _maps, _mixed_then_scaled, asked="a function both(x, gate, A, W) of positions, gates, weights and a matrix"
    ),
    "two-families-exercise-carry": Exact(
        "7170683af3511916",
        known={
            "913996b90e92ee20": "in the second case, the other half sees what leaves the gates",
            "6f254604b8c1707c": "in the first case there is a narrower place than the gates",
            "d9058bb4c6a77ecd": "what enters has to leave again; look for the narrowest place",
        },
    ),
    "two-families-exercise-wide": Exact(
        "b51d814877b6483c",
        known={
            "51e81189ab3238ef": "a pair is a key together with a value",
            "85c8af2d7c23a13c": "those are the channels of the input",
        },
    ),
}
