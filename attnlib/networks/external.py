"""Networks by name from this package, torchvision or timm, with random weights."""

from torch import nn

from attnlib.errors import unknown
from attnlib.networks import zoo


def build(name: str) -> nn.Module:
    """`resnet50` of this package (for its usual number of classes), `torchvision:resnet50` or `timm:resnet50`.

    Raises:
        UnknownNameError: no such network; the message lists near matches.
        ValueError: another library than the two, or one that is not installed.
    """
    library, _, rest = name.rpartition(":")
    if not library:
        return zoo.create(rest, 1000 if zoo.image_size(rest) == 224 else 10)
    if library == "torchvision":
        from torchvision import models

        if rest not in models.list_models():
            raise unknown("network of torchvision", rest, models.list_models())
        return models.get_model(rest, weights=None)
    if library == "timm":
        try:
            import timm
        except ImportError:
            raise ValueError(f"{name} needs timm, which is not installed: pip install timm") from None
        if rest not in timm.list_models():
            raise unknown("network of timm", rest, timm.list_models())
        return timm.create_model(rest, pretrained=False)
    raise ValueError(f"network {name!r}: before the colon comes torchvision or timm, got {library!r}")
