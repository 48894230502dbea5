"""The driver: what it trains in which order, how it is stopped, paused and resumed, what it files."""

import importlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from attnlib.results import failed, records
from attnlib.training import Record

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "workflow"))
plan, driver = (importlib.import_module(name) for name in ("plan", "driver"))
SLICE = REPOSITORY / "attnlib" / "results" / "records" / "cifar10-slice" / "none" / "resnet20-seed0.json"
NO_NUMBER = "the training loss is not finite at step 1 of 2"


@pytest.fixture
def places(tmp_path):
    return driver.Places(tmp_path / "records", tmp_path / "runs")


@pytest.fixture
def smoke():
    """Two rounds of two rows, seeds 0 and 1 of none and se."""
    return driver.rounds(plan.load()["smoke"], {})


class Trainer:
    """Stands for a run's process: notes what was asked for, and leaves a record of the status that it is told."""

    def __init__(self, **endings):
        self.asked, self.endings = [], endings

    def __call__(self, run, places):
        self.asked.append(run.path)
        ending = self.endings.get(run.recipe.attention, "finished")
        if ending == "paused":
            self.endings.clear()
            return None
        record = Record.load(SLICE)
        epochs = [record.epochs[0].model_copy(update={"epoch": 1 + number}) for number in range(run.recipe.epochs)]
        record = record.model_copy(update={"recipe": run.recipe, "seed": run.recipe.seed, "epochs": epochs})
        if ending != "finished":
            record = record.model_copy(update={"status": "failed", "final": None, "error": ending})
        record.save(places.runs / run.path / "record.json")
        return 0 if ending == "finished" else 1


def test_round_after_round_and_the_cheapest_first():
    runs = plan.load()["smoke"]
    planned = driver.rounds(runs, {("smoke", "none"): 2.0, ("smoke", "se"): 1.0})
    assert [(seed, [run.recipe.label for run in of]) for seed, of in planned.items()] == [
        (0, ["se", "none"]),
        (1, ["se", "none"]),
    ]


def test_what_is_done_is_not_trained_again(smoke, places, capsys):
    paths = [run.path for runs in smoke.values() for run in runs]
    driver.file({0: smoke[0][:1]}, places)  # nothing is there
    first = Trainer()
    assert driver.train(smoke, places, 1, {}, first) == 0
    assert first.asked == paths
    told = capsys.readouterr().out
    assert "round 2 of 2 (seed 1), run 1 of 2: smoke/none/resnet8-seed1; 2 left, about" in told
    again = Trainer()
    assert driver.train(smoke, places, 1, {}, again) == 0
    assert again.asked == []


def test_diverged_run_counts_as_done_and_any_other_failure_does_not(smoke, places, capsys):
    assert driver.train(smoke, places, 1, {}, Trainer(none=NO_NUMBER, se="OSError: no space left")) == 1
    assert NO_NUMBER in capsys.readouterr().out
    again = Trainer()
    assert driver.train(smoke, places, 1, {}, again) == 0
    assert again.asked == ["smoke/se/resnet8-seed0", "smoke/se/resnet8-seed1"]
    assert driver.file(smoke, places) == 0
    assert [r.recipe.label for r in records("smoke", folder=places.records)] == ["se", "se"]
    assert [(r.recipe.label, r.error) for r in failed("smoke", places.records)] == [("none", NO_NUMBER)] * 2
    driver.status(smoke, places)
    assert "seed 1: 2 of 2 runs are done, 2 filed; failed: none" in capsys.readouterr().out


def test_after_the_minutes_and_during_a_pause_no_run_is_started(smoke, places, capsys):
    trainer = Trainer()
    assert driver.train(smoke, places, 0, {}, trainer) == 1
    assert "0 minutes are over; 4 runs are left" in capsys.readouterr().out
    places.pause.parent.mkdir()
    places.pause.touch()
    assert driver.train(smoke, places, 1e-4, {}, trainer) == 1
    assert trainer.asked == []


def test_paused_run_is_the_next_one(smoke, places):
    trainer = Trainer(none="paused")
    assert driver.train(smoke, places, 1, {}, trainer) == 0
    assert trainer.asked[:3] == ["smoke/none/resnet8-seed0", "smoke/none/resnet8-seed0", "smoke/se/resnet8-seed0"]


def test_complete_rounds_are_filed(smoke, places, capsys):
    trainer = Trainer()
    for run in (*smoke[0], smoke[1][0]):
        trainer(run, places)

    def filed():
        return [(r.recipe.label, r.seed) for r in records("smoke", folder=places.records)]

    assert driver.file(smoke, places) == 1
    assert filed() == [("none", 0), ("se", 0)]
    assert "seed 1: 1 of 2 runs are done; not filed" in capsys.readouterr().out
    assert driver.file(smoke, places, incomplete=True) == 1
    assert filed() == [("none", 0), ("none", 1), ("se", 0)]


def test_record_of_code_in_no_commit_is_not_filed(smoke, places):
    [run, *_] = smoke[0]
    Trainer()(run, places)
    path = places.runs / run.path / "record.json"
    record = Record.load(path)
    changed = record.provenance.model_copy(update={"commit": "abc+changes"})
    record.model_copy(update={"provenance": changed}).save(path)
    with pytest.raises(ValueError, match="changes that are in no commit"):
        driver.file({0: [run]}, places)
    assert not places.records.exists()


def test_code_in_no_commit_is_not_trained_with(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(driver, "commit", lambda: "abc+changes")
    assert driver.main(["train", "smoke", "--runs", str(tmp_path / "runs")]) == 2
    assert "commit them, or train in a clone" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_unknown_experiment_is_refused(capsys):
    assert driver.main(["status", "smokee"]) == 2
    assert "no experiment is called 'smokee'; did you mean 'smoke'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no nice values")
def test_run_gives_way_to_every_other_process():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        driver._set_nice(process.pid, 19)
        nice, autogroup = os.getpriority(os.PRIO_PROCESS, process.pid), Path(f"/proc/{process.pid}/autogroup")
        of_session = autogroup.read_text() if autogroup.exists() else "nice 19"
        process.kill()
    assert nice == 19
    assert of_session.strip().endswith("nice 19")


def test_real_run_is_paused_and_goes_on(tmp_path, places, monkeypatch, capsys):
    (tmp_path / "mine.toml").write_text(
        "seeds = [0]\n"
        "[[tables]]\nrecipe = 'smoke'\nattentions = ['none']\n"
        "changes = { name = 'tiny', epochs = 30, train_images = 100 }\n"
    )
    monkeypatch.setattr(driver, "commit", lambda: "0" * 40)
    monkeypatch.setattr(driver, "_LOOK_EVERY", 0.05)
    tiny = places.runs / "tiny" / "none" / "resnet8-seed0"

    def pause():
        while not list(tiny.glob("checkpoint-*.pt")):
            time.sleep(0.02)
        places.pause.touch()
        while not (tiny / "record.json").exists():
            time.sleep(0.02)
        statuses.append(Record.load(tiny / "record.json").status)
        places.pause.unlink()

    statuses = []
    helper = threading.Thread(target=pause, daemon=True)
    helper.start()
    folders = ("--experiments", tmp_path, "--records", places.records, "--runs", places.runs)
    assert driver.main(["train", "mine", "--nice", "0", *map(str, folders)]) == 0
    helper.join()
    assert statuses == ["interrupted"]
    assert Record.load(tiny / "record.json").status == "finished"
    told = capsys.readouterr().out
    assert told.count("run 1 of 1: tiny/none/resnet8-seed0") == 2
    assert told.endswith("all are done\n")
