"""The book's figures: learning curves, maps over images, Grad-CAM, tables. Needs pip install "attnlib[book]"."""

from attnlib.plots.accuracy import accuracies, accuracy_table, final_accuracies, noise_robustness
from attnlib.plots.curves import curves_beside, learning_curves
from attnlib.plots.decisions import decision_weights
from attnlib.plots.equal_budget import added_macs, paired_differences, pareto, report_table
from attnlib.plots.gradcam import grad_cam
from attnlib.plots.maps import captured, overlay, show_maps
from attnlib.plots.speed import geometric_means, ratios
from attnlib.plots.style import COLOURS, LOOKS, Look, colour, look, use
from attnlib.plots.tables import costs, differences, table, verdicts
from attnlib.results.words import shown

__all__ = [
    "COLOURS",
    "LOOKS",
    "Look",
    "accuracies",
    "accuracy_table",
    "added_macs",
    "captured",
    "colour",
    "costs",
    "curves_beside",
    "decision_weights",
    "differences",
    "final_accuracies",
    "geometric_means",
    "grad_cam",
    "learning_curves",
    "look",
    "noise_robustness",
    "overlay",
    "paired_differences",
    "pareto",
    "ratios",
    "report_table",
    "show_maps",
    "shown",
    "table",
    "use",
    "verdicts",
]
