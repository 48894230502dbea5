"""Verdicts and differences as sentences: escaped, with the figures where they differ, and how these are known."""

import torch

import attnlib
from attnlib import plots


def judged(**changed):
    return attnlib.paper("se").verdicts("flops-share")[0].model_copy(update=changed)


def test_a_claim_that_does_not_fit_shows_both_figures():
    text = repr(
        plots.verdicts([judged(verdict="does not hold", published=0.26, measured=0.0652, unit="%", note="why")])
    )
    assert "does not hold" in text and "Printed: 0.26 %; measured: 0.0652 (why)." in text


def test_a_claim_that_holds_stands_alone():
    shown = plots.verdicts([judged(verdict="holds", claim="It is so.", confidence="read", evidence=())])
    assert shown.rows[0][1] == "It is so."


def test_a_figure_that_was_not_read_says_how_it_is_known():
    shown = plots.verdicts([judged(verdict="holds", confidence="second-hand")])
    assert "at second hand" in shown.rows[0][1]


def test_what_comes_from_data_is_escaped():
    shown = plots.verdicts([judged(claim="<svg/onload=alert(1)>")])._repr_html_()
    assert "<svg" not in shown and "&lt;svg" in shown


def test_differences_are_all_there():
    paper = attnlib.paper("se")
    assert [text for _, text in plots.differences(paper).rows] == [d.text for d in paper.differences]


def test_gates_by_class_are_the_means_of_each_class():
    gate = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.9, 0.8]])
    figure = plots.gates_by_class({"block 1": gate}, torch.tensor([0, 0, 1]), ("a", "b"))
    drawn = figure.axes[0].collections[0].get_array()
    assert torch.allclose(torch.as_tensor(drawn).float().flatten(), torch.tensor([0.2, 0.3, 0.9, 0.8]))


def test_dumbbells_write_each_number_above_its_point():
    axis = plots.dumbbells({"shorter": {"none": 24.8, "se": 23.29}}, "error (%)")
    assert [text.get_text() for text in axis.texts] == ["none 24.80", "se 23.29"]
