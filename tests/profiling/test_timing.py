"""How networks are timed: in turn, in evaluation mode, and leaving everything as it was. No test measures time."""

import pytest
import torch
from torch import nn

from attnlib.profiling import Latency, latencies, latency, timing

MACHINE = {"cpu": "a processor", "threads": 2, "gpu": None}


def timed(*milliseconds):
    return Latency(milliseconds, 1, MACHINE, "2.15.0")


class Seen(nn.Module):
    """Notes how it is called."""

    def __init__(self, calls=None, name=""):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.calls, self.name = [] if calls is None else calls, name

    def forward(self, *inputs):
        how = (self.training or self.norm.training, torch.is_grad_enabled(), torch.get_num_threads())
        self.calls.append((self.name, how, [tuple(each.shape) for each in inputs]))


def test_median_quartiles_and_ratios_are_those_of_the_rounds():
    slow, fast = timed(2.0, 9.0, 4.0, 6.0, 8.0), timed(1.0, 3.0, 4.0, 2.0, 2.0)
    assert (slow.median, slow.quartiles) == (6.0, (4.0, 8.0))
    assert slow.over(fast) == (2.0, 3.0, 3.0)  # of 2, 3, 1, 3 and 4; the ratio of the medians is 3 as well
    assert timed(5.0).quartiles == (5.0, 5.0)
    with pytest.raises(ValueError, match="5 and 1 timed passes were not taken in turn"):
        slow.over(timed(1.0))
    assert slow.where == "a processor, 2 threads; PyTorch 2.15.0"


def test_every_round_times_each_once_behind_an_untimed_pass_of_its_own(monkeypatch):
    calls, timed_ones = [], []

    def clock(function, device):
        calls.append("clock")
        function()
        timed_ones.append(calls[-1])
        return float(len(timed_ones))

    monkeypatch.setattr(timing, "milliseconds", clock)
    told = []
    ways = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    found = timing.in_turn(ways, torch.device("cpu"), 4, lambda *each: told.append(each))
    rounds = [tuple(timed_ones[k : k + 3]) for k in range(0, 12, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds) and len(set(rounds)) > 1
    behind = [calls[k - 1 : k + 2] for k, each in enumerate(calls) if each == "clock"]
    assert all(before == after for before, _, after in behind)
    assert found["a"] == [k + 1.0 for k, name in enumerate(timed_ones) if name == "a"]
    assert told == [(name, k, 12) for k, name in enumerate(timed_ones)]


def test_a_network_is_timed_in_evaluation_mode_and_left_as_it_was():
    model = Seen().train()
    model.norm.eval()
    before = torch.get_num_threads()
    found = latency(model, (8, 6), batch=2, runs=3, threads=before + 1)
    assert set(map(repr, model.calls)) == {repr(("", (False, False, before + 1), [(2, 3, 8, 6)]))}
    assert (len(found.milliseconds), found.batch, found.machine["threads"]) == (3, 2, before + 1)
    assert (model.training, model.norm.training, torch.get_num_threads()) == (True, False, before)
    assert model.norm.num_batches_tracked == 0


def test_several_networks_take_the_same_inputs():
    calls = []
    models = {name: Seen(calls, name) for name in ("one", "two")}
    found = latencies(models, runs=1, inputs=(torch.ones(4, 3, 2, 2), torch.ones(1)))
    assert list(found) == ["one", "two"]
    assert {tuple(shapes) for _, _, shapes in calls} == {((4, 3, 2, 2), (1,))}


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"runs": 0}, "runs must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"image_size": 0}, "image_size must have sides of 1 or more"),
        ({"inputs": (1,)}, "inputs must have a tensor in them"),
    ],
)
def test_bad_numbers_are_refused_before_a_pass(arguments, reason):
    model = Seen()
    with pytest.raises(ValueError, match=reason):
        latency(model, **arguments)
    assert model.calls == []


def test_a_network_without_values_or_in_two_places_is_refused():
    with pytest.raises(ValueError, match="on the meta device has no values"):
        latency(nn.Conv2d(3, 3, 1, device="meta"))
    with pytest.raises(ValueError, match="lies on cpu and meta"):
        latency(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1, device="meta")))
    with pytest.raises(TypeError, match="must be an nn.Module, got str|Expected type: <class 'torch.nn"):
        latency("resnet50")
    with pytest.raises(ValueError, match="device must be auto, cpu.*, got 'tpu'"):
        timing.device_named("tpu")
