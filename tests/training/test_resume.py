"""A run that is stopped, in whichever way, goes on and ends with the record it would have had."""

import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time

import pytest
import torch

from attnlib.training import Recipe, Record, TrainingFailedError, TrainingInterrupted, train
from attnlib.training.checkpoint import Checkpoints
from attnlib.training.folder import finished

# Processes that need not import torch each time they begin.
starter = multiprocessing.get_context("forkserver")
starter.set_forkserver_preload(["attnlib.training"])

MEASURED = {"seconds", "images_per_second", "cpu_seconds", "peak_memory_bytes", "started"}


def recipe(**overrides):
    chosen = {"train_images": 100, "epochs": 3, "batch_size": 10, "augmentation": "crop-flip", "attention": "se"}
    return Recipe.named("smoke", **{**chosen, "cutout": 4, "sparsity": 0.0, **overrides})


def told(record):
    """All of a record that does not depend on the clock or the machine's load."""
    told = record.model_dump(exclude={"provenance": MEASURED})
    for epoch in told["epochs"]:
        del epoch["seconds"]
    return told


def child(folder, chosen, steps, limit):
    """Train in a process of its own; `steps` counts those taken."""
    torch.set_num_threads(1)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    def progress(*_):
        steps.value += 1

    try:
        train(chosen, folder, progress, save_every=0.0)
    except TrainingFailedError as error:
        sys.exit(str(error))


def start(folder, chosen, limit=None):
    steps = starter.Value("i", 0)
    process = starter.Process(target=child, args=(folder, chosen, steps, limit))
    process.start()
    return process, steps


@pytest.fixture(scope="module")
def undisturbed():
    torch.set_num_threads(1)
    return told(train(recipe()).record)


@pytest.mark.parametrize("wanted_kills", [2, pytest.param(20, marks=pytest.mark.thorough)])
def test_kills_at_random_moments_change_nothing(tmp_path, wanted_kills):
    chosen = recipe(train_images=200, epochs=8)  # long enough that no sitting reaches the end
    draw = random.Random(20)
    kills = 0
    while kills < wanted_kills:
        process, steps = start(tmp_path, chosen)
        # Some die before the first step, most between or within steps, and few bring the run much further.
        wanted = draw.choice([0, 1, 1, 2, 3])
        while steps.value < wanted and process.is_alive():
            time.sleep(0.001)
        time.sleep(draw.random() * 0.05)
        assert process.is_alive(), "the run ended before all the kills"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert not (tmp_path / "record.json").exists()
    process, _ = start(tmp_path, chosen)
    process.join()
    assert process.exitcode == 0
    assert told(Record.load(tmp_path / "record.json")) == told(train(chosen).record)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_saves_the_step_it_has_reached(tmp_path, undisturbed, number):
    def ask(step, steps, epochs):
        if step == 14:
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingInterrupted) as caught:
        train(recipe(), tmp_path, ask)
    assert (caught.value.record.status, len(caught.value.record.epochs)) == ("interrupted", 1)
    assert Checkpoints(tmp_path).load()[0]["run"]["step"] == 14
    steps = []
    again = train(recipe(), tmp_path, lambda step, *_: steps.append(step))
    assert steps[0] == 15
    assert told(again.record) == undisturbed
    assert Record.load(tmp_path / "record.json") == again.record


def test_a_run_under_nohup_does_not_hear_that_the_terminal_is_closed(tmp_path, undisturbed):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert told(train(recipe(), tmp_path, lambda *_: os.kill(os.getpid(), signal.SIGHUP)).record) == undisturbed
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", pytest.param("64-true", marks=pytest.mark.thorough)])
def test_the_precision_is_the_recipe_s_whatever_the_caller_has(precision):
    alone = told(train(recipe(epochs=1, precision=precision)).record)
    with torch.autocast("cpu", torch.bfloat16):
        assert told(train(recipe(epochs=1, precision=precision)).record) == alone
    torch.set_default_dtype(torch.float64)
    try:
        assert told(train(recipe(epochs=1, precision=precision)).record) == alone
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_another_threads_default_type_does_not_change_a_run_in_silence(tmp_path):
    def other(step, *_):
        if step == 2:  # the type is the process's, whichever thread sets it
            torch.set_default_dtype(torch.float64)

    with pytest.raises(TrainingFailedError, match=r"another thread has set torch's default type to torch\.float64"):
        train(recipe(), tmp_path, other)
    assert torch.get_default_dtype() == torch.float32
    assert told(train(recipe(), tmp_path).record) == told(train(recipe()).record)


def test_what_classifies_nothing_is_not_trained(tmp_path):
    for backbone in ("sagan_generator", "sagan_discriminator", "retinanet_resnet50"):
        with pytest.raises(ValueError, match=f"no network that classifies images is called '{backbone}'"):
            train(recipe(backbone=backbone, attention="none"), tmp_path)
    assert not (tmp_path / "record.json").exists()


def test_a_finished_run_is_not_run_again(tmp_path):
    first = train(recipe(), tmp_path)
    again = train(recipe(), tmp_path, lambda *_: pytest.fail("trained again"))
    assert again.record == first.record == finished(tmp_path, recipe())
    for ours, theirs in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    Checkpoints(tmp_path).clear()
    with pytest.raises(ValueError, match="is finished, but the checkpoint.*restart=True"):
        train(recipe(), tmp_path)


