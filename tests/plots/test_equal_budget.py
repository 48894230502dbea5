"""Figures of one recipe's modules: what stands where, which means are on the front, which interval is drawn."""

from itertools import pairwise

import pytest
from matplotlib.text import Text

from attnlib import plots
from attnlib.results import report
from attnlib.results.intervals import student

COSTS = {"none": 0.0, "constant": 0.0, "se": 0.5, "sa": 1.0, "dot_product": 4.0}


@pytest.fixture
def found(run):
    """The front is constant, se, dot_product: at no cost constant is above none, sa is below se and costs more."""
    accuracies = {"none": (0.4, 0.5), "constant": (0.5, 0.5), "se": (0.6, 0.6), "sa": (0.5, 0.6)}
    records = [run(key, seed, value) for key, values in accuracies.items() for seed, value in enumerate(values)]
    return report([*records, run("dot_product", 0, 0.7, placement="layer3")])


@pytest.fixture
def costs():
    return COSTS | {"dot_product(placement=layer3)": 4.0}


def test_seeds_and_means_stand_above_their_cost(found, costs):
    axis = plots.pareto(found, costs, "cost (%)", named=["sa", "none"])
    seeds = {(line.get_xdata()[0], *line.get_ydata()) for line in axis.lines if line.get_markersize() == 3.5}
    means = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_markersize() == 8}
    assert {(0.0, 40.0, 50.0), (0.5, 60.0, 60.0)} < seeds
    assert {(cost, round(mean, 6)) for cost, mean in means} == {(0, 45), (0, 50), (0.5, 60), (1, 55), (4, 70)}
    assert axis.get_xlabel() == "cost (%)"


def test_what_is_neither_named_nor_on_the_front_is_a_grey_point(found, costs):
    axis = plots.pareto(found, costs, "cost", named=["sa"])
    (grey,) = (line for line in axis.lines if line.get_label() == "other rows")
    assert list(zip(*grey.get_data(), strict=True)) == [(0.0, 45.0)]
    assert "none" not in [text.get_text() for text in axis.texts]


def test_the_front_holds_the_means_that_no_cheaper_one_beats(found, costs):
    axis = plots.pareto(found, costs, "cost")
    (front,) = (line for line in axis.lines if line.get_label().startswith("Pareto"))
    assert list(front.get_xdata()) == [0, 0.5, 4]
    assert list(front.get_ydata()) == pytest.approx([50, 60, 70])
    bold = {text.get_text() for text in axis.texts if text.get_fontweight() == "bold"}
    assert bold == {"constant", "se", "dot_product\nlayer3"}


def test_every_named_label_stands_once_and_none_over_another(run):
    values = [run("constant", 0, 0.4, attention_args={"value": round(0.01 * k, 2)}) for k in range(8)]
    found = report([run("none", 0, 0.4), *values])
    labels = [row.label for row in found.rows]
    axis = plots.pareto(found, dict.fromkeys(labels, 1.0), "cost", named=labels)
    axis.figure.canvas.draw()
    assert sorted(text.get_text() for text in axis.texts) == sorted(
        ["none", *(f"constant\n{round(0.01 * k, 2)}" for k in range(8))]
    )
    # the text alone: an annotation's own extent includes the line to its point
    boxes = sorted((Text.get_window_extent(text) for text in axis.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))


def test_only_rows_with_a_cost_are_drawn(found):
    axis = plots.pareto(found, {"se": 1.0}, "cost")
    assert [text.get_text() for text in axis.texts] == ["se"]
    with pytest.raises(ValueError, match="no row of the report has a cost: rows are .*se.*; costs are given for eca"):
        plots.pareto(found, {"eca": 1.0}, "cost")


def test_a_mean_has_the_colour_and_the_marker_of_its_module(found, costs):
    axis = plots.pareto(found, costs, "cost", named=costs)
    drawn = {(line.get_color(), line.get_marker()) for line in axis.lines if line.get_markersize() == 8}
    labels = [row.label for row in found.rows]
    assert drawn == {(look.colour, look.marker) for look in plots.looks(labels).values()}


