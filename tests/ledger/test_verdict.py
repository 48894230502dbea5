"""How a verdict follows from numbers."""

from types import SimpleNamespace

import pytest

from attnlib.ledger import verdict
from attnlib.ledger.verdict import Finding, judge
from attnlib.published.schema import Claim


def claim(**fields):
    return Claim(**{"id": "c", "kind": "cost", "text": "t", "source": "s", "confidence": "read", **fields})


def judge_one(monkeypatch, entry, check=None):
    """The verdict on one claim of a paper whose check is `check`."""
    paper = SimpleNamespace(key="toy", claims=[entry])
    monkeypatch.setattr(verdict, "load", lambda key: paper)
    monkeypatch.setattr(verdict, "import_module", lambda name: SimpleNamespace(measure=check))
    return judge("toy")[0]


@pytest.mark.parametrize(
    ("finding", "word"),
    [
        (Finding(3.86), "holds"),
        (Finding(3.865), "holds"),  # on the tolerance
        (Finding(3.8651), "does not hold"),
        (Finding(3.8549), "does not hold"),
        (Finding(3.87, otherwise=3.861), "holds with a note"),
        (Finding(3.861, otherwise=3.87), "holds"),
        (Finding(3.87, otherwise=3.88), "does not hold"),
        (Finding(float("nan")), "does not hold"),
    ],
)
def test_a_verdict_follows_from_value_and_tolerance(monkeypatch, finding, word):
    judged = judge_one(monkeypatch, claim(value=3.86, tolerance=0.005, check="measure"), lambda: finding)
    assert judged.verdict == word
    assert judged.published == 3.86
    assert judged.id == "toy-c"


def test_a_check_that_raises_is_no_verdict(monkeypatch):
    def check():
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        judge_one(monkeypatch, claim(value=1, check="measure"), check)


def test_a_check_that_is_not_there_is_no_verdict(monkeypatch):
    with pytest.raises(AttributeError, match="forgotten"):
        judge_one(monkeypatch, claim(value=1, check="forgotten"))


ACCURACY = {
    "kind": "accuracy",
    "value": 2.0,
    "tolerance": 0.5,
    "datasets": ["cifar10"],
    "settled_by": {"data": "cifar10", "backbone": "resnet110", "protocol": "paper"},
}


def run(attention, accuracy, **changed):
    fields = {"name": "r110", "data": "cifar10", "backbone": "resnet110", "protocol": "paper", "train_images": None}
    recipe = SimpleNamespace(label=attention, **(fields | changed))
    return SimpleNamespace(recipe=recipe, final=SimpleNamespace(accuracy=accuracy))


@pytest.mark.parametrize(
    ("runs", "measured", "word"),
    [
        ([], None, "awaits a record"),
        ([run("none", 0.93)], None, "awaits a record"),
        ([run("toy", 0.93)], None, "awaits a record"),
        # the mean over seeds: 95 - 93
        ([run("none", 0.92), run("none", 0.94), run("toy", 0.95)], 2.0, "holds"),
        ([run("none", 0.93), run("toy", 0.94)], 1.0, "does not hold"),
        # runs of another network, protocol, data set, recipe, or of a slice settle nothing
        ([run("none", 0.93), run("toy", 0.95, backbone="resnet20")], None, "awaits a record"),
        ([run("none", 0.93), run("toy", 0.95, protocol="clean")], None, "awaits a record"),
        ([run("none", 0.93), run("toy", 0.95, data="cifar100")], None, "awaits a record"),
        ([run("none", 0.93), run("toy", 0.95, name="longer")], None, "awaits a record"),
        ([run("none", 0.93), run("toy", 0.95, train_images=5000)], None, "awaits a record"),
    ],
)
def test_records_judge_an_accuracy(monkeypatch, runs, measured, word):
    monkeypatch.setattr("attnlib.results.records", lambda attention: [r for r in runs if r.recipe.label == attention])
    judged = judge_one(monkeypatch, claim(**ACCURACY))
    assert judged.verdict == word
    assert judged.measured == (None if measured is None else pytest.approx(measured))
    assert "resnet110 on cifar10" in judged.note or "recipe r110" in judged.note


def test_the_constant_gate_stands_beside_the_module(monkeypatch):
    runs = {"none": [run("none", 0.93)], "toy": [run("toy", 0.95)], "constant": [run("constant", 0.945)]}
    monkeypatch.setattr("attnlib.results.records", lambda attention: runs[attention])
    assert "constant gate of 0.5 gains 1.50" in judge_one(monkeypatch, claim(**ACCURACY)).note


def test_what_needs_other_data_is_not_testable(monkeypatch):
    judged = judge_one(monkeypatch, claim(kind="accuracy", datasets=["imagenet"]))
    assert judged.verdict == "not testable here"
    assert "imagenet" in judged.note
