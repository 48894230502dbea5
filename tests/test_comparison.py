"""Networks with modules beside each other: the figures of `profile`, in every form that a file can have."""

import csv
import io
import json
import re

import pytest
import torch

import attnlib
from attnlib import comparison, networks
from attnlib.comparison import CostComparison, shortened
from attnlib.errors import UnknownNameError
from attnlib.profiling import Latency, profile, timing

MODULES = ["se", ("se", {"reduction": 4, "placement": "stage-end"}), "nam"]
LABELS = ["none", "se", "se(placement=stage-end, reduction=4)", "nam"]


@pytest.fixture(scope="module")
def counted() -> CostComparison:
    return attnlib.compare("resnet8", MODULES, latency=False)


@pytest.fixture(scope="module")
def timed(counted) -> CostComparison:
    """The same with times as if they had been measured."""
    machine = {"cpu": "a & b_c", "cores": 2, "threads": 1, "instructions": "AVX2", "gpu": None, "system": "Linux"}
    rows = [
        comparison.ComparedNetwork(row.label, row.cost, Latency((1.0 * k, 2.0 * k, 6.0), 1, machine, "2.15.0"))
        for k, row in enumerate(counted.rows, start=1)
    ]
    return CostComparison("resnet8", (32, 32), "the whole network", rows, ["nam: 50 % of $x^2$ are ~ {odd}"])


def test_the_figures_are_those_of_profile(counted):
    assert [row.label for row in counted.rows] == LABELS
    placed = networks.create("resnet8", attention="se", attention_args={"reduction": 4}, placement="stage-end")
    models = [networks.create("resnet8"), networks.create("resnet8", attention="se"), placed]
    for row, model in zip(counted.rows[:3], models, strict=True):
        assert row.cost == profile(model, 32)
    assert counted.rows[0].latency is None and "latency" not in counted.caption


def test_a_network_of_ones_own_is_copied():
    model = networks.create("resnet8").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compared = attnlib.compare(model, ["se"], 32, runs=1)
    assert compared.network == "CifarResNet"
    assert [len(row.latency.milliseconds) for row in compared.rows] == [1, 1]
    assert model.training and model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_inputs_stand_for_an_image():
    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = networks.create("resnet8")

        def forward(self, image, shift):
            return self.body(image + shift)

    given = (torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 1, 1))
    compared = attnlib.compare(Pair(), ["se"], inputs=given, latency=False)
    body = profile(networks.create("resnet8", attention="se"), 32)
    assert compared.rows[1].cost.macs == body.macs
    assert compared.rows[1].cost.elementwise == body.elementwise + 3 * 32 * 32
    assert compared.image_size is None
    with pytest.raises(ValueError, match="batch=2 goes with images"):
        attnlib.compare(Pair(), ["se"], inputs=given, batch=2)


def test_the_batch_of_a_timed_pass_has_values_and_labels_of_its_kind(monkeypatch):
    seen = {}
    monkeypatch.setattr(timing, "latencies", lambda models, **given: seen.update(given) or {})
    attnlib.compare("sagan_discriminator_cifar", [("se", {"placement": "blocks.?"})], batch=3)
    image, label = seen["inputs"]
    assert image.shape == (3, 3, 32, 32) and image.std() > 0.5
    assert label.shape == (3,) and label.dtype == torch.int64


def test_warnings_are_notes_with_the_module_that_they_are_about():
    with pytest.warns(UserWarning, match="^eca: .*scales its maps already"):
        compared = attnlib.compare("timm:seresnet18", ["eca"], 32, latency=False)
    assert len(compared.notes) == 1 and compared.notes[0].startswith("eca: ")


def test_the_frame_has_every_digit_and_what_is_added(timed):
    frame = timed.frame().set_index("module")
    for row in timed.rows:
        more = row.cost - timed.rows[0].cost
        assert frame.loc[row.label, "macs"] == row.cost.macs
        assert frame.loc[row.label, "peak_memory_bytes_added"] == more.peak_memory_bytes
    assert frame.loc["se", ["latency_ms", "time_ratio_low", "time_ratio", "time_ratio_high"]].to_list() == [
        4.0,
        1.5,
        2.0,
        2.0,
    ]
    assert set(frame["threads"]) == {1} and set(frame["cpu"]) == {"a & b_c"}


def test_csv_and_json_hold_the_frame(timed):
    rows = list(csv.DictReader(io.StringIO(timed.text("csv"))))
    assert [row["module"] for row in rows] == LABELS
    assert [int(row["parameters"]) for row in rows] == [row.cost.parameters for row in timed.rows]
    read = json.loads(timed.text("json"))
    assert [row["latency_ms"] for row in read["rows"]] == [2.0, 4.0, 6.0, 6.0]
    assert read["notes"] == timed.notes


