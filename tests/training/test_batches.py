import numpy as np
import pytest
import torch

from attnlib.data import Images, channel_statistics, load
from attnlib.training.batches import DeviceImages, Normalisation, balanced_order, crop_flip, epoch_batches, split


@pytest.fixture(scope="module")
def data():
    return load("shapes", "test")


def test_every_prefix_is_balanced_and_nothing_is_lost(data):
    order = balanced_order(data)
    assert sorted(order) == list(range(500))
    for length in (10, 57, 300):
        counts = np.bincount(data.labels[order[:length]], minlength=10)
        assert np.ptp(counts) <= 1


def test_slice_does_not_depend_on_the_stored_order(data):
    shuffled = np.random.default_rng(0).permutation(500)
    other = Images("shapes", "test", data.images[shuffled], data.labels[shuffled], data.classes)
    ours, theirs = balanced_order(data), balanced_order(other)
    np.testing.assert_array_equal(data.images[ours], other.images[theirs])


def test_clean_split_holds_a_tenth_back_and_paper_split_nothing(data):
    chosen, held_out = split(data, train_images=200, hold_out=True)
    assert (len(chosen), len(held_out)) == (180, 20)
    assert not set(chosen) & set(held_out)
    assert np.bincount(data.labels[held_out]).tolist() == [2] * 10
    assert [len(part) for part in split(data, None, hold_out=False)] == [500, 0]


def test_more_images_than_there_are_is_refused(data):
    with pytest.raises(ValueError, match="at most 500.*got 501"):
        split(data, train_images=501, hold_out=True)


def test_crop_flip_is_a_padded_window_of_each_image(data):
    images = torch.tensor(data.images[:40])
    out = crop_flip(images, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, (0, 0, 4, 4, 4, 4))
    found = set()
    for source, result in zip(padded, out, strict=True):
        windows = {
            (down, right): source[down : down + 32, right : right + 32] for down in range(9) for right in range(9)
        }
        matches = [
            (*place, flipped)
            for place, window in windows.items()
            for flipped, seen in ((False, window), (True, window.flip(1)))
            if torch.equal(seen, result)
        ]
        assert len(matches) == 1
        found.update(matches)
    assert {flipped for _, _, flipped in found} == {False, True}
    assert len({(down, right) for down, right, _ in found}) > 20


def test_epochs_differ_and_one_seed_repeats_them(data):
    device_images = DeviceImages.select(data, np.arange(100), torch.device("cpu"))

    def epochs(seed):
        generators = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        return [list(epoch_batches(device_images, 32, True, *generators)) for _ in range(2)]

    first, second = epochs(0)
    assert [len(labels) for _, labels in first] == [32, 32, 32, 4]
    assert torch.cat([labels for _, labels in first]).bincount().equal(device_images.labels.bincount())
    assert not torch.equal(first[0][1], second[0][1])
    for ours, again in zip(first + second, sum(epochs(0), []), strict=True):
        assert torch.equal(ours[0], again[0])
        assert torch.equal(ours[1], again[1])


def test_normalisation_copies_its_numbers_to_a_device_once(data, monkeypatch):
    normalise = Normalisation(*channel_statistics(data.images))
    images = torch.tensor(data.images[:2])
    first = normalise(images)
    monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("copied again"))
    assert torch.equal(first, normalise(images))


def test_normalised_pixels_have_mean_zero_and_deviation_one(data):
    x = Normalisation(*channel_statistics(data.images))(torch.tensor(data.images))
    assert x.shape == (500, 3, 32, 32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.mean((0, 2, 3)).abs().max() < 1e-4
    assert (x.std((0, 2, 3)) - 1).abs().max() < 1e-4
