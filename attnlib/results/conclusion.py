"""What can and what cannot be concluded from a report, in plain sentences."""

from math import sqrt
from statistics import fmean, median

from attnlib.results.intervals import LEVEL, paired, student, t_quantile
from attnlib.results.rows import Comparison
from attnlib.results.words import counted, listed, shown

# A deviation so many times the median one is that of a network of another kind, e.g. one that hardly learns.
_UNLIKE = 3
_MANY = 10  # seeds, from which on the bootstrap's interval covers about 90 %


def conclusion(report: Comparison) -> str:
    """Which intervals leave 0 out, and how many would by chance; how far apart two means have to be to be ranked.

    Then how the modules stand against each control, and what nothing is said of.
    """
    runs = sum(len(row.seeds) for row in report.rows)
    sentences = [
        f"These are test accuracies after the last epoch of {runs} runs: {report.backbone} on {report.data}, "
        f"{report.train_images:,} training images, {counted(report.epochs, 'epoch')}, protocol {report.protocol}.",
        *_against_baseline(report),
        *_ranking(report),
        *_against_controls(report),
        "A seed changes the initial weights and the order of the images. Nothing is said of other training or test "
        "images, longer training, other data or other networks.",
    ]
    return " ".join(sentences)


def _against_baseline(report: Comparison) -> list[str]:
    compared = [row for row in report.rows if row.student is not None]
    if not compared:
        return [
            f"Nothing is concluded about differences to the baseline {shown(report.baseline)}: no other attention "
            "shares two seeds with it."
        ]
    above = [row.label for row in compared if row.student[0] > 0]
    below = [row.label for row in compared if row.student[1] < 0]
    chance = 1 - LEVEL
    strict = [row.label for row in compared if _leaves_0_out(student(row.differences, 1 - chance / len(compared)))]
    sentences = [
        f"Compared with the baseline {shown(report.baseline)} over common seeds, Student's 95 % interval of the mean "
        f"difference lies above 0 for {listed(above)} and below 0 for {listed(below)}, "
        f"{len(above) + len(below)} of {len(compared)} in all; where it holds 0, these runs show no difference, which "
        "does not mean that there is none.",
        f"If no attention changed anything, {chance * len(compared):.2g} of {len(compared)} such intervals would be "
        "expected to leave 0 out by chance; they share the baseline's runs, so that one unlucky run of it moves all of "
        f"them the same way. With Bonferroni's correction for all {len(compared)}, what leaves 0 out is "
        f"{listed(strict)}.",
    ]
    if min(len(row.differences) for row in compared) < _MANY:
        sentences.append(
            "The bootstrap's interval covers less than its name says where seeds are few: of three differences it is "
            "their range, which holds the mean in 75 % of all cases."
        )
    if single := [row.label for row in report.rows if row.differences is not None and row.student is None]:
        sentences.append(f"Nothing is concluded from one common seed: {listed(single)}.")
    return sentences


def _ranking(report: Comparison) -> list[str]:
    several = [row for row in report.rows if row.deviation is not None]
    if len(several) < 2:
        return ["Nothing can be ranked: that takes two attentions with two seeds each, or more."]
    usual = median(row.deviation for row in several)
    unlike = [row.label for row in several if row.deviation > _UNLIKE * usual]
    alike = [row for row in several if row.label not in unlike]
    degrees = sum(len(row.seeds) - 1 for row in alike)
    pooled = sqrt(sum((len(row.seeds) - 1) * row.deviation**2 for row in alike) / degrees)
    fewest = min(len(row.seeds) for row in alike)
    one_pair, any_pair = (
        t_quantile(degrees, 1 - (1 - LEVEL) / pairs) * pooled * sqrt(2 / fewest)
        for pairs in (1, len(alike) * (len(alike) - 1) // 2)
    )
    without = f" without {listed(unlike)}, whose scatter is of another kind" if unlike else ""
    return [
        f"{fewest} seeds are too few to rank attentions whose means lie within {one_pair:.2f} points of each other, or "
        f"{any_pair:.2f} points where the pair is chosen because of its means, as the best of {len(alike)} is (pooled "
        f"standard deviation {pooled:.2f} points{without}). This takes one scatter for all, where the intervals above "
        "take each attention's own, which from a few seeds can be small by luck."
    ]


def _against_controls(report: Comparison) -> list[str]:
    accuracies = {row.label: dict(zip(row.seeds, row.accuracies, strict=True)) for row in report.rows}
    modules = [row.label for row in report.rows if row.kind == "module"]
    sentences = []
    for control in (row for row in report.rows if row.kind == "control" and row.label != report.baseline):
        differences = {label: [*paired(accuracies[label], accuracies[control.label]).values()] for label in modules}
        higher = [label for label, values in differences.items() if values and fmean(values) > 0]
        intervals = {label: student(values) for label, values in differences.items() if len(values) > 1}
        if not intervals:
            continue
        above = [label for label, (low, _) in intervals.items() if low > 0]
        below = [label for label, (_, high) in intervals.items() if high < 0]
        sentences.append(
            f"Of {counted(len(intervals), 'module')}, {len(higher)} exceed the control {shown(control.label)} in the "
            f"mean over common seeds; the interval of the difference lies above 0 for {listed(above, len(intervals))} "
            f"and below 0 for {listed(below, len(intervals))}."
        )
    if sentences:
        sentences.append("Of such intervals 2.5 % would lie above 0 by chance, and as many below.")
    return sentences


def _leaves_0_out(interval: tuple[float, float]) -> bool:
    return interval[0] > 0 or interval[1] < 0
