"""The attentions of one recipe beside each other, as data."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas


class Row(BaseModel):
    """One attention. Accuracies are percent of the test images, differences percentage points.

    Attributes:
        label: the recipe's label, e.g. "constant(value=0.0)".
        kind: "plain" without attention, "control" for one that is no paper's, else "module".
        seeds: of its runs, ascending.
        accuracies: after the last epoch, in the order of the seeds.
        mean: of the accuracies.
        deviation: their standard deviation (divisor n - 1); None for a single run.
        best_mean: mean over the seeds of each run's best epoch.
        best_of: what that epoch is the best of: "validation", or "test" under the protocol "paper", where choosing it
            by the test images makes the figure too good.
        parameters: of the network.
        paired_seeds: those that the baseline has too; None for the baseline and where there are none.
        differences: accuracy minus the baseline's at each of them; None likewise.
        difference: mean of the differences; None likewise.
        bootstrap: percentile bootstrap of that mean, see `attnlib.results.intervals`; None for fewer than two.
        student: Student's t interval of that mean; None for fewer than two.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    kind: Literal["plain", "control", "module"]
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    mean: float
    deviation: float | None
    best_mean: float
    best_of: Literal["validation", "test"]
    parameters: int
    paired_seeds: tuple[int, ...] | None
    differences: tuple[float, ...] | None
    difference: float | None
    bootstrap: tuple[float, float] | None
    student: tuple[float, float] | None


class Comparison(BaseModel):
    """The attentions of one recipe and backbone, the highest mean first.

    Attributes:
        recipe, backbone, data, protocol, epochs: what all the runs share.
        train_images: how many each of them trained on.
        baseline: label of the row that the others are compared with.
        rows: one for each label.
        notes: what to know before the rows are compared: unequal seeds, devices, versions of PyTorch or of this code.
    """

    model_config = ConfigDict(frozen=True)

    recipe: str
    backbone: str
    data: str
    protocol: Literal["clean", "paper"]
    epochs: int
    train_images: int
    baseline: str
    rows: list[Row]
    notes: list[str]

    def frame(self) -> "pandas.DataFrame":
        """One line for each label, the columns as in `Row`; the two ends of an interval are columns of their own."""
        import pandas

        lines = []
        for row in self.rows:
            line = row.model_dump()
            for name in ("bootstrap", "student"):
                line[f"{name}_low"], line[f"{name}_high"] = line.pop(name) or (None, None)
            lines.append(line)
        return pandas.DataFrame(lines)
