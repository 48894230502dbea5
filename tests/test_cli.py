"""The command as a user types it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from attnlib import info as module_info
from attnlib import list_modules, networks
from attnlib.cli import app, progress, shared
from attnlib.cli.shared import parse
from attnlib.profiling import profile
from attnlib.results import records
from attnlib.training import Recipe, Record, loop, run, workers
from attnlib.training.record import Epoch


def attnlib(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


TINY = ("--recipe", "smoke", "--train-images", 100, "--epochs", 2)


def test_list_shows_every_module_with_its_parameters_and_why_a_count_is_missing():
    listed = attnlib("list").output
    assert all(key in listed for key in list_modules())
    assert not re.search(r"constant +│ control", listed)
    assert re.search(r"nam\s+│ scale\s+│ 128\s+│ 512", listed)
    assert re.search(r"sa\s+│ scale\s+│ -\s+│ 12 ", listed)
    assert "* sa: channels=64 does not fit groups=64" in listed


def test_list_gives_json_for_a_program():
    entries = {entry["key"]: entry for entry in json.loads(attnlib("list", "--json").output)}
    assert list(entries) == list_modules()
    assert entries["se"]["parameters"] == {"64": 2 * 64 * 4 + 64 + 4, "256": 2 * 256 * 16 + 256 + 16}
    assert entries["sa"]["parameters"]["64"] is None
    assert "does not fit groups=64" in entries["sa"]["reasons"]["64"]
    assert all(entry["paper"] and entry["status"] for entry in entries.values())
    assert {entry["family"] for entry in json.loads(attnlib("list", "--family", "self", "--json").output)} == {"self"}


def test_list_refuses_an_unknown_family(own_errors):
    result = attnlib("list", "--family", "spatial")
    assert result.exit_code == 2
    assert "no family is called 'spatial'" in result.output


def test_info_says_what_the_registry_knows():
    shown = " ".join(attnlib("info", "nam").output.replace("│", " ").split())
    assert module_info("nam").name in shown
    assert " ".join(module_info("nam").status.split()) in shown


def test_train_writes_the_record_and_says_so(tmp_path):
    result = attnlib(
        "train", *TINY, "--attention", "se", "--arg", "reduction=8", "--seed", 4, "--out", tmp_path / "run"
    )
    assert result.exit_code == 0, result.output
    record = Record.load(tmp_path / "run" / "record.json")
    assert (record.recipe.label, record.seed, len(record.epochs)) == ("se(reduction=8)", 4, 2)
    assert f"test accuracy {record.final.accuracy:.1%}" in result.stdout
    lines = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1", "epoch 2"]
    assert all(re.search(r"accuracy \d+\.\d%, [1-9]\d* images/s$", line) for line in lines)


def test_train_takes_a_folder_and_a_network_of_ones_own_and_says_what_the_folder_holds(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        for number in range(15):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (17 * number, 9 * number, 255 - number)).save(path)
    (tmp_path / "their_nets.py").write_text(
        "from attnlib.networks import create\ndef small(num_classes):\n    return create('resnet8', num_classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    own = ("--data", "photos", "--backbone", "their_nets:small", "--image-size", 16, "--attention", "eca")
    result = attnlib("train", "--recipe", "smoke", "--epochs", 1, "--set", "batch_size=8", *own, "--out", "run")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == "photos: 24 training and 6 test images of 2 classes: cat, dog"
    recipe = Record.load(tmp_path / "run" / "record.json").recipe
    assert (recipe.data, recipe.backbone, recipe.image_size) == ("photos", "their_nets:small", 16)


def test_the_same_command_again_shows_a_finished_run_and_refuses_another(tmp_path):
    command = ("train", *TINY, "--set", "cutout=4", "--out", tmp_path)
    first = attnlib(*command)
    held = (tmp_path / "record.json").read_bytes()
    again = attnlib(*command)
    assert (again.exit_code, again.stdout, again.stderr) == (0, first.stdout, "")
    other = attnlib(*command, "--seed", 1)
    assert other.exit_code == 2
    assert "seed=0 there, 1 asked for" in other.stderr
    assert (tmp_path / "record.json").read_bytes() == held
    anew = attnlib(*command, "--seed", 1, "--restart")
    assert anew.exit_code == 0, anew.output
    assert Record.load(tmp_path / "record.json").seed == 1


def test_a_stopped_run_says_where_it_goes_on(tmp_path, monkeypatch):
    def stop(self):
        if self.step == 2:
            raise KeyboardInterrupt
        advance(self)

    advance = run.Run.advance
    command = ("train", *TINY, "--save-every", 0, "--out", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "advance", stop)
        stopped = attnlib(*command)
    assert stopped.exit_code == 130
    assert "the same command goes on" in stopped.stderr
    result = attnlib(*command)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == "going on from step 2 of 12"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epoch(number):
    return Epoch(
        epoch=number, learning_rate=0.1, train_loss=1.0, train_accuracy=0.5, validation_accuracy=0.4, seconds=1
    )


def test_the_bar_fits_80_columns_with_the_epochs_above_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "err", Console(force_terminal=True, width=80, file=terminal))
    monkeypatch.setattr("attnlib.training.progress.speed", lambda _: lambda *_: 98_765.0)
    with progress.shown(Recipe.named("smoke", epochs=164), None) as show:
        for step in range(1, 100):  # rich tells the time left after some steps
            show(step, 160_000, [])
        show(100, 160_000, [epoch(1), epoch(2)])
        show(101, 160_000, [epoch(1), epoch(2)])
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n").splitlines()
    assert [line for line in lines if "accuracy" in line] == [
        f"epoch {k}: loss 1.000, held-out accuracy 40.0%, 98765 images/s" for k in (1, 2)
    ]
    last = [line.rstrip() for line in lines if line.strip()][-1]
    assert re.fullmatch(r"epoch 3 \S+ +101/160000 98765 images/s, \d+:\d\d:\d\d left", last)
    assert len(last) <= 80


def test_the_last_epoch_has_none_after_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "err", Console(force_terminal=True, width=80, file=terminal))
    with progress.shown(Recipe.named("smoke", epochs=2), None) as show:
        for step, epochs in ((1, []), (6, []), (6, [epoch(1)]), (12, [epoch(1)]), (12, [epoch(1), epoch(2)])):
            show(step, 12, epochs)
    assert "epoch 2" in terminal.getvalue()
    assert "epoch 3" not in terminal.getvalue()


def test_a_file_gets_no_bars_even_where_colours_are_forced(monkeypatch):
    log = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = type(progress.err)(file=log)
    assert console.is_terminal, "else this shows nothing"
    monkeypatch.setattr(progress, "err", console)
    with progress.shown(Recipe.named("smoke"), None) as show:
        show(1, 18, [])
        show(6, 18, [epoch(1)])
    (line,) = log.getvalue().splitlines()
    assert line.startswith("epoch 1: loss 1.000, held-out accuracy 40.0%, ")


def test_places_of_a_module_may_be_several(tmp_path):
    places = ("--placement", "layer2.0.bn2", "--placement", "layer3.0.bn2")
    result = attnlib("train", *TINY, "--attention", "se", *places, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    record = Record.load(tmp_path / "record.json")
    assert record.recipe.placement == ("layer2.0.bn2", "layer3.0.bn2")
    assert sum(record.attached.values()) == 2


def test_recipes_are_listed_and_shown():
    listed = attnlib("recipes").stdout
    assert all(name in listed for name in ("smoke", "cifar10-slice", "equal-budget"))
    shown = attnlib("recipes", "equal-budget").stdout
    assert re.search(r"epochs\W+30\b", shown) and re.search(r"protocol\W+clean", shown)


@pytest.mark.parametrize(
    ("value", "read"), [("False", False), ("false", False), ("8", 8), ("None", None), ("max", "max"), ("'max'", "max")]
)
def test_values_of_arguments_are_read_as_json_or_as_python(value, read):
    assert parse([f"key={value}"]) == {"key": read}


@pytest.mark.parametrize("value", ["[" * 100_000, "-" * 100_000 + "1", "{[]: 1}", "9" * 5000, "\x00"])
def test_what_neither_of_them_reads_is_a_string(value):
    assert parse([f"key={value}"]) == {"key": value}


def test_flag_in_pythons_spelling_is_a_flag(tmp_path):
    result = attnlib("train", *TINY, "--attention", "se", "--arg", "bias=False", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert Record.load(tmp_path / "record.json").recipe.attention_args == {"bias": False}


def test_profile_prints_json_with_the_promised_keys():
    result = attnlib("profile", "resnet8", "--attention", "sa", "--json")
    cost = json.loads(result.stdout)
    assert {"parameters", "macs", "macs_by_operator", "activations", "peak_memory_bytes"} <= cost.keys()
    assert sum(cost["macs_by_operator"].values()) == cost["macs"]
    table = attnlib("profile", "resnet8", "--attention", "sa").output
    assert all(f"{cost[key]:,}" in table for key in ("parameters", "macs", "activations", "peak_memory_bytes"))


def test_profile_takes_the_networks_own_size_and_classes():
    cost = json.loads(attnlib("profile", "resnet18", "--json").stdout)
    assert cost["parameters"] == 11_689_512  # torchvision's, with 1000 classes
    assert 1.8e9 < cost["macs"] < 1.9e9


def test_the_ledger_is_filtered_and_printed_as_a_list():
    wanted = {"id", "paper", "kind", "claim", "published", "measured", "tolerance", "verdict", "note"}
    entries = json.loads(attnlib("ledger", "--json").stdout)
    assert entries
    assert all(wanted <= entry.keys() for entry in entries)
    chosen = json.loads(attnlib("ledger", "--paper", "sa", "--kind", "paper", "--verdict", "holds", "--json").stdout)
    filters = {"paper": "sa", "kind": "paper", "verdict": "holds"}
    assert chosen == [entry for entry in entries if filters.items() <= entry.items()] != []
    (one,) = json.loads(attnlib("ledger", "--id", "sa-parameters-resnet50", "--json").stdout)
    assert (one["published"], one["measured"], one["verdict"]) == (300, 708, "does not hold")
    shown = attnlib("ledger", "--id", "sa-parameters-resnet50").output
    assert "contradicts" in attnlib("ledger", "--id", "bam-accuracy-cifar100-resnet50").output
    assert "1 claims; does not hold, contradiction: 1" in shown
    of_a_kind = json.loads(attnlib("ledger", "--disagreement", "rounding", "--json").stdout)
    assert of_a_kind == [entry for entry in entries if entry["disagreement"] == "rounding"] != []


def test_the_ledger_without_an_option_is_a_summary():
    claims = json.loads(attnlib("ledger", "--json").stdout)
    shown = attnlib("ledger").output
    assert f"{len(claims)} claims; " in shown
    assert "sa-parameters-resnet50" not in shown
    assert len(shown.splitlines()) < 40


def test_the_ledger_s_costs_are_a_table_of_their_own():
    cells = json.loads(attnlib("ledger", "--paper", "sa", "--costs", "--json").stdout)
    assert {"table", "row", "column", "published", "measured", "agrees", "reason"} <= cells[0].keys()
    assert f"{len(cells)} printed costs" in attnlib("ledger", "--paper", "sa", "--costs").output


def test_report_lists_what_has_records_and_reports_one_recipe():
    listed = {(e["recipe"], e["backbone"]): e for e in json.loads(attnlib("report", "--json").stdout)}
    slice_runs = listed["cifar10-slice", "resnet20"]
    assert re.search(rf"cifar10-slice +│ resnet20 +│ {slice_runs['attentions']} ", attnlib("report").stdout)
    chosen = ("report", "--recipe", "cifar10-slice", "--backbone", "resnet20", "--baseline", "constant")
    reported = json.loads(attnlib(*chosen, "--json").stdout)
    assert len(reported["rows"]) == slice_runs["attentions"]
    assert sum(len(row["seeds"]) for row in reported["rows"]) == slice_runs["runs"]
    shown = attnlib(*chosen).stdout
    for row in reported["rows"]:
        assert f"{row['mean']:.2f}" in shown
        assert row["label"] == "constant" or f"{row['difference']:+.2f}" in shown
    assert reported["conclusion"] in " ".join(shown.split())


def test_report_reads_run_folders_and_calls_single_runs_so(tmp_path):
    (record, *_) = records("cifar10-slice", "none")
    record.save(tmp_path / "run" / "record.json")
    shown = attnlib("report", "--recipe", "cifar10-slice", "--records", tmp_path).stdout
    assert "single run" in shown
    assert "bootstrap's" not in shown


def test_report_prints_its_table_for_a_paper_and_names_what_failed(tmp_path):
    (record, *_) = records("cifar10-slice", "none")
    record.save(tmp_path / "cifar10-slice" / "none" / "resnet20-seed0.json")
    chosen = ("report", "--recipe", "cifar10-slice", "--records", tmp_path)
    assert attnlib(*chosen, "--format", "latex").stdout.startswith(r"\begin{tabular}")
    reason = "the training loss is not finite at step 3"
    recipe = record.recipe.model_copy(update={"attention": "se"})
    broken = record.model_copy(update={"recipe": recipe, "status": "failed", "final": None, "error": reason})
    broken.save(tmp_path / "cifar10-slice" / "se" / "resnet20-seed0.json")
    assert f"Failed: se, seed 0: {reason}." in " ".join(attnlib(*chosen).stdout.split())
    refused = attnlib("report", "--format", "csv")
    assert refused.exit_code == 2 and "--format csv is for the runs of one recipe" in refused.output


def test_a_broken_record_stops_the_report_of_its_own_recipe_alone(tmp_path):
    (record, *_) = records("cifar10-slice", "none")
    record.save(tmp_path / "filed" / "cifar10-slice" / "none" / "resnet20-seed0.json")
    broken = tmp_path / "filed" / "another" / "none" / "resnet20-seed0.json"
    broken.parent.mkdir(parents=True)
    warnings.simplefilter("always")  # not once for each text
    for content in (b"{}", b"\xff\xfe", b"<<<<<<< HEAD\n"):
        broken.write_bytes(content)
        for options in ((), ("--recipe", "cifar10-slice")):
            result = attnlib("report", *options, "--records", tmp_path / "filed")
            assert result.exit_code == 0 and "cifar10-slice" in result.stdout
            assert result.stderr.startswith(f"note: passed over: {broken} is not a record")
        own = attnlib("report", "--recipe", "another", "--records", tmp_path / "filed")
        assert own.exit_code == 2 and f"error: {broken} is not a record" in own.stderr
    record.save(tmp_path / "runs" / "a" / "record.json")
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "record.json").write_text("")
    result = attnlib("report", "--recipe", "cifar10-slice", "--records", tmp_path / "runs")
    assert result.exit_code == 0 and "passed over" in result.stderr


def test_data_info_shows_what_is_here_and_fails_on_damage(tmp_path):
    assert attnlib("data", "info", "--root", tmp_path).exit_code == 0
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "meta.json").write_text("{}")
    result = attnlib("data", "info", "--root", tmp_path)
    assert result.exit_code == 1
    assert re.search(
        r"damaged: .*meta.json: field classes: Field required; .* attnlib data fetch cifar10", result.stderr
    )


@pytest.mark.parametrize(
    ("network", "module", "counted"),
    [
        ("resnet164", "iebn", r"163 places; parameters 1,704,154 -> 1,728,378 \(\+24,224\)"),
        (
            "torchvision:resnet50",
            "se",
            r"16 places, 16 of 16 blocks; parameters 25,557,032 -> 28,088,024 \(\+2,530,992\)",
        ),
        ("timm:resnet26", "bam", r"3 places; parameters 15,995,176 -> 16,353,243 \(\+358,067\)"),
    ],
)
def test_attach_says_what_would_go_where(network, module, counted):
    shown = attnlib("attach", network, module, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert re.search(counted, shown.output)
    assert "layer1" in shown.output


def test_profile_counts_other_libraries_networks_and_places_too():
    plain = json.loads(attnlib("profile", "torchvision:resnet18", "--image-size", "64", "--json").stdout)
    assert plain["parameters"] == plain["network_parameters"] == 11_689_512
    arguments = ("--attention", "se", "--placement", "layer4.*.bn2", "--image-size", "64", "--json")
    gated = json.loads(attnlib("profile", "torchvision:resnet18", *arguments).stdout)
    assert gated["parameters"] - plain["parameters"] == 2 * (2 * 512 * 32 + 512 + 32)


def test_an_image_may_have_two_different_sides():
    arguments = ("resnet8", "--image-size", "32x48", "--attention", "nam", "--arg", "spatial=true", "--json")
    cost = json.loads(attnlib("profile", *arguments).stdout)
    model = networks.create("resnet8", 10, "nam", {"spatial": True}, image_size=(32, 48))
    assert cost["macs"] == profile(model, (32, 48)).macs
    shown = attnlib("attach", "resnet8", "nam", "--image-size", "32x48", "--arg", "spatial=true", "--dry-run").output
    assert re.search(r"layer2\.0\.bn2.*16 x 24", shown)


def test_the_parameters_of_a_whole_detector_stand_beside_those_counted():
    cost = json.loads(attnlib("profile", "mask_rcnn_resnet50", "--image-size", "64", "--json").stdout)
    assert cost["parameters"] < cost["network_parameters"] == 44_454_513


def test_a_detector_of_torchvision_downloads_nothing(monkeypatch):
    def download(*args, **kwargs):
        raise AssertionError("downloads")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    shown = attnlib("attach", "torchvision:fcn_resnet50", "se", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "16 places" in shown.output


def test_attach_writes_the_initial_weights(tmp_path):
    path = tmp_path / "new" / "weights.pt"
    arguments = ("attach", "resnet8", "nam", "--arg", "spatial=true", "--image-size", "32", "--out", path)
    shown = attnlib(*arguments)
    assert re.search(r"after.*layer2\.0\.bn2.*32.*16 x 16.*spatial=True", shown.output)
    model = networks.create("resnet8", 10, "nam", {"spatial": True}, image_size=32)
    model.load_state_dict(torch.load(path, weights_only=True))
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.pt"]


def test_compare_shows_the_table_and_writes_what_is_asked_for(tmp_path):
    files = [tmp_path / "new" / name for name in ("costs.csv", "costs.tex")]
    command = ("compare", "resnet8", "se", "se(reduction=4, squeeze=max)", "--no-latency")
    shown = attnlib(*command, "--out", files[0], "--out", files[1])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"none +78.04 k", shown.stdout) and "+791" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert [line.partition(": ")[0] for line in shown.stderr.splitlines()] == ["written", "written"]
    assert files[0].read_text().startswith("module,parameters,parameters_added")
    rows = json.loads(attnlib(*command, "--json").stdout)["rows"]
    assert [row["module"] for row in rows] == ["none", "se", "se(reduction=4, squeeze=max)"]


def test_compare_counts_a_network_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(
        "from attnlib.networks import create\ndef small():\n    return create('resnet8')\n"
    )
    monkeypatch.chdir(tmp_path)
    shown = attnlib("compare", "own_nets:small", "eca", "--no-latency", "--image-size", "32x48", "--json")
    assert shown.exit_code == 0, shown.output
    plain = json.loads(shown.stdout)["rows"][0]
    alone = json.loads(attnlib("profile", "resnet8", "--image-size", "32x48", "--json").stdout)
    assert (plain["parameters"], plain["macs"]) == (alone["parameters"], alone["macs"])


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/dev/null", "is no regular file"),
        ("/dev/full", "is no regular file"),
        ("/proc/weights.pt", "cannot write into /proc"),
        ("", "needs a name"),
        (".", "is a folder"),
        ("file/weights.pt", "cannot write into .*file"),
    ],
)
def test_a_bad_place_for_the_weights_is_known_before_the_network_is_built(place, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("attnlib.networks.external.build", lambda *_: pytest.fail("built"))
    result = attnlib("attach", "resnet8", "se", f"--out={place}")
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert re.search(f"error: .*{reason}", line)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert attnlib("attach", "resnet8", "se", "--out=~/weights.pt").exit_code == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pt"]
    result = attnlib("train", *TINY, "--out", "")
    assert (result.exit_code, result.stderr) == (2, "error: a file or folder needs a name, got ''\n")


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("info", "sse"), "no module is called 'sse'; did you mean 'se'"),
        (("list", "--family", "scales"), "'scale'"),
        (("data", "import", "cifar.tar.gz"), "cifar.tar.gz is not there; give the archive's path"),
        (("data", "fetch", "cifar"), "'cifar10' or 'cifar100'"),
        (("attach", "resnet20", "se"), "give --dry-run to see the places, or --out FILE"),
        (("attach", "resnet51", "se", "--dry-run"), "no network is called 'resnet51'"),
        (("attach", "timm:resnet51", "se", "--dry-run"), "no network of timm is called 'resnet51'; did you mean"),
        (("attach", "keras:resnet50", "se", "--dry-run"), "a Python module with a function .* no module 'keras' is"),
        (("attach", "resnet20", "sagan", "--dry-run"), "'sagan' has no place in an existing network"),
        (("attach", "resnet20", "se", "--placement", "block", "--dry-run"), "no placement is called 'block'"),
        (("attach", "resnet20", "se", "--placement", "fc", "--dry-run"), r"layer fc \(Linear\) gives \(1, 10\)"),
        (("profile", "resnet8", "--placement", "layer3"), "--arg and --placement need a module: give --attention"),
        (("attach", "resnet20", "se", "--placement", "layer9.*", "--dry-run"), "no path matches 'layer9"),
        (("compare", "resnet8", "se", "sse"), "no module is called 'sse'; did you mean 'se'"),
        (("compare", "resnet9", "se"), "no network is called 'resnet9'"),
        (("compare", "resnet8", "none"), "none would be in the table twice"),
        (("compare", "resnet8", "se(16)"), "se takes KEY=VALUE, e.g. se reduction=8, got '16'"),
        (("compare", "resnet8", "se[16]"), r"or a key with arguments as 'se\(reduction=8\)', got 'se\[16\]'"),
        (("compare", "resnet8", "se(reduction=64)"), "reduction=64"),
        (("compare", "resnet8", "sagan"), "'sagan' has no place in an existing network"),
        (("compare", "resnet8", "se", "--runs", 0), "runs must be at least 1, got 0|runs=0|got 0"),
        (("compare", "resnet8", "se", "--device", "tpu"), "device must be auto, cpu.*, got 'tpu'"),
        (("compare", "resnet8", "se", "--out", "costs.xls"), r"costs.xls ends in .xls; .* \.csv, .*\.svg"),
        (("report", "--recipe", "cifar10-slce"), "no recipe with records is called 'cifar10-slce'; did you mean"),
        (("report", "--recipe", "cifar10-slice", "--baseline", "nan"), "no baseline among these runs is called 'nan'"),
        (("report", "--recipe", "cifar10-slice", "--backbone", "resnet2"), "resnet20"),
        (("report", "--backbone", "resnet20"), "--backbone resnet20 is for the runs of one recipe"),
        (("report", "--records", "missing"), "no record of a finished run in missing"),
        (("ledger", "--paper", "sasaa"), "no paper is called 'sasaa'; did you mean 'sasa'"),
        (("ledger", "--verdict", "hold"), "no verdict is called 'hold'; did you mean 'holds'"),
        (("ledger", "--kind", "codes"), "no kind is called 'codes'; did you mean 'code'"),
        (("ledger", "--costs", "--kind", "code"), "--disagreement and --id choose among claims"),
        (("profile", "resnet51"), "no network is called 'resnet51'"),
        (("profile", "resnet8", "--attention", "nan"), "'nam'"),
        (("profile", "resnet8", "--image-size", "0"), "--image-size must have sides of 1 or more, got 0"),
        (("profile", "resnet8", "--image-size", "32x0"), r"--image-size must have sides .*, got \(32, 0\)"),
        (("attach", "resnet8", "se", "--image-size", "32,48", "--dry-run"), "takes a side or HxW, .*, got '32,48'"),
        (("train", *TINY, "--data", "shape"), "no dataset is called 'shape'; did you mean 'shapes'"),
        (("train", *TINY, "--attention", "nan"), "'nam'"),
        (("train", *TINY, "--backbone", "resnet2"), "'resnet20'"),
        (("train", "--recipe", "smok"), "'smoke'"),
        (("train", *TINY, "--device", "gpu"), "device must be one of auto, cpu, cuda, mps, got 'gpu'"),
        (("recipes", "smok"), "no recipe is called 'smok'; did you mean 'smoke'"),
        (("train", *TINY, "--set", "epoch=3"), "no field of a recipe is called 'epoch'; did you mean 'epochs'"),
        (("train", *TINY, "--set", "epochs=2"), "epochs is given twice: by --epochs and by --set; leave one out"),
        (("train", "--set", "seed=3", "--seed", 0), "seed is given twice: by --seed and by --set; leave one out"),
        (("train", *TINY, "--set", "train_images=20"), "train_images is given twice: by --train-images and by --set"),
        (("train", "--attention", "se", "--set", "attention=nam"), "attention is given twice: by --attention and by"),
        (("train", "--arg", "a=1", "--set", "attention_args={}"), "attention_args is given twice: by --arg and by"),
        (("train", "--placement", "norms", "--set", "placement=x"), "placement is given twice: by --placement and by"),
        (("train", "--set", "cutout=1", "--set", "cutout=2"), "cutout is given twice by --set; leave one out"),
        (("train", *TINY, "--set", "name=a/b"), "error: recipe smoke: field name: records are filed .*, got 'a/b'"),
        (("train", *TINY, "--set", "momentum=0"), "smoke: momentum=0 does not go with nesterov=true.*nesterov=false"),
        (("train", *TINY, "--set", "epochs"), "--set takes .*got 'epochs'"),
        (("train", *TINY, "--devices", "0"), "devices must be at least 1|devices=0|got 0"),
        (("train", *TINY, "--set", "batch_size=0"), "field batch_size: .*got 0"),
        (("train", *TINY, "--attention", "se", "--arg", "reduction"), "KEY=VALUE.*got 'reduction'"),
        (("train", *TINY, "--attention", "se", "--arg", "reductoin=4"), "reductoin"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, reason, tmp_path):
    out = ("--out", tmp_path) if arguments[0] == "train" else ()
    result = attnlib(*arguments, *out)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert re.search(reason, line)


def test_a_field_without_an_option_given_may_be_set(tmp_path):
    settings = ("--set", "attention=se", "--set", "attention_args={'reduction': 8}", "--set", "seed=3")
    result = attnlib("train", *TINY, *settings, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    recipe = Record.load(tmp_path / "record.json").recipe
    assert (recipe.label, recipe.seed) == ("se(reduction=8)", 3)


def test_bad_input_and_finished_runs_wait_for_no_fabric(tmp_path):
    record = next(r for r in records("cifar10-slice", "none") if r.seed == 1 and r.recipe.backbone == "resnet20")
    record.save(tmp_path / "record.json")
    finished = ["train", "--recipe", "cifar10-slice", "--seed", "1", "--out", str(tmp_path)]
    commands = [finished, [*finished, "--set", "learning_rat=0.1"], ["recipes", "smok"]]
    program = f"""
