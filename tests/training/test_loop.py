import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from attnlib.data import load
from attnlib.errors import UnknownNameError
from attnlib.networks import attention_modules
from attnlib.training import Recipe, Record, TrainingFailedError, TrainingInterrupted, run, train
from attnlib.training.run import Run


def tiny(**overrides):
    """A run of about a second: 90 images to train on and 10 to validate on."""
    return Recipe.named("smoke", **{"train_images": 100, "epochs": 2, "batch_size": 32, **overrides})


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.model.parameters()])


def test_clean_run_reads_the_test_set_once(tmp_path, monkeypatch):
    sizes = []
    accuracy = Run.accuracy
    monkeypatch.setattr(Run, "accuracy", lambda self, data: sizes.append(len(data)) or accuracy(self, data))
    trained = train(tiny(), out=tmp_path)
    assert sizes == [10, 10, 500]
    record = Record.load(tmp_path / "record.json")
    assert record == trained.record
    assert (record.status, record.protocol, record.seed) == ("finished", "clean", 0)
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert all(epoch.test_accuracy is None and epoch.validation_accuracy is not None for epoch in record.epochs)
    assert (record.train_images, record.validation_images, record.final.test_images) == (90, 10, 500)
    assert record.parameters == weights(trained).numel()
    assert record.provenance.device == "cpu"
    assert record.provenance.images_per_second > 0
    assert record.provenance.cpu_seconds > 0


def test_paper_run_reads_the_test_set_after_every_epoch():
    record = train(tiny(protocol="paper")).record
    assert all(epoch.test_accuracy is not None and epoch.validation_accuracy is None for epoch in record.epochs)
    assert record.final.accuracy == record.epochs[-1].test_accuracy
    assert (record.train_images, record.validation_images) == (100, 0)


def test_the_record_states_the_groups_that_each_width_got():
    trained = train(tiny(attention="sa", epochs=1))
    assert trained.record.attached == {f"SA({c}, groups={c // 4}, shuffle=True)": 1 for c in (16, 32, 64)}
    assert train(tiny(epochs=1)).record.attached == {}


def test_one_seed_gives_one_run_whatever_the_global_state():
    torch.manual_seed(1)
    first = train(tiny(attention="se", augmentation="crop-flip"))
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    again = train(tiny(attention="se", augmentation="crop-flip"))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(train(tiny(attention="se", augmentation="crop-flip", seed=1))))
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())


def test_modules_share_initial_weights_and_batches(monkeypatch):
    seen, inputs = {"none": [], "nam": []}, {"none": [], "nam": []}
    starts = {}
    cross_entropy = run.F.cross_entropy
    for attention in seen:
        build = run.build

        def noted(recipe, classes, image_size, model, attention=attention, build=build):
            model = build(recipe, classes, image_size, model)
            starts[attention] = model.fc.weight.detach().clone()
            model.register_forward_pre_hook(lambda _, given: inputs[attention].append(given[0].clone()))
            return model

        with monkeypatch.context() as patch:
            patch.setattr(run, "build", noted)
            patch.setattr(
                run.F, "cross_entropy", lambda s, y, a=attention: seen[a].append(y.clone()) or cross_entropy(s, y)
            )
            train(tiny(attention=attention, augmentation="crop-flip"))
    assert torch.equal(starts["none"], starts["nam"])
    assert len(seen["none"]) == 6 < len(inputs["none"])  # what is evaluated has no loss
    for of in (seen, inputs):
        assert all(torch.equal(a, b) for a, b in zip(of["none"], of["nam"], strict=True))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_predictions_are_those_that_the_record_counts(precision):
    trained = train(tiny(precision=precision))
    test = load("shapes", "test")
    scores = trained.predict(test.images)
    assert scores.shape == (500, 10) and scores.dtype == torch.float32
    assert (scores.argmax(1).numpy() == test.labels).mean() == trained.record.final.accuracy
    assert not trained.model.training


def test_loss_that_is_no_number_ends_the_run_with_a_record(tmp_path):
    expected = r"not finite at step \d of 6 \(epoch [12]\), at a learning rate of up to 1e\+30"
    with pytest.raises(TrainingFailedError, match=expected) as caught:
        train(tiny(learning_rate=1e30, warmup_epochs=0), out=tmp_path)
    record = Record.load(tmp_path / "record.json")
    assert record == caught.value.record
    assert (record.status, record.final) == ("failed", None)
    assert record.error == str(caught.value)
    assert record.diverged


def test_interrupt_keeps_the_epochs_so_far(tmp_path):
    def interrupt(step, steps, epochs):
        if len(epochs) == 1:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(tiny(epochs=3), out=tmp_path, progress=interrupt)
    record = Record.load(tmp_path / "record.json")
    assert (record.status, len(record.epochs), record.final) == ("interrupted", 1, None)


