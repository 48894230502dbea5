import importlib
import json
from pathlib import Path

from attnlib.results import records
from attnlib.training import Record

REPOSITORY = Path(__file__).parents[2]


def test_every_record_is_exported_and_read_back(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "workflow")
    importlib.import_module("export").main([str(tmp_path / "out")])
    table = json.loads((tmp_path / "out" / "records.json").read_text())
    assert [Record.model_validate(each) for each in table["records"] if each["status"] == "finished"] == records()
    assert table["record_schema"]["required"]
    assert (tmp_path / "out" / "CITATION.cff").read_text() == (REPOSITORY / "CITATION.cff").read_text()
