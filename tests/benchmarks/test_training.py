import numpy as np
import torch

from attnlib.training import Recipe
from benchmarks import training
from benchmarks.training import UsualLoop, input_seconds, ours

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


def test_every_attention_of_the_table_is_timed(monkeypatch):
    monkeypatch.setattr(training, "seconds", lambda *_: 0.25)
    rows = list(training.module_steps(RECIPE, CPU, turns=1))
    labels = [row["attention"] for row in rows]
    assert {"none", "constant", "se", "sasa(placement=layer3.*.conv?)"} <= set(labels)
    assert len(labels) == len(set(labels)) > 20
    assert all((row["step_ms"], row["ratio"]) == (250.0, 1.0) for row in rows)
