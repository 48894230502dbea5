"""From a claim to a verdict: always computed, never written.

`attnlib/papers/<key>/paper.yml` states a claim, its value, a tolerance and a check: arithmetic on the printed tables,
or a function of `claims.py` beside it that measures the value and returns a `Finding`. What only a trained network can
show is judged from the records of runs. A check that raises is a failure, not a verdict.

What does not fit is unkind to a paper, and has to be earned:

* "does not hold" needs a published figure that was read, or that a named source quotes; else the word is "open";
* a figure that another rule of counting gives is no contradiction, if of all rules that one fits its table best;
* a difference of less than one unit of the last printed digit is rounding, and one to the better side no failure;
* runs refute a claim of accuracy only by the paper's own protocol, with three common seeds or more, Student's interval
  of the gain clear of what is claimed, and a network without the module that reaches the paper's accuracy.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from math import log10
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_serializer

from attnlib.ledger.expressions import evaluate, is_expression
from attnlib.ledger.schema import Claim, Evidence, Experiment, Kind, load

if TYPE_CHECKING:
    from attnlib.training import Recipe
    from attnlib.training.record import Record

Word = Literal["holds", "holds with a note", "open", "does not hold", "awaits a record", "not testable here"]
# What sets a measured value apart from a published one; "reading": it is that of another form, row or condition, which
# the sentence does not exclude.
Disagreement = Literal["contradiction", "counting rule", "rounding", "reading", "better than printed"]

# How an unkind verdict has to know its published figure.
_KNOWN = ("read", "second-hand")
_SEEDS = 3
# Rounding of a decimal fraction such as 0.0005 must not decide whether a value lies on its tolerance.
_ROUNDING = 1e-12
# Tolerances below are those of an equation in double precision, not of printed digits.
_SMALLEST_DIGIT = 1e-8


@dataclass(frozen=True)
class Finding:
    """What a check measured, in the claim's unit.

    Attributes:
        measured: by this project's own rule.
        note: the figures behind it.
        otherwise: by another rule, where the paper may have used that; a claim that holds by this rule alone holds with
            a note.
        rule: that rule's name in `rules.RULES`; where it is none of those, `note` states it, and it is another reading
            of the claim.
        table: id of the table that prints the figure. Of all rules this one then has to fit the table as a whole best.
    """

    measured: float | int
    note: str = ""
    otherwise: float | int | None = None
    rule: str | None = None
    table: str | None = None


class Verdict(BaseModel):
    """A claim with what became of it; `published`, `measured` and `tolerance` are in `unit`.

    `disagreement` is of what kind the difference of the two is, where there is one that counts. `check` is what
    measured it, as in the claim; null where records did, or would.

    `evidence` is what others found; the verdict does not rest on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    paper: str
    kind: Kind
    claim: str
    published: float | None
    measured: float | None
    tolerance: float
    unit: str
    verdict: Word
    disagreement: Disagreement | None = None
    note: str
    source: str
    confidence: str
    check: str | None
    evidence: list[Evidence] = []

    @model_serializer(mode="wrap")
    def _without_empty_evidence(self, dump: Callable[["Verdict"], dict[str, Any]]) -> dict[str, Any]:
        """Most claims have none; their entries on file then say nothing of it."""
        return {name: value for name, value in dump(self).items() if name != "evidence" or value}

    @property
    def words(self) -> str:
        """The word with the kind of disagreement, where there is one: "does not hold: contradiction"."""
        return f"{self.verdict}: {self.disagreement}" if self.disagreement else self.verdict


@dataclass(frozen=True)
class _Judged:
    word: Word
    disagreement: Disagreement | None = None
    remark: str = ""


def judge(key: str) -> list[Verdict]:
    """Judge every claim of the paper `key`, in the order of its file.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
        AttributeError: a claim names a check that is not there.
        Whatever a check raises.
    """
    checks = import_module(f"attnlib.papers.{load(key).key}.claims")
    return [_judge(key, claim, checks) for claim in load(key).claims]


def _judge(key: str, claim: Claim, checks: object) -> Verdict:
    if claim.check is not None:
        finding = _measured(key, claim.check, checks)
        measured, note, judged = finding.measured, finding.note, _compare(key, claim, finding)
    else:
        measured, note, judged = _from_records(key, claim)
    return Verdict(
        id=f"{key}-{claim.id}",
        paper=key,
        kind=claim.kind,
        claim=claim.text,
        published=claim.value,
        measured=measured,
        tolerance=claim.tolerance,
        unit=claim.unit,
        verdict=judged.word,
        disagreement=judged.disagreement,
        note="; ".join(filter(None, (note, judged.remark))),
        source=claim.source,
        confidence=claim.confidence,
        check=claim.check,
        evidence=claim.evidence,
    )


def _measured(key: str, check: str, checks: object) -> Finding:
    if is_expression(check):
        return Finding(*evaluate(check, load(key)))
    return getattr(checks, check)()


def _fits(claim: Claim, value: float | int) -> bool:
    return abs(value - claim.value) <= claim.tolerance * (1 + _ROUNDING)


