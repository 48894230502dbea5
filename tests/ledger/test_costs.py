"""Published costs beside recomputed ones."""

import pytest

from attnlib.ledger import entries
from attnlib.ledger.costs import printed_tolerance


@pytest.mark.parametrize(
    ("value", "decimals", "tolerance"),
    [(4.13, 3, 0.0005), (3.87, 2, 0.005), (26.2, None, 0.05), (708, 0, 0.5), (4778000, None, 500), (1524, None, 0.5)],
)
def test_printed_tolerance(value, decimals, tolerance):
    assert printed_tolerance(value, decimals) == pytest.approx(tolerance, rel=1e-6)


# What is on file is what is computed (test_every_paper.py); here, that it is what outsiders count.


def on_file(key, table, column=None):
    cells = [cell for cell in entries.stored(key).cells if cell.table == table and cell.measured is not None]
    return {cell.row: cell for cell in cells if column in (None, cell.column)}


def test_other_people_s_exact_counts_are_met_to_the_parameter():
    tables = {"CIFAR models of osmr/imgclsmob": ("se", 20), "Parameters of the released code": ("sa", 6)}
    for table, (key, count) in tables.items():
        cells = [cell for cell in entries.stored(key).cells if cell.table == table and cell.measured is not None]
        assert len(cells) == count
        assert all(cell.measured == cell.published for cell in cells)


def test_sa_adds_more_than_it_prints():
    added = on_file("sa", "Table 1, differences", "extra_params")["ResNet-50 SA"]
    assert (added.published, added.measured, added.agrees) == (300, 708, False)


def test_one_rule_of_counting_gives_all_printed_gflops_of_the_networks_of_sa_s_table_1():
    rows = on_file("sa", "Table 1", "gflops")
    assert len(rows) == 12
    assert {row for row, cell in rows.items() if not cell.agrees} == {"ResNet-50 ECA", "ResNet-101 ECA"}


def test_se_by_stage():
    rows = on_file("se", "Table 13", "gflops")
    assert [cell.agrees for cell in rows.values()] == [True, True, True, True, False]
