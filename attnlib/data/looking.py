"""Does a gate look at the object? On `shapes`, whose masks say where the object is, the question has a number."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def share_inside(gate: Float[Tensor, "N h w"], masks: Bool[Tensor, "N H W"]) -> tuple[float, float]:
    """How much of what a gate lets through above its own mean lies on the object, and how much would by chance.

    For each image, e is the part of the gate above the image's mean gate, and the share is the sum of e on the object
    divided by the sum of e. A pixel of a smaller map counts as object by the part of it that the object covers. By
    chance is the share of the same gate with the masks of all images in place of its own: a gate that is high in the
    middle of every image, where most objects are, gains nothing by it.

    Args:
        gate: one value for each pixel of N maps; adding a constant or multiplying by a positive one changes nothing.
        masks: true on the object.

    Returns:
        The share on the own object and the share by chance, each the mean over the images whose gate is not flat.

    Raises:
        ValueError: the numbers of images differ, or every gate is flat and so looks nowhere.
    """
    if len(gate) != len(masks):
        raise ValueError(f"there are {len(gate)} gates and {len(masks)} masks; give one mask for each gate")
    covered = F.adaptive_avg_pool2d(masks[:, None].to(gate), gate.shape[1:])[:, 0].flatten(1)
    # In double precision, so that the mean of equal values is that value.
    values = gate.flatten(1).double()
    above = (values - values.mean(1, keepdim=True)).clamp_min(0)
    looking = values.amax(1) > values.amin(1)
    if not looking.any():
        raise ValueError("every gate is flat, so none looks anywhere; give gates that vary over the pixels")
    weight = above[looking] / above[looking].sum(1, keepdim=True)
    covered = covered.double()
    own = (weight * covered[looking]).sum(1).mean()
    chance = (weight @ covered.mean(0)).mean()
    return own.item(), chance.item()