def _compare(key: str, claim: Claim, finding: Finding) -> _Judged:
    if claim.protocol == "proxy":
        return _proxy(_fits(claim, finding.measured), None if _fits(claim, finding.measured) else "contradiction")
    if _fits(claim, finding.measured):
        return _Judged("holds")
    refused = ""
    if finding.otherwise is not None and finding.rule is None and _fits(claim, finding.otherwise):
        return _Judged("holds with a note", "reading")
    # By another rule, too, the figure may be rounded otherwise than by us.
    if finding.rule is not None and (_fits(claim, finding.otherwise) or _is_rounding(claim, finding.otherwise)):
        kind, remark = _by_rule(key, claim, finding)
        if kind is not None:
            return _Judged("holds with a note", kind, remark)
        refused = remark
    if _is_better(claim, finding.measured):
        return _Judged("holds with a note", "better than printed", refused)
    if _is_rounding(claim, finding.measured):
        return _Judged("holds with a note", "rounding", refused)
    return _unkind(claim, refused)


def _proxy(agrees: bool, disagreement: Disagreement | None) -> _Judged:
    return _Judged("open", disagreement, f"a proxy, which {'agrees' if agrees else 'disagrees'} and settles nothing")


def _unkind(claim: Claim, remark: str = "") -> _Judged:
    if claim.confidence in _KNOWN:
        return _Judged("does not hold", "contradiction", remark)
    how = {"recalled": "the printed figure is recalled", "counted": "the figure is counted, not printed"}
    return _Judged("open", "contradiction", "; ".join(filter(None, (remark, how[claim.confidence]))))


def _by_rule(key: str, claim: Claim, finding: Finding) -> tuple[Disagreement | None, str]:
    """What the rule explains; None where of all rules it is not the one that fits the figure's whole table best."""
    # Not earlier: they bring all networks, for which those who read what is on file need not wait.
    from attnlib.ledger.costs import countings
    from attnlib.ledger.rules import RULES

    kind, text = RULES[finding.rule].kind, RULES[finding.rule].text
    if finding.table is None:
        return kind, text
    quantity = "parameters" if "parameters" in claim.unit else "operations"
    label = next(table.label for table in load(key).tables if table.id == finding.table)
    agree = {c.rule: c for c in countings(key) if (c.table, c.quantity) == (label, quantity)}
    best, stated = max(each.agree for each in agree.values()), agree["as stated"]
    if finding.rule not in agree:  # `countings` leaves out a rule that changes nothing: the table is counted by it
        remark = f"{text}, as all of {label} is counted: {stated.agree} of its {stated.cells} {quantity} agree"
        return (kind, remark) if stated.agree == best else (None, f"{remark}, more by another rule")
    rule = agree[finding.rule]
    remark = f"{text}: {rule.agree} of the {rule.cells} {quantity} of {label} agree, {stated.agree} as stated"
    if rule.agree > stated.agree and rule.agree == best:
        return kind, remark
    return None, f"{remark}, so that this rule does not explain the figure"


def _is_better(claim: Claim, measured: float | int) -> bool:
    return (claim.better == "higher" and measured > claim.value) or (claim.better == "lower" and measured < claim.value)


def _is_rounding(claim: Claim, measured: float | int) -> bool:
    """Whether the two differ by less than one unit of the last printed digit.

    The tolerance tells it, where it is half such a unit: 0.005 for two decimals. It does not where `value` itself has
    more decimals, as beside a tolerance of half a point, nor where it is more than a half: that says "about".
    """
    if claim.tolerance == 0:
        return False
    unit = 2 * claim.tolerance
    decimals = -log10(unit)
    is_digit = abs(decimals - round(decimals)) < 1e-9 and abs(claim.value / unit - round(claim.value / unit)) < 1e-6
    return is_digit and _SMALLEST_DIGIT < unit <= 1 and abs(measured - claim.value) < unit * (1 - 1e-9)


def _from_records(key: str, claim: Claim) -> tuple[float | None, str, _Judged]:
    """The gain in points that records show: mean accuracy with the module minus mean accuracy without it."""
    runs = claim.settled_by
    if runs is None:
        return (
            None,
            f"would take training on {' and '.join(claim.datasets)}, as the paper did",
            _Judged("not testable here"),
        )
    if runs.recipe is None:
        return None, f"there is no recipe yet: {runs.note}", _Judged("awaits a record")

    asked = sides(key, runs)
    found = {side: _runs(recipe) for side, recipe in asked.items()}
    remark = f"; {runs.note}" if runs.note else ""
    if missing := [_command(runs, asked[side], side) for side in asked if not found[side]]:
        return None, f"settled by {' and '.join(missing)}{remark}", _Judged("awaits a record")

    final = {side: _percent(r.final.accuracy for r in found[side]) for side in found}
    gain = final["with"] - final["without"]
    other = runs.without or runs.recipe
    recipes = f"recipe {runs.recipe}" + (f", without {key} {runs.without}" if runs.without else "")
    with_, without = (_name(asked[side], key) for side in ("with", "without"))
    note = (
        f"{recipes}, last epoch: {final['with']:.2f} % {with_} ({_count(found['with'])}), "
        f"{final['without']:.2f} % {without} ({_count(found['without'])})"
    )
    if all(epoch.test_accuracy is not None for side in found.values() for r in side for epoch in r.epochs):
        best = {side: _percent(max(e.test_accuracy for e in r.epochs) for r in found[side]) for side in found}
        note += (
            f"; each run's best epoch, chosen on the test images: {best['with']:.2f} and {best['without']:.2f} %, "
            f"a gain of {best['with'] - best['without']:.2f}"
        )
    if constant := _runs(_recipe(other, attention="constant")):
        gained = _percent(r.final.accuracy for r in constant) - final["without"]
        note += f"; a constant gate of 0.5 gains {gained:.2f} ({_count(constant)})"
    exact = runs.protocol == "exact" and asked["with"].data in claim.datasets
    return gain, note + remark, _judge_gain(claim, found, gain, exact)


