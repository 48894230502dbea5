"""Above, below or not told apart, plainly and corrected, from runs whose intervals are known."""

import pytest

from attnlib.results import report
from attnlib.results.intervals import student
from attnlib.results.standing import corrected, pairs, standing
from tests.results.test_report import run

ACCURACIES = {
    "none": (0.4, 0.4, 0.4),
    "se": (0.5, 0.5, 0.5001),  # above, whatever the correction
    "nam": (0.44, 0.46, 0.48),  # above, by the plain interval alone
    "sa": (0.5, 0.3, 0.45),  # not told apart
    "constant": (0.3, 0.3, 0.3001),  # below
    "eca": (0.9,),  # one seed says nothing
}


@pytest.fixture
def found():
    return report(
        [run(value, seed, attention=key) for key, values in ACCURACIES.items() for seed, value in enumerate(values)]
    )


def test_rows_stand_where_their_intervals_do(found):
    assert standing(found) == {
        "above": ["se", "nam"],
        "surely above": ["se"],
        "neither": ["sa"],
        "below": ["constant"],
        "surely below": ["constant"],
    }
    assert standing(found, "control")["above"] == [] and standing(found, "control")["below"] == ["constant"]


def test_the_correction_is_for_all_that_are_compared(found):
    assert sorted(corrected(found)) == ["constant", "nam", "sa", "se"]
    assert corrected(found)["nam"] == pytest.approx(student([4.0, 6.0, 8.0], 1 - 0.05 / 4))


def test_pairs_are_compared_over_their_common_seeds(found):
    compared = pairs(found, leave_out=("constant",))
    assert len(compared["all"]) == 6  # of none, se, nam, sa: eca shares one seed alone
    assert set(compared["apart"]) == {("se", "none"), ("nam", "none")}
    assert compared["surely apart"] == [("se", "none")]
