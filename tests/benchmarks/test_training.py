import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from attnlib.training import Recipe
from benchmarks import training
from benchmarks.apart import Apart
from benchmarks.training import Product, input_seconds, operations, ours
from benchmarks.usual import UsualLoop

CPU = torch.device("cpu")
RECIPE = Recipe.named("smoke", train_images=100, batch_size=30, augmentation="crop-flip")


def test_both_loops_train_the_same_network_on_the_same_images():
    usual, run = UsualLoop(RECIPE, CPU, workers=1), ours(RECIPE, "cpu")
    for theirs, mine in zip(usual.model.parameters(), run.model.parameters(), strict=True):
        assert torch.equal(theirs, mine)
    labels = usual.batches.dataset.labels
    np.testing.assert_array_equal(np.sort(labels), np.sort(run.training.labels.numpy()))
    assert len(usual.batches) == run.epoch_steps == 3
    for loop in (usual, run):
        before = loop.model.fc.weight.detach().clone()
        training.seconds(loop.advance, 4, CPU)
        assert loop.step == 4 and not torch.equal(loop.model.fc.weight, before)
    assert 0 <= usual.accuracy() <= 1
    assert input_seconds(run, 2, CPU) > 0


@pytest.mark.thorough
def test_every_attention_of_the_table_is_timed(monkeypatch):
    monkeypatch.setattr(training, "seconds", lambda *_: 0.25)
    rows = list(training.module_steps(RECIPE, CPU, turns=1))
    labels = [row["attention"] for row in rows]
    assert {"none", "constant", "se", "sasa(placement=layer3.*.conv?)"} <= set(labels)
    assert len(labels) == len(set(labels)) > 20
    assert all((row["step_ms"], row["ratio"]) == (250.0, 1.0) for row in rows)


def test_a_step_is_counted_forward_and_backward():
    run = ours(RECIPE, "cpu")
    with torch.utils.flop_counter.FlopCounterMode(display=False) as forward, torch.no_grad():
        run.model(torch.zeros(30, 3, 32, 32))
    # The first convolution is not differentiated by the images; everything else is passed through three times.
    stem = 2 * 30 * 32 * 32 * run.model.conv1.weight.numel()
    assert operations(run) == 3 * forward.get_total_flops() - stem
    assert operations(Product(torch.float32, CPU)) == 2 * Product.SIDE**3


def _process(_: object) -> float:
    return float(os.getpid())


def _fail(_: object) -> float:
    raise ValueError("no such loop")


def test_a_loop_apart_has_its_own_process_and_tells_its_errors():
    apart = Apart(Product, torch.float32, CPU)
    with apart.pool:
        first, second = apart.ask(_process), apart.ask(_process)
        assert first == second != os.getpid()
        with pytest.raises(ValueError, match="no such loop"):
            apart.ask(_fail)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library is left as it is")
def test_freed_memory_is_kept():
    # In a process of its own: the setting cannot be taken back.
    script = """
import resource, torch
from attnlib.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(1 << 22)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
assert keep_freed_memory()
faults()
print(given_back, faults())
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    given_back, kept = map(int, printed.split())
    assert kept < 100 < given_back
