"""Ratios of time as points and means."""

import pandas as pd
import pytest

from attnlib import plots


def rows():
    return pd.DataFrame(
        [
            {"module": module, "size": size, "pass": which, "ratio": ratio}
            for module, pair in (("nam", (0.25, 1.0)), ("se", (1.0, 4.0)))
            for which in ("forward", "forward+backward")
            for size, ratio in zip(("small", "large"), pair, strict=True)
        ]
    )


def test_means_over_sizes_are_geometric():
    means = plots.geometric_means(rows())
    assert list(means.index) == ["nam", "se"]
    assert means.loc["nam"].tolist() == pytest.approx([0.5, 0.5])
    assert means.loc["se"].tolist() == pytest.approx([2.0, 2.0])


def test_a_panel_for_each_pass_with_a_bar_at_each_mean():
    axes = plots.ratios(rows())
    assert [ax.get_title() for ax in axes] == ["forward", "forward and backward"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["nam", "se"]
    points = {
        (x, y) for line in axes[0].lines if line.get_marker() in "os" for x, y in zip(*line.get_data(), strict=True)
    }
    assert points == {(0.25, 0), (1.0, 0), (1.0, 1), (4.0, 1)}
    for ax in axes:
        bars = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert bars == pytest.approx([0.5, 2.0, 1.0])  # the last is the line at equal time
        assert ax.get_xscale() == "log"


def test_the_axis_says_what_the_ratio_is_of():
    assert plots.ratios(rows(), "ours / floor")[-1].get_xlabel() == "ours / floor"


def test_more_sizes_than_can_be_told_apart_are_refused():
    many = pd.concat([rows().assign(size=f"{k} pixels") for k in range(6)])
    with pytest.raises(ValueError, match="at most 5 sizes can be told apart, these rows have 6"):
        plots.ratios(many)


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="no ratio to draw"):
        plots.ratios(rows().iloc[:0])
