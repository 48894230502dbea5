"""SAGAN's networks: sizes by closed formulas, spectral norms, the attention's start, gradients, losses, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from attnlib.errors import UnknownNameError
from attnlib.networks import sagan_net, zoo
from attnlib.networks.sagan_net import (
    ConditionalBatchNorm,
    Discriminator,
    Generator,
    discriminator_loss,
    generator_loss,
)


@pytest.fixture
def without_norms(monkeypatch):
    """Spectral norms have no parameters, and PyTorch is slow in drawing their vectors on the meta device."""
    monkeypatch.setattr(sagan_net, "spectral_norm", lambda layer: layer)


# Width of the generator's first map and of its blocks, and of the discriminator's blocks, in units of 64 channels.
GENERATOR = {128: (16, 16, 8, 4, 2, 1), 64: (8, 8, 4, 2, 1), 32: (4, 4, 2, 1)}
DISCRIMINATOR = {128: (1, 2, 4, 8, 16, 16), 64: (1, 2, 4, 8, 8), 32: (1, 2, 4, 4)}
# Channels at the side of the map: generator, discriminator.
ATTENDED = {8: (1024, 512), 16: (512, 256), 32: (256, 128), 64: (128, 64)}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(channels, out_channels, kernel):
    return kernel**2 * channels * out_channels + out_channels


def generator_parameters(classes, image_size):
    total, widths = 0, [64 * width for width in GENERATOR[image_size]]
    total += 128 * 16 * widths[0] + 16 * widths[0]
    for before, after in zip(widths, widths[1:], strict=False):
        total += convolution(before, after, 3) + convolution(after, after, 3) + convolution(before, after, 1)
        total += 2 * classes * before + 2 * classes * after
    return total + 2 * 64 + convolution(64, 3, 3)


def discriminator_parameters(classes, image_size):
    total, widths = 0, [3] + [64 * width for width in DISCRIMINATOR[image_size]]
    for before, after in zip(widths, widths[1:], strict=False):
        total += convolution(before, after, 3) + convolution(after, after, 3)
        total += convolution(before, after, 1) if before != after else 0
    return total + widths[-1] + 1 + classes * widths[-1]


def draw(network, **arguments):
    """A small network, and noise and classes or images and classes for it."""
    torch.manual_seed(0)
    arguments = {"classes": 3, "image_size": 32, "attention_at": 16, "width": 8, **arguments}
    built = network(**arguments)
    generator = torch.Generator().manual_seed(1)
    labels = torch.tensor([2, 0, 1, 2])
    if network is Generator:
        return built, torch.randn(4, 128, generator=generator), labels
    size = arguments["image_size"]
    return built, torch.randn(4, 3, size, size, generator=generator), labels


@pytest.mark.parametrize("classes", [10, 1000])
@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_parameters_without_attention(image_size, classes, without_norms):
    with torch.device("meta"):
        assert count(Generator(classes, image_size, None)) == generator_parameters(classes, image_size)
        assert count(Discriminator(classes, image_size, None)) == discriminator_parameters(classes, image_size)


@pytest.mark.parametrize("side", ATTENDED)
def test_attention_adds_its_own_parameters_at_its_map_s_width(side, without_norms):
    for network, plain, channels in zip(
        (Generator, Discriminator),
        (generator_parameters(1000, 128), discriminator_parameters(1000, 128)),
        ATTENDED[side],
        strict=True,
    ):
        with torch.device("meta"):
            assert count(network(attention_at=side)) == plain + 5 * channels**2 // 4 + 1
            assert count(network(attention_at=side, form="text")) == plain + channels**2 // 2 + 1


def test_the_replica_s_published_counts_are_ours_and_what_it_adds(without_norms):
    """sagan.yml: 42.08 M and 40.51 M. The replica's attention has biases, which the authors' has not; its
    discriminator's last block holds a shortcut convolution that it never runs."""
    with torch.device("meta"):
        generator, discriminator = count(Generator()), count(Discriminator())
    assert (generator, discriminator) == (42_078_852, 39_463_618)
    biases = [channels // 8 * 2 + channels // 2 + channels for channels in (256, 128)]
    assert f"{(generator + biases[0]) / 1e6:.2f}" == f"{generator / 1e6:.2f}" == "42.08"
    assert f"{(discriminator + biases[1] + convolution(1024, 1024, 1)) / 1e6:.2f}" == "40.51"


def test_the_exported_networks_have_the_documented_sizes(without_norms):
    sizes = {name: zoo.image_size(name) for kind in ("generator", "discriminator") for name in zoo.list_networks(kind)}
    assert sizes == {
        "sagan_generator": 128,
        "sagan_discriminator": 128,
        "sagan_generator_cifar": 32,
        "sagan_discriminator_cifar": 32,
    }
    with torch.device("meta"):
        networks = {name: zoo.create(name, 10) for name in sizes}
    assert all(network.image_size == sizes[name] for name, network in networks.items())
    assert count(networks["sagan_generator_cifar"]) == generator_parameters(10, 32) + 5 * 128**2 // 4 + 1
    assert count(networks["sagan_discriminator_cifar"]) == discriminator_parameters(10, 32) + 5 * 64**2 // 4 + 1


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_spectral_norms_have_no_parameters(network, monkeypatch):
    normalised, _, _ = draw(network)
    monkeypatch.setattr(sagan_net, "spectral_norm", lambda layer: layer)
    plain, _, _ = draw(network)
    assert count(normalised) == count(plain)


# What the networks compute.


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_images_and_scores(image_size):
    generator, z, labels = draw(Generator, image_size=image_size)
    images = generator(z, labels)
    assert images.shape == (4, 3, image_size, image_size) and images.abs().max() <= 1
    discriminator, _, _ = draw(Discriminator, image_size=image_size)
    assert discriminator(images, labels).shape == (4,)


@pytest.mark.parametrize("side", [8, 16, 32, 64])
@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_the_attention_stands_at_its_map(network, side):
    built, x, labels = draw(network, image_size=128, attention_at=side)
    seen = []
    built.attention.register_forward_hook(lambda layer, args, output: seen.append(args[0].shape))
    with torch.no_grad():
        built(x[:1], labels[:1])
    width = ATTENDED[side][network is Discriminator] // 8  # these networks are eight times narrower
    assert seen == [(1, width, side, side)]


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_with_gamma_zero_the_attention_changes_nothing_and_the_other_weights_are_the_same(network):
    plain, x, labels = draw(network, attention_at=None)
    attended, _, _ = draw(network)
    with torch.no_grad():
        assert torch.equal(plain(x, labels), attended(x, labels))
        attended.attention.gamma.fill_(1.0)
        assert not torch.allclose(plain.eval()(x, labels), attended.eval()(x, labels))
    state = attended.state_dict()
    assert all(name.startswith("attention.") for name in set(state) - set(plain.state_dict()))


def test_a_generator_block_is_its_equation():
    built, _, labels = draw(Generator)
    block = built.blocks[1].eval()
    x = torch.randn(4, 32, 5, 6)
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            nn.init.normal_(norm.scale), nn.init.normal_(norm.shift)
            norm.norm.running_mean.normal_(), norm.norm.running_var.uniform_(0.5, 2.0)
        doubled = [i // 2 for i in range(12)]
        y = torch.relu(class_norm(block.bn1, x, labels))[:, :, doubled[:10]][..., doubled]
        y = F.conv2d(y, block.conv1.weight, block.conv1.bias, padding=1)
        y = torch.relu(class_norm(block.bn2, y, labels))
        y = F.conv2d(y, block.conv2.weight, block.conv2.bias, padding=1)
        shortcut = F.conv2d(x, block.shortcut.weight, block.shortcut.bias)[:, :, doubled[:10]][..., doubled]
        torch.testing.assert_close(block(x, labels), y + shortcut)


def test_the_generator_ends_in_norm_relu_convolution_and_tanh():
    built, z, labels = draw(Generator)
    seen = []
    built.blocks[-1].register_forward_hook(lambda block, args, output: seen.append(output))
    with torch.no_grad():
        images = built.eval()(z, labels)
        x = (seen[0] / (1 + 1e-5) ** 0.5).relu()  # the norm's running statistics are 0 and 1
        torch.testing.assert_close(images, F.conv2d(x, built.conv.weight, padding=1).tanh())


def class_norm(norm, x, labels):
    """Image by image."""
    mean, var = norm.norm.running_mean[:, None, None], norm.norm.running_var[:, None, None]
    images = []
    for image, label in zip(x, labels.tolist(), strict=True):
        scale, shift = norm.scale[label][:, None, None], norm.shift[label][:, None, None]
        images.append(scale * (image - mean) / (var + 1e-5).sqrt() + shift)
    return torch.stack(images)


def test_the_conditional_norm_starts_as_a_plain_one():
    norm, x = ConditionalBatchNorm(6, 3), torch.randn(5, 6, 4, 4)
    torch.testing.assert_close(norm(x, torch.tensor([0, 1, 2, 0, 1])), F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(norm.norm.running_mean, 0.001 * x.mean((0, 2, 3)))
    assert draw(Generator)[0].bn.momentum == 0.0001


def test_the_discriminator_is_its_equation():
    built, x, labels = draw(Discriminator)
    built.eval()
    nn.init.constant_(built.attention.gamma, 0.5)
    for layer in built.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.normal_(layer.bias)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def mean(x):
        return x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5))

    with torch.no_grad():
        scores = built(x, labels)
        first, second, third, last = built.blocks
        h = mean(conv(first.conv2, conv(first.conv1, x).relu())) + conv(first.shortcut, mean(x))
        h = built.attention(h)
        for block in (second, third):
            h = mean(conv(block.conv2, conv(block.conv1, h.relu()).relu()) + conv(block.shortcut, h))
        h = h + conv(last.conv2, conv(last.conv1, h.relu()).relu())
        features = h.relu().sum((2, 3))
        for image, label, score in zip(features, labels.tolist(), scores, strict=True):
            expected = image @ (built.linear.weight[0] + built.embedding.weight[label]) + built.linear.bias[0]
            torch.testing.assert_close(score, expected)


# Initialisation and spectral norms.


def layers(network):
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding)
    }


