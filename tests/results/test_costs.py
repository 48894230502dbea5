"""The table of costs: complete, of the sources that are here, and right where it is computed again."""

import json
import random

import pytest

from attnlib.results import costs
from attnlib.results.network_costs import cost_table
from benchmarks.costs import MODULES, NETWORKS, WITH_MODULES, begun, cost_row, stamp

# A trace hands sizes over as tensors, which the type checker would refuse where a signature says int or float.
pytestmark = pytest.mark.usefixtures("own_errors")

TABLE = cost_table()
SMALL = (
    "resnet20",
    "resnet18_cifar",
    "vgg16_bn_cifar",
    "mobilenet_v2_cifar",
    "resnet18",
    "mobilenet_v1",
    "mobilenet_v2",
)
CHEAP = [row for row in TABLE.rows if row["network"] in SMALL]
# Seconds each.
DEAR = [row for row in TABLE.rows if row["network"] not in SMALL and row["macs"] < 2e10]


# Other rows whenever the sources change. Whether the table was renewed since then, `make status` says.
DRAW = random.Random(repr(stamp()))


@pytest.mark.parametrize(
    "row", DRAW.sample(CHEAP, 8) + DRAW.sample(DEAR, 2), ids=lambda row: f"{row['network']}-{row['module']}"
)
def test_a_row_computed_again_is_the_same(row):
    assert cost_row(row["network"], row["module"]) == row


def test_every_pair_is_there_or_has_a_reason():
    rows = [(row["network"], row["module"]) for row in TABLE.rows]
    assert len(set(rows)) == len(rows)
    there = {f"{network} with {module}" for network, module in rows}
    assert not there & TABLE.left_out.keys()
    wanted = {(network, "none") for network in NETWORKS} | {(n, module) for n in WITH_MODULES for module in MODULES}
    assert there | TABLE.left_out.keys() == {f"{network} with {module}" for network, module in wanted}
    # SASA stands for plain convolutions of residual blocks; depthwise and grouped ones have no counterpart.
    assert {pair.split(" with ")[1] for pair in TABLE.left_out} == {"sasa"}


def test_the_frame_is_tidy_and_its_parts_add_up():
    frame = costs()
    assert len(frame) == len(TABLE.rows)
    figures = ["parameters", "macs", "elementwise", "activations", "peak_training_bytes"]
    assert (frame[figures] > 0).all(axis=None)
    assert (frame[["convolution", "linear", "matmul", "attention"]].sum(axis=1) == frame.macs).all()
    plain = frame[frame.module == "none"].set_index("network")
    gated = frame[frame.module == "se"].set_index("network")
    assert (gated[figures] > plain.loc[gated.index, figures]).all(axis=None)
    # the published count of torchvision, and the multiply-adds that its documentation gives in billions
    assert plain.parameters["resnet50"] == 25_557_032
    assert round(plain.macs["resnet50"] / 1e9, 2) == 4.09


def test_a_table_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(ValueError, match=r"no table of costs at .*; `python -m benchmarks.costs` computes it"):
        costs(tmp_path / "costs.json")


def test_another_file_is_refused_by_its_field(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"torch": "2", "left_out": {}}))
    with pytest.raises(ValueError, match=r"x.json is not a table of costs: .*rows"):
        costs(tmp_path / "x.json")


def test_a_run_goes_on_only_with_rows_of_the_same_sources(tmp_path):
    part, head = tmp_path / "costs.part.json", {"stamp": "1", "torch": "2.15.0"}
    empty = head | {"left_out": {}, "rows": []}
    assert begun(part, head) == empty
    left = head | {"left_out": {"a with b": "too narrow"}, "rows": [{"network": "a", "module": "c"}]}
    part.write_text(json.dumps(left))
    assert begun(part, head) == left
    assert begun(part, head | {"torch": "2.16.0"}) == head | {"torch": "2.16.0", "left_out": {}, "rows": []}
    assert begun(part, head | {"stamp": "2"})["rows"] == []