def _judge_gain(claim: Claim, found: "dict[str, list[Record]]", gain: float, exact: bool) -> _Judged:
    """By the rules at the top of this file."""
    from attnlib.results.intervals import paired, student

    kind, disagreement = _kind_gain(claim, gain)
    if not exact:
        return _proxy(kind, disagreement)
    accuracies = [{r.seed: 100 * r.final.accuracy for r in found[side]} for side in ("with", "without")]
    gains = [*paired(*accuracies).values()]
    interval = student(gains) if len(gains) > 1 else None
    shown = f"Student's 95 % interval of the gain {interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
    if kind:
        few = len(gains) < _SEEDS
        return _Judged("holds with a note" if few or disagreement else "holds", disagreement, shown)
    against = _why_not_unkind(claim, gains, interval, mean(accuracies[1].values()))
    if against:
        return _Judged("open", disagreement, "; ".join(filter(None, (shown, against))))
    judged = _unkind(claim)
    return _Judged(judged.word, judged.disagreement, "; ".join(filter(None, (shown, judged.remark))))


def _kind_gain(claim: Claim, gain: float) -> tuple[bool, Disagreement | None]:
    """Whether a gain is what is claimed, or better; a claim without a value is one of any gain at all."""
    if claim.value is None:
        return gain > 0, None if gain > 0 else "contradiction"
    if _fits(claim, gain):
        return True, None
    better = _is_better(claim, gain)
    return better, "better than printed" if better else "contradiction"


def _why_not_unkind(claim: Claim, gains: list[float], interval: tuple[float, float] | None, plain: float) -> str | None:
    """What is missing for "does not hold"; None where nothing is."""
    if len(gains) < _SEEDS:
        return f"{len(gains)} common seed{'s' * (len(gains) != 1)}, where a refutation takes {_SEEDS}"
    least, most = (
        (0.0, float("inf")) if claim.value is None else (claim.value - claim.tolerance, claim.value + claim.tolerance)
    )
    if interval[1] >= least and interval[0] <= most:
        return "the interval does not exclude what is claimed"
    runs = claim.settled_by
    if runs.plain is None:
        return "what the paper's own network has without the module is not known"
    if plain < runs.plain - runs.plain_tolerance:
        return (
            f"without the module our network has {plain:.2f} % where {runs.plain:.2f} is printed, "
            f"more than {runs.plain_tolerance:g} points below"
        )
    return None


def sides(key: str, runs: Experiment) -> "dict[str, Recipe]":
    """The recipes of the two sides."""
    attention = "none" if runs.without else key
    return {
        "with": _recipe(runs.recipe, **{"attention": attention} | runs.changes),
        "without": _recipe(runs.without or runs.recipe, **{"attention": "none"} | runs.without_changes),
    }


def _recipe(recipe: str, /, **changes: object) -> "Recipe":
    from attnlib.training import Recipe

    return Recipe.named(recipe, **changes)


def _name(recipe: "Recipe", key: str) -> str:
    """ "with se" or "without"; of a recipe whose backbone brings the attention, its key."""
    return f"with {key}" if recipe.label == key else f"with {recipe.label}" if recipe.label != "none" else "without"


def _command(runs: Experiment, recipe: "Recipe", side: str) -> str:
    """The command that makes a run."""
    name, changes = (
        (runs.recipe, runs.changes) if side == "with" else (runs.without or runs.recipe, runs.without_changes)
    )
    arguments = [f"--arg {field}={value}" for field, value in recipe.attention_args.items()]
    options = [
        f"--placement {value}" if field == "placement" else f"--set {field}={value}"
        for field, value in changes.items()
        if field not in ("attention", "attention_args")
    ]
    return " ".join([f"attnlib train --recipe {name} --attention {recipe.attention}", *arguments, *options])


def _runs(asked: "Recipe") -> "list[Record]":
    """The records of a recipe; a run with any other field changed than the seed settles nothing."""
    from attnlib.results import records

    return [r for r in records(asked.name, asked.label) if set(r.recipe.differing_fields(asked)) <= {"seed"}]


def _percent(accuracies: Iterable[float]) -> float:
    return 100 * mean(accuracies)


def _count(runs: "list[Record]") -> str:
    return "single run" if len(runs) == 1 else f"{len(runs)} seeds"