@pytest.mark.parametrize(("network", "number"), [(Generator, 1 + 3 * 3 + 1 + 4), (Discriminator, 3 * 3 + 2 + 2 + 4)])
def test_every_weight_is_normalised_to_a_largest_singular_value_of_1(network, number):
    built, x, labels = draw(network)
    found = layers(built)
    assert len(found) == number and all(is_parametrized(layer, "weight") for layer in found.values())
    # Far from normalised: the next steps have to find the new largest singular values.
    with torch.no_grad():
        for layer in found.values():
            nn.init.normal_(layer.parametrizations.weight.original)
        for _ in range(60):
            built(x, labels)
    built.eval().requires_grad_(False)
    for name, layer in found.items():
        original = layer.parametrizations.weight.original
        assert torch.linalg.matrix_norm(original.flatten(1), 2) > 2
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) == pytest.approx(1, abs=0.05), name
    # The norms are the only other layers with weights, and keep theirs.
    others = {name.rpartition(".")[2] for name, _ in built.named_parameters() if "parametrizations" not in name}
    assert others == {"bias", "gamma"} | ({"weight", "scale", "shift"} if network is Generator else set())


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_it_starts_by_xavier_with_zero_biases(network):
    built, _, _ = draw(network, width=16)
    for name, layer in layers(built).items():
        weight = layer.parametrizations.weight.original
        fans = weight.shape[0] * weight[0, 0].numel() + weight[0].numel()
        bound = (6 / fans) ** 0.5
        assert 0.9 * bound < weight.abs().max() <= bound or weight.numel() < 100, name
        assert weight.abs().max() <= bound, name
        assert getattr(layer, "bias", None) is None or not layer.bias.any(), name
    assert not built.attention.gamma.any()


