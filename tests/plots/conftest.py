"""No window, no figure left open, and made-up records."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from attnlib.training import Recipe
from attnlib.training.record import Epoch, Final, Provenance, Record

_SMOKE = Recipe.named("smoke")
_PROVENANCE = Provenance(
    commit=None,
    attnlib="0",
    torch="0",
    python="0",
    platform="test",
    device="cpu",
    cpu_capability="none",
    threads=1,
    started="2026-01-01T00:00:00+00:00",
    seconds=1.0,
    images_per_second=None,
    peak_memory_bytes=None,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def run():
    """A function that makes a finished run of the recipe smoke."""

    def made(attention: str, seed: int, accuracy: float, **overrides) -> Record:
        recipe = Recipe(**_SMOKE.model_dump() | {"attention": attention, "seed": seed} | overrides)
        epochs = [
            Epoch(
                epoch=k, learning_rate=0.1, train_loss=1.0, train_accuracy=0.3, validation_accuracy=0.1 * k, seconds=1.0
            )
            for k in range(1, recipe.epochs + 1)
        ]
        return Record(
            recipe=recipe,
            protocol="clean",
            seed=seed,
            status="finished",
            parameters=1,
            train_images=10,
            validation_images=10,
            mean=[0.0] * 3,
            std=[1.0] * 3,
            epochs=epochs,
            final=Final(accuracy=accuracy, test_images=10),
            provenance=_PROVENANCE,
        )

    return made
