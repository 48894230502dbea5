"""Measured speeds on file: complete; read whole, refused by name where they are not there."""

import json

import pytest

from attnlib import list_modules
from attnlib.errors import UnknownNameError
from attnlib.results import measurements

TABLE = {
    "date": "2026-01-02T03:04:05+00:00",
    "machine": {"cpu": "a processor", "cores": 2, "threads": 2, "gpu": None},
    "versions": {"torch": "2.15.0", "timm": None},
    "settings": {"pairs": 3},
    "rows": [{"module": "se", "size": "64x32x32", "ratio": 0.5}],
}


MEASURED = {"se", "ge", "bam", "cbam", "sge", "eca", "iebn", "triplet", "nam", "sa", "sem", "non_local"}


def test_every_module_was_measured_against_the_released_form_at_four_sizes_both_ways():
    found = measurements("cpu-modules")
    for mode in ("eager", "compiled"):
        rows = [row for row in found.rows if (row["mode"], row["against"]) == (mode, "released")]
        assert {row["module"] for row in rows} == MEASURED
        assert len({(row["module"], row["size"], row["pass"]) for row in rows}) == len(rows) == 4 * 2 * len(MEASURED)
    assert set(list_modules()) > MEASURED
    assert {row["against"] for row in found.rows} == {"released", "timm", "torchvision", "floor"}
    assert all(row["lower"] <= row["ratio"] <= row["upper"] for row in found.rows)


def test_local_attention_was_measured_against_unfold_in_time_and_memory():
    rows = [row for row in measurements("cpu-local").rows if row["against"] == "unfold"]
    assert {row["size"] for row in rows} == {8, 16, 32, 56}
    assert all(0 < row["peak_bytes"] < row["peak_bytes_against"] for row in rows)


@pytest.mark.parametrize("name", ["cpu-modules", "cpu-local"])
def test_a_table_says_where_it_comes_from(name):
    found = measurements(name)
    assert found.machine["cpu"] and found.machine["threads"]
    assert found.versions["torch"] in found.where()
    assert len({tuple(row) for row in found.rows}) == 1


def test_a_table_is_read_with_where_it_comes_from(tmp_path):
    (tmp_path / "cpu-x.json").write_text(json.dumps(TABLE))
    found = measurements("cpu-x", tmp_path)
    assert found.rows == TABLE["rows"]
    assert found.where() == "a processor, 2 threads; PyTorch 2.15.0; 2026-01-02"


def test_an_absent_table_is_refused_with_those_there_are(tmp_path):
    (tmp_path / "cpu-local.json").write_text("{}")
    with pytest.raises(UnknownNameError, match="'cuda-local'; did you mean 'cpu-local'"):
        measurements("cuda-local", tmp_path)


def test_another_file_is_refused_by_its_field(tmp_path):
    (tmp_path / "cpu-x.json").write_text(json.dumps({"date": "2026-01-01"}))
    with pytest.raises(ValueError, match=r"cpu-x.json is not a table of measurements: .*rows"):
        measurements("cpu-x", tmp_path)
