"""Fairness: what is right gets full marks however it is written, and what is wrong loses its own points."""

import copy
import re

import pytest

from classroom.judge import PartResult, beside
from classroom.questions import Question, draw
from classroom.sets import sets
from tests.classroom.conftest import ANSWERS, cells, right_answers, with_answers, wrong_answers

SETS = {each.number: each for each in sets()}
RIGHT = [(number, name) for number, each in SETS.items() for name in right_answers(each)]
WRONG = [(number, case) for number, each in SETS.items() for case in range(len(wrong_answers(each)))]


def lost(number: str, question: Question, names: dict[str, object]) -> set[int]:
    """The parts of a question that a student's names lose, with the judge's own inputs."""
    failed = set()
    for n, part in enumerate(question.parts):
        for arguments in part.inputs(draw("a secret", SETS[number].name, question.name, part.name)):
            try:
                given = names[question.function](*copy.deepcopy(arguments))
            except Exception:
                failed.add(n)
                continue
            if part.complaint(arguments, copy.deepcopy(given)) is not None:
                failed.add(n)
    return failed


@pytest.mark.parametrize("number", SETS)
def test_the_solutions_get_full_marks(number, solved):
    names = solved[SETS[number].name]
    assert {q.name: lost(number, q, names) for q in SETS[number].judge.questions} == {
        q.name: set() for q in SETS[number].judge.questions
    }


@pytest.mark.parametrize(("number", "variant"), RIGHT)
def test_other_right_answers_get_full_marks(number, variant, solved):
    answers = right_answers(SETS[number])[variant]
    questions = {question.name for question in SETS[number].judge.questions}
    assert questions <= answers.keys(), "a variant answers every question"
    names = with_answers(solved[SETS[number].name], *answers.values())
    assert {q.name: lost(number, q, names) for q in SETS[number].judge.questions} == {name: set() for name in questions}


@pytest.mark.parametrize(("number", "case"), WRONG)
def test_a_wrong_answer_loses_its_own_points(number, case, solved):
    name, expected, what, code = wrong_answers(SETS[number])[case]
    names = with_answers(solved[SETS[number].name], code)
    found = {q.name: lost(number, q, names) for q in SETS[number].judge.questions}
    assert found.pop(name) == expected, what
    dependent = {other: parts for other, parts in found.items() if parts}
    assert set(dependent) <= uses(number, name), f"{what}: it also costs {dependent}"


def uses(number: str, name: str) -> set[str]:
    """The questions whose solution calls another's function, which a student's error there carries over to."""
    function = SETS[number].judge.question(name).function
    cells = {cell.id: cell.source for cell in SETS[number].notebook.cells}
    others = [question.name for question in SETS[number].judge.questions if question.name != name]
    return {other for other in others if f"{function}(" in cells[f"answer-{other}"]}


@pytest.mark.parametrize("number", SETS)
def test_an_answer_that_does_nothing_gets_nothing(number, solved):
    """Neither what comes in, nor a constant, nor what the visible checks alone ask for."""
    names = with_answers(solved[SETS[number].name], *dict(cells(ANSWERS / number / "idle.py")).values())
    for question in SETS[number].judge.questions:
        failed = lost(number, question, names)
        results = [
            PartResult(name=part.name, points=0 if n in failed else part.points, most=part.points)
            for n, part in enumerate(question.parts)
        ]
        assert [result.name for result in beside(question, results) if result.points] == [], question.name


@pytest.mark.parametrize("number", SETS)
def test_every_mistake_is_wrong_and_gets_a_remark(number):
    for question in SETS[number].judge.questions:
        for part in question.parts:
            tried = list(part.inputs(draw("a secret", SETS[number].name, question.name, part.name)))
            for mistake in part.mistakes:
                results = [(a, mistake.function(*copy.deepcopy(a))) for a in tried]
                remarks = [part.complaint(a, copy.deepcopy(result)) for a, result in results]
                assert mistake.remark in remarks, f"{question.name}: {mistake.remark}: {remarks}"


def test_the_opening_table_says_the_judges_points():
    row = re.compile(r"^\| (\d+) .+ \| \d+ \| (\d+) \|$", re.M)
    for number, each in SETS.items():
        said = {int(question): float(points) for question, points in row.findall(each.notebook.cells[0].source)}
        graded, section = dict.fromkeys(said, 0.0), 0
        for cell in each.notebook.cells:
            if heading := re.search(r"^## (\d+)", cell.source, re.M):
                section = int(heading[1])
            if cell.metadata.get("nbgrader", {}).get("grade"):
                graded[section] += cell.metadata.nbgrader["points"]
        assert graded == said, number


def test_every_set_is_tried_with_enough_answers():
    for number, each in SETS.items():
        assert len(right_answers(each)) >= 3, number
        assert len(wrong_answers(each)) >= 6, number
