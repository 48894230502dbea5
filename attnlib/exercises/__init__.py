"""Exercises that answer back: `exercises.answer(label, x)` tells a right answer from a wrong one, and gives none away.

The judges of a chapter stand in the file of its key, `attnlib/exercises/se.py`, as a dict JUDGES from the label of the
exercise to a judge of `attnlib.exercises.judges`. A label starts with the key, with hyphens: "se-exercise-stage",
"non-local-exercise-identity".
"""

import importlib
import pkgutil

from attnlib.errors import unknown
from attnlib.exercises.judges import Judge


def answer(label: str, given: object = ...) -> None:
    """Print whether an answer is right; where it is not, what kind of mistake it is, if the exercise knows it.

    Args:
        label: of the exercise, as it stands under it.
        given: the answer; three dots, which stand there at first, are no answer yet.

    Raises:
        UnknownNameError: no exercise has this label.
    """
    judge = judge_of(label)
    if given is ...:
        print("No answer yet: put yours in place of the three dots, and run this cell.")
    elif (complaint := judge(label, given)) is None:
        print("Right.")
    else:
        print(f"Not yet: {complaint}")


def right(label: str, given: object) -> bool:
    """Whether an answer is right, for code that has to decide."""
    return judge_of(label)(label, given) is None


def try_judge(label: str, right: object, wrong: list | tuple) -> None:
    """Assert that the judge of an exercise accepts the right answer and refuses at least two wrong ones.

    Raises:
        AssertionError: it does not; the message has the answer and what the judge said.
        ValueError: fewer than two wrong answers to try.
    """
    if len(wrong) < 2:
        raise ValueError(f"{label}: try the judge on two wrong answers or more, got {len(wrong)}")
    judge = judge_of(label)
    complaint = judge(label, right)
    assert complaint is None, f"{label}: the right answer {right!r} is refused: {complaint}"
    for each in wrong:
        assert judge(label, each) is not None, f"{label}: the wrong answer {each!r} is accepted"


def judge_of(label: str) -> Judge:
    """The judge of an exercise, from the one file whose key begins its label.

    Raises:
        UnknownNameError: no exercise has this label.
    """
    keys = [module.name for module in pkgutil.iter_modules(__path__) if module.name != "judges"]
    fitting = [key for key in keys if str(label).startswith(key.replace("_", "-") + "-")]
    if not fitting:
        raise unknown("exercise", label, [f"{key.replace('_', '-')}-exercise-..." for key in keys])
    judges = importlib.import_module(f"{__name__}.{max(fitting, key=len)}").JUDGES
    if label not in judges:
        raise unknown("exercise", label, list(judges))
    return judges[label]
