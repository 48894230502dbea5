"""What the runs of one recipe say about each attention, and what they cannot say.

>>> from attnlib.results import records
>>> found = report(records("cifar10-slice"))
>>> [(row.label, row.mean, row.student) for row in found.rows]
>>> print(found.conclusion)
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from pydantic import computed_field

from attnlib.errors import unknown
from attnlib.registry import list_modules
from attnlib.results import archive
from attnlib.results.conclusion import conclusion
from attnlib.results.intervals import bootstrap, paired, student
from attnlib.results.rows import Comparison, Row
from attnlib.results.words import counted, listed
from attnlib.training.record import Record

_ATTENTION = {"attention", "attention_args", "placement", "sparsity"}  # the fields that make a label


class Report(Comparison):
    """A comparison, and what can be concluded from it."""

    @computed_field
    @property
    def conclusion(self) -> str:
        """See `attnlib.results.conclusion`."""
        return conclusion(self)


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


def on_file(folder: Path | None = None, recipe: str | None = None) -> list[Record]:
    """All finished runs: filed ones, or those of the run folders, each with its record.json, anywhere below a folder.

    Args:
        folder: default the package's own records.
        recipe: the one that is asked for. A file of another one that is no record is passed over with a warning.

    Raises:
        ValueError: there are none; or a file that is filed under the recipe is not a record.
    """
    filed = archive.files(folder=folder or archive.FOLDER)
    found = []
    for path in filed or (sorted(folder.rglob("record.json")) if folder else []):
        try:
            found.append(Record.load(path))
        except (ValueError, OSError) as error:
            if filed and path.parents[1].name == recipe:
                raise
            warnings.warn(f"passed over: {error}", stacklevel=2)
    found = sorted((record for record in found if record.status == "finished"), key=archive.order)
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


def _row(label: str, runs: list[Record], baseline_runs: list[Record]) -> Row:
    key = runs[0].recipe.attention
    accuracies = _accuracies(runs)
    pairs = {} if runs is baseline_runs else paired(accuracies, _accuracies(baseline_runs))
    differences = tuple(pairs.values())
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
        paired_seeds=tuple(pairs) or None,
        differences=differences or None,
        difference=fmean(differences) if differences else None,
        bootstrap=bootstrap(differences) if len(differences) > 1 else None,
        student=student(differences) if len(differences) > 1 else None,
    )


def _accuracies(runs: list[Record]) -> dict[int, float]:
    """Percent, by seed."""
    return {record.seed: 100 * record.final.accuracy for record in runs}


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
        ("commits of this code", Counter((record.provenance.commit or "unknown")[:7] for record in records)),
    ):
        if len(values) > 1:
            each = ", ".join(f"{value} ({counted(count, 'run')})" for value, count in values.most_common())
            notes.append(f"The runs are of several {what}, which may change results: {each}.")
    wanted = {record.seed for record in groups[baseline]}
    if unequal := [label for label, runs in groups.items() if {record.seed for record in runs} != wanted]:
        notes.append(f"Other seeds than the baseline's {sorted(wanted)}: {listed(unequal)}.")
    return notes