# Training.


def test_gradients_reach_every_parameter_of_both_networks():
    generator, z, labels = draw(Generator)
    discriminator, images, _ = draw(Discriminator)
    for network in (generator, discriminator):
        nn.init.constant_(network.attention.gamma, 0.5)
    generator_loss(discriminator(generator(z, labels), labels)).backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_a_few_steps_lower_the_discriminator_s_loss():
    generator, z, labels = draw(Generator)
    discriminator, images, _ = draw(Discriminator)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=4e-4, betas=(0.0, 0.9))
    losses = []
    fake = generator(z, labels).detach()
    for _ in range(10):
        loss = discriminator_loss(discriminator(images, labels), discriminator(fake, labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


def test_hinge_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0])
    assert discriminator_loss(real, fake) == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1) / 2)
    assert generator_loss(fake) == 1.5


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_a_seed_decides_everything(network):
    (first, x, labels), (second, _, _) = draw(network), draw(network)
    assert torch.equal(first(x, labels), second(x, labels))


# Refusals.


@pytest.mark.parametrize("network", [Generator, Discriminator])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"image_size": 96}, "image_size must be 32, 64, 128, got 96"),
        ({"image_size": 32}, "attention_at=32 does not fit image_size=32: .* maps of 8, 16; None is without"),
        ({"attention_at": 4}, "attention_at=4 does not fit image_size=128: .* maps of 8, 16, 32, 64; None"),
        ({"attention_at": 128}, "attention_at=128 does not fit image_size=128"),
        ({"attention_at": 24}, "attention_at=24 does not fit"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"width": 2, "attention_at": 64}, "channels must be at least 8"),
    ],
)
def test_arguments_out_of_range_are_refused(network, arguments, says):
    with pytest.raises(ValueError, match=says):
        network(**{"classes": 10, **arguments})


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_an_unknown_form_is_refused(network):
    with pytest.raises(UnknownNameError, match="no form is called 'paper'"):
        network(10, form="paper")


def test_the_length_of_the_noise_is_checked(own_errors):
    with pytest.raises(ValueError, match="noise must be at least 1, got 0"):
        Generator(10, noise=0)
    generator, z, labels = draw(Generator, noise=20)
    for wrong in (z, z[0]):
        with pytest.raises(ValueError, match=r"noise must be \(N, 20\), got shape"):
            generator(wrong, labels)
    assert generator(z[:, :20], labels).shape == (4, 3, 32, 32)


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_labels_are_checked(network, own_errors):
    built, x, labels = draw(network)
    with pytest.raises(ValueError, match=r"labels must be \(4,\), one class per image, got shape \(3,\)"):
        built(x, labels[:3])
    with pytest.raises(TypeError, match="labels must be a tensor of int64 or int32, got torch.float32"):
        built(x, labels.float())


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (2, 1, 32, 32), (2, 3, 32, 16), (3, 32, 32)])
def test_images_of_another_size_are_refused(shape, own_errors):
    built, _, labels = draw(Discriminator)
    with pytest.raises(ValueError, match=r"images must be \(N, 3, 32, 32\), got shape .*; resize them"):
        built(torch.randn(shape), labels[:2])
