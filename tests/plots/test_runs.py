"""Curves and accuracies show the runs there are: every seed, no invented spread, nothing where there is no record."""

import matplotlib.pyplot as plt
import pytest

from attnlib import plots


def test_every_run_is_a_curve_and_every_module_one_label(run):
    axis = plots.learning_curves([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)], floor=0.2)
    solid = [line for line in axis.lines if line.get_linestyle() == "-"]
    assert [list(line.get_ydata()) for line in solid] == [pytest.approx([10, 20, 30])] * 3
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "se",
        "none",
        "linear model",
        "held-out images",
        "training images",
    ]


def test_no_record_no_curve():
    with pytest.raises(ValueError, match="no record"):
        plots.learning_curves([])


def test_no_record_no_drawing_but_a_sentence(capsys):
    assert plots.accuracies([]) is None
    assert "No record" in capsys.readouterr().out
    assert not plt.get_fignums()


def test_every_seed_is_a_point_at_its_accuracy(run):
    axis = plots.accuracies([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)])
    points = sorted(round(float(x), 6) for drawn in axis.collections for x, _ in drawn.get_offsets())
    assert points == [40.0, 50.0, 60.0]
    assert axis.lines[0].get_xdata()[0] == pytest.approx(55.0)


def test_rows_have_their_labels_with_short_numbers(run):
    third = run("constant", 0, 0.3, attention_args={"value": 1 / 3})
    axis = plots.accuracies([run("se", 0, 0.5), third, run("none", 0, 0.4)])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["se", "constant(value=0.333)", "none"]


def test_a_single_run_is_called_one_and_has_no_spread(run):
    html = plots.accuracy_table([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)], "Runs").to_html()
    seeds, single = (row for row in html.split("<tr>") if "seeds" in row or "single run" in row)
    assert "55.00" in seeds and "7.07" in seeds and "2 seeds" in seeds
    assert "40.00" in single and "–" in single


def test_runs_that_do_not_compare_are_refused(run):
    with pytest.raises(ValueError, match="epochs is 3 in one and 5 in another"):
        plots.accuracies([run("se", 0, 0.5), run("none", 0, 0.4, epochs=5)])


def test_modules_arguments_and_seeds_may_differ(run):
    zero = run("constant", 1, 0.1, attention_args={"value": 0.0})
    frame = plots.final_accuracies([zero, run("nam", 0, 0.4, sparsity=1e-3)])
    assert list(frame["attention"]) == ["constant(value=0.0)", "nam(sparsity=0.001)"]


def test_another_place_is_another_attention(run):
    frame = plots.final_accuracies([run("sagan", 0, 0.4, placement="layer1"), run("sagan", 0, 0.5, placement="layer2")])
    assert list(frame["attention"]) == ["sagan(placement=layer1)", "sagan(placement=layer2)"]


def test_curves_stand_in_a_panel_for_each_recipe_on_one_scale(run):
    figure = plots.curves_beside({"plain": [run("se", 0, 0.5)], "noisy": [run("se", 0, 0.4), run("none", 0, 0.4)]})
    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["plain", "noisy"]
    assert [len(left.lines), len(right.lines)] == [2, 4]
    assert left.get_ylim() == right.get_ylim()


def test_a_panel_without_records_is_named_and_left_out(run, capsys):
    figure = plots.curves_beside({"plain": [run("se", 0, 0.5)], "noisy": []})
    assert [axis.get_title() for axis in figure.axes] == ["plain"]
    assert capsys.readouterr().out.startswith("noisy: no record")
    plt.close("all")
    assert plots.curves_beside({"plain": [], "noisy": []}) is None
    assert not plt.get_fignums()


def noisy(run, attention, seed, accuracy, share):
    return run(attention, seed, accuracy, name=f"noise{share}", label_noise=share)


def test_seeds_and_means_stand_above_the_share_of_wrong_labels(run):
    clean = [run("none", 0, 0.5), run("none", 1, 0.6), run("se", 0, 0.7)]
    axis = plots.noise_robustness([*clean, noisy(run, "none", 0, 0.3, 0.4), noisy(run, "se", 0, 0.2, 0.4)])
    seeds, means, _, of_se = axis.lines
    assert sorted(zip(seeds.get_xdata(), seeds.get_ydata(), strict=True)) == [(0, 50), (0, 60), (40, 30)]
    assert list(means.get_xdata()) == [0, 40]
    assert list(means.get_ydata()) == pytest.approx([55, 30])
    assert list(of_se.get_ydata()) == pytest.approx([70, 20])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["none", "se"]


def test_without_noisy_runs_nothing_is_drawn(run, capsys):
    assert plots.noise_robustness([run("none", 0, 0.5)]) is None
    assert "No record of a run with wrong labels" in capsys.readouterr().out
    assert not plt.get_fignums()


def test_noise_is_not_mixed_with_other_differences(run):
    with pytest.raises(ValueError, match="epochs is 3 in one and 5 in another"):
        plots.noise_robustness([run("none", 0, 0.5), run("none", 0, 0.3, name="n", label_noise=0.4, epochs=5)])
