"""A claim that is arithmetic on the paper's own printed cells, as one line of paper.yml.

    check: cell("table-5", "ResNet-50 SA", "top1") - cell("table-5", "ResNet-50", "top1")

The line is read as Python writes it; it has numbers, + - * / **, brackets, comparisons (1 where true, else 0) and

* cell(table, row, column): one printed number, its row by what stands in it, "ResNet-50" or "ResNet-50 / 7";
* column(table, column): all numbers of a column, without those that are missing;
* min, max, sum, abs and len of such numbers.
"""

import ast
import operator
from collections.abc import Callable

from attnlib.errors import unknown
from attnlib.ledger.schema import Cell, Paper

_SIGNS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable] = {"min": min, "max": max, "sum": sum, "abs": abs, "len": len}


def is_expression(check: str) -> bool:
    """Whether a claim's check is such a line; else it is the name of a function."""
    return not check.isidentifier()


def evaluate(line: str, paper: Paper) -> tuple[float | int, str]:
    """The value of a line, and the line with the printed numbers in place of their cells; of one cell, where it stands.

    Raises:
        ValueError: the line is no such arithmetic, no row or several have what is asked for, or a cell holds no number.
        UnknownNameError: no such table, column or function; the message lists the near matches.
    """
    try:
        printed = _Printed(paper)
        tree = printed.visit(ast.parse(line.strip(), mode="eval")).body
        where = f" in {printed.label}" if isinstance(tree, ast.Constant) else ""
        return _value(tree), ast.unparse(tree) + where
    except SyntaxError as error:
        raise ValueError(f"{paper.key}: {line!r} is no arithmetic: {error.msg}") from error


class _Printed(ast.NodeTransformer):
    """Puts the printed numbers in place of their cells."""

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.label = ""  # of the last table

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(func=ast.Name("cell"), args=[ast.Constant(table), ast.Constant(row), ast.Constant(column)]):
                return ast.Constant(self._cell(table, row, column))
            case ast.Call(func=ast.Name("column"), args=[ast.Constant(table), ast.Constant(column)]):
                numbers = [row[column] for row in self._rows(table, column) if row[column] is not None]
                return ast.List([ast.Constant(number) for number in numbers])
        return self.generic_visit(node)

    def _rows(self, table: str, column: str) -> list[dict]:
        rows = self.paper.rows(table)
        self.label = next(each.label for each in self.paper.tables if each.id == table)
        if column not in rows[0]:
            raise unknown(f"column of {table}", column, list(rows[0]))
        return rows

    def _cell(self, table: str, words: str, column: str) -> Cell:
        wanted = set(words.split(" / "))
        found = [row for row in self._rows(table, column) if wanted <= set(map(str, row.values()))]
        if len(found) != 1:
            raise ValueError(f"{self.paper.key}: {len(found)} rows of {table} have {words!r}, where one is meant")
        return found[0][column]


def _value(node: ast.expr) -> float | int | list:
    match node:
        case ast.Constant(int() | float() as number):
            return number
        case ast.List(elements):
            return [_value(element) for element in elements]
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand)
        case ast.BinOp(left, sign, right) | ast.Compare(left, [sign], [right]) if type(sign) in _SIGNS:
            return _SIGNS[type(sign)](_value(left), _value(right))
        case ast.Call(ast.Name(name), arguments, []):
            if name not in _FUNCTIONS:
                raise unknown("function", name, [*_FUNCTIONS, "cell", "column"])
            return _FUNCTIONS[name](*map(_value, arguments))
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic on printed numbers")
