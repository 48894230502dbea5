"""Snakemake itself: what it plans, what it trains, what it says when a run fails."""

import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attnlib.training import Record

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "workflow"))
plan = importlib.import_module("plan")
FAILING = """
seeds = [0]

[[tables]]
recipe = "smoke"
changes = { name = "tiny", epochs = 1, train_images = 100 }
attentions = ["none"]

[[tables]]
recipe = "smoke"
changes = { name = "diverging", epochs = 1, train_images = 100, learning_rate = 1e30 }
attentions = ["none"]
"""


def snakemake(folder, *arguments, **config):
    """Run it in `folder`, which is also where runs and tables go."""
    settings = {"records": folder / "records", "device": "cpu"} | config
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "workflow" / "Snakefile"]
    command += ["--directory", folder, *arguments, "--config", *(f"{key}={value}" for key, value in settings.items())]
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def test_plan_has_every_run_without_a_record_by_its_command(tmp_path):
    planned = plan.load()
    there = tmp_path / "records" / f"{planned['smoke'][0].path}.json"
    there.parent.mkdir(parents=True)
    there.touch()
    shown = snakemake(tmp_path, "--dry-run", *planned)
    assert shown.returncode == 0, shown.stdout
    runs = {run.path: run for runs in planned.values() for run in runs}
    del runs[planned["smoke"][0].path]
    attnlib = Path(sys.executable).with_name("attnlib")
    wanted = {run.command(attnlib, f"runs/{path}", "cpu") for path, run in runs.items()}
    lines = re.findall(r"^Shell command: (.* train .*?) >> ", shown.stdout, re.MULTILINE)
    assert (len(lines), set(lines)) == (len(runs), wanted)
    slots = [int(count) for count in re.findall(r"^    resources: .*gpu_slots=(\d+)", shown.stdout, re.MULTILINE)]
    assert sorted(slots) == sorted(run.resources.gpu_slots for run in runs.values())
    assert all(re.search(rf"^{name} +1$", shown.stdout, re.MULTILINE) for name in planned)


def test_without_a_target_nothing_is_trained(tmp_path):
    shown = snakemake(tmp_path, "--cores", 1)
    assert "smoke: 4 runs, 4 without a record" in shown.stdout
    assert not (tmp_path / "runs").exists()


def test_smoke_table_is_trained_once(tmp_path):
    trained = snakemake(tmp_path, "--cores", 2, "smoke")
    assert trained.returncode == 0, trained.stdout
    records = [Record.load(tmp_path / "records" / f"{run.path}.json") for run in plan.load()["smoke"]]
    assert [record.recipe for record in records] == [run.recipe for run in plan.load()["smoke"]]
    table = (tmp_path / "runs" / "tables" / "smoke.md").read_text()
    assert "4 of 4 runs are on file" in table
    assert "Missing" not in table
    assert "2 seeds are too few" in table  # the report's conclusion
    with open(tmp_path / "runs" / "tables" / "smoke" / "smoke-resnet8.csv", newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"none", "se"}
    mean = sum(record.final.accuracy for record in records if record.recipe.attention == "se") / 2
    assert float(rows["se"]["mean"]) == pytest.approx(100 * mean)

    before = modified(tmp_path)
    again = snakemake(tmp_path, "--cores", 2, "smoke")
    assert again.returncode == 0, again.stdout
    assert "Nothing to be done" in again.stdout
    assert modified(tmp_path) == before


def test_each_target_writes_its_own_table(tmp_path):
    names = ["augmentation", "label-noise"]
    written = snakemake(tmp_path, "--cores", 2, *names, records=REPOSITORY / "attnlib" / "results" / "records")
    assert written.returncode == 0, written.stdout
    tables = tmp_path / "runs" / "tables"
    assert sorted(path.stem for path in tables.glob("*.md")) == names
    for name in names:
        text = (tables / f"{name}.md").read_text()
        count = len(plan.load()[name])
        assert text.startswith(f"# {name}\n\n{count} of {count} runs are on file.")


def test_failed_run_stops_no_other_and_the_table_says_so(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "failing.toml").write_text(FAILING)
    first = tmp_path / "records" / "diverging" / "none" / "resnet8-seed0.json"
    done = snakemake(tmp_path, "--cores", 1, "failing", "--prioritize", first, experiments=tmp_path / "experiments")
    assert done.returncode == 1
    assert list((tmp_path / "records").rglob("*.json")) == [tmp_path / "records/tiny/none/resnet8-seed0.json"]
    table = (tmp_path / "runs" / "tables" / "failing.md").read_text()
    assert "1 of 2 runs are on file" in table
    [missing] = re.findall(r"^\* (.*)$", table, re.MULTILINE)
    assert missing.startswith("diverging/none/resnet8-seed0: failed after 0 epochs: ")
    assert re.search(r"^\| none +\|", table, re.MULTILINE)
    assert table in done.stdout
    # what the run left behind stays, so that the same command can go on from it
    assert Record.load(tmp_path / "runs" / "diverging" / "none" / "resnet8-seed0" / "record.json").status == "failed"


@pytest.fixture
def one_run(tmp_path):
    """The table of the smoke experiment with records and runs as they lie in tmp_path."""
    table = importlib.import_module("table")
    [run, *_] = plan.load()["smoke"]
    return run, lambda: table.table("smoke", [run], tmp_path / "records", tmp_path / "runs", tmp_path / "tables")


def test_table_says_of_each_missing_run_how_far_it_came(one_run, tmp_path):
    run, table = one_run
    assert f"{run.path}: not begun" in table()
    assert "No table: " in table()
    (tmp_path / "runs" / run.path).mkdir(parents=True)
    assert f"{run.path}: begun, not ended; see {tmp_path / 'runs' / run.path}.log" in table()


def test_record_of_another_recipe_is_no_record_of_this_run(one_run, tmp_path):
    run, table = one_run
    slice_record = REPOSITORY / "attnlib" / "results" / "records" / "cifar10-slice" / "none" / "resnet20-seed0.json"
    Record.load(slice_record).save(tmp_path / "records" / f"{run.path}.json")
    text = table()
    assert "0 of 1 runs are on file" in text
    assert re.search(r"is of another recipe, which differs in name, data, backbone, .*; remove it", text)
