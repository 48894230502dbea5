"""Tables that are measured run by run."""

import json

import pytest

from benchmarks.measure import measure_runs

RUNS = [{"variant": variant, "seed": seed} for seed in (0, 1) for variant in ("none", "se")]


class Plug(Exception):
    """What pulls it."""


def rows_of(path):
    return json.loads(path.read_text())["rows"]


def test_a_table_that_was_cut_off_goes_on_to_the_unbroken_one(tmp_path):
    asked = []

    def measure(variant, seed):
        asked.append((variant, seed))
        if asked == [("none", 0), ("se", 0), ("none", 1)]:
            raise Plug
        return [{"block": block, "accuracy": len(variant) + seed + block} for block in (1, 2)]

    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    with pytest.raises(Plug):
        measure_runs(cut, {"batch": 4}, RUNS, measure)
    assert [(row["variant"], row["seed"]) for row in rows_of(cut)] == [("none", 0)] * 2 + [("se", 0)] * 2
    measure_runs(cut, {"batch": 4}, RUNS, measure)
    assert asked[3:] == [("none", 1), ("se", 1)]  # nothing is measured twice
    measure_runs(whole, {"batch": 4}, RUNS, measure)
    assert rows_of(cut) == rows_of(whole)


def test_rows_of_runs_that_are_not_asked_for_stay_and_those_of_other_settings_go(tmp_path):
    path = tmp_path / "table.json"

    def measure(variant, seed):
        return [{"accuracy": seed}]

    measure_runs(path, {"batch": 4}, RUNS, measure)
    measure_runs(path, {"batch": 4}, [{"variant": "eca", "seed": 0}], measure)
    assert [row["variant"] for row in rows_of(path)] == ["eca", "none", "se", "none", "se"]
    measure_runs(path, {"batch": 8}, RUNS[:1], measure)
    assert rows_of(path) == [{"variant": "none", "seed": 0, "accuracy": 0}]
