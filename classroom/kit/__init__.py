"""What the sets of exercises use beside torch, numpy and matplotlib: `check`, `shapes` and two plots."""

from kit.checks import check
from kit.plots import heatmap, pictures
from kit.shapes import CLASSES, generate

__all__ = ["CLASSES", "check", "generate", "heatmap", "pictures"]
