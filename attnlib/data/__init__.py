"""Images and labels by name.

>>> from attnlib.data import load
>>> train = load("shapes", "train")
>>> train.images.shape
(2000, 32, 32, 3)
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.data.images import Images, datasets, load
    from attnlib.data.statistics import channel_statistics

__all__ = ["Images", "channel_statistics", "datasets", "load"]
__getattr__, __dir__ = later(
    __name__, {".images": ["Images", "datasets", "load"], ".statistics": ["channel_statistics"]}
)
