"""Tables for the page: right-aligned figures, a caption, and the same HTML at every run."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from pandas.io.formats.style import Styler

if TYPE_CHECKING:
    from attnlib.ledger import Verdict
    from attnlib.published import Paper


class Table(Styler):
    """A styled frame whose plain-text form is its text, not its address in memory, which differs in every run."""

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.to_string(delimiter='  ')}"


def table(frame: pd.DataFrame, caption: str, digits: int = 3) -> Table:
    """A data frame as an HTML table without its index.

    Floats get `digits` decimals, integers a thin space between thousands, missing values a dash. The table's id comes
    from its caption, so that an unchanged table is unchanged HTML.
    """

    def shown(value: object) -> str:
        if value is None or (isinstance(value, float) and pd.isna(value)) or value is pd.NA:
            return "–"
        if isinstance(value, float):
            return f"{value:,.{digits}f}".replace(",", "\u2009")
        return str(value)

    integers = {
        column: (lambda v: "–" if pd.isna(v) else f"{int(v):,}".replace(",", "\u2009"))
        for column in frame.select_dtypes("integer").columns
    }
    others = {column: shown for column in frame.columns if column not in integers}
    numeric = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    return (
        Table(frame)
        .hide(axis="index")
        .format({**integers, **others})
        .set_properties(subset=numeric, **{"text-align": "right"})
        .set_caption(caption)
        .set_uuid(hashlib.sha256(caption.encode()).hexdigest()[:8])
    )


def verdicts(judged: Sequence["Verdict"]) -> Table:
    """The claims of one paper: what it prints, what was measured, the verdict, told by word and colour."""
    frame = pd.DataFrame([v.model_dump() for v in judged])[["claim", "published", "measured", "verdict", "note"]]
    return table(frame, "Claims and computed verdicts").map(_verdict_style, subset=["verdict"])


def costs(cells: pd.DataFrame, caption: str) -> Table:
    """The published costs that were recomputed, with the measured value; the caption counts those that were not.

    `cells` is the frame of `attnlib.ledger.costs`; its column `reason` says why a cell has no measured value.
    """
    measured = cells[cells["measured"].notna()]
    shown = pd.DataFrame(
        {
            "table": measured["table"],
            "row": measured["row"],
            "quantity": measured["column"],
            "published": measured["published"],
            "measured": measured["measured"].astype(float),
            "agrees to the printed digit": measured["agrees"].map({True: "yes", False: "no"}),
        }
    )
    left_out = len(cells) - len(measured)
    note = f" ({left_out} cells of networks that are not built here are left out)" if left_out else ""
    return table(shown, caption + note)


def _verdict_style(verdict: str) -> str:
    colours = {"holds": "#1b6e3c", "holds with a note": "#7a5200", "does not hold": "#a3122f"}
    return f"font-weight: 600; color: {colours.get(verdict, '#444444')}"


def differences(paper: "Paper") -> Table:
    """Where a paper and its released code differ."""
    return table(pd.DataFrame([d.model_dump() for d in paper.differences]), "Paper and released code")
