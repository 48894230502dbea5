"""Several processes that share each batch, through the command that starts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from attnlib.training import Recipe, Record, train
from attnlib.training.checkpoint import Checkpoints

COMMAND = Path(sys.executable).with_name("attnlib")
# The last batch of an epoch is smaller, and its parts are not all alike.
TWENTY_STEPS = {
    "train_images": 110, "epochs": 4, "batch_size": 24, "batch_parts": 4, "protocol": "paper",
    "augmentation": "crop-flip", "precision": "64-true", "attention": "nam",
}  # fmt: skip


def command(folder, settings, *more):
    recipe = {k: v for k, v in settings.items() if k != "attention"}
    chosen = [part for field, value in recipe.items() for part in ("--set", f"{field}={value}")]
    attention = ("--attention", settings.get("attention", "none"))
    return [COMMAND, "train", "--recipe", "smoke", *chosen, *attention, "--out", folder, "--device", "cpu", *more]


@pytest.fixture
def environment():
    """With what other launchers leave behind, an address that nobody has among it."""
    left = {"LOCAL_RANK": "0", "NODE_RANK": "3", "WORLD_SIZE": "7", "MASTER_ADDR": "10.255.255.1", "MASTER_PORT": "1"}
    return {**os.environ, **left, "OMP_NUM_THREADS": "1"}


@pytest.mark.thorough
def test_two_processes_compute_what_one_does_also_when_they_are_stopped(tmp_path, environment):
    two_processes = command(tmp_path / "two", TWENTY_STEPS, "--devices", "2", "--save-every", "0")
    first = subprocess.Popen(two_processes, env=environment, stderr=subprocess.PIPE, text=True)
    while not any((tmp_path / "two").glob("checkpoint-00000000[789]-*")):  # within the second epoch
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.001)
    first.send_signal(signal.SIGTERM)
    assert "interrupted; the epochs so far" in first.communicate()[1]
    assert first.returncode == 130
    assert 0 < Checkpoints(tmp_path / "two").load()[0]["run"]["step"] < 20

    done = subprocess.run(two_processes, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1
    assert "Initializing" not in done.stderr
    two = Record.load(tmp_path / "two" / "record.json")
    one = train(Recipe.named("smoke", **TWENTY_STEPS), tmp_path / "one", device="cpu").record
    assert (one.provenance.processes, two.provenance.processes) == (1, 2)
    for ours, theirs in zip(two.epochs, one.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-9)
        assert ours.train_accuracy == theirs.train_accuracy
        assert ours.test_accuracy == theirs.test_accuracy
    ours, theirs = (Checkpoints(tmp_path / name).load()[0]["run"] for name in ("two", "one"))
    assert ours["step"] == theirs["step"] == 20
    for name, value in theirs["model"].items():
        torch.testing.assert_close(ours["model"][name], value, rtol=0, atol=1e-9, msg=name)


@pytest.mark.thorough
@pytest.mark.parametrize("dead", ["worker", "first"])
def test_a_process_that_dies_ends_the_run(tmp_path, environment, dead):
    many = {**TWENTY_STEPS, "epochs": 1000}
    log = tmp_path / "log"
    with open(log, "w") as file:
        first = subprocess.Popen(
            command(tmp_path / "out", many, "--devices", "2"), env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        while "epoch 1:" not in log.read_text():
            assert first.poll() is None, log.read_text()
            time.sleep(0.1)
        (worker,) = psutil.Process(first.pid).children()
        if dead == "worker":
            worker.kill()
            assert first.wait(timeout=15) not in (0, None)
        else:
            first.kill()
        _, alive = psutil.wait_procs([worker], timeout=15)
        assert not alive
    finally:
        first.kill()
    assert Checkpoints(tmp_path / "out").load()[0] is not None


def test_more_processes_than_parts_are_refused(tmp_path, environment):
    done = subprocess.run(
        command(tmp_path, {**TWENTY_STEPS, "batch_parts": 1}, "--devices", "2"),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.count("devices=2 cannot share batch_parts=1") == 1  # before any process is started
    assert "set batch_parts to a multiple of 2" in " ".join(done.stderr.split())
