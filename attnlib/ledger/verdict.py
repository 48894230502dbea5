"""From a claim to a verdict: always computed, never written.

`attnlib/published/<key>.yml` states a claim, its value and a tolerance, and names a check: a function of the same name
in `attnlib/ledger/<key>.py` that measures the value and returns a `Finding`. What only a trained network can show is
judged from the records of runs. A check that raises is a failure, not a verdict.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from attnlib.published.schema import Claim, Evidence, load

if TYPE_CHECKING:
    from attnlib.training.record import Record

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

    `evidence` is what others found; the verdict does not rest on it.
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
    evidence: list[Evidence] = []

    @model_serializer(mode="wrap")
    def _without_empty_evidence(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most claims have none; their entries on file then say nothing of it."""
        return {name: value for name, value in dump(self).items() if name != "evidence" or value}


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
        evidence=claim.evidence,
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

    plain = runs.without or runs.recipe
    wanted = {"with": (runs.recipe, "none" if runs.without else key), "without": (plain, "none")}
    found = {side: _runs(*each) for side, each in wanted.items()}
    remark = f"; {runs.note}" if runs.note else ""
    if missing := [wanted[side] for side in wanted if not found[side]]:
        commands = " and ".join(f"attnlib train --recipe {name} --attention {attention}" for name, attention in missing)
        return None, f"settled by {commands}{remark}", "awaits a record"

    final = {side: _percent(r.final.accuracy for r in found[side]) for side in found}
    gain = final["with"] - final["without"]
    recipes = f"recipe {runs.recipe}" + (f", without {key} {plain}" if runs.without else "")
    note = (
        f"{recipes}, last epoch: {final['with']:.2f} % with {key} ({_count(found['with'])}), "
        f"{final['without']:.2f} % without ({_count(found['without'])})"
    )
    if all(epoch.test_accuracy is not None for side in found.values() for r in side for epoch in r.epochs):
        best = {side: _percent(max(e.test_accuracy for e in r.epochs) for r in found[side]) for side in found}
        note += (
            f"; each run's best epoch, chosen on the test images: {best['with']:.2f} and {best['without']:.2f} %, "
            f"a gain of {best['with'] - best['without']:.2f}"
        )
    if constant := _runs(plain, "constant"):
        gained = _percent(r.final.accuracy for r in constant) - final["without"]
        note += f"; a constant gate of 0.5 gains {gained:.2f} ({_count(constant)})"
    return gain, note + remark, _compare(claim, Finding(gain))


def _runs(recipe: str, attention: str) -> "list[Record]":
    """The records of a recipe as it comes with the package; a run with any other field changed settles nothing."""
    from attnlib.results import records
    from attnlib.training import Recipe

    asked = Recipe.named(recipe, attention=attention)
    return [r for r in records(recipe, attention) if set(r.recipe.differing_fields(asked)) <= {"seed"}]


def _percent(accuracies: Iterable[float]) -> float:
    return 100 * mean(accuracies)


def _count(runs: "list[Record]") -> str:
    return "single run" if len(runs) == 1 else f"{len(runs)} seeds"
