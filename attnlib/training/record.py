"""What a training run leaves behind: enough to draw it, to compare it and to repeat it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from attnlib.data.files import write_text
from attnlib.training.recipe import Recipe, reasons

SCHEMA_VERSION = 1


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Epoch(_Entry):
    """One epoch. Accuracies are fractions; the protocol decides which of the held-out ones is there."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float


class Final(_Entry):
    """The end of a finished run: test accuracy as a fraction, over `test_images` images."""

    accuracy: float
    test_images: int


class Provenance(_Entry):
    """Where the numbers come from.

    Attributes:
        commit: of the checkout that attnlib was imported from, with "+changes" where its files differ from it; None
            outside a checkout.
        cpu_capability: the vector instructions that torch used; they change the last digits.
        seconds: the whole run, with data and evaluation; images_per_second counts training steps alone.
        peak_memory_bytes: on a GPU, the most that tensors held; else the process's largest resident size, None where
            the system does not tell.
    """

    commit: str | None
    attnlib: str
    torch: str
    python: str
    platform: str
    device: str
    cpu_capability: str
    threads: int
    started: str
    seconds: float
    images_per_second: float | None
    peak_memory_bytes: int | None


class Record(_Entry):
    """One run.

    Attributes:
        recipe: what was run; `protocol` and `seed` repeat its fields where a reader looks for them first.
        parameters: of the network.
        train_images, validation_images: how many there were.
        mean, std: of the training images' channels, what the network's input was normalised with.
        epochs: those that were completed.
        final: None unless the run was finished.
        error: why a run failed.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    recipe: Recipe
    protocol: Literal["clean", "paper"]
    seed: int
    status: Literal["finished", "interrupted", "failed"]
    parameters: int
    train_images: int
    validation_images: int
    mean: list[float]
    std: list[float]
    epochs: list[Epoch]
    final: Final | None = None
    error: str | None = None
    provenance: Provenance

    @classmethod
    def load(cls, path: str | Path) -> "Record":
        """Read a record.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a record of this schema; the message says which file, which field and why.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except ValidationError as error:
            raise ValueError(f"{path} is not a record of schema {SCHEMA_VERSION}: {reasons(error)}") from error

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, whole or not at all; its folder is created where it is not there."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.model_dump_json(indent=1) + "\n")
