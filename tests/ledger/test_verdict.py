"""How a verdict follows from numbers."""

from types import SimpleNamespace

import pytest

from attnlib.ledger import costs, verdict
from attnlib.ledger.cells import Counting
from attnlib.ledger.rules import RULES
from attnlib.ledger.schema import Claim, load
from attnlib.ledger.verdict import Finding, judge
from attnlib.training import Recipe


def claim(**fields):
    return Claim(**{"id": "c", "text": "t", "source": "s", "confidence": "read", **fields})


def judge_one(monkeypatch, entry, check=None, tables=()):
    """The verdict on one claim of a paper whose check is `check`."""
    paper = SimpleNamespace(key="toy", claims=[entry], tables=list(tables))
    monkeypatch.setattr(verdict, "load", lambda key: paper)
    monkeypatch.setattr(verdict, "import_module", lambda name: SimpleNamespace(measure=check))
    return judge("toy")[0]


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (Finding(3.86), "holds"),
        (Finding(3.865), "holds"),  # on the tolerance
        (Finding(3.8651), "holds with a note: rounding"),
        (Finding(3.8699), "holds with a note: rounding"),
        (Finding(3.8501), "holds with a note: rounding"),
        (Finding(3.87), "does not hold: contradiction"),  # one unit of the last digit
        (Finding(3.849), "does not hold: contradiction"),
        (Finding(3.88, otherwise=3.861), "holds with a note: reading"),
        (Finding(3.88, otherwise=3.861, rule="additions"), "holds with a note: counting rule"),
        (Finding(3.88, otherwise=3.861, rule="cut off"), "holds with a note: rounding"),
        (Finding(3.861, otherwise=3.88, rule="additions"), "holds"),
        (Finding(3.88, otherwise=3.89, rule="additions"), "does not hold: contradiction"),
        (Finding(float("nan")), "does not hold: contradiction"),
    ],
)
def test_a_verdict_follows_from_value_and_tolerance(monkeypatch, finding, words):
    judged = judge_one(monkeypatch, claim(value=3.86, tolerance=0.005, check="measure"), lambda: finding)
    assert judged.words == words
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


@pytest.mark.parametrize(
    ("value", "tolerance", "measured"),
    [
        (1.9, 0.5, 1.24),  # half a point is no printed digit of 1.9
        (0, 1e-12, 1.5e-12),  # nor is the precision of a computation
        (0, 0, 0.4),
        (57, 0.3, 57.4),
        (80, 5, 89.4),  # "about 80"
    ],
)
def test_only_a_printed_digit_is_rounded(monkeypatch, value, tolerance, measured):
    judged = judge_one(monkeypatch, claim(value=value, tolerance=tolerance, check="measure"), lambda: Finding(measured))
    assert judged.words == "does not hold: contradiction"


@pytest.mark.parametrize(
    ("confidence", "words", "note"),
    [
        ("read", "does not hold: contradiction", ""),
        ("second-hand", "does not hold: contradiction", ""),
        ("recalled", "open: contradiction", "the printed figure is recalled"),
        ("counted", "open: contradiction", "the figure is counted, not printed"),
    ],
)
def test_what_is_not_known_to_be_printed_is_not_refuted(monkeypatch, confidence, words, note):
    entry = claim(value=3.86, tolerance=0.005, check="measure", confidence=confidence)
    judged = judge_one(monkeypatch, entry, lambda: Finding(4.1))
    assert (judged.words, judged.note) == (words, note)


@pytest.mark.parametrize(
    ("better", "measured", "words"),
    [
        ("higher", 77.9, "holds with a note: better than printed"),
        ("higher", 77.1, "does not hold: contradiction"),
        ("lower", 77.1, "holds with a note: better than printed"),
        ("lower", 77.9, "does not hold: contradiction"),
        (None, 77.9, "does not hold: contradiction"),
    ],
)
def test_better_than_printed_is_no_failure(monkeypatch, better, measured, words):
    entry = claim(value=77.5, tolerance=0.05, better=better, check="measure")
    assert judge_one(monkeypatch, entry, lambda: Finding(measured)).words == words


