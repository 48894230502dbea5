"""Curves and accuracies show the runs there are: every seed, no invented spread, nothing where there is no record."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from attnlib import plots
from attnlib.training import Recipe
from attnlib.training.record import Epoch, Final, Provenance, Record

_PROVENANCE = Provenance(
    commit=None,
    attnlib="0",
    torch="0",
    python="0",
    platform="test",
    device="cpu",
    cpu_capability="none",
    threads=1,
    started="2026-01-01T00:00:00+00:00",
    seconds=1.0,
    images_per_second=None,
    peak_memory_bytes=None,
)


def run(attention: str, seed: int, accuracy: float, **overrides) -> Record:
    epochs = [
        Epoch(epoch=k, learning_rate=0.1, train_loss=1.0, train_accuracy=0.3, validation_accuracy=0.1 * k, seconds=1.0)
        for k in (1, 2)
    ]
    return Record(
        recipe=Recipe.named("smoke", attention=attention, seed=seed, **overrides),
        protocol="clean",
        seed=seed,
        status="finished",
        parameters=1,
        train_images=10,
        validation_images=10,
        mean=[0.0] * 3,
        std=[1.0] * 3,
        epochs=epochs,
        final=Final(accuracy=accuracy, test_images=10),
        provenance=_PROVENANCE,
    )


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_every_run_is_a_curve_and_every_module_one_label():
    axis = plots.learning_curves([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)], floor=0.2)
    solid = [line for line in axis.lines if line.get_linestyle() == "-"]
    assert [list(line.get_ydata()) for line in solid] == [[0.1, 0.2]] * 3
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["se", "none", "linear model"]


def test_no_record_no_curve():
    with pytest.raises(ValueError, match="no record"):
        plots.learning_curves([])


def test_no_record_no_drawing_but_a_sentence(capsys):
    assert plots.accuracies([]) is None
    assert "No record" in capsys.readouterr().out
    assert not plt.get_fignums()


def test_every_seed_is_a_point_at_its_accuracy():
    axis = plots.accuracies([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)])
    points = sorted(round(float(x), 6) for drawn in axis.collections for x, _ in drawn.get_offsets())
    assert points == [40.0, 50.0, 60.0]
    assert axis.lines[0].get_xdata()[0] == pytest.approx(55.0)


def test_a_single_run_is_called_one_and_has_no_spread():
    html = plots.accuracy_table([run("se", 0, 0.5), run("se", 1, 0.6), run("none", 0, 0.4)], "Runs").to_html()
    seeds, single = (row for row in html.split("<tr>") if "seeds" in row or "single run" in row)
    assert "55.00" in seeds and "7.07" in seeds and "2 seeds" in seeds
    assert "40.00" in single and "–" in single


def test_runs_that_do_not_compare_are_refused():
    with pytest.raises(ValueError, match="epochs is 3 in one and 5 in another"):
        plots.accuracies([run("se", 0, 0.5), run("none", 0, 0.4, epochs=5)])


def test_modules_arguments_and_seeds_may_differ():
    zero = run("constant", 1, 0.1, attention_args={"value": 0.0})
    frame = plots.final_accuracies([zero, run("nam", 0, 0.4, sparsity=1e-3)])
    assert list(frame["attention"]) == ["constant(value=0.0)", "nam(sparsity=0.001)"]