def test_the_step_at_fault_is_named(monkeypatch):
    calls = iter(range(9))
    cross_entropy = run.F.cross_entropy
    broken = lambda *given: cross_entropy(*given) * (float("inf") if next(calls) == 4 else 1)  # noqa: E731
    monkeypatch.setattr(run.F, "cross_entropy", broken)
    with pytest.raises(TrainingFailedError, match=r"at step 5 of 6 \(epoch 2\)") as caught:
        train(tiny())
    assert len(caught.value.record.epochs) == 1


def test_weights_that_the_last_step_broke_are_no_result():
    with pytest.raises(
        TrainingFailedError, match="after step 1 of 1 the network's scores are not finite for .* smaller"
    ) as caught:
        train(tiny(learning_rate=1e38, warmup_epochs=0, epochs=1, batch_size=90))
    assert caught.value.record.diverged


def test_predictions_in_float64():
    trained = train(tiny(precision="64-true", epochs=1))
    test = load("shapes", "test")
    scores = trained.predict(test.images)
    assert (scores.argmax(1).numpy() == test.labels).mean() == trained.record.final.accuracy


def test_any_other_error_is_in_the_record(tmp_path, monkeypatch):
    calls = iter(range(9))

    def exhausted(*arguments):
        if next(calls) == 4:  # in the second epoch of three steps
            raise RuntimeError("out of memory")
        return cross_entropy(*arguments)

    cross_entropy = run.F.cross_entropy
    monkeypatch.setattr(run.F, "cross_entropy", exhausted)
    with pytest.raises(TrainingFailedError, match="^out of memory$") as caught:
        train(tiny(), out=tmp_path)
    assert isinstance(caught.value.__cause__, RuntimeError)
    record = Record.load(tmp_path / "record.json")
    assert (record.status, len(record.epochs), record.error) == ("failed", 1, "RuntimeError: out of memory")
    assert not record.diverged


def test_restart_removes_an_earlier_run_but_not_before_the_arguments_are_known_to_be_good(tmp_path):
    first = train(tiny(), out=tmp_path)
    held = sorted(tmp_path.iterdir())
    with pytest.raises(UnknownNameError):
        train(tiny(attention="nan"), out=tmp_path, restart=True)
    assert sorted(tmp_path.iterdir()) == held
    there = []
    again = train(
        tiny(seed=1), out=tmp_path, restart=True, progress=lambda *_: there.append((tmp_path / "record.json").exists())
    )
    assert there and not any(there)
    assert Record.load(tmp_path / "record.json") == again.record != first.record


def test_building_a_network_seeds_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("the GPU's generator was seeded"))
    first, again = (run.build(tiny(), classes=10, image_size=32).fc.weight for _ in range(2))
    assert torch.equal(first, again)


def test_progress_reaches_the_last_step_and_every_epoch():
    calls = []
    train(tiny(), progress=lambda step, steps, epochs: calls.append((step, steps, len(epochs))))
    assert calls == [(1, 6, 0), (2, 6, 0), (3, 6, 0), (3, 6, 1), (4, 6, 1), (5, 6, 1), (6, 6, 1), (6, 6, 2)]


@pytest.mark.parametrize("attention", ["none", "iebn"])
def test_parts_have_norms_of_their_own_and_the_gradients_of_the_whole_batch(attention):
    # One step on a batch of 20 in two parts, by hand: two passes, the mean of their gradients, statistics of the first.
    recipe = tiny(
        train_images=20, epochs=1, batch_size=20, batch_parts=2, protocol="paper", warmup_epochs=0,
        precision="64-true", attention=attention,
    )  # fmt: skip
    trained = train(recipe).model
    begin = run.build(recipe, classes=10, image_size=32).double()
    data = run.DeviceImages.select(
        load("shapes", "train"), run.split(load("shapes", "train"), 20, False)[0], torch.device("cpu")
    )
    batches = run.Batches(data, run.Normalisation(*run.channel_statistics(data.images.numpy())), recipe)
    for part in (1, 0):
        for norm in (m for m in begin.modules() if hasattr(m, "running_mean")):
            norm.reset_running_stats()
        inputs, labels = batches.part(0, 0, part)
        (nn.functional.cross_entropy(begin(inputs.double()), labels) / 2).backward()
    for (name, after), before in zip(trained.named_parameters(), begin.parameters(), strict=True):
        expected = before - 0.1 * 1.9 * (before.grad + 5e-4 * before)
        torch.testing.assert_close(after, expected, rtol=1e-10, atol=1e-12, msg=name)
    for (name, after), expected in zip(trained.named_buffers(), begin.buffers(), strict=True):
        torch.testing.assert_close(after, expected, rtol=1e-10, atol=1e-12, msg=name)


