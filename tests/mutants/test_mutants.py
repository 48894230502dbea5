"""The list of slips fits the sources; whether each is caught, `make mutants` tells."""

import ast

import pytest

from attnlib import list_modules
from tests.mutants import run
from tests.mutants.run import FAILED, NONE, PASSED, REPOSITORY, REST, TEST, keys, mutants

SLIPS = [mutant for key in keys() for mutant in mutants(key)]


@pytest.mark.parametrize("mutant", SLIPS, ids=lambda mutant: f"{mutant.key}: {mutant.slip}")
def test_a_slip_changes_what_the_file_computes(mutant):
    original = (REPOSITORY / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.source())) != ast.dump(ast.parse(original))


def test_each_module_has_some():
    assert {mutant.key for mutant in SLIPS} >= {*list_modules()}


def test_no_slip_is_listed_twice():
    assert len({(mutant.file, mutant.find, mutant.replace) for mutant in SLIPS}) == len(SLIPS)


@pytest.mark.parametrize(
    ("statuses", "fault", "note"),
    [
        ({TEST: FAILED}, "", ""),
        ({TEST: PASSED, REST: FAILED}, "", "nam: caught by make test-all alone: "),
        ({TEST: PASSED, REST: PASSED}, "nam: SURVIVED: ", ""),
        ({TEST: PASSED, REST: NONE}, "nam: SURVIVED: ", ""),
        ({TEST: 2}, "nam: the tests could not run with: ", ""),
    ],
)
def test_a_slip_is_caught_by_make_test_or_by_the_rest_or_by_neither(monkeypatch, statuses, fault, note):
    slip = mutants("nam")[0]
    monkeypatch.setattr(run, "run_tests", lambda key, mutant, marks=TEST: statuses[marks])
    told = run.outcome("nam", slip)
    assert (told.fault.startswith(fault), bool(told.fault)) == (True, bool(fault))
    assert (told.note.startswith(note), bool(told.note)) == (True, bool(note))


def test_a_sample_is_the_same_for_a_commit_and_another_for_the_next():
    first, again, other = (run.sampled(SLIPS, 20, seed) for seed in ("a", "a", "b"))
    assert first == again != other
    assert len({*map(id, first)}) == 20
    assert run.sampled(SLIPS, 10_000, "a") == SLIPS
