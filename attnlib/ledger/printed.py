"""What a paper prints, by the words of its rows."""

from typing import Any

from attnlib.ledger.schema import load


def row_of(key: str, table: str, **values: Any) -> dict[str, Any]:
    """The only row of a table that has these values."""
    (found,) = (row for row in load(key).rows(table) if values.items() <= row.items())
    return found


def column_of(key: str, table: str, label: str, name: str) -> dict[Any, Any]:
    """The column `name` of a table by the values of its column `label`."""
    return {row[label]: row[name] for row in load(key).rows(table)}
