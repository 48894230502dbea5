"""Tables for the page: right-aligned figures, a caption, and the same HTML at every run."""

import hashlib
import html
import math
import re

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from attnlib.plain import in_cell, in_terminal


class Table(Styler):
    """A styled frame whose plain-text form is its text, not its address in memory, which differs in every run."""

    def __repr__(self) -> str:
        text = f"{self.caption}\n{self.to_string(delimiter='  ')}"
        return in_terminal(html.unescape(text))  # of cells that are escaped for the page


def table(frame: pd.DataFrame, caption: str, digits: int | None = 3) -> Table:
    """A data frame as an HTML table without its index.

    Numbers stand right, with narrow no-break spaces between thousands; a missing value is a dash. The table's id comes
    from its caption, so that an unchanged table is unchanged HTML.

    Args:
        frame: the values.
        caption: what the table shows.
        digits: decimals of every float; None for five significant digits, where a column mixes sizes.
    """

    def shown(value: object) -> str:
        if pd.isna(value):
            return "–"
        if isinstance(value, bool | np.bool_ | str):
            return in_cell(value)
        whole = value == int(value) and (digits is None or not isinstance(value, float))
        decimals = 0 if whole else digits if digits is not None else _decimals(value, significant=5)
        return f"{value:,.{decimals}f}".replace(",", "\u202f")

    numeric = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    return (
        Table(frame)
        .hide(axis="index")
        .format(shown)
        .format_index(in_cell, axis="columns")
        .set_properties(subset=numeric, **{"text-align": "right"})
        .set_caption(in_cell(caption))
        .set_uuid(hashlib.sha256(caption.encode()).hexdigest()[:8])
    )


def _decimals(value: float, significant: int) -> int:
    """Decimals that leave so many significant digits, at least none."""
    return max(0, significant - 1 - math.floor(math.log10(abs(value))))


def costs(cells: pd.DataFrame, caption: str) -> Table:
    """The published costs that were recomputed, how each is known, and the measured value; the caption counts the rest.

    `cells` is the frame of `attnlib.paper(key).costs()`; its column `reason` says why a cell has no measured value.
    """
    measured = cells[cells["measured"].notna()]
    shown = pd.DataFrame(
        {
            "printed in": measured["table"] + ": " + measured["row"],
            "quantity": measured["column"].map(_quantity),
            "printed": measured["published"],
            "known": measured["confidence"],
            "recomputed": measured["measured"].astype(float),
            "agrees": measured["agrees"].map({True: "yes", False: "no"}),
        }
    )
    if set(shown["known"]) == {"read"}:  # the usual case needs no column
        shown = shown.drop(columns="known")
    left_out = len(cells) - len(measured)
    note = f" ({left_out} cells of networks that are not built here are left out)" if left_out else ""
    return table(shown, caption + note, digits=None)


def _quantity(column: str) -> str:
    """ "se_params_M" as a reader says it: "se parameters (M)"; the unit is Mi where a million is 2^20."""
    words = re.sub(r"_([KMG]i|[MB])$", r" (\1)", column)
    words = words.replace("gflops", "GFLOPs").replace("mflops", "MFLOPs").replace("flops", "FLOPs")
    return words.replace("params", "parameters").replace("_", " ")
