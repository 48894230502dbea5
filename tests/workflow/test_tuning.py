import importlib
from pathlib import Path

from attnlib.results import records
from attnlib.results.speed import Measurements

WORKFLOW = Path(__file__).parents[2] / "workflow"


def test_table_has_what_was_reached_on_the_validation_images_and_no_test_accuracy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(WORKFLOW)
    tuning, plan = (importlib.import_module(name) for name in ("tuning", "plan"))
    (record, *_) = records("cifar10-slice", "none")
    runs = plan.load()["cifar10-cpu-tuning"]
    reached = {run.path: 0.5 + 0.01 * place for place, run in enumerate(runs[:-1])}  # the last is not trained yet
    for run in runs[:-1]:
        epochs = [
            record.epochs[-1].model_copy(update={"epoch": 1 + number, "validation_accuracy": reached[run.path]})
            for number in range(run.recipe.epochs)
        ]
        made = record.model_copy(update={"recipe": run.recipe, "seed": run.recipe.seed, "epochs": epochs})
        made.save(tmp_path / "runs" / run.path / "record.json")
    tuning.main(["cifar10-cpu-tuning", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path)])
    table = Measurements.model_validate_json((tmp_path / "cifar10-cpu-tuning.json").read_text())
    assert [row["validation_accuracy"] for row in table.rows] == sorted(reached.values(), reverse=True)
    assert table.rows[-1]["batch_size"] == runs[0].recipe.batch_size
    assert not any("test" in column for row in table.rows for column in row)