def test_noise_is_in_the_training_labels_alone(monkeypatch):
    seen = {}

    def noted(self, *arguments):
        init(self, *arguments)
        seen[self.recipe.label_noise] = [part.labels.clone() for part in (self.training, self.validation, self.test)]

    init = Run.__init__
    monkeypatch.setattr(Run, "__init__", noted)
    for noise in (0.0, 0.5):
        train(tiny(label_noise=noise, epochs=1))
    training, validation, test = zip(seen[0.0], seen[0.5], strict=True)
    assert 0.3 < (training[0] != training[1]).double().mean() < 0.7
    assert torch.equal(*validation) and torch.equal(*test)


def test_sparsity_penalty_shrinks_the_scales():
    def scales(sparsity):
        model = train(tiny(attention="nam", sparsity=sparsity, weight_decay=0)).model
        return sum(m.channel_norm.weight.abs().sum().item() for m in attention_modules(model).values())

    assert scales(0.1) < 0.9 * scales(0.0)


@pytest.mark.parametrize(
    ("overrides", "error", "reason"),
    [
        ({"data": "shape"}, UnknownNameError, "'shapes'"),
        ({"backbone": "resnet9"}, UnknownNameError, "resnet"),
        ({"attention": "nan"}, UnknownNameError, "'nam'"),
        ({"sparsity": 0.1}, ValueError, "no NAM"),
        ({"train_images": 3000}, ValueError, "at most 2000.*got 3000"),
        ({"batch_size": 89}, ValueError, "batch_size=89 leaves 1 of 90 images.*fewer than two"),
        ({"batch_size": 30, "batch_parts": 15, "train_images": 90}, ValueError, "leaves 21 of 81.*batch_parts=15"),
        ({"placement": "layer3"}, ValueError, "placement='layer3'.*attention='none'"),
        ({"batch_size": 91}, ValueError, "batch_size=91 must be at most 90, the images to train on"),
        ({"cutout": 33}, ValueError, "cutout=33 must be at most 32, the side of the images"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(overrides, error, reason, monkeypatch):
    monkeypatch.setattr(Run, "advance", lambda _: pytest.fail("training began"))
    with pytest.raises(error, match=reason):
        train(tiny(**overrides))


def test_what_torch_was_told_of_determinism_is_as_before():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        record = train(tiny(epochs=1), deterministic=True).record
        assert torch.is_deterministic_algorithms_warn_only_enabled() and torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert record.provenance.deterministic
    assert not train(tiny(epochs=1)).record.provenance.deterministic


def test_a_job_of_slurm_changes_no_number_of_processes(monkeypatch):
    for name, value in {"NTASKS": 4, "JOB_NAME": "x", "JOB_ID": 5, "PROCID": 0, "LOCALID": 0, "NODEID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert train(tiny(epochs=1)).record.provenance.processes == 1


def test_a_program_that_cannot_be_started_anew_gets_no_second_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(ValueError, match="devices=2 starts this program once more.*put the call into a script"):
        train(tiny(batch_parts=2), devices=2)


def test_device_without_a_driver_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device='cuda', devices=1 cannot be used"):
        train(tiny(), device="cuda")


def test_unwritable_folder_is_said_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "load", lambda *_, **__: pytest.fail("work began"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write into .*file.*choose another output folder"):
        train(tiny(), out=tmp_path / "file")


def test_weight_decay_spares_norms_and_biases_only_where_the_recipe_says():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    (everything,) = run.parameter_groups(model, tiny())
    assert len(everything["params"]) == 4
    decayed, spared = run.parameter_groups(model, tiny(decay_norms=False))
    assert [p.dim() for p in decayed["params"]] == [4]
    assert [p.dim() for p in spared["params"]] == [1, 1, 1]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (5e-4, 0.0)


def test_plain_descent_on_one_batch_is_the_textbook_step():
    # One step of Nesterov momentum from rest: w - rate (1 + momentum) (gradient + decay w).
    recipe = tiny(train_images=20, epochs=1, batch_size=20, protocol="paper", warmup_epochs=0)
    before = run.build(recipe, classes=10, image_size=32)
    data = load("shapes", "train")
    chosen, _ = run.split(data, 20, hold_out=False)
    normalise = run.Normalisation(*run.channel_statistics(data.images[chosen]))
    loss = nn.functional.cross_entropy(
        before(normalise(torch.tensor(data.images[chosen]))), torch.tensor(data.labels[chosen])
    )
    loss.backward()
    weight = before.fc.weight
    expected = weight - 0.1 * 1.9 * (weight.grad + 5e-4 * weight)
    after = train(recipe).model.fc.weight
    np.testing.assert_allclose(after.detach(), expected.detach(), rtol=1e-3, atol=1e-5)


def test_run_loads_no_attention_module_but_its_own():
    script = (
        "import sys; from attnlib.training import Recipe, train; "
        "train(Recipe.named('smoke', train_images=20, epochs=1, warmup_epochs=0, attention='se')); "
        "print([name for name in sys.modules if name.startswith('attnlib.scale_attention.')])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['attnlib.scale_attention.se']"