@pytest.mark.parametrize(("measured", "words"), [(1.9, "open"), (0.1, "open: contradiction")])
def test_runs_of_others_by_another_recipe_settle_nothing(monkeypatch, measured, words):
    judged = judge_one(monkeypatch, claim(value=1.9, protocol="proxy", check="measure"), lambda: Finding(measured))
    assert judged.words == words
    assert judged.note.startswith("a proxy")


@pytest.mark.parametrize(
    ("agree", "words"),
    [
        ({"as stated": 4, "additions": 5, "cut off": 2}, "holds with a note: counting rule"),
        ({"as stated": 4, "additions": 4}, "does not hold: contradiction"),  # saves one cell and loses another
        ({"as stated": 4, "additions": 5, "cut off": 6}, "does not hold: contradiction"),  # another rule fits better
    ],
)
def test_a_rule_is_used_for_a_whole_table_or_not_at_all(monkeypatch, agree, words):
    tried = [
        Counting(table="Table 7", quantity="operations", rule=rule, agree=count, cells=6)
        for rule, count in agree.items()
    ]
    others = [Counting(table="Table 8", quantity="operations", rule="additions", agree=0, cells=6)]
    monkeypatch.setattr(costs, "countings", lambda key: others + tried)
    judged = judge_one(
        monkeypatch,
        claim(value=3.86, tolerance=0.005, unit="10^9 operations", check="measure"),
        lambda: Finding(3.88, otherwise=3.861, rule="additions", table="table-7"),
        tables=[SimpleNamespace(id="table-7", label="Table 7")],
    )
    assert judged.words == words
    assert f"{agree['additions']} of the 6 operations of Table 7 agree, 4 as stated" in judged.note


@pytest.mark.parametrize(
    ("other", "words"), [(4, "holds with a note: counting rule"), (5, "does not hold: contradiction")]
)
def test_the_rule_by_which_a_table_is_counted_explains_a_figure_of_it(monkeypatch, other, words):
    tried = [
        Counting(table="Table 7", quantity="operations", rule=rule, agree=count, cells=6)
        for rule, count in {"as stated": 4, "additions": other}.items()
    ]
    monkeypatch.setattr(costs, "countings", lambda key: tried)
    judged = judge_one(
        monkeypatch,
        claim(value=3.86, tolerance=0.005, unit="10^9 operations", check="measure"),
        lambda: Finding(3.88, otherwise=3.861, rule="layer by layer", table="table-7"),
        tables=[SimpleNamespace(id="table-7", label="Table 7")],
    )
    assert judged.words == words
    assert "as all of Table 7 is counted: 4 of its 6 operations agree" in judged.note


def test_a_table_in_binary_units_is_not_converted_twice():
    column = next(table for table in load("eca").tables if table.id == "table-3").costs["params_Mi"]
    assert column.unit == 2**20
    assert RULES["binary units"].unit(column) == 2**20


def test_a_check_that_raises_is_no_verdict(monkeypatch):
    def check():
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        judge_one(monkeypatch, claim(value=1, check="measure"), check)


def test_a_check_that_is_not_there_is_no_verdict(monkeypatch):
    with pytest.raises(AttributeError, match="forgotten"):
        judge_one(monkeypatch, claim(value=1, check="forgotten"))


RECIPE = "sem-resnet164-cifar10"
SETTLED = {"recipe": RECIPE, "protocol": "exact", "plain": 93.0, "plain_tolerance": 0.5}
ACCURACY = {"value": 2.0, "tolerance": 0.5, "datasets": ["cifar10"], "settled_by": SETTLED}


