"""Networks by name from this package, torchvision, timm or a Python module of one's own, with their first weights."""

import inspect
import os
import sys
from importlib import import_module

from torch import nn

from attnlib.errors import unknown
from attnlib.networks import zoo


def build(name: str, classes: int | None = None) -> nn.Module:
    """`resnet50` of this package, `torchvision:resnet50`, `timm:resnet50`, or `my_models:small` of one's own.

    Nothing is downloaded. A module of one's own is looked for where Python looks, and then in the working folder; its
    function or class is called without arguments, or with `num_classes` (or `classes`) where they are given.

    Args:
        name: the network, of another library with the library's name and a colon before it.
        classes: outputs of the last layer; default those that the network is usually trained on.

    Raises:
        UnknownNameError: no such network; the message lists near matches.
        TypeError: what a function of one's own gives is no nn.Module.
        ValueError: no such module, or a library that is not installed; a function of one's own that takes no number of
            classes where one is given.
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
    return _own(name, library, rest, classes)


def _own(name: str, module: str, function: str, classes: int | None) -> nn.Module:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where `python -m` looks too; last, so that it stands for no other's module
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the module imports
        raise ValueError(
            f"network {name!r}: before the colon comes torchvision, timm or a Python module with a function that "
            f"builds the network, e.g. my_models:small; no module {error.name!r} is installed or in {os.getcwd()}"
        ) from None
    make = getattr(found, function, None)
    if not callable(make):
        public = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
        raise unknown(f"function of {module}", function, public)
    given = {}
    if classes is not None:
        takes = inspect.signature(make).parameters
        argument = next((each for each in ("num_classes", "classes") if each in takes), None)
        if argument is None:
            raise ValueError(
                f"{name} takes neither num_classes nor classes, so that it cannot be given classes={classes}; "
                "add the argument to it"
            )
        given[argument] = classes
    model = make(**given)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} gives {type(model).__name__}; it has to give an nn.Module")
    return model


def image_size(name: str) -> int:
    """Side of the images that the network was made for; 224 for those that are not this package's."""
    return 224 if ":" in name else zoo.image_size(name)
