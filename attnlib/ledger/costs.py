"""Every published cost beside the same cost recomputed."""

from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING

from attnlib.ledger.measure import Network, operations, parameters
from attnlib.published.schema import CostColumn, load

if TYPE_CHECKING:
    import pandas


def costs(key: str) -> "pandas.DataFrame":
    """One row for each cost that the paper `key` prints, in the unit it is printed in.

    `attnlib/ledger/<key>.py` says which network a cell belongs to (a pair where the cell is a difference of two), or
    why it is not recomputed. Columns: table, row, column, published, measured, difference (measured - published),
    agrees (to the printed digits), reason (why there is no measured value), confidence (of the published value).

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
    """
    import pandas

    network_of = import_module(f"attnlib.ledger.{load(key).key}").network_of
    cells = []
    for table in load(key).tables:
        for column, rule in table.costs.items():
            for row in load(key).rows(table.id):
                network, published = network_of(table.id, row, column), row[column]
                cell = {"table": table.label, "row": _label(row), "column": column, "published": published}
                cell["confidence"] = table.confidence
                if published is None:
                    continue
                if isinstance(network, str):
                    cell["reason"] = network
                else:
                    measured = _measure(network, rule)
                    cell |= {"measured": measured, "difference": measured - published}
                    cell["agrees"] = abs(measured - published) <= printed_tolerance(published, rule.decimals)
                cells.append(cell)
    columns = ["table", "row", "column", "published", "measured", "difference", "agrees", "reason", "confidence"]
    return pandas.DataFrame(cells, columns=columns)


def _label(row: dict) -> str:
    """The words of a row; where it has none, its first value."""
    return " ".join(v for v in row.values() if isinstance(v, str)) or str(next(iter(row.values())))


def _measure(network: Network | tuple[Network, Network], rule: CostColumn) -> float:
    if isinstance(network, tuple):
        return _measure(network[0], rule) - _measure(network[1], rule)
    count = parameters(network) if rule.quantity == "parameters" else operations(network, rule.counting)
    return count / rule.unit


def printed_tolerance(value: float | int, decimals: int | None) -> float:
    """Half a unit of the last printed digit; the zeros at the end of a whole number were rounded to."""
    if decimals is None:
        decimals = -_trailing_zeros(value) if isinstance(value, int) else -Decimal(str(value)).as_tuple().exponent
    return 0.5 * 10.0**-decimals * (1 + 1e-9)  # a value half-way counts as rounded to either side


def _trailing_zeros(value: int) -> int:
    return len(str(value)) - len(str(value).rstrip("0")) if value else 0
