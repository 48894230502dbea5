"""nbgrader's own steps, called for a course; what it says in its log is kept for when it refuses."""

import logging
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from classroom.course import Course
from classroom.runner import TimeUp, at_most
from classroom.step import configure

MOST_SECONDS = 120

# nbgrader starts `alembic` by its name when it opens a gradebook
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def api(course: Course) -> NbGraderAPI:
    config = configure(Config(), course.root)
    config.CourseDirectory.root = str(course.root)
    config.CourseDirectory.course_id = course.root.name
    config.CourseDirectory.db_url = f"sqlite:///{course.root / 'gradebook.db'}"
    config.Application.log_level = logging.WARNING
    return NbGraderAPI(config=config)


def call(course: Course, step: str, *arguments: Any, **options: Any) -> None:
    """One of NbGraderAPI's steps.

    Raises:
        RuntimeError: it did not succeed, or not within `MOST_SECONDS`, as on a text that is made for that; the message
            has nbgrader's log.
    """
    try:
        with at_most(MOST_SECONDS) if hasattr(signal, "SIGALRM") else nullcontext():
            result = getattr(api(course), step)(*arguments, **options)
    except TimeUp as error:
        raise RuntimeError(f"nbgrader {step} took more than {MOST_SECONDS} seconds") from error
    if not result["success"]:
        raise RuntimeError(f"nbgrader {step} failed:\n{result.get('error') or ''}\n{result.get('log') or ''}".rstrip())
