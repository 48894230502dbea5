"""Pictures to look at, and the estimate of a gradient through a draw."""

import pytest
import torch

from attnlib.networks.glimpses import CELL, GRID, PLACES, WINDOW, GlimpseNetwork
from attnlib.training.glimpses import judged, noise, pictures, reinforce, rewards, train_glimpses


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


def test_the_exact_gradient_trains_the_place_and_the_same_names(data):
    drawn, exact = (train_glimpses("hard", data, steps=1, exact=exact) for exact in (False, True))
    assert not torch.equal(drawn.where[0].weight, exact.where[0].weight)
    assert torch.equal(drawn.name.weight, exact.name.weight)
    with pytest.raises(ValueError, match='exact is for the way "hard"'):
        train_glimpses("soft", data, steps=1, exact=True)


def test_the_noise_is_larger_than_what_it_estimates_before_training():
    data = pictures(64, seed=4)
    torch.manual_seed(0)
    network = GlimpseNetwork("hard")
    images, classes, _, _ = data
    assert 0 < rewards(network, images, classes).mean() < 1
    assert noise(network, data, batches=1, draws=10) > 2
    with pytest.raises(ValueError, match="2 batches need 128 pictures, got 64"):
        noise(network, data, batches=2)


def test_no_step_is_refused(data):
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        train_glimpses("hard", data, steps=0)
