"""Images and labels by name.

>>> from attnlib.data import load
>>> train = load("shapes", "train")
>>> train.images.shape
(2000, 32, 32, 3)
"""

from attnlib.data.images import Images, datasets, load
from attnlib.data.statistics import channel_statistics

__all__ = ["Images", "channel_statistics", "datasets", "load"]
