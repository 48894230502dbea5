"""Every published cost beside the same cost recomputed."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any

from attnlib.ledger.cells import Cell, Counting
from attnlib.ledger.grammar import measurable, profiler
from attnlib.ledger.measure import Module, Network, work
from attnlib.ledger.rules import Rule, Scaled, by_stated, rules_for
from attnlib.ledger.schema import CostColumn, Table, load


@dataclass(frozen=True)
class Ratio:
    """A cell that prints how many times as much one thing costs as another."""

    network: Network | Module | int
    baseline: Network | Module | int


# What a printed cost belongs to: a network, a pair (the first minus the second), a ratio, or a count of no network's.
Measurable = Network | Module | tuple[Network | Module, Network | Module] | Ratio | Scaled | int

AS_STATED = Rule("by the rule that the table's file states")


@cache
def _printed(key: str) -> tuple[tuple[Table, str, CostColumn, dict[str, Any], Measurable | str], ...]:
    """Every printed cost of a paper with its table, column, rule and row, and what it belongs to or why to nothing."""
    paper = load(key)
    return tuple(
        (table, column, rule, row, _belongs_to(key, table, number, row, column))
        for table in paper.tables
        for column, rule in table.costs.items()
        for number, row in enumerate(paper.rows(table.id))
        if row[column] is not None
    )


def _belongs_to(key: str, table: Table, number: int, row: dict[str, Any], column: str) -> Measurable | str:
    if not table.networks:
        return import_module(f"attnlib.papers.{key}.claims").network_of(table.id, row, column)
    found, rule = measurable(table.networks[number], key), table.costs[column]
    if isinstance(found, str):
        return found
    if rule.added:
        return found, found.plain()
    return found if rule.profiler is None else profiler(rule.profiler, key)(found)


def cells(key: str) -> list[Cell]:
    """Every cost that the paper `key` prints, in the order of its file.

    What a cell belongs to, or why it is not recomputed, stands beside its row in paper.yml; where it does not,
    `network_of` in claims.py says it.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
    """
    found = []
    for table, column, rule, row, network in _printed(key):
        common = {
            "paper": key,
            "table": table.label,
            "row": _label(row),
            "column": column,
            "unit": table.columns[column],
            "published": row[column],
            "confidence": table.confidence,
        }
        if isinstance(network, str):
            found.append(Cell(**common, reason=network))
        else:
            measured = _measure(network, rule)
            agrees = _agrees(row[column], measured, rule.decimals)
            found.append(Cell(**common, measured=measured, agrees=agrees))
    return found


@cache
def countings(key: str) -> tuple[Counting, ...]:
    """Each table of the paper `key` under every rule that changes one of its figures; as stated first.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
    """
    by_table: dict[tuple[str, str], list] = {}
    for table, column, stated, row, network in _printed(key):
        if not isinstance(network, str):
            by_table.setdefault((table.label, stated.quantity), []).append((row[column], stated, network))
    return tuple(
        counting for (table, quantity), found in by_table.items() for counting in _countings(table, quantity, found)
    )


def _countings(table: str, quantity: str, found: list[tuple[float, CostColumn, Measurable]]) -> list[Counting]:
    def counted(rule: Rule) -> list[float]:
        return [_measure(network, stated, rule) for _, stated, network in found]

    def agree(rule: Rule) -> int:
        return sum(
            _agrees(value, measured, stated.decimals, rule.cut_off)
            for (value, stated, _), measured in zip(found, counted(rule), strict=True)
        )

    stated = counted(AS_STATED)
    tried = {name: rule for name, rule in rules_for(quantity).items() if rule.cut_off or counted(rule) != stated}
    return [
        Counting(table=table, quantity=quantity, rule=name, agree=agree(rule), cells=len(found))
        for name, rule in ({"as stated": AS_STATED} | tried).items()
    ]


def _agrees(printed: float, measured: float, decimals: int | None, cut_off: bool = False) -> bool:
    """Whether the measured value, rounded or cut off, is the printed one."""
    tolerance = printed_tolerance(printed, decimals)
    if cut_off:
        return -1e-9 * abs(measured) <= measured - printed < 2 * tolerance
    return abs(measured - printed) <= tolerance


def _label(row: dict) -> str:
    """The words of a row; where it has none, its first value."""
    return " ".join(v for v in row.values() if isinstance(v, str)) or str(next(iter(row.values())))


def _measure(network: Measurable, column: CostColumn, rule: Rule = AS_STATED) -> float:
    if isinstance(network, int):
        return network / rule.unit(column)
    if isinstance(network, Ratio):
        return _measure(network.network, column, rule) / _measure(network.baseline, column, rule)
    if isinstance(network, tuple):
        return _measure(network[0], column, rule) - _measure(network[1], column, rule)
    if isinstance(network, Scaled):
        total = rule.count(network.network, column.counting)
        # As often as the rule has every other multiply-add.
        once = round(total / by_stated(network.network, "multiply-adds")) * work(network.network)["macs"].get(
            "linear", 0
        )
        return (network.factor * (total - once) + once) / rule.unit(column)
    return rule.count(network, column.counting) / rule.unit(column)


def printed_tolerance(value: float | int, decimals: int | None) -> float:
    """Half a unit of the last printed digit; the zeros at the end of a whole number were rounded to."""
    if decimals is None:
        decimals = -_trailing_zeros(value) if isinstance(value, int) else -Decimal(str(value)).as_tuple().exponent
    return 0.5 * 10.0**-decimals * (1 + 1e-9)  # a value half-way counts as rounded to either side


def _trailing_zeros(value: int) -> int:
    return len(str(value)) - len(str(value).rstrip("0")) if value else 0
