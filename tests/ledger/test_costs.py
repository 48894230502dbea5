"""Published costs beside recomputed ones."""

import pytest

from attnlib.ledger.costs import costs, printed_tolerance


@pytest.mark.parametrize(
    ("value", "decimals", "tolerance"),
    [(4.13, 3, 0.0005), (3.87, 2, 0.005), (26.2, None, 0.05), (708, 0, 0.5), (4778000, None, 500), (1524, None, 0.5)],
)
def test_printed_tolerance(value, decimals, tolerance):
    assert printed_tolerance(value, decimals) == pytest.approx(tolerance, rel=1e-6)


def test_sa():
    cells = costs("sa").set_index(["table", "row", "column"])
    assert cells.loc[("Table 1, differences", "ResNet-50 SA", "extra_params"), "measured"] == 708
    assert not cells.loc[("Table 1, differences", "ResNet-50 SA", "extra_params"), "agrees"]
    # one rule of counting gives all six printed GFLOPs of networks that are defined here
    gflops = cells.loc["Table 1"].xs("gflops", level="column").dropna(subset="measured")
    assert len(gflops) == 6
    assert gflops.agrees.all()
    exact = cells.loc["Parameters of the released code"]
    assert (exact.difference == 0).all()


def test_nam():
    cells = costs("nam").set_index(["table", "row"])
    assert cells.loc[("CIFAR-100 comparison", "ResNet-50"), "agrees"]
    assert not cells.loc[("CIFAR-100 comparison", "NAM"), "agrees"]
    exact = cells.loc["Parameters of the released code"]
    assert exact.loc["NAM (channel)", "difference"] == 0


def test_se():
    cells = costs("se")
    # every CIFAR network of others that is defined here has exactly their count of parameters
    theirs = cells[(cells.table == "CIFAR models of osmr/imgclsmob") & cells.measured.notna()]
    assert len(theirs) == 16
    assert (theirs.difference == 0).all()
    by_stage = cells[(cells.table == "Table 13") & (cells.column == "gflops")]
    assert by_stage.agrees.tolist() == [True, True, True, True, False]
