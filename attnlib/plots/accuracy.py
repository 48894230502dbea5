"""Final accuracies of recorded runs: every seed a point, and the same numbers as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from attnlib.plots.style import colour
from attnlib.plots.tables import Table, table

if TYPE_CHECKING:
    from attnlib.training.record import Record


_MAY_DIFFER = {"attention", "attention_args", "sparsity", "seed"}


def final_accuracies(records: Sequence["Record"]) -> pd.DataFrame:
    """One row per run: attention (with its arguments), seed, accuracy in per cent.

    Raises:
        ValueError: the runs differ in more than the attention and the seed, so that their accuracies do not compare.
    """
    for record in records:
        first, recipe = records[0].recipe, record.recipe
        for field in first.differing_fields(recipe):
            if field not in _MAY_DIFFER:
                raise ValueError(
                    f"these runs do not compare: {field} is {getattr(first, field)!r} in one and "
                    f"{getattr(recipe, field)!r} in another; draw each recipe on its own"
                )
    rows = [{"attention": r.recipe.label, "seed": r.seed, "accuracy": 100 * r.final.accuracy} for r in records]
    return pd.DataFrame(rows, columns=["attention", "seed", "accuracy"])


def accuracies(records: Sequence["Record"], ax: Axes | None = None) -> Axes | None:
    """Draw the last-epoch accuracy of every run, a point per seed and a bar at the mean; without a record say so."""
    if not records:
        print("No record of these runs yet, so nothing is drawn.")
        return None
    frame = final_accuracies(records)
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 0.5 * frame["attention"].nunique() + 1.2))
    palette = {name: colour(name) for name in frame["attention"].unique()}
    sns.stripplot(
        frame, x="accuracy", y="attention", hue="attention", palette=palette, size=7, alpha=0.8, jitter=False, ax=ax
    )
    for position, (_, runs) in enumerate(frame.groupby("attention", sort=False)):
        ax.plot([runs["accuracy"].mean()] * 2, [position - 0.25, position + 0.25], color="black", lw=1.5)
    recipe = records[0].recipe
    title = f"{recipe.name}: {recipe.backbone} on {recipe.data}, {recipe.epochs} epochs, protocol {recipe.protocol}"
    ax.set(xlabel="test accuracy after the last epoch (%)", ylabel="", title=title)
    return ax


def accuracy_table(records: Sequence["Record"], caption: str) -> Table:
    """Mean and standard deviation over seeds with the count of seeds; a single run is called so and has no spread."""
    groups = final_accuracies(records).groupby("attention", sort=False)["accuracy"]
    rows = [
        {
            "attention": name,
            "accuracy (%)": runs.mean(),
            "standard deviation": runs.std() if len(runs) > 1 else None,
            "runs": f"{len(runs)} seeds" if len(runs) > 1 else "single run",
        }
        for name, runs in groups
    ]
    return table(pd.DataFrame(rows), caption, digits=2)
