"""Tables for the page: right-aligned figures, a caption, and the same HTML at every run."""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

if TYPE_CHECKING:
    from attnlib.ledger.verdict import Verdict
    from attnlib.papers import Paper


class Table(Styler):
    """A styled frame whose plain-text form is its text, not its address in memory, which differs in every run."""

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.to_string(delimiter='  ')}"


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
            return str(value)
        whole = value == int(value) and (digits is None or not isinstance(value, float))
        decimals = 0 if whole else digits if digits is not None else _decimals(value, significant=5)
        return f"{value:,.{decimals}f}".replace(",", "\u202f")

    numeric = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    return (
        Table(frame)
        .hide(axis="index")
        .format(shown)
        .set_properties(subset=numeric, **{"text-align": "right"})
        .set_caption(caption)
        .set_uuid(hashlib.sha256(caption.encode()).hexdigest()[:8])
    )


def _decimals(value: float, significant: int) -> int:
    """Decimals that leave so many significant digits, at least none."""
    return max(0, significant - 1 - math.floor(math.log10(abs(value))))


def verdicts(judged: Sequence["Verdict"]) -> Table:
    """Claims of a paper, as `attnlib.paper(key).verdicts()` gives them, with what was measured and the verdict.

    What a verdict rests on stands in brackets behind its claim, then what others found of it, which it does not rest
    on; `known` says how the published figure is known: read, second-hand, recalled or counted. The verdict is told by
    word and colour.
    """
    rows = [
        {
            "claim": " ".join([v.claim, *([f"[{v.note}]"] if v.note else []), *map(str, v.evidence)]),
            "published": v.published,
            "known": v.confidence,
            "measured": v.measured,
            "unit": v.unit,
            "verdict": v.verdict,
        }
        for v in judged
    ]
    return table(pd.DataFrame(rows), "Claims and computed verdicts", digits=None).map(
        _verdict_style, subset=["verdict"]
    )


def costs(cells: pd.DataFrame, caption: str) -> Table:
    """The published costs that were recomputed, how each is known, and the measured value; the caption counts the rest.

    `cells` is the frame of `attnlib.paper(key).costs()`; its column `reason` says why a cell has no measured value.
    """
    measured = cells[cells["measured"].notna()]
    shown = pd.DataFrame(
        {
            "table": measured["table"],
            "row": measured["row"],
            "quantity": measured["column"],
            "published": measured["published"],
            "known": measured["confidence"],
            "measured": measured["measured"].astype(float),
            "agrees": measured["agrees"].map({True: "yes", False: "no"}),
        }
    )
    left_out = len(cells) - len(measured)
    note = f" ({left_out} cells of networks that are not built here are left out)" if left_out else ""
    return table(shown, caption + note, digits=None)


def _verdict_style(verdict: str) -> str:
    # the page's own colours, light and dark; the ones behind the comma where there is no page
    colours = {
        "holds": "var(--verdict-holds, #1b6e3c)",
        "holds with a note": "var(--verdict-note, #7a5200)",
        "does not hold": "var(--verdict-not, #a3122f)",
    }
    return f"font-weight: 600; color: {colours.get(verdict, 'inherit')}"


def differences(paper: "Paper") -> Table:
    """Where a paper and its released code differ."""
    return table(pd.DataFrame([d.model_dump() for d in paper.differences]), "Paper and released code")
