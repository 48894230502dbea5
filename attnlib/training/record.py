"""What a training run leaves behind: enough to draw it, to compare it and to repeat it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from attnlib.data.files import read_bytes, write_text
from attnlib.training.recipe import Recipe, reasons

SCHEMA_VERSION = 1
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**63)]  # Python writes no number of more than 4300 digits


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Epoch(_Entry):
    """One epoch. Accuracies are fractions; the protocol decides which of the held-out ones is there."""

    epoch: int
    learning_rate: FiniteFloat
    train_loss: FiniteFloat
    train_accuracy: Fraction
    validation_accuracy: Fraction | None = None
    test_accuracy: Fraction | None = None
    seconds: FiniteFloat

    @property
    def held_out_accuracy(self) -> float | None:
        """On images not trained on: the validation images, or the test images under the protocol "paper"."""
        return self.test_accuracy if self.validation_accuracy is None else self.validation_accuracy


class Final(_Entry):
    """The end of a finished run: test accuracy as a fraction, over `test_images` images."""

    accuracy: Fraction
    test_images: Count


class Provenance(_Entry):
    """Where the numbers come from.

    Attributes:
        commit: of the checkout that attnlib was imported from, with "+changes" where its files differ from it; None
            outside a checkout.
        cpu_capability: the vector instructions that torch used; they change the last digits.
        processes: that shared the batches; threads: of each.
        started, seconds: when the run first began, and how long it took in all its sittings, with data and evaluation;
            images_per_second leaves evaluation out; the time that checkpoints take is in it.
        cpu_seconds: what the first process computed, in all its threads and sittings, which says more than `seconds` on
            a machine that others use; None in records from before it was measured.
        deterministic: whether operations that do not give the same numbers each time were refused.
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
    processes: int = 1
    threads: int
    started: str
    seconds: FiniteFloat
    images_per_second: FiniteFloat | None
    cpu_seconds: FiniteFloat | None = None
    deterministic: bool = False
    peak_memory_bytes: int | None


class Record(_Entry):
    """One run.

    Attributes:
        recipe: what was run; `protocol` and `seed` repeat its fields where a reader looks for them first.
        parameters: of the network.
        attached: the attention modules in it, as their repr tells them, and how many there are of each: the arguments
            that depend on the width, such as groups, are among them.
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
    parameters: Count
    attached: dict[str, Count] = {}
    train_images: int = Field(ge=1, lt=2**63)
    validation_images: Count
    mean: list[FiniteFloat]
    std: list[FiniteFloat]
    epochs: list[Epoch]
    final: Final | None = None
    error: str | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Record":
        if (self.final is not None) != (self.status == "finished"):
            raise ValueError(
                f"status={self.status!r} does not go with final={self.final!r}: a run has one exactly when it finished"
            )
        if (numbers := [epoch.epoch for epoch in self.epochs]) != [*range(1, len(numbers) + 1)]:
            raise ValueError(f"epochs are numbered from 1 in their order, got {numbers[:10]}")
        if self.status == "finished":
            held_out = [epoch.held_out_accuracy for epoch in self.epochs]
            if len(held_out) != self.recipe.epochs or None in held_out:
                raise ValueError(
                    f"a finished run has all its epochs={self.recipe.epochs} with their accuracies on held-out images, "
                    f"got {len(held_out)} of them, {held_out.count(None)} without one"
                )
        for field in ("protocol", "seed"):
            own, asked = getattr(self, field), getattr(self.recipe, field)
            if own != asked:
                raise ValueError(f"{field}={own!r} is not what the recipe says, {field}={asked!r}")
        return self

    @property
    def diverged(self) -> bool:
        """Whether it failed because a loss or a score was no longer finite, so that the same run would fail again."""
        return self.status == "failed" and "not finite" in (self.error or "")

    @classmethod
    def load(cls, path: str | Path) -> "Record":
        """Read a record.

        Raises:
            FileNotFoundError: no such file.
            OSError: it cannot be read, or is no regular file.
            ValueError: not a record of this schema; the message says which file, which field and why.
        """
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError as error:
            raise ValueError(f"{path} is not a record of schema {SCHEMA_VERSION}: {reasons(error)}") from error

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, whole or not at all; its folder is created where it is not there."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.model_dump_json(indent=1) + "\n")
