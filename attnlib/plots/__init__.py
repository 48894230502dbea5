"""The book's figures: learning curves, maps over images, Grad-CAM, tables. Needs pip install "attnlib[plots]"."""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.plots.accuracy import accuracies, accuracy_table, final_accuracies, noise_robustness
    from attnlib.plots.curves import curves_beside, learning_curves
    from attnlib.plots.decisions import decision_weights
    from attnlib.plots.equal_budget import added_macs, paired_differences, pareto, report_table
    from attnlib.plots.gates import dumbbells, gates_by_class
    from attnlib.plots.gradcam import grad_cam
    from attnlib.plots.holds import differences, verdicts
    from attnlib.plots.maps import captured, overlay, show_maps
    from attnlib.plots.seeds import as_seeds_come
    from attnlib.plots.speed import geometric_means, ratios
    from attnlib.plots.style import (
        COLOURS,
        COLUMN,
        FAINT,
        GATE,
        INK,
        LOOKS,
        MAP,
        OUTPUT,
        PAPER,
        STATISTIC,
        WEIGHT,
        Look,
        colour,
        look,
        looks,
        panels,
        use,
    )
    from attnlib.plots.tables import costs, table
    from attnlib.results.words import shown

__all__ = [
    "COLOURS",
    "COLUMN",
    "FAINT",
    "GATE",
    "INK",
    "LOOKS",
    "MAP",
    "OUTPUT",
    "PAPER",
    "STATISTIC",
    "WEIGHT",
    "Look",
    "accuracies",
    "accuracy_table",
    "added_macs",
    "as_seeds_come",
    "captured",
    "colour",
    "costs",
    "curves_beside",
    "decision_weights",
    "differences",
    "dumbbells",
    "final_accuracies",
    "gates_by_class",
    "geometric_means",
    "grad_cam",
    "learning_curves",
    "look",
    "looks",
    "noise_robustness",
    "overlay",
    "panels",
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
__getattr__, __dir__ = later(
    __name__,
    {
        ".accuracy": ["accuracies", "accuracy_table", "final_accuracies", "noise_robustness"],
        ".curves": ["curves_beside", "learning_curves"],
        ".decisions": ["decision_weights"],
        ".equal_budget": ["added_macs", "paired_differences", "pareto", "report_table"],
        ".gates": ["dumbbells", "gates_by_class"],
        ".gradcam": ["grad_cam"],
        ".holds": ["differences", "verdicts"],
        ".maps": ["captured", "overlay", "show_maps"],
        ".seeds": ["as_seeds_come"],
        ".speed": ["geometric_means", "ratios"],
        ".style": [
            "COLOURS",
            "COLUMN",
            "FAINT",
            "GATE",
            "INK",
            "LOOKS",
            "MAP",
            "OUTPUT",
            "PAPER",
            "STATISTIC",
            "WEIGHT",
            "Look",
            "colour",
            "look",
            "looks",
            "panels",
            "use",
        ],
        ".tables": ["costs", "table"],
        "attnlib.results.words": ["shown"],
    },
)