def test_differences_are_points_with_their_mean_and_interval(found):
    axis = plots.paired_differences(found)
    labels = [text.get_text() for text in axis.get_yticklabels()]
    assert sorted(labels) == ["constant", "dot_product\nlayer3", "sa", "se"]
    means = [row.difference for label in labels for row in found.rows if row.label.startswith(label.split()[0])]
    assert means == sorted(means)
    se = next(row for row in found.rows if row.label == "se")
    of_se = [line for line in axis.lines if set(line.get_ydata()) == {labels.index("se")}]
    student, points = of_se
    assert tuple(student.get_xdata()) == se.student
    assert list(points.get_xdata()) == pytest.approx([20, 10])
    bars = [line.get_xdata()[0] for line in axis.lines if len(set(line.get_ydata())) == 2]
    assert bars == pytest.approx([*means, 0])  # the last is the line at no difference


def test_one_seed_is_a_point_without_an_interval(run):
    axis = plots.paired_differences(report([run("none", 0, 0.4), run("se", 0, 0.5)]))
    mean, points, zero = axis.lines
    assert list(mean.get_xdata()) == pytest.approx([10, 10])
    assert list(points.get_xdata()) == pytest.approx([10])
    assert list(zero.get_xdata()) == [0, 0]


def test_nothing_to_compare_is_said(run):
    with pytest.raises(ValueError, match="no run shares a seed with the baseline 'none'; rows are none"):
        plots.paired_differences(report([run("none", 0, 0.4)]))


def test_multiply_adds_are_those_that_the_module_adds(run):
    runs = [
        run("none", 0, 0.4, backbone="resnet20"),
        run("se", 0, 0.4, backbone="resnet20"),
        run("constant", 0, 0.4, backbone="resnet20", attention_args={"value": 0.0}),
        run("dot_product", 0, 0.4, backbone="resnet20", placement="layer3"),
    ]
    plain = 40_813_184  # MACs of ResNet-20
    # SE: 2 C * C / 16 products in each of three blocks at the widths 16, 32 and 64. Attention behind layer3, with 64
    # channels and 8 x 8 pixels: four projections and two products of all pixels with all pixels.
    assert plots.added_macs(runs) == {
        "none": 0,
        "constant(value=0.0)": 0,
        "se": pytest.approx(100 * 3 * sum(2 * c * c // 16 for c in (16, 32, 64)) / plain),
        "dot_product(placement=layer3)": pytest.approx(100 * (4 * 64 * 64**2 + 2 * 64 * 64**2) / plain),
    }


def test_labels_are_shown_with_short_numbers():
    assert plots.shown("constant(value=0.7310585786300049)") == "constant(value=0.731)"
    assert plots.shown("se") == "se"
    long = plots.shown("constant(placement=" + " ".join(f"layer{i}.bn1" for i in range(9)) + ")")
    assert len(long) <= 60 and long.endswith("...)")


def test_a_label_is_bold_where_the_corrected_interval_leaves_0_out(run):
    accuracies = {"none": (0.4, 0.4, 0.4), "se": (0.5, 0.5, 0.5001), "sa": (0.5, 0.3, 0.45)}
    runs = [run(key, seed, value) for key, values in accuracies.items() for seed, value in enumerate(values)]
    axis = plots.paired_differences(report(runs))
    assert {label.get_text(): label.get_fontweight() for label in axis.get_yticklabels()} == {
        "sa": "normal",
        "se": "bold",
    }


def test_the_table_has_the_difference_to_each_baseline(run):
    accuracies = {"none": (0.4, 0.5), "constant": (0.5, 0.5), "se": (0.6, 0.6), "sa": (0.5, 0.6)}
    runs = [run(key, seed, value) for key, values in accuracies.items() for seed, value in enumerate(values)]
    runs.append(run("dot_product", 0, 0.7, placement="layer3"))
    drawn = plots.report_table([report(runs), report(runs, "constant")], "Runs").data.set_index("attention")
    assert list(drawn.index) == ["dot_product layer3", "se", "sa", "constant", "none"]
    assert drawn.loc["se", ["minus none", "minus constant"]].tolist() == pytest.approx([15, 10])
    low, high = student([20.0, 10.0])
    assert drawn.loc["se", "minus none, 95 %"] == f"{low:.2f}\u00a0to\u00a0{high:.2f}"
    low, high = student([20.0, 10.0], 1 - 0.05 / 3)
    assert drawn.loc["se", "minus none, corrected"] == f"{low:.2f}\u00a0to\u00a0{high:.2f}"
    single = drawn.loc["dot_product layer3"]
    assert single["seeds"] == 1 and single["minus none, 95 %"] == single["minus none, corrected"] == "–"
    one = plots.report_table(report(runs), "One row", ["se"]).data
    assert one["attention"].tolist() == ["se"] and one["minus none, corrected"].tolist() == [
        f"{low:.2f}\u00a0to\u00a0{high:.2f}"
    ]
