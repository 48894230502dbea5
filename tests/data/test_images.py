import numpy as np
import pytest

from attnlib.data import channel_statistics, datasets, load
from attnlib.errors import UnknownNameError


def test_shapes_load_with_masks_and_without_a_download():
    train, test = load("shapes", "train"), load("shapes", "test")
    assert (len(train), len(test)) == (2000, 500)
    assert train.masks.shape == train.images.shape[:3]
    assert train.classes[train.labels.max()] == "angle"
    assert not (train.images[:500] == test.images).all((1, 2, 3)).any()
    assert "shapes" in datasets()


@pytest.mark.parametrize(("name", "split", "near"), [("shape", "train", "shapes"), ("shapes", "tests", "test")])
def test_unknown_names_list_the_near_ones(name, split, near):
    with pytest.raises(UnknownNameError, match=f"'{near}'"):
        load(name, split)


def test_channel_statistics_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 7, 3), dtype=np.uint8)
    images[..., 1] //= 4
    mean, deviation = channel_statistics(images)
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)) / 255, rtol=1e-12)
    np.testing.assert_allclose(deviation, images.std((0, 1, 2)) / 255, rtol=1e-12)
