"""The scores of a set, from nbgrader's gradebook, where a person's points stand beside the judge's."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbgrader.api import Gradebook, MissingEntry

from classroom.course import Course, Student
from classroom.judge import Judgement, load
from classroom.sets import Set


@dataclass(frozen=True)
class Score:
    """One student's score of a set.

    Attributes:
        student: from the roster, or their id alone.
        points: None where there is none: not handed in, or not gradable.
        most: that can be had.
        questions: {name of a question or text: points}, None where a person still has to look.
        reason: why there are no points, or what is still open.
        detours: cells that a person should look at.
    """

    student: Student
    points: float | None
    most: float
    questions: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""
    detours: tuple[str, ...] = ()


def scores(course: Course, chosen: Set) -> list[Score]:
    """The scores of all on the roster and all who handed in, by id."""
    known = course.students
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        most = gradebook.find_assignment(chosen.name).max_score
        return [
            _score(gradebook, chosen, known.get(id, Student(id)), load(course.judged(id, chosen)), most)
            for id in course.who(chosen)
        ]


def _score(gradebook: Gradebook, chosen: Set, student: Student, judgement: Judgement | None, most: float) -> Score:
    if judgement is None:
        return Score(student, None, most, reason="not judged yet")
    if judgement.not_gradable:
        return Score(student, None, most, reason=f"not gradable: {judgement.not_gradable}")
    try:
        submission = gradebook.find_submission(chosen.name, student.id)
    except MissingEntry:
        return Score(student, None, most, reason="judged, and not yet in the gradebook: make grade goes on")
    questions = {}
    for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
        name = grade.cell.name.removeprefix("tests-").removeprefix("written-")
        questions[name] = None if grade.needs_manual_grade else grade.score
    open_ones = [name for name, points in questions.items() if points is None]
    reason = f"a person grades: {', '.join(open_ones)}" if open_ones else ""
    points = max(0.0, submission.score - (submission.late_submission_penalty or 0.0))
    return Score(student, points, most, dict(sorted(questions.items())), reason, tuple(judgement.detours))


def table(found: list[Score]) -> str:
    """All of it: a line a student, a column a question."""
    names = sorted({name for score in found for name in score.questions})
    rows = [["id", "last_name", "first_name", "points", "most", *names, "remark"]]
    for score in found:
        own = [_number(score.questions.get(name)) for name in names]
        student = score.student
        rows.append(
            [student.id, student.last_name, student.first_name, _number(score.points), _number(score.most), *own]
            + [score.reason]
        )
    return _csv(rows)


def canvas(found: list[Score], column: str) -> str:
    """What Canvas's gradebook imports: its five columns, the set's, and the line with the points possible.

    A student without points has an empty cell, which Canvas leaves as it is.
    """
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", column]]
    rows.append(["    Points Possible", "", "", "", "", _number(found[0].most) if found else ""])
    for score in found:
        student = score.student
        name = f"{student.last_name}, {student.first_name}".strip(", ") or student.id
        rows.append([name, student.number, student.id, student.email or student.id, "", _number(score.points)])
    return _csv(rows)


def moodle(found: list[Score], column: str) -> str:
    """What Moodle's "CSV file" import maps: the id number, the address, the grade and the remark as feedback."""
    rows = [["ID number", "First name", "Last name", "Email address", column, f"{column} (feedback)"]]
    for score in found:
        student = score.student
        who = [student.id, student.first_name, student.last_name, student.email]
        rows.append([*who, _number(score.points), score.reason])
    return _csv(rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _csv(rows: Iterable[list[str]]) -> str:
    """As CSV. A field that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(["'" + field if field[:1] in "=+-@\t\r" and field[1:] else field for field in row])
    return text.getvalue()
