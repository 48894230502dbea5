"""The ledger of every paper on file: against what is expected of it; in `make test-all` also computed anew.

In `make test` the stamps tell where what is on file was computed by other code.
"""

import inspect
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from attnlib import published
from attnlib.ledger import entries
from attnlib.ledger.entries import Ledger

# A trace hands sizes over as tensors, which the type checker would refuse where a signature says int or float.
pytestmark = pytest.mark.usefixtures("own_errors")

EXPECTATIONS = Path(__file__).parent / "expectations"
KEYS = published.keys()
every_paper = pytest.mark.parametrize("key", KEYS)


def expected(key: str) -> dict:
    return yaml.safe_load((EXPECTATIONS / f"{key}.yml").read_text(encoding="utf-8"))


@every_paper
def test_every_verdict_is_expected(key):
    judged = {v.id.removeprefix(f"{key}-"): v for v in entries.stored(key).verdicts}
    reasons = expected(key)["verdicts"]
    assert {name: v.verdict for name, v in judged.items()} == {name: word for name, (word, _) in reasons.items()}
    assert all(reason for _, reason in reasons.values())
    for name, v in judged.items():
        assert v.note or v.verdict == "holds", f"{name}: an unkind verdict shows its computation"


@every_paper
def test_a_cost_is_recomputed_or_has_its_reason(key):
    cells = entries.stored(key).cells
    for cell in cells:
        assert (cell.measured is None) == bool(cell.reason) == (cell.agrees is None), cell
    counts = {"recomputed": sum(c.measured is not None for c in cells), "agree": sum(c.agrees is True for c in cells)}
    assert counts == expected(key)["cells"]


@pytest.mark.thorough
@every_paper
def test_the_ledger_on_file_is_the_one_that_is_computed(key):
    ours, filed = entries.compute(key), entries.stored(key)
    assert [_settled(v) for v in filed.verdicts] == [_settled(v) for v in ours.verdicts]
    for new, old in zip(ours.verdicts, filed.verdicts, strict=True):
        # Below the tolerance a difference of two computations may vary from machine to machine.
        _assert_close(new.measured, old.measured, rel=1e-6, abs=max(new.tolerance, 1e-9))
    assert [_settled(c) for c in filed.cells] == [_settled(c) for c in ours.cells]
    for new, old in zip(ours.cells, filed.cells, strict=True):
        _assert_close(new.measured, old.measured, rel=1e-9)


def _settled(entry) -> dict:
    return entry.model_dump(exclude={"measured", "note"})


def _assert_close(new, old, **tolerances):
    assert new == (None if old is None else pytest.approx(old, **tolerances))


@every_paper
def test_every_check_belongs_to_a_claim(key):
    module = import_module(f"attnlib.ledger.{key}")
    checks = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert checks == {c.check for c in published.load(key).claims if c.check} | {"network_of"}


def test_three_quarters_of_all_costs_are_recomputed():
    cells = [cell for key in KEYS for cell in entries.stored(key).cells]
    assert sum(cell.measured is not None for cell in cells) >= 0.75 * len(cells)


def test_sixty_claims_are_judged():
    words = [v.verdict for key in KEYS for v in entries.stored(key).verdicts]
    assert sum(word in ("holds", "holds with a note", "does not hold") for word in words) >= 60


def test_a_ledger_survives_its_file(tmp_path):
    ledger = entries.stored("sa")
    entries.store(ledger, tmp_path)
    assert entries.stored("sa", tmp_path) == ledger


def test_a_ledger_that_is_missing_or_damaged_says_how_to_get_it(tmp_path):
    with pytest.raises(ValueError, match="attnlib ledger --paper sa --recompute"):
        entries.stored("sa", tmp_path)
    (tmp_path / "sa.json").write_text('{"paper": "sa", "verdicts": 1, "cells": []}')
    with pytest.raises(ValueError, match="sa.json is not a ledger: field verdicts"):
        entries.stored("sa", tmp_path)
    assert isinstance(entries.stored("se"), Ledger)
