"""What the runs of one recipe say about each attention, and what they cannot say.

>>> from attnlib.results import records
>>> found = report(records("cifar10-slice"))
>>> [(row.label, row.mean, row.student) for row in found.rows]
>>> print(found.conclusion)
"""

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, computed_field

from attnlib.errors import unknown
from attnlib.registry import list_modules
from attnlib.results import archive
from attnlib.results.intervals import LEVEL, bootstrap, student, t_quantile
from attnlib.training.record import Record

if TYPE_CHECKING:
    import pandas

_ATTENTION = {"attention", "attention_args", "placement", "sparsity"}  # the fields that make a label


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


class Report(BaseModel):
    """The attentions of one recipe and backbone, the highest mean first.

    Attributes:
        recipe, backbone, data, protocol, epochs: what all the runs share.
        train_images: how many each of them trained on.
        baseline: label of the row that the others are compared with.
        rows: one for each label.
        notes: what to know before the rows are compared: unequal seeds, devices or versions of PyTorch.
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

    @computed_field
    @property
    def conclusion(self) -> str:
        """See the function `conclusion`."""
        return conclusion(self)

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


def report(records: Sequence[Record], baseline: str = "none") -> Report:
    """Mean, spread and paired differences to the baseline, for each attention of one recipe.

    Args:
        records: finished runs of one recipe and backbone, e.g. `attnlib.results.records("equal-budget")`.
        baseline: the label that the others are compared with, over the seeds that both have.

    Raises:
        UnknownNameError: there is no run of the baseline.
        ValueError: no records; one of an unfinished run; two of one seed; or two whose recipes differ in more than
            the attention and the seed, so that their accuracies do not compare.
    """
    _check(records)
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        groups.setdefault(record.recipe.label, []).append(record)
    if baseline not in groups:
        raise unknown("baseline among these runs", baseline, list(groups))
    rows = [_row(label, runs, groups[baseline]) for label, runs in groups.items()]
    recipe = records[0].recipe
    return Report(
        recipe=recipe.name,
        backbone=recipe.backbone,
        data=recipe.data,
        protocol=recipe.protocol,
        epochs=recipe.epochs,
        train_images=records[0].train_images,
        baseline=baseline,
        rows=sorted(rows, key=lambda row: (-row.mean, row.label)),
        notes=_notes(records, groups, baseline),
    )


def on_file(folder: Path | None = None) -> list[Record]:
    """All finished runs: filed ones, or those of the run folders, each with its record.json, anywhere below a folder.

    Args:
        folder: default the package's own records.

    Raises:
        ValueError: there are none; or a file is not a record.
    """
    if folder is None:
        return archive.records()
    run_folders = (Record.load(path) for path in sorted(folder.rglob("record.json")))
    found = archive.records(folder=folder) or [record for record in run_folders if record.status == "finished"]
    if not found:
        raise ValueError(f"there is no record of a finished run in {folder}; `attnlib train --out FOLDER` writes one")
    return found


def inventory(records: Sequence[Record]) -> list[dict[str, str | int]]:
    """For each recipe and backbone that has records: how many attentions, runs, and runs of the fewest seeds."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for record in records:
        groups.setdefault((record.recipe.name, record.recipe.backbone), Counter())[record.recipe.label] += 1
    return [
        {
            "recipe": recipe,
            "backbone": backbone,
            "attentions": len(runs),
            "runs": runs.total(),
            "fewest seeds": min(runs.values()),
            "most seeds": max(runs.values()),
        }
        for (recipe, backbone), runs in sorted(groups.items())
    ]


