"""`check` says which entry differs; `finding` reads the numbers of a sentence."""

import math

import numpy as np
import pytest
import torch

from attnlib import check, finding
from attnlib.checks import CheckError, numbers

X = torch.arange(6, dtype=torch.float64).view(2, 3)

# A whole number goes where a decimal one may; the checker of types would not let it.
pytestmark = pytest.mark.usefixtures("own_errors")


@pytest.mark.parametrize(
    ("ours", "reference", "bounds", "line"),
    [
        (X, X.tolist(), {}, "holds: a = b, exactly (2 x 3)"),
        (X + 9e-13, X.numpy(), {"atol": 1e-12}, "holds: a = b, to 1e-12 (2 x 3)"),
        (X, X.clone(), {"atol": 1e-12}, "holds: a = b, to 1e-12 (2 x 3)"),  # the same line, whatever the difference
        (X * 1.01, X, {"rtol": 0.1}, "holds: a = b, to 0.1 of each entry (2 x 3)"),
        (X.bfloat16(), X.half(), {}, "holds: a = b, exactly (2 x 3)"),
        (X.clone().requires_grad_(), X, {}, "holds: a = b, exactly (2 x 3)"),
        (708, 708.0, {}, "holds: a = b, exactly"),
        (2**62 + 1, torch.tensor(2**62 + 1), {}, "holds: a = b, exactly"),
        (True, torch.tensor(True), {}, "holds: a = b, exactly"),
        ("se", "se", {}, "holds: a = b, exactly"),
        (math.inf, math.inf, {"atol": 1}, "holds: a = b, to 1"),
        (1 + 1e-13j, 1 + 0j, {"atol": 1e-12}, "holds: a = b, to 1e-12"),
        ([X, X[0]], [X.numpy(), X[0].tolist()], {}, "holds: a = b, exactly (2 entries)"),
        ({"w": X, "b": 1}, {"b": 1, "w": X.tolist()}, {}, "holds: a = b, exactly (2 entries)"),
        ([math.nan, 1], torch.tensor([math.nan, 1]), {"equal_nan": True}, "holds: a = b, exactly (2)"),
    ],
)
def test_what_holds_prints_its_bound(capsys, ours, reference, bounds, line):
    check("a = b", ours, reference, **bounds)
    assert capsys.readouterr().out == line + "\n"


SLIP = X.clone()
SLIP[1, 2] += 1e-3


@pytest.mark.parametrize(
    ("ours", "reference", "bounds", "message"),
    [
        (SLIP, X, {"atol": 1e-4}, r": 1 of 6 entries differ; the first at \[1, 2\]: ours 5.001, reference 5.0 \(0.0"),
        (X + 1, X, {}, r"6 of 6 entries differ; the first at \[0, 0\]: ours 1.0, reference 0.0.*\(2, 3\) float64"),
        (X, X[:1], {}, r"the shapes differ. ours: \(2, 3\) float64; reference: \(1, 3\) float64"),
        (X, 1.0, {}, "the shapes differ"),
        ([], [], {}, "nothing to compare"),
        (torch.empty(0, 3), torch.empty(0, 3), {}, "nothing to compare"),
        ({}, {}, {}, "nothing to compare"),
        ([math.nan], [math.nan], {}, r"at \[0\]: ours nan, reference nan.*equal_nan=True"),
        (math.nan, 1, {"equal_nan": True}, "ours nan"),
        (math.inf, 1e300, {"atol": 1, "rtol": 1}, "ours inf"),
        (1.0, math.inf, {"rtol": 1}, "reference inf"),
        (True, 1, {}, "a boolean and a number are not compared"),
        ("1", 1, {}, "a text and a number are not compared"),
        ("se", "sa", {}, "the entry: ours 'se', reference 'sa'"),
        (2**62 + 1, 2**62, {}, r"ours 4611686018427387905, reference 4611686018427387904"),
        (torch.tensor(2**62), torch.tensor(-(2**62)), {"atol": 1}, "9.22e[+]18 apart"),
        ({"w": 1}, {"v": 1}, {}, r"only ours \['w'\], only reference \['v'\]"),
        ({"w": SLIP}, {"w": X}, {}, r" for \['w'\]: 1 of 6"),
        ([X, SLIP], [X.clone(), X], {}, r" for \[1\]: 1 of 6"),
        ([X, X], [X.clone()], {}, "ours is list of 2, the reference list of 1"),
        ({"w": 1}, 1, {}, "ours is dict of 1, the reference 1"),
    ],
)
def test_what_does_not_hold_says_where(capsys, ours, reference, bounds, message):
    with pytest.raises(CheckError, match=rf"'a = b' does not hold.*{message}"):
        check("a = b", ours, reference, **bounds)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "name must say", {"name": " "}),
        (ValueError, "atol must be", {"atol": -1}),
        (ValueError, "rtol must be", {"rtol": math.nan}),
        (ValueError, "atol must be", {"atol": True}),
        (ValueError, "same memory", {"reference": X}),
        (ValueError, "same memory", {"reference": X.detach().view(2, 3)}),
        (TypeError, "cannot compare NoneType", {"ours": None}),
        (TypeError, "cannot compare set", {"ours": {1, 2}}),
        (TypeError, "rows differ in length", {"ours": [[1, 2], [3]]}),
    ],
)
def test_what_cannot_be_compared_is_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        check(**{"name": "a = b", "ours": X, "reference": X.tolist(), **arguments})


