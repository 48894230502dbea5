"""Two objects in a picture: apart, inside, of the classes and colours that were asked for."""

import numpy as np
import pytest

from attnlib.data.scenes import scenes


def objects_of(images, labels, objects):
    """(classes, mean colours) of the two objects of every picture."""
    for image, label, number in zip(images.astype(float), labels, objects, strict=True):
        yield [(set(label[number == n]), image[number == n].mean(0)) for n in (1, 2)]


def test_two_whole_objects_that_do_not_touch():
    _, labels, objects = scenes(200, 0)
    assert ((labels == 0) == (objects == 0)).all()
    border = np.concatenate([objects[:, [0, -1]], objects[:, :, [0, -1]].swapaxes(1, 2)], 1)
    assert not border.any()
    for step in (objects[:, 1:] - objects[:, :-1], objects[:, :, 1:] - objects[:, :, :-1]):
        assert {*np.unique(step)} == {-2, -1, 0, 1, 2}  # from ground to object and back
    meet = [(objects[:, 1:] * objects[:, :-1] == 2), (objects[:, :, 1:] * objects[:, :, :-1] == 2)]
    assert not any(each.any() for each in meet)


@pytest.mark.parametrize("same_class", [True, False])
@pytest.mark.parametrize("same_colours", [True, False])
def test_pairs_are_as_asked_for(same_class, same_colours):
    for (first, colour), (second, other) in objects_of(*scenes(40, 1, same_class, same_colours)):
        assert len(first) == len(second) == 1
        assert (first == second) == same_class
        assert (np.abs(colour - other).max() < 4) == same_colours


def test_the_same_seed_gives_the_same_bytes():
    assert all((a == b).all() for a, b in zip(scenes(3, 5), scenes(3, 5), strict=True))


@pytest.mark.parametrize(("count", "seed", "words"), [(0, 0, "count must be at least 1"), (1, -1, "seed must be 0")])
def test_out_of_range(count, seed, words):
    with pytest.raises(ValueError, match=words):
        scenes(count, seed)
