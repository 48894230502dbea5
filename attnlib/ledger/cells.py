"""A printed cost with what became of it, many of them as a frame, and rules of counting tried on their tables.

Read without what recomputes them.
"""

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


class Counting(BaseModel):
    """A table under one rule of counting, used for all its costs of one quantity: how many of them then agree.

    Attributes:
        rule: a name of `rules.RULES`, or "as stated" for the rule that the table's file states.
        agree: how many cells round to what is printed; of `cells` that are recomputed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    quantity: str
    rule: str
    agree: int
    cells: int


def better(countings: list[Counting]) -> list[tuple[Counting, Counting]]:
    """For each table that another rule fits better than the stated one: as stated, and by the best such rule."""
    by_table: dict[tuple[str, str], list[Counting]] = {}
    for counting in countings:
        by_table.setdefault((counting.table, counting.quantity), []).append(counting)
    pairs = [(rules[0], max(rules, key=lambda counting: counting.agree)) for rules in by_table.values()]
    return [(stated, best) for stated, best in pairs if best.agree > stated.agree]


def frame(cells: list[Cell]) -> "pandas.DataFrame":
    """The same as a table, with difference = measured - published."""
    import pandas

    table = pandas.DataFrame([cell.model_dump() for cell in cells], columns=list(Cell.model_fields))
    table["measured"] = table["measured"].astype(float)
    table.insert(list(table).index("agrees"), "difference", table["measured"] - table["published"])
    return table.drop(columns=["paper", "unit"])
