import numpy as np
import pytest
import torch

from attnlib.data import Images, channel_statistics, load
from attnlib.training import Recipe
from attnlib.training.batches import Batches, DeviceImages, Normalisation, balanced_order, split, with_noise


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


PLAIN = Normalisation([0.0] * 3, [1.0] * 3)


def pixels(inputs):
    """The bytes that PLAIN made network inputs of."""
    return (inputs * 255).round().byte().permute(0, 2, 3, 1)


def batches(data, count=100, normalise=PLAIN, **overrides):
    """Of the first `count` images."""
    recipe = Recipe.named("smoke", **{"batch_size": 32, "augmentation": "crop-flip", **overrides})
    return Batches(DeviceImages.select(data, np.arange(count), torch.device("cpu")), normalise, recipe)


def epoch(made, number=0):
    return [made.part(number, batch, 0) for batch in range(len(made))]


def test_crop_flip_is_a_padded_window_of_each_image(data):
    inputs, labels = batches(data, 40, batch_size=40).part(0, 0, 0)
    sources = torch.tensor(data.images[:40])
    windows = {
        (number, down, right, flipped): (window.flip(1) if flipped else window)
        for number, padded in enumerate(torch.nn.functional.pad(sources, (0, 0, 4, 4, 4, 4)))
        for down in range(9)
        for right in range(9)
        for window in [padded[down : down + 32, right : right + 32]]
        for flipped in (False, True)
    }
    found = []
    for image, label in zip(pixels(inputs), labels, strict=True):
        (match,) = [place for place, window in windows.items() if torch.equal(window, image)]
        assert data.labels[match[0]] == label
        found.append(match)
    assert sorted(number for number, *_ in found) == list(range(40))
    assert {flipped for *_, flipped in found} == {False, True}
    assert len({place[1:3] for place in found}) > 20


def test_without_augmentation_the_images_are_those_of_the_data_set(data):
    inputs, _ = batches(data, 40, batch_size=40, augmentation="none").part(0, 0, 0)
    assert sorted(image.numpy().tobytes() for image in pixels(inputs)) == sorted(
        image.tobytes() for image in data.images[:40]
    )


def test_an_epoch_has_every_image_once_and_the_next_another_order(data):
    made = batches(data)
    first, second = epoch(made, 0), epoch(made, 1)
    assert [len(labels) for _, labels in first] == [made.size(batch) for batch in range(4)] == [32, 32, 32, 4]
    assert torch.cat([labels for _, labels in first]).bincount().tolist() == np.bincount(data.labels[:100]).tolist()
    assert not torch.equal(first[0][1], second[0][1])


@pytest.mark.parametrize("cutout", [0, 8])
def test_a_run_that_starts_in_the_middle_sees_the_same_batches(data, cutout):
    normalise = Normalisation(*channel_statistics(data.images))
    whole, later, other = (batches(data, normalise=normalise, cutout=cutout, seed=seed) for seed in (0, 0, 1))
    expected = [epoch(whole, number) for number in range(3)][2][1]
    for ours, theirs in zip(later.part(2, 1, 0), expected, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(other.part(2, 1, 0)[0], expected[0])


def test_parts_are_the_batch_cut_up(data):
    whole, parts = batches(data), batches(data, batch_parts=2)
    for batch in (0, 3):
        cut = [parts.part(0, batch, part) for part in range(2)]
        assert {len(labels) for _, labels in cut} == {whole.size(batch) // 2}
        for ours, theirs in zip(zip(*cut, strict=True), whole.part(0, batch, 0), strict=True):
            assert torch.equal(torch.cat(ours), theirs)


@pytest.mark.parametrize("side", [1, 8, 15])
def test_cutout_sets_one_square_of_each_image_to_the_mean_colour(data, side):
    normalise = Normalisation([0.5, 0.4, 0.3], [0.2, 0.2, 0.2])
    plain, cut = (batches(data, 100, normalise, batch_size=100, cutout=cutout).part(0, 0, 0)[0] for cutout in (0, side))
    holes = (cut == 0).all(1)
    assert torch.equal(torch.where(holes[:, None], 0.0, plain), cut)
    heights = set()
    for hole in holes:
        rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        assert torch.equal(hole.nonzero(), torch.cartesian_prod(rows, columns)), "not a rectangle"
        heights.add(len(rows))
        # Less than the whole square only where it reaches over the edge.
        assert len(rows) == side or rows[0] == 0 or rows[-1] == 31
        assert len(columns) == side or columns[0] == 0 or columns[-1] == 31
    assert max(heights) == side


def test_noise_replaces_its_share_by_the_other_classes_alike():
    labels = torch.arange(10).repeat(2000)
    noisy = with_noise(labels, 10, 0.3, seed=0)
    # Residual Attention's eq. 7: 0.7 on the diagonal, 0.3 / 9 elsewhere; five standard deviations of a share of 2000
    found = torch.nn.functional.one_hot(labels * 10 + noisy, 100).sum(0).view(10, 10) / 2000
    expected = torch.full((10, 10), 0.3 / 9) + torch.eye(10) * (0.7 - 0.3 / 9)
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / 2000).sqrt()).all()
    assert torch.equal(noisy, with_noise(labels, 10, 0.3, seed=0))
    assert not torch.equal(noisy, with_noise(labels, 10, 0.3, seed=1))


def test_evaluation_is_shared_without_gap_or_overlap(data):
    images = DeviceImages.select(data, np.arange(500).repeat(3)[:1201], torch.device("cpu"))
    assert torch.equal(torch.cat([labels for _, labels in images.parts()]), images.labels)
    shares = [list(images.parts(rank, 2)) for rank in range(2)]
    assert [len(share) for share in shares] == [2, 1]
    together = torch.cat([shares[0][0][1], shares[1][0][1], shares[0][1][1]])
    assert torch.equal(together, images.labels)


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
