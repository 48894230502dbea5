"""A colour and a marker for every module: unique, readable on white and on black, told apart by the colour-blind."""

from itertools import combinations

import numpy as np
import pytest

from attnlib import plots, registry
from attnlib.errors import UnknownNameError
from attnlib.plots.colours import GROUPS, PALETTE

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    t = TO_XYZ @ rgb.clip(0, 1) / WHITE
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ciede2000(one: np.ndarray, other: np.ndarray) -> float:
    """The difference of two colours in Lab: 1 is just seen, 10 at a glance."""
    chroma = (np.hypot(*one[1:]) + np.hypot(*other[1:])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    (l1, a1, b1), (l2, a2, b2) = one, other
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    mean_l, mean_c, mean_h = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    t = 1 - 0.17 * np.cos(np.radians(mean_h - 30)) + 0.24 * np.cos(np.radians(2 * mean_h))
    t += 0.32 * np.cos(np.radians(3 * mean_h + 6)) - 0.2 * np.cos(np.radians(4 * mean_h - 63))
    light = (l2 - l1) / (1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2))
    chromatic = (c2 - c1) / (1 + 0.045 * mean_c)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * mean_c * t)
    rotation = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25**7))
    rotation *= np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    return float(np.sqrt(light**2 + chromatic**2 + hue**2 + rotation * chromatic * hue))


def test_the_difference_is_ciede2000():
    """Pairs 1, 7 and 17 of Sharma, Wu and Dalal 2005, who publish them to test implementations."""
    for one, other, expected in (
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ):
        assert ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


def test_every_module_and_control_has_a_pair_of_its_own():
    assert set(PALETTE) == {"none", *registry.list_modules(), *registry.list_modules("control")}
    assert len(set(PALETTE.values())) == len(PALETTE)


@pytest.mark.parametrize("colour", sorted({colour for colour, _ in PALETTE.values()}))
def test_a_colour_is_readable_on_white_and_on_black(colour):
    luminance = TO_XYZ[1] @ linear(colour)
    assert 1.05 / (luminance + 0.05) >= 3
    assert (luminance + 0.05) / 0.05 >= 3


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("group", [name for name in GROUPS if name != "controls"])
def test_a_group_and_the_controls_are_told_apart(group, sight):
    drawn = GROUPS["controls"] | GROUPS[group]
    for (one, (first, mark)), (other, (second, another)) in combinations(drawn.items(), 2):
        seen = [lab(np.array(SIGHT[sight]) @ linear(colour)) for colour in (first, second)]
        assert ciede2000(*seen) >= 10, f"{one} and {other} look alike"
        assert mark != another, f"{one} and {other} have the same marker"


def test_variants_keep_the_colour_and_differ_in_line_or_marker():
    labels = ["sa", *(f"sa(groups={g})" for g in (1, 2, 4, 8)), "se"]
    found = plots.looks(labels)
    assert {found[label].colour for label in labels[:-1]} == {plots.colour("sa")}
    assert len({(look.line, look.marker, look.filled) for label, look in found.items() if label != "se"}) == 5
    assert not plots.look("sa(shuffle=False)").filled


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownNameError, match="se"):
        plots.look("see")
