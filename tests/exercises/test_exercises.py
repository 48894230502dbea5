"""Judges tell right from wrong, say nothing of what is right, and stand in a file that a label leads to."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

import attnlib
from attnlib import exercises
from attnlib.errors import UnknownNameError
from attnlib.exercises import judges
from attnlib.exercises.judges import Exact, Function, Number, seal

# A whole number goes where a decimal one may; the checker of types would not let it.
pytestmark = pytest.mark.usefixtures("own_errors")


def made(line: str) -> judges.Judge:
    """The judge that a sealed line describes."""
    (judge,) = eval(f"{{{line}}}", {"Exact": Exact, "Number": Number}).values()
    return judge


LABEL = "se-exercise-example"


def judged(right, given, **settings):
    return made(seal(LABEL, right, **settings))(LABEL, given)


@pytest.mark.parametrize(
    ("right", "given"),
    [
        (708, 708.0),
        (708, torch.tensor(708)),
        (True, np.bool_(True)),
        ("Batch norm", " batch  NORM "),
        ([1, "a"], (1, "A")),
        ([[1, 2]], torch.tensor([[1, 2]])),
        ({1, 2, 10}, {10, 2.0, 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_ways_to_write_the_same_answer(right, given):
    assert judged(right, given) is None


@pytest.mark.parametrize(
    ("right", "given", "complaint"),
    [
        (708, 709, "this is not the answer"),
        (708, "708", "this is not the answer"),
        (1, True, "this is not the answer"),
        ([1, 2], [2, 1], "this is not the answer"),
        ([1, 2], {1, 2}, "this is not the answer"),
        (708, 708.5, "a whole number is asked for, and this is 708.5"),
        (708, None, "numbers, words or lists of them are asked for, and this is None"),
    ],
)
def test_what_is_not_the_exact_answer(right, given, complaint):
    assert complaint in judged(right, given)


@pytest.mark.parametrize(("given", "is_right"), [(0.607, True), (0.61, True), (np.float32(0.614), True), (0.6, False)])
def test_a_number_counts_to_the_digits_asked_for(given, is_right):
    assert (judged(0.607, given, decimals=2) is None) == is_right


def test_a_number_is_rounded_to_hundreds_where_they_are_asked_for():
    assert judged(25_557_032, 25_557_000, decimals=-2) is None
    assert judged(0.0004, -0.0004, decimals=2) is None


@pytest.mark.parametrize("given", ["0.61", True, None, float("nan"), [0.61]])
def test_what_is_no_number_is_said_to_be_none(given):
    assert "a number is asked for" in judged(0.607, given, decimals=2)


def test_a_known_mistake_is_named():
    known = [(0.393, "that is the share of the other stages")]
    assert judged(0.607, 0.39, decimals=2, known=known) == known[0][1]
    assert judged(7, 8, known=[(8, "counted from one")]) == "counted from one"


def test_what_a_last_digit_would_decide_cannot_be_asked():
    with pytest.raises(ValueError, match="between two numbers of 1 decimals"):
        seal(LABEL, 0.6499, decimals=1)
    with pytest.raises(ValueError, match="are the same"):
        seal(LABEL, 0.61, decimals=1, known=[(0.64, "no")])


def test_the_answer_does_not_stand_in_the_line():
    assert "708" not in seal(LABEL, 708)
    assert seal(LABEL, 708) != seal("sa-exercise-other", 708).replace("sa-exercise-other", LABEL)


def gate(x):
    """The gate of the package's own module, drawn anew each time with the judge's seed."""
    torch.manual_seed(0)
    return attnlib.create("se", 8, reduction=2).double().gate(x)


JUDGE = Function(
    lambda rng: [(torch.randn(2, 8, 5, 7, generator=rng, dtype=torch.float64),) for _ in range(2)],
    gate,
    asked="a function of the map x",
)


def spoils(x):
    right = gate(x)
    x.zero_()  # not the input of anybody else
    return right


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (gate, None),
        (spoils, None),
        (lambda x: gate(x).tolist(), None),
        (lambda x: gate(x)[:, :, 0, 0], "on random input 1 your result is Tensor of shape (2, 8), and Tensor of shape"),
        (lambda x: gate(x) + 1e-9, "on random input 1 your result has other values"),
        (lambda x: None, "on random input 1 your result is None, and Tensor of shape (2, 8, 1, 1) is right"),
        (lambda x: x.nothing, "on random input 1 your code raised AttributeError"),
        (3, "a function of the map x is asked for, and this is 3"),
        (Function, "a function of the map x is asked for, and this is Function"),
    ],
)
def test_a_function_is_tried_beside_the_package(given, complaint):
    before = torch.get_rng_state()
    found = JUDGE(LABEL, given)
    assert found is None if complaint is None else complaint in found
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def chapters(monkeypatch):
    """Two files of judges, one whose key begins the other's."""
    for key, right in (("tried", 1), ("tried_twice", 2)):
        name = key.replace("_", "-")
        module = ModuleType(key)
        module.JUDGES = {f"{name}-exercise-a": made(seal(f"{name}-exercise-a", right))}
        monkeypatch.setitem(sys.modules, f"attnlib.exercises.{key}", module)
    found = [type("Found", (), {"name": name}) for name in ("judges", "tried", "tried_twice")]
    monkeypatch.setattr(exercises.pkgutil, "iter_modules", lambda path: found)


def test_a_label_leads_to_the_file_of_its_key(chapters, capsys):
    exercises.answer("tried-exercise-a", 1)
    exercises.answer("tried-twice-exercise-a", 2)
    assert capsys.readouterr().out == "Right.\nRight.\n"
    assert exercises.right("tried-exercise-a", 1)
    assert not exercises.right("tried-exercise-a", 2)


def test_a_notebook_runs_without_answers_and_with_wrong_ones(chapters, capsys):
    exercises.answer("tried-exercise-a", ...)
    exercises.answer("tried-exercise-a", 3)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("No answer yet")
    assert second.startswith("Not yet: this is not the answer")


@pytest.mark.parametrize("label", ["tried-exercise-b", "se", "judges-exercise-a"])
def test_an_unknown_label_is_refused(chapters, label):
    with pytest.raises(UnknownNameError, match=f"no exercise is called '{label}'"):
        exercises.answer(label, 1)


def test_a_judge_is_tried_on_right_and_wrong(chapters):
    exercises.try_judge("tried-exercise-a", right=1, wrong=[2, 3])
    with pytest.raises(AssertionError, match="the right answer 2 is refused"):
        exercises.try_judge("tried-exercise-a", right=2, wrong=[3, 4])
    with pytest.raises(AssertionError, match="the wrong answer 1 is accepted"):
        exercises.try_judge("tried-exercise-a", right=1, wrong=[2, 1])
    with pytest.raises(ValueError, match="two wrong answers or more, got 1"):
        exercises.try_judge("tried-exercise-a", right=1, wrong=[2])


def test_every_judge_of_the_book_begins_with_its_key():
    for module in exercises.pkgutil.iter_modules(exercises.__path__):
        if module.name != "judges":
            file = __import__(f"attnlib.exercises.{module.name}", fromlist=["JUDGES"])
            beginning = module.name.replace("_", "-") + "-exercise-"
            assert [label for label in file.JUDGES if not label.startswith(beginning)] == []
