"""How a verdict follows from numbers."""

from types import SimpleNamespace

import pytest

from attnlib.ledger import verdict
from attnlib.ledger.verdict import Finding, judge
from attnlib.published.schema import Claim
from attnlib.training import Recipe


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


EVIDENCE = {"text": "Others found less.", "says": "contradicts", "numbers": {"with it": 78.9}, "source": "their README"}


@pytest.mark.parametrize("measured", [3.86, 4.0])
def test_evidence_stands_beside_the_verdict_and_does_not_change_it(monkeypatch, measured):
    fields = {"value": 3.86, "check": "measure"}
    without, beside = (
        judge_one(monkeypatch, claim(**fields, evidence=found), lambda: Finding(measured)) for found in ([], [EVIDENCE])
    )
    assert beside.verdict == without.verdict
    (line,) = map(str, beside.evidence)
    assert line == "Evidence that contradicts it: Others found less. (with it 78.9; their README)"


def test_a_check_that_raises_is_no_verdict(monkeypatch):
    def check():
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        judge_one(monkeypatch, claim(value=1, check="measure"), check)


def test_a_check_that_is_not_there_is_no_verdict(monkeypatch):
    with pytest.raises(AttributeError, match="forgotten"):
        judge_one(monkeypatch, claim(value=1, check="forgotten"))


RECIPE = "sem-resnet164-cifar10"
ACCURACY = {
    "kind": "accuracy",
    "value": 2.0,
    "tolerance": 0.5,
    "datasets": ["cifar10"],
    "settled_by": {"recipe": RECIPE},
}


def run(attention, final, best=None, recipe=RECIPE, **changed):
    """A finished run of one epoch, or of two where another one than the last was the best."""
    epochs = [SimpleNamespace(test_accuracy=a) for a in (best, final) if a is not None]
    return SimpleNamespace(
        recipe=Recipe.named(recipe, attention=attention, **changed),
        final=SimpleNamespace(accuracy=final),
        epochs=epochs,
    )


def judge_by(monkeypatch, runs, **claimed):
    """The verdict on a claim of accuracy about SE where these runs are on file."""

    def on_file(recipe, attention):
        return [r for r in runs if (r.recipe.name, r.recipe.label) == (recipe, attention)]

    monkeypatch.setattr("attnlib.results.records", on_file)
    paper = SimpleNamespace(key="se", claims=[claim(**(ACCURACY | claimed))])
    monkeypatch.setattr(verdict, "load", lambda key: paper)
    return judge("se")[0]


@pytest.mark.parametrize(
    ("runs", "measured", "word"),
    [
        ([run("none", 0.93), run("se", 0.95)], 2.0, "holds"),
        # the mean over seeds: 95 - 93
        ([run("none", 0.92), run("none", 0.94, seed=1), run("se", 0.95)], 2.0, "holds"),
        ([run("none", 0.93), run("se", 0.94)], 1.0, "does not hold"),
        # the last epoch decides, whatever an earlier one had
        ([run("none", 0.93), run("se", 0.94, best=0.95)], 1.0, "does not hold"),
        ([run("none", 0.93, best=0.95), run("se", 0.95)], 2.0, "holds"),
    ],
)
def test_records_judge_an_accuracy(monkeypatch, runs, measured, word):
    judged = judge_by(monkeypatch, runs)
    assert (judged.verdict, judged.measured) == (word, pytest.approx(measured))
    assert f"recipe {RECIPE}" in judged.note


@pytest.mark.parametrize(
    "changed",
    [
        {"backbone": "resnet20"},
        {"protocol": "clean"},
        {"data": "cifar100"},
        {"train_images": 5000},
        {"epochs": 165},
        {"precision": "bf16-mixed"},
        {"recipe": "sem-resnet164-cifar100", "data": "cifar10"},  # by its name alone
        {"attention_args": {"reduction": 4}},
        {"placement": "stage-end"},
    ],
)
def test_a_run_of_another_recipe_settles_nothing(monkeypatch, changed):
    judged = judge_by(monkeypatch, [run("none", 0.93), run("se", 0.95, **changed)])
    assert (judged.verdict, judged.measured) == ("awaits a record", None)


@pytest.mark.parametrize(
    ("runs", "missing"), [([], ["se", "none"]), ([run("none", 0.93)], ["se"]), ([run("se", 0.93)], ["none"])]
)
def test_what_is_awaited_is_named(monkeypatch, runs, missing):
    judged = judge_by(monkeypatch, runs)
    commands = " and ".join(f"attnlib train --recipe {RECIPE} --attention {attention}" for attention in missing)
    assert (judged.verdict, judged.measured) == ("awaits a record", None)
    assert judged.note == f"settled by {commands}"


def test_the_note_has_counts_and_best_epochs(monkeypatch):
    runs = [run("none", 0.92, best=0.93), run("none", 0.94, seed=1), run("se", 0.95, best=0.96)]
    assert judge_by(monkeypatch, runs).note == (
        f"recipe {RECIPE}, last epoch: 95.00 % with se (single run), 93.00 % without (2 seeds); "
        "each run's best epoch, chosen on the test images: 96.00 and 93.50 %, a gain of 2.50"
    )


def test_runs_that_did_not_read_the_test_images_have_no_best_epoch(monkeypatch):
    runs = [run("none", 0.93), run("se", 0.95)]
    runs[0].epochs[0].test_accuracy = None
    assert "best epoch" not in judge_by(monkeypatch, runs).note


def test_the_constant_gate_stands_beside_the_module(monkeypatch):
    runs = [run("none", 0.93), run("se", 0.95), run("constant", 0.945)]
    assert "a constant gate of 0.5 gains 1.50 (single run)" in judge_by(monkeypatch, runs).note


@pytest.mark.parametrize("runs", [[], [run("none", 0.93), run("se", 0.95)]])
def test_what_sets_the_runs_apart_is_said(monkeypatch, runs):
    settled_by = {"recipe": RECIPE, "note": "the paper turns its images"}
    assert judge_by(monkeypatch, runs, settled_by=settled_by).note.endswith("; the paper turns its images")


def test_a_network_that_brings_its_attention_is_held_against_another(monkeypatch):
    settled_by = {"recipe": "residual_attention-attention92-cifar10", "without": RECIPE}
    runs = [run("none", 0.93)]
    judged = judge_by(monkeypatch, runs, settled_by=settled_by)
    assert judged.note == "settled by attnlib train --recipe residual_attention-attention92-cifar10 --attention none"
    runs.append(run("none", 0.95, recipe="residual_attention-attention92-cifar10"))
    judged = judge_by(monkeypatch, runs, settled_by=settled_by)
    assert (judged.verdict, judged.measured) == ("holds", pytest.approx(2.0))
    assert f"without se {RECIPE}" in judged.note


def test_what_needs_other_data_is_not_testable(monkeypatch):
    judged = judge_one(monkeypatch, claim(kind="accuracy", datasets=["imagenet"]))
    assert judged.verdict == "not testable here"
    assert "imagenet" in judged.note
