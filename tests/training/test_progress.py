import sys

import pytest

from attnlib.training import progress
from attnlib.training.record import Epoch


def test_speed_is_of_the_last_steps(monkeypatch):
    clock = iter([0.0, 1.0, 1.0, 3.0, *(3.0 + 0.1 * i for i in range(1, 100))])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    images_per_second = progress.speed(batch_size=10)
    assert images_per_second(5) == 0.0  # a run that goes on from step 4 knows nothing yet
    assert images_per_second(6) == pytest.approx(10.0)
    assert images_per_second(8) == pytest.approx(30.0)
    found = [images_per_second(8 + i) for i in range(1, 60)]
    assert found[-1] == pytest.approx(100.0)  # ten steps a second, whatever went before


def test_the_call_at_an_epochs_end_is_no_step(monkeypatch):
    clock = iter([0.0, 1.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    images_per_second = progress.speed(batch_size=4)
    assert [images_per_second(step) for step in (1, 2, 2)] == [0.0, 4.0, 4.0]


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
