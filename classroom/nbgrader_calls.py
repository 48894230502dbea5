"""nbgrader's own steps, called for a course; what it says in its log is kept for when it refuses."""

import logging
import os
import re
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

MOST_SECONDS = 60  # of a processor, for a submission: a text can be made so that it is never done

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
        RuntimeError: it did not succeed, or not within `MOST_SECONDS`; the message has nbgrader's log.
    """
    try:
        with at_most(MOST_SECONDS, of_processor=True) if hasattr(signal, "SIGPROF") else nullcontext():
            result = getattr(api(course), step)(*arguments, **options)
    except TimeUp as error:
        raise RuntimeError(f"nbgrader {step} took more than {MOST_SECONDS} seconds") from error
    if not result["success"]:
        log = f"{result.get('error') or ''}\n{result.get('log') or ''}".rstrip()
        raise RuntimeError(f"nbgrader {step} failed:\n{log}\n{_reason(log)}")


def _reason(log: str) -> str:
    """The error that a log tells of, in its own line; nbgrader ends with one that only says that there was one."""
    if TimeUp.__name__ in log:
        return f"it took more than {MOST_SECONDS} seconds of the processor"
    lines = [line.strip() for line in log.splitlines()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    errors = [line for line in errors if "NbGraderException" not in line]
    return (errors or lines)[-1]
