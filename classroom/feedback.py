"""What goes back: a page for each student, the scores as CSV, a report on the class."""

import html
from pathlib import Path

from classroom.course import Course, write
from classroom.judge import load
from classroom.nbgrader_calls import call
from classroom.report import report
from classroom.scores import canvas, moodle, scores, table
from classroom.sets import Set

NOT_GRADABLE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{name}: not gradable</title>
<body style="font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem">
<h1>{name}: not gradable</h1>
<p>What was handed in could not be graded, which is not the same as no points: {reason}.</p>
<p>Hand in the notebook <code>{name}.ipynb</code> again as you got it, with your answers, or ask your teacher.</p>
</body></html>
"""


def feedback(course: Course, chosen: Set) -> list[Path]:
    """Write all of it; the files that a teacher looks at first.

    Raises:
        RuntimeError: of some there is no feedback; all the rest is written.
        ValueError: nothing is graded yet.
    """
    judgements = {student: load(course.judged(student, chosen)) for student in course.who(chosen)}
    if not any(judgements.values()):
        raise ValueError(f"nothing of {chosen.name} is graded yet; run: make grade SET={chosen.number}")
    failed: dict[str, str] = {}
    for student, judgement in judgements.items():
        if judgement is None:
            continue
        if judgement.not_gradable:
            page = NOT_GRADABLE.format(name=chosen.name, reason=html.escape(judgement.not_gradable))
            write(course.root / "feedback" / student / chosen.name / f"{chosen.name}.html", page)
            continue
        try:
            call(course, "generate_feedback", chosen.name, student, force=True)
        except RuntimeError as error:  # the others get theirs
            failed[student] = str(error).splitlines()[-1]
    found = scores(course, chosen)
    graded = [each for each in judgements.values() if each and not each.not_gradable]
    folder = course.root / "scores"
    column = f"{chosen.judge.title} ({chosen.name})"
    files = {
        folder / f"{chosen.name}.csv": table(found),
        folder / f"{chosen.name}-canvas.csv": canvas(found, column),
        folder / f"{chosen.name}-moodle.csv": moodle(found, column),
        folder / f"{chosen.name}.html": report(chosen, found, graded),
    }
    for path, text in files.items():
        write(path, text)
    if failed:
        told = "; ".join(f"{student}: {why}" for student, why in failed.items())
        raise RuntimeError(f"all is written but the feedback of {len(failed)}: {told}")
    return [*files, course.root / "feedback"]
