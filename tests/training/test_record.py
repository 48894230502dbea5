import json
import os

import pytest

from attnlib.training import Recipe, Record
from attnlib.training.provenance import provenance
from attnlib.training.record import Epoch

MEASURED = {"learning_rate": 0.1, "train_loss": 1.0, "train_accuracy": 0.5, "seconds": 1.0}


@pytest.fixture
def record():
    import torch

    return Record(
        recipe=Recipe.named("smoke"),
        protocol="clean",
        seed=0,
        status="finished",
        parameters=10,
        train_images=1800,
        validation_images=200,
        mean=[0.5, 0.5, 0.5],
        std=[0.2, 0.2, 0.2],
        epochs=[Epoch(epoch=k, **MEASURED, validation_accuracy=0.5) for k in (1, 2, 3)],
        final={"accuracy": 0.5, "test_images": 500},
        provenance=provenance(torch.device("cpu"), 1, "2026-01-01T00:00:00+00:00", 1.0, None),
    )


def test_record_survives_its_file(record, tmp_path):
    record.save(tmp_path / "new" / "record.json")
    assert Record.load(tmp_path / "new" / "record.json") == record
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 2}, "field schema_version: .*got 2"),
        ({"final": {"accuracy": "high", "test_images": 500}}, "field final.accuracy: .*got 'high'"),
        ({"final": {"accuracy": 50, "test_images": 500}}, "field final.accuracy: .*less than or equal to 1, got 50"),
        ({"epochs": []}, ".*has all its epochs=3 with their accuracies on held-out images, got 0 of them"),
        ({"epochs": [{"epoch": k, **MEASURED} for k in (1, 2, 3)]}, ".*got 3 of them, 3 without one"),
        (
            {"epochs": [{"epoch": k, **MEASURED} for k in (1, 3, 2)]},
            r".*numbered from 1 in their order, got \[1, 3, 2\]",
        ),
        ({"parameters": -5}, "field parameters: .*got -5"),
        ({"train_images": 0}, "field train_images: .*got 0"),
        ({"parameters": 10**19}, "field parameters: .*less than"),
        ({"mean": [float("inf")] * 3}, "field mean.0: .*finite"),
        ({"final": None}, ".*status='finished' does not go with final=None"),
        ({"status": "failed"}, ".*status='failed' does not go with final=Final"),
        ({"seed": 1}, ".*seed=1 is not what the recipe says, seed=0"),
        ({"protocol": "paper"}, ".*protocol='paper' is not what the recipe says"),
        ({"seeds": 3}, "field seeds"),
        ({"status": None}, "field status"),
    ],
)
def test_file_that_does_not_fit_is_refused_by_file_field_and_reason(record, tmp_path, change, reason):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**json.loads(record.model_dump_json()), **change}))
    with pytest.raises(ValueError, match=f"record.json is not a record of schema 1: {reason}"):
        Record.load(path)


def test_file_that_is_no_text_is_refused_by_name(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b'{"recipe": "\xff\xfe"}')
    with pytest.raises(ValueError, match="record.json is not a record of schema 1: .*Invalid JSON"):
        Record.load(path)


@pytest.mark.parametrize(("field", "accuracy"), [("validation_accuracy", 0.4), ("test_accuracy", 0.0)])
def test_held_out_accuracy_is_the_one_there_is(field, accuracy):
    epoch = Epoch(epoch=1, learning_rate=0.1, train_loss=1.0, train_accuracy=0.5, seconds=1.0, **{field: accuracy})
    assert epoch.held_out_accuracy == accuracy


def test_half_a_file_is_refused(record, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(record.model_dump_json()[:100])
    with pytest.raises(ValueError, match="record.json is not a record.*Invalid JSON"):
        Record.load(path)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
def test_a_pipe_is_no_record_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "record.json")
    with pytest.raises(OSError, match="no regular file"):
        Record.load(tmp_path / "record.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a record"):
        Record.load(tmp_path / "deep.json")