def run(attention, final, best=None, recipe=RECIPE, **changed):
    """A finished run of one epoch, or of two where another one than the last was the best."""
    epochs = [SimpleNamespace(test_accuracy=a) for a in (best, final) if a is not None]
    asked = Recipe.named(recipe, attention=attention, **changed)
    return SimpleNamespace(recipe=asked, seed=asked.seed, final=SimpleNamespace(accuracy=final), epochs=epochs)


def seeds(attention, *finals, **changed):
    return [run(attention, final, seed=seed, **changed) for seed, final in enumerate(finals)]


def judge_by(monkeypatch, runs, **claimed):
    """The verdict on a claim of accuracy about SE where these runs are on file."""

    def on_file(recipe, attention):
        return [r for r in runs if (r.recipe.name, r.recipe.label) == (recipe, attention)]

    monkeypatch.setattr("attnlib.results.records", on_file)
    paper = SimpleNamespace(key="se", claims=[claim(**(ACCURACY | claimed))])
    monkeypatch.setattr(verdict, "load", lambda key: paper)
    return judge("se")[0]


PLAIN, GAINS_2, GAINS_0 = (0.929, 0.930, 0.931), (0.949, 0.950, 0.951), (0.9291, 0.930, 0.9309)
GAINS_5 = (0.979, 0.980, 0.981)


@pytest.mark.parametrize(
    ("plain", "module", "measured", "words", "note"),
    [
        (PLAIN, GAINS_2, 2.0, "holds", "Student's 95 % interval of the gain 2.00 to 2.00"),
        # few seeds may be kind, with a note, but not unkind
        ([0.93], [0.95], 2.0, "holds with a note", "single run"),
        ([0.93], [0.93], 0.0, "open: contradiction", "1 common seed, where a refutation takes 3"),
        (PLAIN[:2], GAINS_0[:2], 0.005, "open: contradiction", "2 common seeds, where a refutation takes 3"),
        (PLAIN, GAINS_0, 0.0, "does not hold: contradiction", "Student's 95 % interval"),
        # seeds that differ by points
        (PLAIN, (0.929, 0.960, 0.910), 0.3, "open: contradiction", "the interval does not exclude what is claimed"),
        # a plain network that does not reach the paper's 93 %
        (
            [a - 0.02 for a in PLAIN],
            [a - 0.02 for a in GAINS_0],
            0.0,
            "open: contradiction",
            "without the module our network has 91.00 % where 93.00 is printed",
        ),
    ],
)
def test_records_judge_an_accuracy(monkeypatch, plain, module, measured, words, note):
    judged = judge_by(monkeypatch, seeds("none", *plain) + seeds("se", *module))
    assert (judged.words, judged.measured) == (words, pytest.approx(measured))
    assert f"recipe {RECIPE}" in judged.note
    assert note in judged.note


def test_seeds_that_are_not_common_do_not_count(monkeypatch):
    runs = seeds("none", *PLAIN) + [run("se", final, seed=10 + seed) for seed, final in enumerate(GAINS_0)]
    judged = judge_by(monkeypatch, runs)
    assert judged.words == "open: contradiction"
    assert "0 common seeds" in judged.note


@pytest.mark.parametrize(
    ("better", "words"),
    [("higher", "holds with a note: better than printed"), (None, "does not hold: contradiction")],
)
def test_more_gained_than_printed(monkeypatch, better, words):
    assert judge_by(monkeypatch, seeds("none", *PLAIN) + seeds("se", *GAINS_5), better=better).words == words


def test_without_a_printed_baseline_nothing_is_refuted(monkeypatch):
    judged = judge_by(monkeypatch, seeds("none", *PLAIN) + seeds("se", *GAINS_0), settled_by=SETTLED | {"plain": None})
    assert judged.words == "open: contradiction"
    assert "what the paper's own network has without the module is not known" in judged.note


