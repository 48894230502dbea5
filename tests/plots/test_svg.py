"""Figures as the page shows them."""

import io
import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.textpath import TextPath

from attnlib import plots


@pytest.fixture
def written():
    """A function that gives the SVG of a figure in the book's style."""
    with plt.rc_context():
        plots.use()

        def write(figure) -> str:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="svg", bbox_inches="tight")
            return buffer.getvalue().decode()

        yield write


def test_named_colours_follow_the_page_and_others_stay(written):
    figure, axis = plt.subplots()
    axis.plot([0, 1], color=plots.GATE)
    axis.plot([1, 0], color=plots.colour("se"))
    text = written(figure)
    assert f"stroke: var(--q-gate, {plots.GATE})" in text
    assert f"stroke: {plots.colour('se')}" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"fill: #(ffffff|000000)", text), "a white background or black letters do not follow the page"


def test_the_file_is_the_same_at_every_run_and_holds_its_words(written):
    def draw():
        figure, axis = plt.subplots()
        axis.scatter([0, 1], [1, 0])
        axis.set_xlabel("accuracy (%)")
        return written(figure)

    first, second = draw(), draw()
    assert first == second
    assert ">accuracy (%)</text>" in first and "<dc:date>" not in first


@pytest.mark.parametrize("count, pixels", [(1000, 0), (1001, 1)])
def test_more_than_a_thousand_marks_are_pixels(written, count, pixels):
    figure, axis = plt.subplots()
    axis.scatter(range(count), range(count))
    assert written(figure).count("<image") == pixels


def test_letters_stay_above_9_px_in_a_column_of_358(written):
    figure, axes = plots.panels(2)
    for axis in axes:
        axis.plot([0, 1], label="se")
        axis.set(title="title", xlabel="epoch", ylabel="accuracy")
        axis.legend()
    text = written(figure)
    width = float(re.search(r'width="([\d.]+)pt"', text)[1])
    smallest = min(float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", text))
    assert smallest * 358 / width >= 9


def test_long_labels_stay_inside_the_picture(written):
    """The layout has to leave room for letters as large as they are drawn."""
    figure, axis = plt.subplots()
    label = "dot_product(placement=layer3)"
    axis.set_yticks([0.5], [label])
    text = written(figure)
    end = float(re.search(rf'x="([\d.]+)"[^>]*>{re.escape(label)}<', text)[1])
    letters = TextPath((0, 0), label, size=9.5).get_extents().width
    assert end - letters > 0


def test_panels_are_one_or_more():
    with pytest.raises(ValueError, match="count must be 1 or more, got 0"):
        plots.panels(0)