def select(records: Sequence[Record], recipe: str, backbone: str | None = None) -> list[Record]:
    """Those of one recipe and one backbone, which may be left out where there is only one.

    Raises:
        UnknownNameError: no records of this recipe, or none of it with this backbone; the message says which there are.
        ValueError: the recipe has records of several backbones and none is named.
    """
    of_recipe = [record for record in records if record.recipe.name == recipe]
    if not of_recipe:
        raise unknown("recipe with records", recipe, {record.recipe.name for record in records})
    backbones = {record.recipe.backbone for record in of_recipe}
    if backbone is None and len(backbones) > 1:
        raise ValueError(
            f"recipe {recipe} has records of several backbones; choose one of {', '.join(sorted(backbones))}"
        )
    if backbone is not None and backbone not in backbones:
        raise unknown(f"backbone with records of recipe {recipe}", backbone, backbones)
    return [record for record in of_recipe if backbone in (None, record.recipe.backbone)]


def conclusion(report: Report) -> str:
    """What can and what cannot be concluded, in plain sentences.

    Which intervals leave 0 out, and how many would do so by chance; how far apart two means have to be before they can
    be ranked; how the modules stand against each control; what was trained, and that nothing is said of more.
    """
    runs = sum(len(row.seeds) for row in report.rows)
    sentences = [
        f"These are test accuracies after the last epoch of {runs} runs: {report.backbone} on {report.data}, "
        f"{report.train_images:,} training images, {_counted(report.epochs, 'epoch')}, protocol {report.protocol}.",
        *_against_baseline(report),
        *_ranking(report),
        *_against_controls(report),
        "Nothing is said of longer training, more images, other data or other networks.",
    ]
    return " ".join(sentences)


def _against_baseline(report: Report) -> list[str]:
    compared = [row for row in report.rows if row.student is not None]
    if not compared:
        return [
            f"Nothing is concluded about differences to the baseline {report.baseline}: no other attention shares two "
            "seeds with it."
        ]
    above = [row.label for row in compared if row.student[0] > 0]
    below = [row.label for row in compared if row.student[1] < 0]
    by_chance = (1 - LEVEL) * len(compared)
    sentences = [
        f"Compared with the baseline {report.baseline} over common seeds, Student's 95 % interval of the mean "
        f"difference lies above 0 for {_listed(above)} and below 0 for {_listed(below)}, "
        f"{len(above) + len(below)} of {len(compared)} in all; where it holds 0, these runs show no difference, which "
        "does not mean that there is none.",
        f"If no attention changed anything, {by_chance:.2g} of {len(compared)} such intervals would be expected to "
        "leave 0 out by chance.",
    ]
    if single := [row.label for row in report.rows if row.differences is not None and row.student is None]:
        sentences.append(f"Nothing is concluded from one common seed: {_listed(single)}.")
    return sentences


def _ranking(report: Report) -> list[str]:
    several = [row for row in report.rows if row.deviation is not None]
    if len(several) < 2:
        return ["Nothing can be ranked: that takes two attentions with two seeds each, or more."]
    degrees = sum(len(row.seeds) - 1 for row in several)
    pooled = sqrt(sum((len(row.seeds) - 1) * row.deviation**2 for row in several) / degrees)
    fewest = min(len(row.seeds) for row in several)
    margin = t_quantile(degrees) * pooled * sqrt(2 / fewest)
    return [
        f"{fewest} seeds are too few to rank attentions whose means lie within {margin:.2f} points of each other "
        f"(pooled standard deviation {pooled:.2f} points); this holds for one pair that is chosen beforehand, the best "
        f"of {len(several)} has to lead by more."
    ]


def _against_controls(report: Report) -> list[str]:
    accuracies = {row.label: dict(zip(row.seeds, row.accuracies, strict=True)) for row in report.rows}
    modules = [row.label for row in report.rows if row.kind == "module"]
    sentences = []
    for control in (row for row in report.rows if row.kind == "control" and row.label != report.baseline):
        paired = {label: [*_paired(accuracies[label], accuracies[control.label]).values()] for label in modules}
        pairs = {label: differences for label, differences in paired.items() if differences}
        if not pairs:
            continue
        higher = sum(fmean(differences) > 0 for differences in pairs.values())
        clear = [label for label, differences in pairs.items() if len(differences) > 1 and student(differences)[0] > 0]
        sentences.append(
            f"Of {_counted(len(pairs), 'module')}, {higher} exceed the control {control.label} in the mean over common "
            f"seeds; the interval of the difference lies above 0 for {_listed(clear)}."
        )
    return sentences


