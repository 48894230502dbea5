"""Networks by name, and attention put into them.

>>> from attnlib.networks import create
>>> create("resnet20", classes=10, attention="se")
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.networks.attachment import AttachedModule, attach, attention_modules, detach
    from attnlib.networks.detection import detector
    from attnlib.networks.placement import RULES
    from attnlib.networks.segmentation import segmenter
    from attnlib.networks.wrappers import WithAttention
    from attnlib.networks.zoo import create, image_size, kind, list_networks, usual_classes

__all__ = [
    "RULES",
    "AttachedModule",
    "WithAttention",
    "attach",
    "attention_modules",
    "create",
    "detach",
    "detector",
    "image_size",
    "kind",
    "list_networks",
    "segmenter",
    "usual_classes",
]
__getattr__, __dir__ = later(
    __name__,
    {
        ".attachment": ["AttachedModule", "attach", "attention_modules", "detach"],
        ".detection": ["detector"],
        ".placement": ["RULES"],
        ".segmentation": ["segmenter"],
        ".wrappers": ["WithAttention"],
        ".zoo": ["create", "image_size", "kind", "list_networks", "usual_classes"],
    },
)
