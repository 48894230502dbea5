import csv
import io

import pytest

from attnlib.errors import UnknownNameError
from attnlib.results import records, report
from attnlib.results.formats import render


@pytest.fixture(scope="module")
def compared():
    labels = ("none", "sa(shuffle=False)", "residual_attention(placement=stage-end)")
    return report([run for label in labels for run in records("cifar10-slice", label)])


def test_markdown_has_a_line_for_each_row_and_the_columns_line_up(compared):
    head, ruler, *lines = render(compared, "markdown").splitlines()
    assert len(lines) == len(compared.rows)
    assert len({len(line) for line in (head, ruler, *lines)}) == 1
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    best = compared.rows[0]
    assert cells[:3] == [best.label, str(len(best.seeds)), f"{best.mean:.2f}"]


def test_latex_escapes_what_it_would_read(compared):
    text = render(compared, "latex")
    assert r"residual\_attention(placement=stage-end) & 3 & " in text
    assert r"last epoch, \%" in text
    assert text.count(r"\\") == len(compared.rows) + 1


def test_csv_has_every_digit_and_seed(compared):
    rows = list(csv.DictReader(io.StringIO(render(compared, "csv"))))
    for row, line in zip(compared.rows, rows, strict=True):
        assert line["label"] == row.label
        assert float(line["mean"]) == row.mean
        assert tuple(map(float, line["accuracies"].split())) == row.accuracies
    assert rows[-1]["student_low"] != ""


def test_other_forms_are_refused(compared):
    with pytest.raises(UnknownNameError, match="'excel'; known: csv, latex, markdown"):
        render(compared, "excel")
