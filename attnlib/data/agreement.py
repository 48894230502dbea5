"""How well a map of scores finds an object whose mask is known."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def agreement(scores: Float[Tensor, "N maps H W"], masks: Bool[Tensor, "N rows columns"]) -> Float[Tensor, "N maps"]:
    """How often a pixel of the object has a higher score than a pixel beside it; a tie counts one half.

    It is the area under the ROC curve of the scores: 1 where every pixel of the object stands above all others, 0.5 for
    scores that know nothing of it, whatever its size, 0 where it stands below. What keeps the order of the scores, such
    as a sigmoid, changes nothing.

    Args:
        scores: one number a pixel; any number of maps for each image.
        masks: true on the object. Where they are finer than the maps, a pixel counts by the share of it that is object.

    Raises:
        ValueError: the maps' sides do not divide the masks', or a mask is empty or full: there is nothing to compare.
    """
    (rows, columns), (height, width) = masks.shape[1:], scores.shape[2:]
    if rows % height or columns % width:
        raise ValueError(
            f"masks of {rows} x {columns} do not divide into maps of {height} x {width}; use sides that divide theirs"
        )
    sizes = masks.flatten(1).sum(1)
    if not ((sizes > 0) & (sizes < rows * columns)).all():
        raise ValueError("a mask is empty or full: there is no object to compare with what is beside it; leave it out")
    share = F.avg_pool2d(masks[:, None].to(scores.dtype), (rows // height, columns // width)).flatten(2)
    share = share.expand(-1, scores.shape[1], -1)
    ordered, order = scores.flatten(2).sort(2)
    on = share.gather(2, order)
    beside = 1 - on
    # A tie is a run of equal scores: each of them stands above what is below the run and half of what is in it.
    start = F.pad(ordered[..., 1:] != ordered[..., :-1], (1, 0), value=True)
    run = start.cumsum(2) - 1
    in_run = beside.new_zeros(beside.shape).scatter_add(2, run, beside)
    below = (in_run.cumsum(2) - in_run / 2).gather(2, run)
    return (on * below).sum(2) / (on.sum(2) * beside.sum(2))
