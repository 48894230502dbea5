"""Every published cost beside the same cost recomputed."""

from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module

from attnlib.ledger.cells import Cell
from attnlib.ledger.measure import Module, Network, operations, parameters
from attnlib.published.schema import CostColumn, load


@dataclass(frozen=True)
class Ratio:
    """A cell that prints how many times as much one thing costs as another."""

    network: Network | Module | int
    baseline: Network | Module | int


# What a printed cost belongs to: a network, a pair (the first minus the second), a ratio, or a count of no network's.
Measurable = Network | Module | tuple[Network | Module, Network | Module] | Ratio | int


def cells(key: str) -> list[Cell]:
    """Every cost that the paper `key` prints, in the order of its file.

    `network_of` in `attnlib/ledger/<key>.py` says what a cell belongs to, or why it is not recomputed.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
    """
    paper = load(key)
    network_of = import_module(f"attnlib.ledger.{key}").network_of
    found = []
    for table in paper.tables:
        for column, rule in table.costs.items():
            for row in paper.rows(table.id):
                if row[column] is None:
                    continue
                common = {
                    "paper": key,
                    "table": table.label,
                    "row": _label(row),
                    "column": column,
                    "unit": table.columns[column],
                    "published": row[column],
                    "confidence": table.confidence,
                }
                network = network_of(table.id, row, column)
                if isinstance(network, str):
                    found.append(Cell(**common, reason=network))
                else:
                    measured = _measure(network, rule)
                    agrees = abs(measured - row[column]) <= printed_tolerance(row[column], rule.decimals)
                    found.append(Cell(**common, measured=measured, agrees=agrees))
    return found


def _label(row: dict) -> str:
    """The words of a row; where it has none, its first value."""
    return " ".join(v for v in row.values() if isinstance(v, str)) or str(next(iter(row.values())))


def _measure(network: Measurable, rule: CostColumn) -> float:
    if isinstance(network, int):
        return network / rule.unit
    if isinstance(network, Ratio):
        return _measure(network.network, rule) / _measure(network.baseline, rule)
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
