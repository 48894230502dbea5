"""Networks by name from this package, torchvision or timm, with random weights."""

import inspect

from torch import nn

from attnlib.errors import unknown
from attnlib.networks import zoo


def build(name: str, classes: int | None = None) -> nn.Module:
    """`resnet50` of this package, `torchvision:resnet50` or `timm:resnet50`; nothing is downloaded.

    Args:
        name: the network, of another library with the library's name and a colon before it.
        classes: outputs of the last layer; default those that the network is usually trained on.

    Raises:
        UnknownNameError: no such network; the message lists near matches.
        ValueError: another library than the two, or one that is not installed.
    """
    library, _, rest = name.rpartition(":")
    if not library:
        return zoo.create(rest, classes)
    chosen = {} if classes is None else {"num_classes": classes}
    if library == "torchvision":
        from torchvision import models

        if rest not in models.list_models():
            raise unknown("network of torchvision", rest, models.list_models())
        # Detectors and segmenters download their backbone's weights unless told otherwise.
        takes = inspect.signature(models.get_model_builder(rest)).parameters
        return models.get_model(rest, weights=None, **dict.fromkeys({"weights_backbone"} & takes.keys()), **chosen)
    if library == "timm":
        try:
            import timm
        except ImportError:
            raise ValueError(f"{name} needs timm, which is not installed: pip install timm") from None
        if rest not in timm.list_models():
            raise unknown("network of timm", rest, timm.list_models())
        return timm.create_model(rest, pretrained=False, **chosen)
    raise ValueError(f"network {name!r}: before the colon comes torchvision or timm, got {library!r}")


def image_size(name: str) -> int:
    """Side of the images that the network was made for; 224 for those of other libraries."""
    return 224 if ":" in name else zoo.image_size(name)
