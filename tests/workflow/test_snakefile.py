"""Snakemake itself: what it plans, what it trains, what it says when a run fails."""

import csv
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnlib.training import Record

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "workflow"))
plan = importlib.import_module("plan")
SLICE = REPOSITORY / "attnlib" / "results" / "records" / "cifar10-slice" / "none" / "resnet20-seed0.json"
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


def trained(output):
    """The runs that Snakemake started, or, in a dry run, would start."""
    return sorted(re.findall(r"^Shell command: .* train .* --out runs/(\S+) >> ", output, re.MULTILINE))


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_misspelt_setting_is_refused(tmp_path):
    refused = snakemake(tmp_path, "--dry-run", "smoke", record=tmp_path)
    assert refused.returncode == 1
    assert "--config knows no record; its keys are experiments, records, runs, tables, device" in refused.stdout
    assert "Job stats" not in refused.stdout


@pytest.mark.thorough
def test_smoke_table_is_trained_once(tmp_path):
    first = snakemake(tmp_path, "--cores", 2, "smoke")
    assert first.returncode == 0, first.stdout
    assert trained(first.stdout) == sorted(run.path for run in plan.load()["smoke"])
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
    assert trained(again.stdout) == []
    assert table in again.stdout
    assert modified(tmp_path) == before

    # A record that goes, or a seed that comes, is trained though the table is there: each alone.
    lacking = shutil.copytree(tmp_path / "records", tmp_path / "lacking")
    (lacking / "smoke" / "se" / "resnet8-seed1.json").unlink()
    assert trained(snakemake(tmp_path, "--dry-run", "smoke", records=lacking).stdout) == ["smoke/se/resnet8-seed1"]
    smoke = (plan.EXPERIMENTS / "smoke.toml").read_text()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "smoke.toml").write_text(smoke.replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    planned = snakemake(tmp_path, "--dry-run", "smoke", experiments=tmp_path / "experiments")
    assert trained(planned.stdout) == ["smoke/none/resnet8-seed2", "smoke/se/resnet8-seed2"]


@pytest.mark.thorough
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


@pytest.mark.thorough
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

    again = snakemake(tmp_path, "--cores", 1, "failing", experiments=tmp_path / "experiments")
    assert again.returncode == 1
    assert trained(again.stdout) == ["diverging/none/resnet8-seed0"]
    assert table in again.stdout


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
    assert f"{run.path}: begun, not ended\n" in table()
    log = tmp_path / "runs" / f"{run.path}.log"
    log.write_text("note: something\nerror: no placement is called 'x'\n\n")
    assert f"{run.path}: begun, not ended; {log} ends: error: no placement is called 'x'\n" in table()
    own = tmp_path / "runs" / run.path / "record.json"
    Record.load(SLICE).model_copy(update={"recipe": run.recipe, "status": "interrupted", "final": None}).save(own)
    assert f"{run.path}: interrupted after 4 epochs; {log} ends: error: no placement is called 'x'\n" in table()


def test_record_of_another_recipe_in_the_folder_of_a_run_is_not_quoted(one_run, tmp_path):
    run, table = one_run
    failed = Record.load(SLICE).model_copy(update={"status": "failed", "final": None, "error": "of the other one"})
    failed.save(tmp_path / "runs" / run.path / "record.json")
    text = table()
    assert re.search(r"resnet8-seed0 holds a run of another recipe, which differs in name, data, .*; remove it", text)
    assert "of the other one" not in text


@pytest.mark.parametrize("place", ["records/{}.json", "runs/{}/record.json"])
def test_damaged_record_is_a_missing_run(one_run, tmp_path, place):
    run, table = one_run
    path = tmp_path / place.format(run.path)
    path.parent.mkdir(parents=True)
    path.write_bytes(SLICE.read_bytes()[:1000])
    text = table()
    assert "0 of 1 runs are on file" in text
    assert f"* {run.path}: {path} is not a record of schema 1: " in text


def test_record_of_another_recipe_is_no_record_of_this_run(one_run, tmp_path):
    run, table = one_run
    Record.load(SLICE).save(tmp_path / "records" / f"{run.path}.json")
    text = table()
    assert "0 of 1 runs are on file" in text
    assert re.search(r"is of another recipe, which differs in name, data, backbone, .*; remove it", text)