def test_markdown_says_where_it_was_measured(timed):
    head, ruler, *lines = timed.text("markdown").splitlines()
    assert len({line.count("|") for line in (head, ruler, *lines[:4])}) == 1
    assert "+791" in lines[1] and "2.000 (1.500–2.000)" in lines[1]
    assert "3 passes, all networks timed in turn, on a & b_c, 1 thread; PyTorch 2.15.0" in lines[5]


def test_latex_has_nothing_that_latex_would_read(timed):
    text = timed.text("latex")
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert len(comments) == 2 and timed.notes[0] in comments[1]
    begin, top, head, middle, *rows, bottom, end = text.splitlines()[2:]
    assert (top, middle, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
    columns = len(re.fullmatch(r"\\begin\{tabular\}\{(lr+)\}", begin)[1])
    for line in (head, *rows):
        assert line.endswith(r" \\") and len(re.findall(r"(?<!\\)&", line)) == columns - 1
    bare = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\$-\$|\\\\$", "", "\n".join((head, *rows)), flags=re.M)
    assert bare.isascii() and not set(bare) & set('\\%$#_{}~^<>|"')


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "+0"), (999, "+999"), (-86, "−86"), (2_530_992, "+2.53 M"), (4_089_184_256, "+4.09 G"), (123_456, "+123.5 k")],
)
def test_numbers_are_shortened_to_what_can_be_compared(value, words):
    assert shortened(value, sign=True) == words


def test_the_plot_has_a_panel_for_each_quantity_and_the_same_bytes_each_time(timed, tmp_path):
    written = [timed.save(tmp_path / name).read_text(encoding="utf-8") for name in ("a.svg", "b.svg")]
    assert written[0] == written[1]
    shown = re.findall(r">([^<>\n]+)</text>", written[0])
    assert {"parameters", "MACs", "element-wise", "training memory", "latency"} <= set(shown)
    assert shown.count(LABELS[2]) == 5 and "+791" in shown and "none" not in shown


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("network", "modules", "more", "error", "reason"),
    [
        ("resnet8", [], {}, ValueError, "no module to compare the plain network with"),
        ("resnet8", ["se", "se"], {}, ValueError, "se would be in the table twice"),
        ("resnet8", ["sse"], {}, UnknownNameError, "did you mean 'se'"),
        ("resnet8", ["se", "sagan"], {}, ValueError, "'sagan' has no place in an existing network"),
        ("resnet8", ["se", ("se", {"reduction": 64})], {}, ValueError, "reduction=64"),
        ("resnet8", ["se(reduction=8)"], {}, ValueError, "give the arguments apart"),
        ("resnet8", [("se", 8)], {}, TypeError, "a module is a key or a key with arguments"),
        ("resnet8", [("se", {"image_size": 8})], {}, ValueError, "image_size cannot be one module's own"),
        ("resnet9", ["se"], {}, UnknownNameError, "no network is called 'resnet9'"),
        ("resnet8", ["se"], {"image_size": -1}, ValueError, "image_size must have sides of 1 or more, got -1"),
        ("resnet8", ["se"], {"runs": 0}, ValueError, "runs must be at least 1"),
        ("resnet8", ["se"], {"device": "tpu"}, ValueError, "got 'tpu'"),
        ("resnet8", ["se"], {"latency": "no"}, TypeError, "latency must be True or False"),
        (torch.nn.Conv2d(3, 3, 1), ["se"], {"classes": 10}, ValueError, "has its last layer already"),
    ],
)
def test_bad_input_is_refused_before_anything_is_counted(network, modules, more, error, reason, monkeypatch):
    monkeypatch.setattr(comparison, "profile", lambda *_, **__: pytest.fail("counted"))
    with pytest.raises(error, match=reason):
        attnlib.compare(network, modules, **more)


def test_a_file_is_refused_by_its_ending_and_a_plot_without_seaborn(timed, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"ends in .xls; a comparison is written as \.csv, \.md, \.tex, \.json, \.svg"):
        timed.save(tmp_path / "costs.xls")
    monkeypatch.setitem(__import__("sys").modules, "attnlib.plots.compared", None)
    monkeypatch.delattr("attnlib.plots.compared", raising=False)
    with pytest.raises(ValueError, match="a plot needs .*: pip install seaborn"):
        comparison.form_of("costs.svg")
    assert list(tmp_path.iterdir()) == []
