"""A class on one page: who got how much, which question was hard, and what went wrong in it."""

import html
import io
import math
from statistics import fmean, median

import matplotlib
import matplotlib.pyplot as plt

from classroom.judge import Judgement, by_kind
from classroom.scores import Score
from classroom.sets import Set

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }
figure svg { background: white } caption, figcaption { text-align: left; opacity: .8 }
"""
WORDS = {
    "values": "wrong values",
    "time": "too slow, or without an end",
    "error": "raised an error",
    "cell": "the cell did not run",
    "missing": "no function of that name",
    "no answer": "no answer",
    "memory": "too much memory",
    "died": "the process ended",
    "output": "wrote too much",
    "not reached": "not reached",
    "edge": "right at the edge alone, where an answer that does nothing is right too",
}

DETOURS = (
    "These cells reach for something by a detour, which a set that forbids a function cannot follow. Mostly it is "
    "harmless; read whether the answer is the student's own."
)


def report(chosen: Set, found: list[Score], judgements: list[Judgement]) -> str:
    """The page, whole in itself: its figure is drawn into it, and it loads nothing."""
    title = html.escape(f"{chosen.judge.title}: the class")
    graded = [score.points for score in found if score.points is not None]
    parts = [f"<h1>{title}</h1>", f"<p>{_sentence(found, graded)}</p>"]
    if graded:
        parts.append(_figure(graded, found[0].most))
        parts.append(_questions(chosen, judgements))
        parts.append(_failures(judgements))
    left = [score for score in found if score.points is None]
    if left:
        rows = "".join(_row(score.student.id, score.reason) for score in left)
        parts.append(f"<h2>Without points</h2><table>{rows}</table>")
    if detours := [score for score in found if score.detours]:
        rows = "".join(_row(score.student.id, "; ".join(score.detours)) for score in detours)
        parts.append(f"<h2>Worth a look</h2><p>{DETOURS}</p><table>{rows}</table>")
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body>{body}</body></html>\n"
    )


def _sentence(found: list[Score], graded: list[float]) -> str:
    if not graded:
        return f"None of {len(found)} submissions could be graded."
    waiting = sum(bool(score.reason) and score.points is not None for score in found)
    text = f"{len(graded)} of {len(found)} are graded; of {found[0].most:g} points "
    text += f"the mean is {fmean(graded):.1f}, the median {median(graded):g}."
    return text + (f" In {waiting} of them a person still has to grade a text." if waiting else "")


def _figure(graded: list[float], most: float) -> str:
    """How many students have how many points, as SVG."""
    bins = min(10, max(1, math.ceil(most)))
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none"}):
        figure, axes = plt.subplots(figsize=(6, 2.4))
        axes.hist(graded, bins=bins, range=(0, most), color="#3b6ea8", edgecolor="white")
        axes.set_xlabel("points")
        axes.set_ylabel("students")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace("<svg", '<svg role="img" aria-label="Histogram of the points"', 1)
    return f"<figure>{svg}<figcaption>Points, and how many students have them.</figcaption></figure>"


def _questions(chosen: Set, judgements: list[Judgement]) -> str:
    """Each part with the share of students who have its points."""
    rows = []
    for question in chosen.judge.questions:
        for number, part in enumerate(question.parts):
            results = [q.parts[number] for j in judgements for q in j.questions if q.name == question.name]
            share = fmean(result.points == result.most for result in results)
            rows.append(_row(question.name if number == 0 else "", part.name, f"{part.points:g}", f"{share:.0%}"))
    head = "<tr><th>question</th><th>part</th><th>points</th><th>right</th></tr>"
    return f"<h2>Question by question</h2><table>{head}{''.join(rows)}</table>"


def _failures(judgements: list[Judgement]) -> str:
    rows = []
    for name, kinds in by_kind(judgements).items():
        for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
            rows.append(_row(name, WORDS.get(kind, kind), str(count)))
            name = ""
    head = "<tr><th>question</th><th>what went wrong</th><th>parts</th></tr>"
    return f"<h2>What went wrong</h2><table>{head}{''.join(rows)}</table>" if rows else ""


def _row(*cells: str) -> str:
    made = "".join(f"<td{' class=n' if cell[:1].isdigit() else ''}>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{made}</tr>"
