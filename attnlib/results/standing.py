"""Which attentions are above or below another one, plainly and corrected for how many are compared.

>>> from attnlib.results import records, report
>>> standing(report(records("cifar10-slice"), baseline="constant"))["below"]
"""

from itertools import combinations

from attnlib.results.intervals import LEVEL, paired, student
from attnlib.results.rows import Comparison, Row


def corrected(report: Comparison) -> dict[str, tuple[float, float]]:
    """Student's interval of each mean difference to the baseline, with Bonferroni's correction for their number.

    All of them hold their true differences at once in 95 % of all cases or more. Labels with fewer than two common
    seeds are left out.
    """
    compared = _compared(report)
    return {row.label: student(row.differences, 1 - (1 - LEVEL) / len(compared)) for row in compared}


def standing(report: Comparison, kind: str | None = None) -> dict[str, list[str]]:
    """Labels by what the interval of their difference to the baseline says, those with the highest mean first.

    Args:
        report: over common seeds with its baseline.
        kind: "module" or "control" leaves the others out; the correction stays that for all.

    Returns:
        "above" and "below" 0 by the plain interval, "neither"; "surely above" and "surely below" by the corrected one,
        which are among the first two.
    """
    sure = corrected(report)
    rows = [row for row in _compared(report) if kind in (None, row.kind)]
    return {
        "above": [row.label for row in rows if row.student[0] > 0],
        "surely above": [row.label for row in rows if sure[row.label][0] > 0],
        "neither": [row.label for row in rows if row.student[0] <= 0 <= row.student[1]],
        "below": [row.label for row in rows if row.student[1] < 0],
        "surely below": [row.label for row in rows if sure[row.label][1] < 0],
    }


def pairs(report: Comparison, leave_out: tuple[str, ...] = ()) -> dict[str, list[tuple[str, str]]]:
    """All pairs of rows over their common seeds: "all", those whose plain interval leaves 0 out ("apart"), and those
    whose interval does with Bonferroni's correction for all pairs ("surely apart"). Of a pair the higher comes first.

    Args:
        report: of the runs of one recipe; its baseline plays no part.
        leave_out: labels that take no part.
    """
    accuracies = {row.label: dict(zip(row.seeds, row.accuracies, strict=True)) for row in report.rows}
    differences = {
        (one, other): [*paired(accuracies[one], accuracies[other]).values()]
        for one, other in combinations([label for label in accuracies if label not in leave_out], 2)
    }
    differences = {pair: values for pair, values in differences.items() if len(values) > 1}
    strict = 1 - (1 - LEVEL) / max(1, len(differences))
    return {
        "all": [*differences],
        "apart": [_ordered(pair, of) for pair, of in differences.items() if _leaves_0_out(of, LEVEL)],
        "surely apart": [_ordered(pair, of) for pair, of in differences.items() if _leaves_0_out(of, strict)],
    }


def _compared(report: Comparison) -> list[Row]:
    return [row for row in report.rows if row.student is not None]


def _leaves_0_out(differences: list[float], level: float) -> bool:
    low, high = student(differences, level)
    return low > 0 or high < 0


def _ordered(pair: tuple[str, str], differences: list[float]) -> tuple[str, str]:
    return pair if sum(differences) > 0 else pair[::-1]
