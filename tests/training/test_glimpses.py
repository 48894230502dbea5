"""Pictures to look at, and the estimate of a gradient through a draw."""

import pytest
import torch

from attnlib.networks.glimpses import CELL, GRID, PLACES, WINDOW
from attnlib.training.glimpses import judged, pictures, reinforce, train_glimpses


@pytest.fixture(scope="module")
def data():
    return pictures(40, seed=3)


def test_the_best_place_is_the_one_nearest_to_an_object(data):
    images, classes, best, centres = data
    assert images.shape == (40, 3, 64, 64)
    assert set(classes.tolist()) <= {0, 1, 2, 3}
    for place, objects in zip(best.tolist(), centres, strict=True):
        middles = [torch.tensor([CELL * n + (WINDOW - 1) / 2 for n in divmod(k, GRID)]) for k in range(PLACES)]
        apart = [min((o - m).norm() for o in objects) for m in middles]
        assert apart[place] == pytest.approx(min(apart))


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_the_mean_of_all_estimates_is_the_gradient_of_the_mean_reward(baseline):
    scores = torch.randn(1, 5).double().requires_grad_()
    reward, p = torch.rand(5).double(), scores.softmax(1)[0]
    (exact,) = torch.autograd.grad((p * reward).sum(), scores)
    mean = torch.zeros(1, 5).double()
    for place in range(5):
        loss = reinforce(scores, torch.tensor([place]), reward[place : place + 1] - baseline)
        mean -= p[place].detach() * torch.autograd.grad(loss, scores)[0]
    torch.testing.assert_close(mean, exact)


@pytest.mark.parametrize("way", ["hard", "soft", "none"])
def test_training_repeats_and_is_judged(way, data):
    one, other = (judged(train_glimpses(way, data, steps=2, seed=1), data) for _ in range(2))
    assert one == other
    assert ("pixels_off" in one) == (way != "none")


def test_no_step_is_refused(data):
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        train_glimpses("hard", data, steps=0)
