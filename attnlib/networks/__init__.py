"""Networks by name, and attention put into them.

>>> from attnlib.networks import create
>>> create("resnet20", classes=10, attention="se")
"""

from attnlib.networks.attach import AttachedModule, WithAttention, attach, attention_modules, detach
from attnlib.networks.placement import RULES
from attnlib.networks.zoo import create, image_size, kind, list_networks

__all__ = [
    "RULES",
    "AttachedModule",
    "WithAttention",
    "attach",
    "attention_modules",
    "create",
    "detach",
    "image_size",
    "kind",
    "list_networks",
]
