"""Claims that are arithmetic on printed cells."""

import pytest

from attnlib.ledger.expressions import evaluate, is_expression
from attnlib.ledger.schema import Paper, Table

COLUMNS = {"model": "network", "k": "kernel", "top1": "%"}
ROWS = [["A", 3, 77.5], ["A", 7, 78.0], ["B", 3, None]]
TABLE = Table(id="table-1", label="Table 1", about="toys", columns=COLUMNS, rows=ROWS, source="s", confidence="read")
PAPER = Paper.model_construct(key="toy", tables=[TABLE])


@pytest.mark.parametrize(
    ("line", "value", "note"),
    [
        ("cell('table-1', 'A / 7', 'top1') - cell('table-1', 'A / 3', 'top1')", 0.5, "78.0 - 77.5"),
        ("cell('table-1', 'A / 7', 'top1')", 78.0, "78.0 in Table 1"),
        ("max(0, 79 - max(column('table-1', 'top1')))", 1.0, "max(0, 79 - max([77.5, 78.0]))"),
        ("-2 ** 2 / (1 + 7)", -0.5, "-2 ** 2 / (1 + 7)"),
        ("(1 < 2) + (1 >= 2) + abs(-1)", 2, "(1 < 2) + (1 >= 2) + abs(-1)"),
    ],
)
def test_a_line_is_computed_and_shown_with_its_numbers(line, value, note):
    assert evaluate(line, PAPER) == (value, note)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cell('table-1', 'A', 'top1') - 1", "2 rows of table-1 have 'A', where one is meant"),
        ("cell('table-1', 'C', 'top1') - 1", "0 rows of table-1 have 'C'"),
        ("cell('table-1', 'B', 'top1') - 1", "'None' is no arithmetic on printed numbers"),
        ("cell('table-1', 'B', 'top5') - 1", "no column of table-1 is called 'top5'; did you mean 'top1'"),
        ("cell('table-2', 'B', 'top1') - 1", "no table is called 'table-2'; did you mean 'table-1'"),
        ("mix(1, 2)", "no function is called 'mix'; did you mean 'min' or 'max'"),
        ("(1).real", "is no arithmetic"),
        ("__import__('os').getcwd()", "is no arithmetic"),
        ("[x for x in (1, 2)]", "is no arithmetic"),
        ("'a' * 3", "is no arithmetic"),
        ("1 -", "toy: '1 -' is no arithmetic: invalid syntax"),
    ],
)
def test_anything_else_is_refused(line, message):
    with pytest.raises(ValueError, match=".") as error:
        evaluate(line, PAPER)
    assert message in str(error.value)


def test_a_function_is_known_by_its_name():
    assert is_expression("1 - 1") and not is_expression("gain_resnet50")
