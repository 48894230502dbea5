"""The mechanism pictures: committed as drawn, readable, and their colours in equations."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import mechanism
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from attnlib.plots.colours import FAINT, INK, QUANTITIES
from book.figures.__main__ import HERE, files
from book.figures.shapes import Picture

SVG = "{http://www.w3.org/2000/svg}"
PAPERS = {"light": "#f3f4f5", "dark": "#222832"}  # the theme's tinted surfaces, harder than its plain ones


def test_the_committed_files_are_what_the_code_draws():
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} differs; run python -m book.figures"
    assert set(HERE.glob("*.svg")) == {path for path in files() if path.suffix == ".svg"}


def placed_words(path: Path):
    """(words, size, box) of every text of a picture, by the metrics of DejaVu, wider than most systems' letters."""
    for element in ET.parse(path).iter(f"{SVG}text"):
        kind = (element.get("class") or "").split()
        size = 15 if "symbol" in kind else 11 if "small" in kind else 11.5
        font = FontProperties(
            family="DejaVu Serif" if "symbol" in kind else "DejaVu Sans",
            style="italic" if "symbol" in kind else "normal",
            weight="bold" if "head" in kind else "normal",
        )
        words = "".join(element.itertext())
        extents = TextPath((0, 0), words, size=size, prop=font).get_extents()
        x, y = float(element.get("x")), float(element.get("y"))
        x -= {"middle": extents.width / 2, "end": extents.width}.get(element.get("text-anchor"), 0)
        yield words, (x, y - extents.y1, x + extents.width, y - extents.y0)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.svg")), ids=lambda path: path.stem)
def test_words_stay_inside_and_apart(path):
    *_, width, height = map(float, ET.parse(path).getroot().get("viewBox").split())
    texts = list(placed_words(path))
    for words, (left, top, right, bottom) in texts:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height, f"{words!r} leaves the picture"
    for (one, a), (other, b) in combinations(texts, 2):
        apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
        assert apart, f"{one!r} overlaps {other!r}"


def test_ids_are_unique_among_all_pictures():
    ids = [name for path in HERE.glob("*.svg") for name in re.findall(r'\bid="([^"]+)"', path.read_text())]
    assert len(ids) == len(set(ids))


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", [*QUANTITIES, "ink", "faint"])
def test_colours_of_letters_have_contrast_on_both_papers(name):
    ink = {"ink": INK, "faint": FAINT, **QUANTITIES}[name]
    assert contrast(ink.light, PAPERS["light"]) >= 4.5
    assert contrast(ink.dark, PAPERS["dark"]) >= 4.5


def test_a_picture_refuses_what_would_mislead():
    picture = Picture("p", 100, "title", "description")
    picture.symbol(1, 1, "x", "map")
    with pytest.raises(ValueError, match="choose one"):
        picture.symbol(1, 1, "x", "gate")
    with pytest.raises(ValueError, match="between 0 and 1"):
        picture.bar(0, 0, 1.2, "gate")


@pytest.mark.parametrize(
    "tex, expected",
    [
        ("g = \\sigma(s)", "{\\class{q-gate}{g}} = \\sigma(s)"),
        ("\\bar g_k", "\\bar {\\class{q-gate}{g}}_{\\class{q-gate}{k}}"),
        ("g_{ij}^2", "{\\class{q-gate}{g}}_{\\class{q-gate}{ij}}^2"),
        ("H \\times W", "H \\times W"),
        ("W_1^T", "{\\class{q-weight}{W}}_{\\class{q-weight}{1}}^T"),
        ("\\gamma_c", "{\\class{q-weight}{\\gamma}}_{\\class{q-weight}{c}}"),
        ("\\text{a gate g}", "\\text{a gate g}"),
        ("\\begin{aligned} g \\end{aligned}", "\\begin{aligned} {\\class{q-gate}{g}} \\end{aligned}"),
        ("\\log \\big( y", "\\log \\big( y"),
    ],
)
def test_symbols_of_an_equation_take_the_class_of_their_kind(tex, expected):
    symbols = {"g": "gate", "W_1": "weight", "\\gamma": "weight", "y": "-"}
    assert mechanism.coloured(tex, symbols) == expected
