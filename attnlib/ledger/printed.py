"""What a paper prints, by the words of its rows."""

from typing import Any

from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding


def row_of(key: str, table: str, **values: Any) -> dict[str, Any]:
    """The only row of a table that has these values."""
    (found,) = (row for row in load(key).rows(table) if values.items() <= row.items())
    return found


def column_of(key: str, table: str, label: str, name: str) -> dict[Any, Any]:
    """The column `name` of a table by the values of its column `label`."""
    return {row[label]: row[name] for row in load(key).rows(table)}


def difference(first: float, second: float) -> Finding:
    """By how much the first of two printed figures is above the second."""
    return Finding(first - second, f"{first} - {second}")
