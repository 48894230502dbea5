"""A whole class: every submission judged, several at once, then entered into nbgrader's gradebook."""

import queue
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from nbgrader.api import Gradebook
from rich.progress import Progress

from classroom.course import Course, write
from classroom.judge import Judgement
from classroom.nbgrader_calls import call
from classroom.sets import Set
from classroom.step import current, judge_now

ID = re.compile(r"[\w@+-][\w@+. -]*")  # nbgrader takes * and ? in a name for patterns
# a student's number, and in Canvas's the name of the file, to which it adds -1 and so on for what is handed in again
CANVAS = re.compile(r"[^_]+_(?:LATE_)?(\d+)_\d+_(.+?)(?:-\d+)?\.ipynb")
MOODLE = re.compile(r"[^_]+_(\d+)_assignsubmission_file_?")


def collect(course: Course, chosen: Set, folder: Path) -> list[str]:
    """Copy submissions into the course: a folder a student, with the notebook in it or in a folder of the set's name.

    Names as Canvas and Moodle make them are taken for the number in them, or for whose number that is in the roster.
    Notebooks alone are copied, and links as links, which the judge refuses: what nbgrader finds in a submission it
    copies as far as the feedback, wherever a link in it leads. A folder that is a link, as an archive may hold one, is
    another's work; nothing is copied from it.

    Raises:
        ValueError: the folder holds no folder, or one whose name can be no id.
    """
    numbers = {student.number: id for id, student in course.students.items() if student.number}
    found: dict[str, list[tuple[Path, str]]] = {}  # of a student: what to copy, and its name there
    for path in sorted(folder.iterdir()):
        canvas, moodle = CANVAS.fullmatch(path.name), MOODLE.fullmatch(path.name)
        if path.name.startswith((".", "__MACOSX")) or not (path.is_dir() or canvas):
            continue
        number = (canvas or moodle)[1] if canvas or moodle else ""
        files = found.setdefault(numbers.get(number, number) or path.name, [])
        if not path.is_dir():
            files.append((path, f"{canvas[2]}.ipynb"))
            continue
        here = path / chosen.name if (path / chosen.name).is_dir() else path
        if path.is_symlink() or here.is_symlink():
            files.append((here if here.is_symlink() else path, f"{chosen.name}.ipynb"))
        else:
            files += [(each, each.name) for each in sorted(here.glob("*.ipynb")) if each.is_symlink() or each.is_file()]
    if not found:
        raise ValueError(f"{folder} has no folders: each student's submission is a folder, named by the student's id")
    if odd := [student for student in found if not ID.fullmatch(student)]:
        raise ValueError(f"an id has letters, digits, spaces and @ + . - _ alone; rename {', '.join(map(repr, odd))}")
    for student, files in found.items():
        target = course.root / "submitted" / student / chosen.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path, name in files:
            shutil.copy(path, target / name, follow_symlinks=False)
    return list(found)


def grade(course: Course, chosen: Set, at_once: int = 2) -> dict[str, Judgement]:
    """Judge all that was handed in; what is judged already and has not changed is not judged again.

    Killed at any time, the same call goes on where it stopped: a judgement is a file, written whole or not at all.

    Args:
        at_once: submissions at the same time.
    """
    students = course.who(chosen)
    found = {student: known for student in students if (known := current(course, student, chosen.name)) is not None}
    waiting = [student for student in students if student not in found]
    slots: queue.Queue[int] = queue.Queue()
    for slot in range(at_once):
        slots.put(slot)

    def one(student: str) -> Judgement:
        slot = slots.get()
        try:
            return judge_now(course, student, chosen.name, slot)
        finally:
            slots.put(slot)

    with Progress() as progress, ThreadPoolExecutor(at_once) as pool:
        bar = progress.add_task(f"{chosen.name}: judging", total=len(students), completed=len(found))
        asked = {pool.submit(one, student): student for student in waiting}
        try:
            for done in as_completed(asked):
                found[asked[done]] = done.result()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        entered = progress.add_task(f"{chosen.name}: into the gradebook", total=len(students))
        for student in enter(course, chosen, {student: found[student] for student in students}):
            progress.advance(entered, 1 if student else 0)
    return {student: found[student] for student in students}


def enter(course: Course, chosen: Set, judgements: dict[str, Judgement]) -> Iterable[str]:
    """Put judgements into nbgrader's gradebook, one student after another, each of whom is given back when done."""
    known = course.students
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        for id, student in known.items():
            details = {"first_name": student.first_name, "last_name": student.last_name, "email": student.email}
            gradebook.update_or_create_student(id, **{k: v or None for k, v in details.items()})
    for student, judgement in judgements.items():
        if not judgement.not_gradable and not _entered(course, chosen, student, judgement):
            try:
                _refuse_links(course, chosen, student)
                call(course, "autograde", chosen.name, student, force=True)
                _compare(course, chosen, student, judgement)
            except RuntimeError as error:  # one submission must not hold up the others
                judgement.not_gradable = f"nbgrader cannot read it: {str(error).splitlines()[-1][:300]}"
                judgement.fingerprint = ""  # it may be no fault of the submission's, such as a gradebook in use
                write(course.judged(student, chosen), judgement.model_dump_json(indent=1))
            else:
                _mark(course, chosen, student).write_text(judgement.fingerprint)
        yield student


def _refuse_links(course: Course, chosen: Set, student: str) -> None:
    """nbgrader's exchange may have brought more than `collect` does.

    Raises:
        RuntimeError: a link in the submission.
    """
    for path in course.submitted(student, chosen).parent.rglob("*"):
        if path.is_symlink():
            raise RuntimeError(f"{path.name} is a link to another file")


def _compare(course: Course, chosen: Set, student: str, judgement: Judgement) -> None:
    """That the gradebook has the judge's points, whatever a submission made of its own cells.

    Raises:
        RuntimeError: it has others; what nbgrader entered is taken out again.
    """
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as gradebook:
        found = {
            grade.cell.name.removeprefix("tests-"): grade.auto_score
            for notebook in gradebook.find_submission(chosen.name, student).notebooks
            for grade in notebook.grades
        }
        if other := [q.name for q in judgement.questions if abs((found.get(q.name) or 0.0) - q.points) > 1e-3]:
            gradebook.remove_submission(chosen.name, student)
            raise RuntimeError(f"it has entered other points than the judge's for {', '.join(other)}")


def _mark(course: Course, chosen: Set, student: str) -> Path:
    """Says which judgement of a student stands in the gradebook."""
    return course.judged(student, chosen).with_suffix(".entered")


def _entered(course: Course, chosen: Set, student: str, judgement: Judgement) -> bool:
    mark = _mark(course, chosen, student)
    return mark.exists() and mark.read_text() == judgement.fingerprint
