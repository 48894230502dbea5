"""The small GAN on outlines: three layers that start as the same networks, and its judges."""

import pytest
import torch

from attnlib.training.shapes_gan import (
    LAYERS,
    ShapesDiscriminator,
    ShapesGenerator,
    asked_for,
    frechet_distance,
    middle_changed,
    outlines,
    play,
    recorded,
)


def count(layer, network=ShapesGenerator):
    return sum(parameter.numel() for parameter in network(layer).parameters())


def test_the_control_has_as_many_parameters_as_the_attention():
    for network in (ShapesGenerator, ShapesDiscriminator):
        plain, residual, attention = (count(layer, network) for layer in LAYERS)
        assert residual - plain == attention - plain == 5 * 16**2 // 4 + 1


def test_all_layers_start_as_the_same_networks():
    noise, labels = asked_for(4)
    images, scores = [], []
    for layer in LAYERS:
        torch.manual_seed(0)
        generator, discriminator = ShapesGenerator(layer).eval(), ShapesDiscriminator(layer).eval()
        torch.manual_seed(0)
        again = ShapesDiscriminator(layer).eval()
        images.append(generator(noise, labels))
        scores.append(again(images[0], labels))
        assert not torch.equal(discriminator(images[0], labels), scores[-1])  # drawn from another state
    assert all(torch.equal(each, images[0]) for each in images)
    assert all(torch.equal(each, scores[0]) for each in scores)


def test_playing_moves_both_and_is_the_same_under_one_seed():
    images, labels = outlines(64, seed=1)
    noise, asked = asked_for(8)
    seen = []
    first, _ = play("attention", images, labels, 2, watch=lambda step, *networks: seen.append(step))
    second, discriminator = play("attention", images, labels, 2)
    assert seen == [1, 2]
    assert torch.equal(first(noise, asked), second(noise, asked)) and not first.training
    assert discriminator.middle.gamma != 0 and first.middle.gamma != 0
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        play("none", images, labels, 0)
    with pytest.raises(ValueError, match="convolution"):
        play("convolution", images, labels, 1)


def test_the_distance_is_that_of_two_normal_distributions():
    q, _ = torch.linalg.qr(torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    q = torch.linalg.qr(q - q.mean(0))[0]  # channels without a mean that do not go together
    assert frechet_distance(q, q) == pytest.approx(0, abs=1e-9)
    # Shifted by 2 in one channel, and three times as wide in another: 4, and (3 - 1)^2 times its variance.
    other = q * torch.tensor([1.0, 3.0, 1.0, 1.0]) + torch.tensor([2.0, 0.0, 0.0, 0.0])
    assert frechet_distance(q, other) == pytest.approx(4 + 4 * q[:, 1].var().item())


def test_an_exchange_of_its_own_weights_changes_nothing_and_none_leaves_the_layer_out():
    torch.manual_seed(0)
    generator = ShapesGenerator("attention").eval()
    noise, labels = asked_for(6)
    with torch.no_grad():
        start = generator(noise, labels)
        generator.middle.gamma.fill_(2.0)
        own = generator(noise, labels)
        with middle_changed(generator, lambda weights: weights):
            torch.testing.assert_close(generator(noise, labels), own)
        with middle_changed(generator, None):
            assert torch.equal(generator(noise, labels), start)
    assert not torch.allclose(own, start)


def test_the_recorded_networks_are_those_of_the_chapter():
    networks = recorded()
    assert set(networks) == {"classifier", *LAYERS}
    images, labels = outlines(500, seed=5)
    assert (networks["classifier"](images).argmax(1) == labels).double().mean() > 0.9