def _row(label: str, runs: list[Record], baseline_runs: list[Record]) -> Row:
    key = runs[0].recipe.attention
    accuracies = _accuracies(runs)
    paired = {} if runs is baseline_runs else _paired(accuracies, _accuracies(baseline_runs))
    differences = tuple(paired.values())
    best = [100 * max(epoch.held_out_accuracy for epoch in record.epochs) for record in runs]
    return Row(
        label=label,
        kind="plain" if key == "none" else "control" if key in list_modules("control") else "module",
        seeds=tuple(accuracies),
        accuracies=tuple(accuracies.values()),
        mean=fmean(accuracies.values()),
        deviation=stdev(accuracies.values()) if len(accuracies) > 1 else None,
        best_mean=fmean(best),
        best_of="test" if runs[0].protocol == "paper" else "validation",
        parameters=runs[0].parameters,
        paired_seeds=tuple(paired) or None,
        differences=differences or None,
        difference=fmean(differences) if differences else None,
        bootstrap=bootstrap(differences) if len(differences) > 1 else None,
        student=student(differences) if len(differences) > 1 else None,
    )


def _accuracies(runs: list[Record]) -> dict[int, float]:
    """Percent, by seed."""
    return {record.seed: 100 * record.final.accuracy for record in runs}


def _paired(accuracies: dict[int, float], others: dict[int, float]) -> dict[int, float]:
    """Accuracy minus the other's, at each seed that both have."""
    return {seed: accuracy - others[seed] for seed, accuracy in accuracies.items() if seed in others}


def _check(records: Sequence[Record]) -> None:
    if not records:
        raise ValueError("there are no records to report; `attnlib train` makes them")
    first_of: dict[str, Record] = {}
    seen: set[tuple[str, int]] = set()
    for record in records:
        recipe = record.recipe
        run = f"{recipe.label}, seed {record.seed}"
        if record.status != "finished":
            raise ValueError(f"only finished runs are reported; the one of {run} is {record.status}: train it again")
        if (recipe.label, record.seed) in seen:
            raise ValueError(f"there are two records of {run}; leave one of them out")
        seen.add((recipe.label, record.seed))
        same_label = first_of.setdefault(recipe.label, record).recipe
        for other, may_differ in ((records[0].recipe, {"seed", *_ATTENTION}), (same_label, {"seed"})):
            if fields := [field for field in other.differing_fields(recipe) if field not in may_differ]:
                differing = "; ".join(f"{f}: {getattr(other, f)!r} and {getattr(recipe, f)!r}" for f in fields)
                raise ValueError(
                    f"the runs of {other.label}, seed {other.seed}, and {run}, do not compare, as their recipes differ "
                    f"in {differing}; report each recipe on its own"
                )


def _notes(records: Sequence[Record], groups: dict[str, list[Record]], baseline: str) -> list[str]:
    notes = []
    for what, values in (
        ("versions of PyTorch", Counter(record.provenance.torch for record in records)),
        ("devices", Counter(record.provenance.device for record in records)),
    ):
        if len(values) > 1:
            each = ", ".join(f"{value} ({_counted(count, 'run')})" for value, count in values.most_common())
            notes.append(f"The runs are of several {what}, which may change results: {each}.")
    wanted = {record.seed for record in groups[baseline]}
    if unequal := [label for label, runs in groups.items() if {record.seed for record in runs} != wanted]:
        notes.append(f"Other seeds than the baseline's {sorted(wanted)}: {_listed(unequal)}.")
    return notes


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "no attention"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
