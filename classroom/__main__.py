"""The classroom's commands; the Makefile calls them: make release SET=1, make grade SET=1, make feedback SET=1."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from attnlib.plain import in_terminal
from classroom.course import Course
from classroom.sets import chosen, sets

_console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Number = Annotated[str, typer.Argument(metavar="SET", help="Number or name of a set; `list` shows them.")]
Root = Annotated[Path | None, typer.Option("--course", help="The course's folder; COURSE, else course/.")]


def print(text: object) -> None:
    """Names of students and what was wrong with their files are text, and give the terminal no orders."""
    _console.print(in_terminal(str(text)))


@app.command("list")
def list_sets() -> None:
    """The sets there are, with their questions and points."""
    for each in sets():
        print(f"{each.name}  {each.judge.title}")
        for question in each.judge.questions:
            print(f"  {question.points:g}  {question.name}: {', '.join(part.name for part in question.parts)}")


@app.command()
def release(number: Number, course: Root = None) -> None:
    """Write what students get: the notebook without solutions, kit, requirements.txt."""
    from classroom.release import release as write

    print(f"for the students: {write(Course.at(course), chosen(number))}")


@app.command()
def grade(
    number: Number,
    submissions: Annotated[Path | None, typer.Option(help="A folder a student; else what is in submitted/.")] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Submissions judged at the same time.")] = 2,
    course: Root = None,
) -> None:
    """Judge what was handed in and enter it into nbgrader's gradebook; goes on where it was stopped."""
    from classroom.grade import collect
    from classroom.grade import grade as judge_all

    here, wanted = Course.at(course), chosen(number)
    if submissions is not None:
        collect(here, wanted, submissions)
    judgements = judge_all(here, wanted, at_once)
    for student, judgement in judgements.items():
        if judgement.not_gradable:
            print(f"{student}: not gradable: {judgement.not_gradable}")
        else:
            points, most = (sum(getattr(q, what) for q in judgement.questions) for what in ("points", "most"))
            print(f"{student}: {points:g} of {most:g} by the judge, in {judgement.seconds:.0f} s")


@app.command()
def feedback(number: Number, course: Root = None) -> None:
    """Write each student's feedback page, the scores as CSV (also for Canvas and Moodle), and the class report."""
    from classroom.feedback import feedback as write

    for path in write(Course.at(course), chosen(number)):
        print(path)


if __name__ == "__main__":
    app()
