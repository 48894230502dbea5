"""The book's figures: learning curves, maps over images, Grad-CAM, tables. Needs pip install "attnlib[book]"."""

from attnlib.plots.accuracy import accuracies, accuracy_table, final_accuracies
from attnlib.plots.curves import learning_curves
from attnlib.plots.gradcam import grad_cam
from attnlib.plots.maps import captured, overlay, show_maps
from attnlib.plots.speed import geometric_means, ratios
from attnlib.plots.style import COLOURS, colour, use
from attnlib.plots.tables import costs, differences, table, verdicts

__all__ = [
    "COLOURS",
    "accuracies",
    "accuracy_table",
    "captured",
    "colour",
    "costs",
    "differences",
    "final_accuracies",
    "geometric_means",
    "grad_cam",
    "learning_curves",
    "overlay",
    "ratios",
    "show_maps",
    "table",
    "use",
    "verdicts",
]
