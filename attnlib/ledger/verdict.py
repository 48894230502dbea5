"""From a claim to a verdict: always computed, never written.

`attnlib/published/<key>.yml` states a claim, its value and a tolerance, and names a check: a function of the same name
in `attnlib/ledger/<key>.py` that measures the value and returns a `Finding`. What only a trained network can show is
judged from the records of runs. A check that raises is a failure, not a verdict.
"""

from dataclasses import dataclass
from importlib import import_module
from statistics import mean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from attnlib.published.schema import Claim, load

Word = Literal["holds", "holds with a note", "does not hold", "awaits a record", "not testable here"]

# Rounding of a decimal fraction such as 0.0005 must not decide whether a value lies on its tolerance.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Finding:
    """What a check measured, in the claim's unit.

    Attributes:
        measured: by this project's own rule.
        note: the figures behind it.
        otherwise: by another rule, which `note` states, where the paper may have used that; a claim that holds by this
            rule alone holds with a note.
    """

    measured: float | int
    note: str = ""
    otherwise: float | int | None = None


class Verdict(BaseModel):
    """A claim with what became of it; `published`, `measured` and `tolerance` are in `unit`.

    `check` is the function in attnlib/ledger/<paper>.py that measured it; null where records did, or would.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    paper: str
    kind: str
    claim: str
    published: float | None
    measured: float | None
    tolerance: float
    unit: str
    verdict: Word
    note: str
    source: str
    confidence: str
    check: str | None


def judge(key: str) -> list[Verdict]:
    """Judge every claim of the paper `key`, in the order of its file.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
        AttributeError: a claim names a check that is not there.
        Whatever a check raises.
    """
    checks = import_module(f"attnlib.ledger.{load(key).key}")
    return [_judge(key, claim, checks) for claim in load(key).claims]


def _judge(key: str, claim: Claim, checks: object) -> Verdict:
    if claim.check is not None:
        finding = getattr(checks, claim.check)()
        measured, note, word = finding.measured, finding.note, _compare(claim, finding)
    else:
        measured, note, word = _from_records(key, claim)
    return Verdict(
        id=f"{key}-{claim.id}",
        paper=key,
        kind=claim.kind,
        claim=claim.text,
        published=claim.value,
        measured=measured,
        tolerance=claim.tolerance,
        unit=claim.unit,
        verdict=word,
        note=note,
        source=claim.source,
        confidence=claim.confidence,
        check=claim.check,
    )


def _fits(claim: Claim, value: float | int) -> bool:
    return abs(value - claim.value) <= claim.tolerance * (1 + _ROUNDING)


def _compare(claim: Claim, finding: Finding) -> Word:
    if _fits(claim, finding.measured):
        return "holds"
    if finding.otherwise is not None and _fits(claim, finding.otherwise):
        return "holds with a note"
    return "does not hold"


def _from_records(key: str, claim: Claim) -> tuple[float | None, str, Word]:
    """The gain in points that records show: mean accuracy with the module minus mean accuracy without it."""
    runs = claim.settled_by
    if runs is None:
        return None, f"would take training on {' and '.join(claim.datasets)}, as the paper did", "not testable here"

    from attnlib.results import records

    def accuracies(attention: str) -> dict[str, list[float]]:
        """Percentages of the runs that fit, by recipe."""
        by_recipe: dict[str, list[float]] = {}
        for record in records(attention=attention):
            recipe = record.recipe
            fits = (recipe.data, recipe.backbone, recipe.protocol) == (runs.data, runs.backbone, runs.protocol)
            if fits and recipe.train_images is None:
                by_recipe.setdefault(recipe.name, []).append(100 * record.final.accuracy)
        return by_recipe

    without, with_module, constant = accuracies("none"), accuracies(key), accuracies("constant")
    shared = without.keys() & with_module.keys()
    if len(shared) > 1:
        raise ValueError(
            f"{claim.id}: records of several recipes fit ({', '.join(sorted(shared))}); say which settles it"
        )
    if not shared:
        wanted = f"{runs.backbone} on {runs.data}, protocol {runs.protocol}"
        return None, f"settled by a recipe that trains {wanted}, with attention none and {key}", "awaits a record"
    (name,) = shared
    gain = mean(with_module[name]) - mean(without[name])
    note = f"recipe {name}, runs with {key}: {len(with_module[name])}, without: {len(without[name])}"
    if name in constant:
        note += f"; a constant gate of 0.5 gains {mean(constant[name]) - mean(without[name]):.2f}"
    return gain, note, _compare(claim, Finding(gain))
