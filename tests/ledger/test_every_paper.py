"""The ledger of every paper on file, `verdicts.json`; in `make test-all` also computed anew and compared.

In `make test` the stamps tell where what is on file was computed by other code.
"""

import inspect
import re
from importlib import import_module

import pytest

from attnlib.ledger import entries, schema
from attnlib.ledger.entries import Ledger
from attnlib.ledger.expressions import is_expression

# A trace hands sizes over as tensors, which the type checker would refuse where a signature says int or float.
pytestmark = pytest.mark.usefixtures("own_errors")

every_paper = pytest.mark.parametrize("key", schema.keys())


@every_paper
def test_every_claim_of_the_paper_is_judged(key):
    ids = [f"{key}-{claim.id}" for claim in schema.load(key).claims]
    assert [verdict.id for verdict in entries.stored(key).verdicts] == ids


@every_paper
def test_an_unkind_verdict_shows_its_computation(key):
    assert [v.id for v in entries.stored(key).verdicts if v.verdict != "holds" and not v.note] == []


@every_paper
def test_a_cost_is_recomputed_or_has_its_reason(key):
    for cell in entries.stored(key).cells:
        assert (cell.measured is None) == bool(cell.reason) == (cell.agrees is None), cell


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
def test_every_function_of_a_paper_s_checks_is_asked_for(key):
    module = import_module(f"attnlib.papers.{key}.claims")
    checks = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    paper = schema.load(key)
    named = {c.check for c in paper.claims if c.check and not is_expression(c.check)}
    lines = [line for table in paper.tables for line in table.networks]
    profilers = [column.profiler or "" for table in paper.tables for column in table.costs.values()]
    in_lines = set(re.findall(r"\w+", " ".join(lines + profilers)))
    assert named <= checks <= named | in_lines | {"network_of"}


def test_a_ledger_survives_its_file(tmp_path):
    ledger = entries.stored("sa")
    entries.store(ledger, tmp_path)
    assert entries.stored("sa", tmp_path) == ledger


def test_a_ledger_that_is_missing_or_damaged_says_how_to_get_it(tmp_path):
    with pytest.raises(ValueError, match="attnlib ledger --paper sa --recompute"):
        entries.stored("sa", tmp_path)
    path = tmp_path / "sa" / "verdicts.json"
    path.parent.mkdir()
    path.write_text('{"paper": "sa", "verdicts": 1, "cells": []}')
    with pytest.raises(ValueError, match="sa.verdicts.json is not a ledger: field verdicts"):
        entries.stored("sa", tmp_path)
    assert isinstance(entries.stored("se"), Ledger)
