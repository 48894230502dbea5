import numpy as np

from attnlib.data import Images
from attnlib.training import linear_accuracy


def test_classes_that_a_line_parts_are_told_apart():
    rng = np.random.default_rng(0)

    def split(name, count):
        labels = np.arange(count) % 3
        images = rng.integers(0, 100, (count, 4, 4, 3), dtype=np.uint8)
        images[np.arange(count), 1, 1, labels] += 120  # the class is the channel of one bright pixel
        return Images("dots", name, images, labels, ["red", "green", "blue"])

    assert linear_accuracy(split("train", 300), split("test", 90)) > 0.95