def test_a_view_of_the_same_memory_may_be_compared(capsys):
    constant = torch.ones(2, 3)
    check("one value", constant, constant[:1, :1].expand(2, 3))


def test_arrays_in_the_same_memory_are_refused():
    array = np.ones(3)
    with pytest.raises(ValueError, match="same memory"):
        check("a = b", array, array[:])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-3.03, −0.43 and +1", ["-3.03", "−0.43", "+1"]),
        ("ResNet-50 at 3 x 3 with 25,557,032 parameters.", ["3", "3", "25,557,032"]),
        ("a bound of 4e-16, in 30 %, 4.", ["4e-16", "30", "4"]),
        ("CIFAR-10, table2, 3x3, the 1st", []),
        ("1,2 and 3", ["1", "2", "3"]),
    ],
)
def test_the_numbers_of_a_sentence(text, found):
    assert numbers(text) == found


def test_a_finding_that_is_so_is_silent(capsys):
    finding("+2.6, −2.1 and 1,234 on 44 % of them", 2.55, -2.149, 1234, torch.tensor(43.6), np.bool_(True))
    finding("more than 40 %", 0.5 > 0.4)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("quote", "found", "message"),
    [
        ("keeps 44 %", (43.4,), 'the finding "keeps 44 %" does not hold: it says 44, and the data say 43.4. Mend'),
        ("keeps 44 %", (math.nan,), "the data say nan"),
        ("at 0.50", (0.506,), "it says 0.50, and the data say 0.506"),
        ("a slip of 4e-16", (4.6e-16,), "it says 4e-16"),
        ("708 parameters", (709,), "it says 708, and the data say 709"),
        ("on every seed", (True, np.False_), "its condition 2 is false"),
    ],
)
def test_a_finding_that_is_not_so_names_its_sentence(quote, found, message):
    with pytest.raises(CheckError, match=message):
        finding(quote, *found)


@pytest.mark.parametrize(
    ("error", "quote", "found", "message"),
    [
        (TypeError, "on every seed", (), "nothing to hold"),
        (TypeError, "keeps 44 %", (torch.tensor([44.0, 44.0]),), "pass entries apart"),
        (TypeError, "keeps 44 %", ("44",), "expected a number or a condition, got '44'"),
        (ValueError, "keeps 44 %", (44, 30), r"prints 1 numbers \(44\); 2 were given"),
        (ValueError, "keeps 44 %", (True, 44), "the numbers first"),
    ],
)
def test_a_finding_without_its_numbers_is_refused(error, quote, found, message):
    with pytest.raises(error, match=message):
        finding(quote, *found)