import sys
from attnlib.cli import app
for command in {commands}:
    try:
        app(command)
    except SystemExit as end:
        print(end.code, *sorted({{"lightning_fabric", "torchvision", "attnlib.training.loop"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"test accuracy {record.final.accuracy:.1%}" in done.stdout
    assert [line for line in done.stdout.splitlines() if line[0].isdigit()] == ["0", "2", "2"], done.stderr


@pytest.fixture
def helper(monkeypatch):
    """This process as one that helps another; the call says that the other has ended."""
    parents = [os.getppid()]
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(workers.STARTED, str(parents[0]))
    monkeypatch.setattr(shared, "_PATIENCE", 0.2)
    monkeypatch.setattr(shared, "_PARENT", parents[0])
    monkeypatch.setattr(shared.os, "getppid", lambda: parents[-1])
    return lambda: parents.append(1)


def fail(*_):
    raise RuntimeError("connection closed")


@pytest.mark.parametrize(
    "settings", [("learning_rate=1e30",), ("learning_rat=1",), ("batch_size=90", "batch_parts=90")]
)
def test_a_helper_leaves_its_errors_to_the_process_that_it_helps(settings, helper, tmp_path):
    chosen = [part for setting in settings for part in ("--set", setting)]
    helper()
    result = attnlib("train", *TINY, *chosen, "--out", tmp_path)
    assert (result.exit_code, result.output) == (1, "")


def test_a_helper_whose_connection_breaks_is_silent_too(helper, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "train", fail)
    helper()
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert (result.exit_code, result.output) == (1, "")


def test_a_helpers_own_error_is_told_where_the_process_that_it_helps_goes_on(helper, tmp_path):
    result = attnlib("train", *TINY, "--set", "learning_rat=1", "--out", tmp_path)
    assert result.exit_code == 2
    assert "'learning_rat'" in result.stderr


def test_another_rank_of_slurm_is_no_helper(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Fabric would have it there
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert "epoch 1" in result.stderr
    assert "test accuracy" in result.stdout


@pytest.mark.parametrize("left", [{}, {"WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "a"}, {"WORLD_SIZE": "4"}])
def test_a_rank_that_a_launcher_left_makes_no_worker(left, tmp_path, monkeypatch):
    for name, value in {"LOCAL_RANK": "1", "MASTER_ADDR": "10.255.255.1", "MASTER_PORT": "1", **left}.items():
        monkeypatch.setenv(name, value)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "note: LOCAL_RANK=1 in the environment is passed over" in result.stderr
    assert "test accuracy" in result.stdout
    assert Record.load(tmp_path / "record.json").status == "finished"


def test_torchrun_and_the_command_agree_on_the_number_of_processes(tmp_path, monkeypatch):
    for name, value in {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}.items():
        monkeypatch.setenv(name, value)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 2
    assert "torchrun has started 2 processes, and devices=1" in result.stderr


def test_too_little_memory_before_the_first_step_is_one_line(tmp_path, monkeypatch):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate [2] GiB")

    monkeypatch.setattr(loop, "Run", exhausted)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 1, result.output
    advice = "lower batch_size or use --device cpu"
    assert result.stderr == f"error: CUDA out of memory. Tried to allocate [2] GiB; {advice}\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't\nallocate 9 bytes"), "DefaultCPUAllocator: can't allocate 9 bytes"),
    ],
)
def test_too_little_memory_of_the_processor_is_one_line(error, told, tmp_path, monkeypatch):
    def exhausted(*_, **__):
        raise error

    monkeypatch.setattr(loop, "Run", exhausted)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 1, result.output
    assert result.stderr == f"error: {told}; ask for less: smaller images, batches or networks\n"


def test_other_errors_keep_their_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "train", fail)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert isinstance(result.exception, RuntimeError)
    assert str(result.exception) == "connection closed"


class Lost(io.StringIO):
    """Standard error of which nobody takes what is written."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(32, "Broken pipe")])
def test_a_run_goes_on_where_nobody_reads_its_progress(error, tmp_path, monkeypatch):
    lost = shared._Console(stderr=True, file=Lost(error))
    monkeypatch.setattr(shared, "err", lost)
    monkeypatch.setattr(progress, "err", lost)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert Record.load(tmp_path / "record.json").status == "finished"


def test_a_broken_paper_is_named_and_the_others_are_shown(tmp_path, monkeypatch):
    from attnlib.ledger import schema

    files = {"se": (schema._FOLDER / "se" / "paper.yml").read_bytes(), "sa": b"key: \xff"}
    for key, text in files.items():
        (tmp_path / key).mkdir()
        (tmp_path / key / "paper.yml").write_bytes(text)
    monkeypatch.setattr(schema, "_FOLDER", tmp_path)
    result = attnlib("ledger", "--costs")
    assert result.exit_code == 1
    assert result.stderr.startswith("passed over: sa/paper.yml is not YAML in UTF-8")
    assert "printed costs:" in result.stdout and "se, Table" in " ".join(result.stdout.split())
    assert attnlib("ledger", "--paper", "sa").exit_code == 2


def test_a_ledger_that_cannot_be_filed_is_shown_all_the_same(monkeypatch):
    from attnlib.ledger import entries

    on_file = entries.stored("se")
    monkeypatch.setattr(entries, "compute", lambda _: on_file)

    def forbidden(*_):
        raise PermissionError(13, "cannot write se.json: Permission denied")

    monkeypatch.setattr(entries, "store", forbidden)
    result = attnlib("ledger", "--paper", "se", "--recompute")
    assert result.exit_code == 0
    assert "not stored: [Errno 13] cannot write se.json" in result.stderr
    assert f"{len(on_file.verdicts)} claims" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--image-size", 100000), ("--classes", 10**10), pytest.param(("--image-size", 1), marks=pytest.mark.thorough)],
)
def test_a_network_that_does_not_fit_is_one_line(arguments):
    network = "torchvision:alexnet" if arguments[1] == 1 else "resnet8"
    result = attnlib("profile", network, *arguments)
    assert result.exit_code == 2, result.exception
    (line,) = result.stderr.splitlines()
    assert re.match("error: .*cannot be (built|counted) .*; choose others", line)


def test_unwritable_folder_is_status_2(tmp_path):
    (tmp_path / "file").write_text("")
    result = attnlib("train", *TINY, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "cannot write into" in result.stderr


def test_failed_run_is_status_1(tmp_path):
    result = attnlib("train", *TINY, "--set", "learning_rate=1e30", "--out", tmp_path)
    assert result.exit_code == 1
    assert "smaller" in result.stderr
    assert Record.load(tmp_path / "record.json").status == "failed"


def test_error_of_torch_is_one_line_and_status_1(tmp_path, monkeypatch):
    def exhausted(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate [2] GiB")

    monkeypatch.setattr(run.F, "cross_entropy", exhausted)
    result = attnlib("train", *TINY, "--out", tmp_path)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("failed: CUDA out of memory. Tried to allocate [2] GiB; record: ")


def test_a_terminal_of_ascii_alone_shows_what_it_can():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "attnlib", "report"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "cifar10-slice" in ended.stdout


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent as POSIX has it")
@pytest.mark.parametrize("module", ["typer", "torch", "pydantic"])
def test_ctrl_c_during_an_import_leaves_no_traceback(module):
    """Sent by the module's own import, which is when it is likeliest: it takes the most time."""
    start = f"""
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupts:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ["attach", "resnet8", "se", "--dry-run"]
runpy.run_module("attnlib", run_name="__main__")
"""
    ended = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True)
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent as POSIX has it")
def test_ctrl_c_ends_a_run_cleanly(tmp_path):
    # A shell's background job inherits an ignored SIGINT; a terminal's foreground job, which this stands for, does not.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from attnlib.cli import app; app()"
    )
    command = [sys.executable, "-c", start, "train", "--recipe", "smoke", "--epochs", "500", "--train-images", "100"]
    with subprocess.Popen([*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        first = process.stderr.readline()
        assert first.startswith("epoch 1"), first + process.stderr.read()
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert "interrupted; the epochs so far are in" in rest
    record = Record.load(tmp_path / "record.json")
    assert record.status == "interrupted"
    assert record.epochs
