import hashlib
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib.data import load, shapes
from attnlib.data.statistics import channel_statistics
from attnlib.training import linear_accuracy


def test_same_seed_gives_the_same_bytes_on_every_platform():
    images, labels, masks = shapes.generate(50, seed=7)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes() + masks.tobytes()).hexdigest()
    assert digest == "86bfe50a89716b033fa9c7869395601330c24c832c37d564bce50595abfd6d99"
    assert not np.array_equal(images, shapes.generate(50, seed=8)[0])


def test_shapes_types_and_balance():
    images, labels, masks = shapes.generate(103, seed=0)
    assert (images.shape, images.dtype) == ((103, 32, 32, 3), np.uint8)
    assert images.flags.c_contiguous  # so that batches are channels-last without a copy
    assert (labels.shape, labels.dtype) == ((103,), np.int64)
    assert (masks.shape, masks.dtype) == ((103, 32, 32), bool)
    counts = np.bincount(labels, minlength=10)
    assert len(counts) == len(shapes.CLASSES) == 10
    assert counts.max() - counts.min() <= 1


def test_every_object_is_there_and_can_be_told_from_the_ground():
    images, labels, masks = shapes.generate(500, seed=3)
    share = masks.mean((1, 2))
    assert share.min() > 0.04
    assert share.max() < 0.5
    contrast = np.abs(images.astype(int) - 128)
    on_object = contrast[masks].mean()
    on_ground = contrast[~masks].mean()
    assert on_object > 3 * on_ground


def test_classes_are_ten_different_outlines():
    v, u = np.mgrid[-1.2:1.2:49j, -1.2:1.2:49j] * shapes.ONE
    drawn = [shapes.outline(name, u.astype(int), v.astype(int)) for name in shapes.CLASSES]
    for one, other in itertools.combinations(drawn, 2):
        assert (one & other).sum() < 0.85 * (one | other).sum()


def test_colour_does_not_tell_the_class():
    images, labels, _ = shapes.generate(2000, seed=0)
    by_class = np.array([channel_statistics(images[labels == label])[0] for label in range(10)])
    assert np.ptp(by_class, axis=0).max() < 0.02


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-1, 0), (10, -1)])
def test_out_of_range_is_refused_with_the_value(count, seed):
    with pytest.raises(ValueError, match="got 0|got -1"):
        shapes.generate(count, seed)


def test_linear_model_finds_little():
    assert linear_accuracy(load("shapes", "train"), load("shapes", "test")) < 0.40


@pytest.mark.thorough
def test_three_block_cnn_finds_most_after_2000_images():
    train, test = load("shapes", "train"), load("shapes", "test")

    def inputs(data):
        return torch.tensor(data.images).permute(0, 3, 1, 2).float() / 64 - 2

    def block(channels_in, channels_out):
        convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        x, labels = inputs(train), torch.tensor(train.labels)
        blocks = [block(3, 16), block(16, 32), block(32, 64)]
        network = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
        network = network.to(memory_format=torch.channels_last)
        epochs = 6
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, epochs * 63)
        for _ in range(epochs):
            for batch in torch.randperm(2000).split(32):
                loss = F.cross_entropy(network(x[batch]), labels[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            accuracy = (network(inputs(test)).argmax(1) == torch.tensor(test.labels)).double().mean().item()
    assert 0.50 < accuracy < 0.95
