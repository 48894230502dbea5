import sys
from itertools import pairwise

import numpy as np
import pytest

from attnlib.data import Images
from attnlib.training import Recipe, progress
from attnlib.training.batches import split
from attnlib.training.record import Epoch


def images_per_second(monkeypatch, times, steps, epoch_steps=100, **fields):
    """What `speed` says after each of these steps of a run of smoke, taken at these times."""
    clock = iter(times)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    recipe = Recipe.named("smoke", **fields)
    found = progress.speed(recipe)
    return [found(step, recipe.epochs * epoch_steps) for step in steps]


def test_speed_is_of_the_last_steps(monkeypatch):
    times = [0.0, 1.0, 3.0, *(3.0 + 0.1 * i for i in range(1, 100))]
    found = images_per_second(monkeypatch, times, [5, 6, 8, *range(9, 68)], batch_size=10)
    assert found[:3] == [0.0, pytest.approx(10.0), pytest.approx(10.0)]  # from step 5 on: those before are unknown
    assert found[-1] == pytest.approx(100.0)  # ten steps a second, whatever went before


def test_the_call_at_an_epochs_end_is_no_step(monkeypatch):
    assert images_per_second(monkeypatch, [0.0, 1.0], [1, 2, 2], batch_size=4) == [0.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("fields", "trained_on"), [({}, [32, 32, 26, 32]), ({"protocol": "paper"}, [32, 32, 32, 4, 32])]
)
def test_a_short_last_batch_counts_as_it_is(monkeypatch, fields, trained_on):
    fields = {"train_images": 100, "batch_size": 32, "epoch_steps": 3 if not fields else 4, **fields}
    found = images_per_second(monkeypatch, range(9), range(1, len(trained_on) + 1), **fields)
    totals = [speed * step for step, speed in enumerate(found)]  # a second a step
    assert [b - a for a, b in pairwise(totals)] == pytest.approx(trained_on[1:])


@pytest.mark.parametrize("protocol", ["clean", "paper"])
@pytest.mark.parametrize("train_images", [20, 99, 100, 128])
def test_an_epoch_has_the_images_that_the_split_gives_it(monkeypatch, protocol, train_images):
    fields = {"protocol": protocol, "train_images": train_images, "batch_size": 128, "epoch_steps": 1}
    _, found = images_per_second(monkeypatch, [0.0, 1.0], [1, 2], **fields)
    images = np.random.default_rng(0).integers(0, 256, (128, 2, 2, 3), dtype=np.uint8)
    data = Images("made up", "train", images, np.arange(128) % 2, ["a", "b"])
    chosen, _ = split(data, train_images, hold_out=protocol == "clean")
    assert found == len(chosen)


def test_curves_without_tensorboard_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="pip install tensorboard"), progress.curves(tmp_path):
        pass


def test_curves_hold_each_epoch_once(tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            assert folder == tmp_path

        def __enter__(self):
            return self

        def __exit__(self, *_):
            written.append("closed")

        def add_scalar(self, name, value, epoch):
            written.append((name, value, epoch))

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    epochs = [
        Epoch(epoch=k, learning_rate=0.1, train_loss=1.0 / k, train_accuracy=0.5, validation_accuracy=0.4, seconds=1)
        for k in (1, 2)
    ]
    with progress.curves(tmp_path) as write:
        for known in ([], epochs[:1], epochs[:1], epochs):
            write(known)
    names = ["learning_rate", "train_loss", "train_accuracy", "validation_accuracy", "seconds"]
    assert [(name, epoch) for name, _, epoch in written[:-1]] == [(name, k) for k in (1, 2) for name in names]
    assert written[-1] == "closed"
    written.clear()
    with progress.curves(tmp_path) as write:
        for known in (epochs[:1], epochs):  # a run that goes on after its first epoch
            write(known)
    assert {epoch for _, _, epoch in written[:-1]} == {2}
