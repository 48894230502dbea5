"""Measured speeds on file: complete, of one kind a row, and refused by name where they are not there."""

import json

import pytest

from attnlib import list_modules
from attnlib.errors import UnknownNameError
from attnlib.results import measurements


def test_every_module_was_measured_against_the_released_form_at_four_sizes_both_ways():
    found = measurements("cpu-modules")
    eager = {
        (r["module"], r["size"], r["pass"]) for r in found.rows if (r["mode"], r["against"]) == ("eager", "released")
    }
    measured = {module for module, _, _ in eager}
    assert measured >= {"se", "ge", "bam", "cbam", "sge", "eca", "iebn", "triplet", "nam", "sa", "sem", "non_local"}
    assert measured <= set(list_modules())
    assert len(eager) == 4 * 2 * len(measured)
    assert {row["against"] for row in found.rows} >= {"released", "timm", "torchvision", "floor"}
    assert all(row["lower"] <= row["ratio"] <= row["upper"] for row in found.rows)


def test_local_attention_was_measured_against_unfold_in_time_and_memory():
    rows = measurements("cpu-local").rows
    assert {(r["size"], r["pass"]) for r in rows if r["against"] == "unfold"} >= {
        (size, which) for size in (8, 16, 32, 56) for which in ("forward", "forward+backward")
    }
    assert all(row["peak_bytes"] > 0 for row in rows)


@pytest.mark.parametrize("name", ["cpu-modules", "cpu-local"])
def test_a_table_says_where_it_comes_from(name):
    found = measurements(name)
    assert found.machine["cpu"] and found.machine["threads"]
    assert found.versions["torch"] in found.where()
    assert found.settings["allocator"]
    assert len({tuple(row) for row in found.rows}) == 1


def test_an_absent_table_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(UnknownNameError, match="no table of measurements is called 'cuda-locals'; did you mean|known"):
        measurements("cuda-locals")
    (tmp_path / "cpu-x.json").write_text(json.dumps({"date": "2026-01-01"}))
    with pytest.raises(ValueError, match=r"cpu-x.json is not a table of measurements: .*rows"):
        measurements("cpu-x", tmp_path)
