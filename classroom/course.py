"""A course: a folder in nbgrader's layout, with the judge's own files beside nbgrader's."""

import csv
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from attnlib.data.files import write_text
from classroom.sets import REPOSITORY, Set

CONFIGURATION = '''"""nbgrader's settings for this course: what it autogrades with is the book's judge."""

import sys
from pathlib import Path

sys.path.insert(0, {repository!r})
from classroom.step import configure

configure(get_config(), Path(__file__).parent)
'''


@dataclass(frozen=True)
class Student:
    """A line of the roster.

    Attributes:
        number: by which Canvas or Moodle calls the student in the names of an archive, where that is not the id.
    """

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    number: str = ""


@dataclass(frozen=True)
class Course:
    """The folder of a course.

    Attributes:
        root: it has nbgrader's source, release, submitted, autograded, feedback and gradebook.db, and judged/ and
            scores/ of ours.
    """

    root: Path

    @classmethod
    def at(cls, root: Path | None = None) -> "Course":
        """The course of a folder, else of COURSE in the environment, else of `course/` here; made where absent."""
        course = cls(Path(root or os.environ.get("COURSE") or REPOSITORY / "course").resolve())
        course.root.mkdir(parents=True, exist_ok=True)
        settings = course.root / "nbgrader_config.py"
        if not settings.exists():
            write(settings, CONFIGURATION.format(repository=str(REPOSITORY)))
        return course

    @property
    def secret(self) -> str:
        """From which the judge's inputs are drawn; made at first use, readable by its owner alone."""
        path = self.root / "secret"
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.touch(mode=0o600)
            partial.write_text(secrets.token_hex(32), encoding="utf-8")
            os.replace(partial, path)  # whole or not at all: an empty secret is one that all know
        return path.read_text(encoding="utf-8")

    @property
    def students(self) -> dict[str, Student]:
        """Of `roster.csv`, by their id; none where there is no such file.

        Raises:
            ValueError: the file has no column `id`, or an id twice.
        """
        path = self.root / "roster.csv"
        if not path.exists():
            return {}
        found: dict[str, Student] = {}
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "id" not in (rows.fieldnames or []):
                raise ValueError(f"{path} needs a first line with the columns id, first_name, last_name, email")
            for row in rows:
                student = Student(**{name: (row.get(name) or "").strip() for name in Student.__annotations__})
                if not student.id or student.id in found:
                    raise ValueError(
                        f"{path}, line {rows.line_num}: an id that is empty or not the only one: {student.id!r}"
                    )
                found[student.id] = student
        return found

    def submitted(self, student: str, chosen: Set) -> Path:
        return self.root / "submitted" / student / chosen.name / f"{chosen.name}.ipynb"

    def judged(self, student: str, chosen: Set) -> Path:
        return self.root / "judged" / chosen.name / f"{student}.json"

    def who(self, chosen: Set) -> list[str]:
        """All who are on the roster or have a folder for this set, sorted."""
        handed_in = {path.parent.name for path in self.root.glob(f"submitted/*/{chosen.name}")}
        return sorted(handed_in | self.students.keys())


def write(path: Path, text: str) -> None:
    """Write a whole file or nothing, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