def test_a_folder_of_another_recipe_is_refused_and_left_alone(tmp_path):
    train(recipe(epochs=1), tmp_path)
    (tmp_path / "record.json").rename(tmp_path / "kept.json")
    held = {path: path.read_bytes() for path in tmp_path.iterdir()}
    message = r"another recipe \(epochs=1 there, 2 asked for, seed=0 there, 1 asked for\).*--restart"
    with pytest.raises(ValueError, match=message):  # by its checkpoint
        train(recipe(epochs=2, seed=1), tmp_path)
    (tmp_path / "kept.json").rename(tmp_path / "record.json")
    with pytest.raises(ValueError, match=message):  # by its record
        train(recipe(epochs=2, seed=1), tmp_path)
    assert held == {path.with_name("kept.json") if path.name == "record.json" else path: path.read_bytes()
                    for path in tmp_path.iterdir()}  # fmt: skip


def test_two_runs_do_not_share_a_folder(tmp_path):
    def second(*_):
        with pytest.raises(ValueError, match="another run is writing into"):
            train(recipe(), tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(recipe(), tmp_path, second)


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(tmp_path, undisturbed):
    def stop(step, *_):
        if step == 14:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(recipe(), tmp_path, stop, save_every=0.0)
    newest = max(tmp_path.glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    (tmp_path / "record.json").unlink()
    with pytest.raises(ValueError, match="another recipe"):
        train(recipe(seed=1), tmp_path)
    assert newest.exists()  # what is not this run's is not touched
    steps = []
    with pytest.warns(UserWarning, match="step 13 is damaged and was set aside.*going on from step 12"):
        again = train(recipe(), tmp_path, lambda step, *_: steps.append(step))
    assert steps[0] == 13
    assert told(again.record) == undisturbed


def test_a_checkpoint_of_other_code_is_refused_with_the_way_out(tmp_path, undisturbed):
    def stop(step, *_):
        if step == 14:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(recipe(), tmp_path, stop)
    state = Checkpoints(tmp_path).load()[0]
    fits = {**state, "run": {**state["run"], "model": dict(state["run"]["model"])}}
    state["run"]["model"]["renamed.weight"] = state["run"]["model"].pop("fc.weight")
    Checkpoints(tmp_path).save(15, state)
    with pytest.raises(ValueError, match="made by other code and does not fit:.*renamed.weight.*--restart"):
        train(recipe(), tmp_path)
    Checkpoints(tmp_path).save(16, {**fits, "recipe": '{"name": "smoke"}'})
    with pytest.raises(ValueError, match="with another kind of recipe.*field data.*--restart"):
        train(recipe(), tmp_path)
    Checkpoints(tmp_path).clear()
    forged_runs = [{"step": 10**9}, {"step": "a"}, {"epochs": [{}]}, {"random": 1}, {"optimiser": []}]
    forged = [{"run": 3}, {"seconds": "long"}, {"started": {}}, *({"run": {**fits["run"], **f}} for f in forged_runs)]
    for change in forged:
        Checkpoints(tmp_path).save(14, {**fits, **change})
        with pytest.raises(ValueError, match="made by other code.*--restart"):
            train(recipe(), tmp_path)
        Checkpoints(tmp_path).clear()
    Checkpoints(tmp_path).save(17, {**fits, "deterministic": True})
    with pytest.warns(UserWarning, match="begun with deterministic=True and goes on with False"):
        assert told(train(recipe(), tmp_path).record) == undisturbed


def test_a_record_that_cannot_be_read_says_how_to_go_on(tmp_path, undisturbed):
    def stop(step, *_):
        if step == 14:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(recipe(), tmp_path, stop, save_every=0.0)
    (tmp_path / "record.json").write_text("")
    with pytest.raises(ValueError, match="record.json is not a record.*remove the file to go on.*--restart"):
        train(recipe(), tmp_path)
    (tmp_path / "record.json").unlink()
    assert told(train(recipe(), tmp_path).record) == undisturbed


def test_arguments_are_known_again_whatever_their_type(tmp_path):
    chosen = recipe(attention="sem", attention_args={"operators": ("fc", "cnn")}, epochs=1)
    assert train(chosen, tmp_path).record == train(chosen, tmp_path).record


def test_code_that_changed_since_the_checkpoint_is_told(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(recipe(), tmp_path, stop)
    monkeypatch.setattr("attnlib.training.folder.commit", lambda: "another")
    with pytest.warns(UserWarning, match="which is now another.*--restart"):
        train(recipe(), tmp_path)


def test_a_disk_without_room_is_known_before_the_first_step(tmp_path):
    process, steps = start(tmp_path, recipe(), limit=100_000)  # a checkpoint takes more
    process.join()
    assert process.exitcode == 1
    assert steps.value == 0
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_disk_that_fills_up_loses_nothing(tmp_path, undisturbed, monkeypatch):
    def stop(step, *_):
        if step == 14:
            monkeypatch.setattr("os.fsync", full)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(TrainingFailedError) as caught:
        patch.setattr("os.fsync", os.fsync)
        train(recipe(), tmp_path, stop, save_every=0.0)
    assert re.search(
        "No space left.*step 13 is kept", str(caught.value)
    )  # told, though no record can be written either
    assert not (tmp_path / "record.json").exists()
    assert (caught.value.record.status, len(caught.value.record.epochs)) == ("failed", 1)
    monkeypatch.undo()
    assert told(train(recipe(), tmp_path).record) == undisturbed
