"""Measured speeds on file: read whole, refused by name where they are not there."""

import json

import pytest

from attnlib.errors import UnknownNameError
from attnlib.results import measurements

TABLE = {
    "date": "2026-01-02T03:04:05+00:00",
    "machine": {"cpu": "a processor", "cores": 2, "threads": 2, "gpu": None},
    "versions": {"torch": "2.15.0", "timm": None},
    "settings": {"pairs": 3},
    "rows": [{"module": "se", "size": "64x32x32", "ratio": 0.5}],
}


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
