"""A printed cost with what became of it, and many of them as a frame; read without what recomputes them."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas


class Cell(BaseModel):
    """One printed cost, in the unit it is printed in.

    Attributes:
        measured: by the rule that the table's file states; null where `reason` says why it is not recomputed.
        agrees: whether `measured` rounds to what is printed.
        confidence: of the published value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    table: str
    row: str
    column: str
    unit: str
    published: float | int
    measured: float | None = None
    agrees: bool | None = None
    reason: str = ""
    confidence: str


def frame(cells: list[Cell]) -> "pandas.DataFrame":
    """The same as a table, with difference = measured - published."""
    import pandas

    table = pandas.DataFrame([cell.model_dump() for cell in cells], columns=list(Cell.model_fields))
    table["measured"] = table["measured"].astype(float)
    table.insert(list(table).index("agrees"), "difference", table["measured"] - table["published"])
    return table.drop(columns=["paper", "unit"])
