"""Intervals against closed forms, plain loops and what they cover in simulated samples."""

import math
from itertools import combinations_with_replacement, product
from statistics import NormalDist, fmean

import numpy as np
import pytest

from attnlib.results.intervals import bootstrap, paired, student, t_quantile

SKEWED = [0.0131, 0.1173, 0.3391, 0.7129, 1.5717, 3.1937, 6.4311]  # no two resamples of other values have one mean


def coverage(interval, values, samples=4000):
    drawn = np.random.default_rng(1).standard_normal((samples, values)).tolist()
    return fmean(low <= 0 <= high for low, high in map(interval, drawn))


def test_the_t_quantile_is_that_of_the_closed_forms():
    assert t_quantile(1) == pytest.approx(math.tan(math.pi * 0.475))
    assert t_quantile(2) == pytest.approx(0.95 / math.sqrt(2 * 0.975 * 0.025))
    assert t_quantile(1, 0.998) == pytest.approx(math.tan(math.pi * 0.499))
    assert t_quantile(2, 0.998) == pytest.approx(0.998 / math.sqrt(2 * 0.999 * 0.001))
    assert t_quantile(10**6) == pytest.approx(NormalDist().inv_cdf(0.975), rel=1e-5)
    # where a solver stopped in double precision
    assert t_quantile(7, 1 - 0.05 / 24) == pytest.approx(4.750074338600103)


def test_student_s_interval_by_hand():
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))


@pytest.mark.parametrize("values", [2, 3, 5])
def test_student_s_interval_covers_what_it_says(values):
    assert coverage(student, values) == pytest.approx(0.95, abs=0.015)  # four standard errors


def test_pairs_are_those_of_common_seeds():
    assert paired({0: 5.0, 2: 7.0, 3: 1.0}, {2: 4.0, 1: 9.0, 0: 5.5}) == {0: -0.5, 2: 3.0}


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_few_values_are_enumerated(count):
    values = SKEWED[-count:]
    means = sorted(fmean(resample) for resample in product(values, repeat=count))
    rank = math.ceil(0.025 * len(means))
    assert bootstrap(values) == pytest.approx((means[rank - 1], means[-rank]))


def test_more_values_are_drawn_the_same_each_time_and_near_the_exact_interval():
    low, high = bootstrap(SKEWED)
    assert (low, high) == bootstrap(SKEWED)
    shares = {}
    for chosen in combinations_with_replacement(range(7), 7):
        ways = math.factorial(7) / math.prod(math.factorial(chosen.count(each)) for each in set(chosen))
        shares[chosen] = (fmean(SKEWED[each] for each in chosen), ways / 7**7)
    assert sum(share for mean, share in shares.values() if mean <= low) == pytest.approx(0.025, abs=0.003)
    assert sum(share for mean, share in shares.values() if mean >= high) == pytest.approx(0.025, abs=0.003)


@pytest.mark.parametrize(("values", "covered"), [(2, 0.5), (3, 0.75), (4, 0.80), (5, 0.84)])
def test_the_bootstrap_covers_as_little_as_its_docstring_says(values, covered):
    assert coverage(bootstrap, values) == pytest.approx(covered, abs=0.03)


@pytest.mark.parametrize("interval", [bootstrap, student])
def test_one_value_has_no_interval(interval):
    with pytest.raises(ValueError, match="two values or more, got 1; run more seeds"):
        interval([1.0])