@pytest.mark.parametrize(
    ("module", "words", "note"),
    [
        (GAINS_2, "open", "a proxy, which agrees and settles nothing"),
        (GAINS_0, "open: contradiction", "a proxy, which disagrees and settles nothing"),
    ],
)
@pytest.mark.parametrize(
    "claimed", [{"settled_by": SETTLED | {"protocol": "proxy"}}, {"datasets": ["imagenet"]}], ids=["proxy", "imagenet"]
)
def test_a_proxy_settles_nothing(monkeypatch, module, words, note, claimed):
    judged = judge_by(monkeypatch, seeds("none", *PLAIN) + seeds("se", *module), **claimed)
    assert judged.words == words
    assert judged.note.endswith(note)


def test_a_recalled_gain_is_not_refuted_by_runs(monkeypatch):
    judged = judge_by(monkeypatch, seeds("none", *PLAIN) + seeds("se", *GAINS_0), confidence="recalled")
    assert judged.words == "open: contradiction"
    assert "the printed figure is recalled" in judged.note


@pytest.mark.parametrize(
    ("module", "words"),
    [(GAINS_2, "holds"), (GAINS_5, "holds"), ([0.909, 0.910, 0.911], "does not hold: contradiction")],
)
def test_a_claim_without_a_value_is_one_of_any_gain(monkeypatch, module, words):
    runs = seeds("none", *PLAIN) + seeds("se", *module)
    assert judge_by(monkeypatch, runs, value=None, tolerance=0).words == words


def test_the_last_epoch_decides_whatever_an_earlier_one_had(monkeypatch):
    judged = judge_by(monkeypatch, [run("none", 0.93, best=0.95), run("se", 0.95, best=0.99)])
    assert judged.measured == pytest.approx(2.0)


def test_two_forms_of_a_module_are_held_against_each_other(monkeypatch):
    forms = {
        "changes": {"attention_args": {"reduction": 16}},
        "without_changes": {"attention": "se", "attention_args": {"reduction": 4}},
    }
    runs = [run("none", 0.5), run("se", 0.93, attention_args={"reduction": 4})]
    judged = judge_by(monkeypatch, runs, settled_by=SETTLED | forms)
    assert judged.note == f"settled by attnlib train --recipe {RECIPE} --attention se --arg reduction=16"
    runs.append(run("se", 0.95, attention_args={"reduction": 16}))
    judged = judge_by(monkeypatch, runs, settled_by=SETTLED | forms)
    assert judged.measured == pytest.approx(2.0)
    assert "with se(reduction=16)" in judged.note
    assert "with se(reduction=4)" in judged.note


def test_a_recipe_that_is_missing_says_what_it_waits_for(monkeypatch):
    waits = {"recipe": None, "protocol": "exact", "note": "Shake-Shake is not built here"}
    judged = judge_by(monkeypatch, [], settled_by=waits)
    assert (judged.words, judged.note) == ("awaits a record", "there is no recipe yet: Shake-Shake is not built here")


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
    judged = judge_by(monkeypatch, runs, settled_by=SETTLED | {"note": "the paper turns its images"})
    assert judged.note.endswith("; the paper turns its images")


def test_a_network_that_brings_its_attention_is_held_against_another(monkeypatch):
    settled_by = SETTLED | {"recipe": "residual_attention-attention92-cifar10", "without": RECIPE}
    runs = [run("none", 0.93)]
    judged = judge_by(monkeypatch, runs, settled_by=settled_by)
    assert judged.note == "settled by attnlib train --recipe residual_attention-attention92-cifar10 --attention none"
    runs.append(run("none", 0.95, recipe="residual_attention-attention92-cifar10"))
    judged = judge_by(monkeypatch, runs, settled_by=settled_by)
    assert (judged.verdict, judged.measured) == ("holds with a note", pytest.approx(2.0))
    assert f"without se {RECIPE}" in judged.note


def test_what_needs_other_data_is_not_testable(monkeypatch):
    judged = judge_one(monkeypatch, claim(datasets=["imagenet"]))
    assert judged.verdict == "not testable here"
    assert "imagenet" in judged.note
