"""The report on made-up runs whose figures can be had by hand, and on those on file."""

import json
import math

import pytest

from attnlib.errors import UnknownNameError
from attnlib.results import archive, records
from attnlib.results.comparison import inventory, on_file, report, select
from attnlib.results.intervals import student, t_quantile
from attnlib.results.words import listed
from attnlib.training import Recipe, Record
from attnlib.training.record import Epoch, Final, Provenance

HALF = {"attention": "constant", "attention_args": {"value": 0.5}}


def run(accuracy, seed=0, *, best=None, status="finished", parameters=100, device="cpu", torch="2.15.0", **fields):
    """A record of two epochs or more: the first reaches `best` on the held-out images, the others `accuracy`."""
    recipe = Recipe.named("smoke", seed=seed, **{"epochs": 2, **fields})
    held_out = "test_accuracy" if recipe.protocol == "paper" else "validation_accuracy"
    epochs = [
        Epoch(epoch=i + 1, learning_rate=0.1, train_loss=1.0, train_accuracy=0.5, seconds=1.0, **{held_out: value})
        for i, value in enumerate([accuracy if best is None else best] + [accuracy] * (recipe.epochs - 1))
    ]
    return Record(
        recipe=recipe,
        protocol=recipe.protocol,
        seed=seed,
        status=status,
        parameters=parameters,
        train_images=1800,
        validation_images=200,
        mean=[0.5] * 3,
        std=[0.2] * 3,
        epochs=epochs,
        final=Final(accuracy=accuracy, test_images=500) if status == "finished" else None,
        provenance=Provenance(
            commit=None,
            attnlib="0",
            torch=torch,
            python="3",
            platform="Linux",
            device=device,
            cpu_capability="AVX2",
            threads=1,
            started="2026-01-01T00:00:00+00:00",
            seconds=1.0,
            images_per_second=None,
            peak_memory_bytes=None,
        ),
    )


def runs(*accuracies, **fields):
    return [run(accuracy, seed, **fields) for seed, accuracy in enumerate(accuracies)]


NONE = runs(0.50, 0.54, 0.52)
SE = runs(0.60, 0.65, 0.64, attention="se", best=0.70, parameters=120)


def row(reported, label):
    (found,) = (row for row in reported.rows if row.label == label)
    return found


def test_a_row_holds_what_can_be_had_by_hand():
    reported = report([*reversed(SE), *NONE])
    se = row(reported, "se")
    assert (se.seeds, se.kind, se.parameters, se.best_of) == ((0, 1, 2), "module", 120, "validation")
    assert se.accuracies == pytest.approx((60, 65, 64))
    assert se.mean == pytest.approx(63)
    assert se.deviation == pytest.approx(math.sqrt((9 + 4 + 1) / 2))
    assert se.best_mean == pytest.approx(70)
    assert se.paired_seeds == (0, 1, 2)
    assert se.differences == pytest.approx((10, 11, 12))
    assert se.difference == pytest.approx(11)
    assert se.bootstrap == pytest.approx((10, 12))
    assert se.student == pytest.approx((11 - t_quantile(2) / math.sqrt(3), 11 + t_quantile(2) / math.sqrt(3)))
    none = row(reported, "none")
    assert none.kind == "plain"
    assert (none.paired_seeds, none.differences, none.difference, none.bootstrap, none.student) == (None,) * 5


def test_rows_are_sorted_by_their_mean():
    zero = runs(0.1, 0.1, 0.1, attention="constant", attention_args={"value": 0.0})
    reported = report([*zero, *NONE, *SE])
    assert [row.label for row in reported.rows] == ["se", "none", "constant(value=0.0)"]
    assert row(reported, "constant(value=0.0)").kind == "control"


def test_differences_are_over_the_seeds_that_both_have():
    reported = report([*NONE, SE[1], SE[2], run(0.9, seed=7, attention="se")])
    se = row(reported, "se")
    assert se.seeds == (1, 2, 7)
    assert se.paired_seeds == (1, 2)
    assert se.differences == pytest.approx((11, 12))
    assert "Other seeds than the baseline's [0, 1, 2]: se." in reported.notes


def test_a_single_run_has_neither_spread_nor_interval():
    reported = report([*NONE, SE[0], run(0.6, seed=8, attention="sa")])
    se, sa = row(reported, "se"), row(reported, "sa")
    assert (se.deviation, se.bootstrap, se.student) == (None, None, None)
    assert se.differences == pytest.approx((10,))
    assert (sa.differences, sa.difference, sa.paired_seeds) == (None, None, None)
    assert "no other attention shares two seeds" in reported.conclusion
    assert "Nothing can be ranked" in reported.conclusion


def test_under_the_protocol_paper_the_best_epoch_is_one_of_the_test_images():
    reported = report(runs(0.5, 0.6, protocol="paper", best=0.8))
    assert (reported.rows[0].best_of, reported.protocol) == ("test", "paper")
    assert reported.rows[0].best_mean == pytest.approx(80)
    assert reported.rows[0].mean == pytest.approx(55)


def test_the_baseline_can_be_another():
    reported = report([*NONE, *SE], baseline="se")
    assert row(reported, "none").differences == pytest.approx((-10, -11, -12))
    assert row(reported, "se").differences is None


def test_the_conclusion_names_who_leaves_0_out_and_how_many_would_by_chance():
    worse = runs(0.40, 0.43, 0.42, attention="sa")
    unclear = runs(0.50, 0.56, 0.50, attention="nam")
    text = report([*NONE, *SE, *worse, *unclear]).conclusion
    assert "interval of the mean difference lies above 0 for se and below 0 for sa, 2 of 3 in all" in text
    assert "0.15 of 3 such intervals would be expected to leave 0 out by chance" in text
    assert "resnet8 on shapes, 1,800 training images, 2 epochs, protocol clean" in text
    assert "Nothing is said of other training or test images, longer training" in text


def test_the_correction_for_many_comparisons_keeps_what_is_far_beyond_chance():
    clear = runs(0.40, 0.44, 0.42, attention="constant", attention_args={"value": 0.0})  # 10 points, to rounding
    strict = student([10.0, 11.0, 12.0], 1 - 0.05 / 3)
    assert strict[0] > 0 > student([3.0, 5.0, 4.0], 1 - 0.05 / 3)[0]
    some = runs(0.53, 0.59, 0.56, attention="sa")  # 3, 5, 4 points: above 0 at 95 %, not after the correction
    text = report([*NONE, *SE, *clear, *some]).conclusion
    assert "above 0 for se, sa and below 0 for constant(value=0.0), 3 of 3 in all" in text
    assert "correction for all 3, what leaves 0 out is se, constant(value=0.0)." in text


def test_a_network_that_scatters_unlike_the_others_is_left_out_of_the_margin():
    wild = runs(0.10, 0.50, 0.90, attention="sa")
    text = report([*NONE, *SE, *runs(0.50, 0.53, 0.52, attention="nam"), *wild]).conclusion
    pooled = math.sqrt((4 + 7 + 7 / 3) / 3)
    assert f"deviation {pooled:.2f} points without sa, whose scatter is of another kind)" in text
    assert f"or {t_quantile(6, 1 - 0.05 / 3) * pooled * math.sqrt(2 / 3):.2f} points where the pair is chosen" in text


def test_labels_are_listed_until_they_are_nearly_all():
    five = ["se", "sa", "nam", "eca", "constant(value=0.7310585786300049)"]
    assert listed(five, of=20) == listed(five) == "se, sa, nam, eca, constant(value=0.731)"
    assert listed(five, of=6) == "5 of 6"
    assert listed([], of=6) == "no attention"


def test_a_lead_that_cannot_be_ranked_is_the_least_significant_difference():
    reported = report([*NONE, *SE])
    pooled = math.sqrt((4 + 7) / 2)  # the variances are 4 and 7, with two degrees of freedom each
    margin = t_quantile(4) * pooled * math.sqrt(2 / 3)
    assert f"whose means lie within {margin:.2f} points" in reported.conclusion
    assert f"(pooled standard deviation {pooled:.2f} points)" in reported.conclusion


def test_a_common_seed_alone_is_said_to_settle_nothing():
    text = report([*NONE, *SE, run(0.9, attention="sa")]).conclusion
    assert "Nothing is concluded from one common seed: sa." in text


def test_modules_are_held_against_each_control():
    half = runs(0.61, 0.62, 0.60, **HALF)
    sa = runs(0.64, 0.66, 0.63, attention="sa")
    text = report([*NONE, *SE, *half, *sa]).conclusion
    assert student([3.0, 4.0, 3.0])[0] > 0 > student([-1.0, 3.0, 4.0])[0]
    assert (
        "Of 2 modules, 2 exceed the control constant(value=0.5) in the mean over common seeds; "
        "the interval of the difference lies above 0 for sa and below 0 for no attention." in text
    )
    assert "exceed the control" not in report([*NONE, *half]).conclusion
    assert "exceed the control" not in report([*half, *SE], baseline="constant(value=0.5)").conclusion


def test_several_versions_and_devices_are_noted():
    mixed = [*NONE, *runs(0.6, 0.6, 0.6, attention="se", device="NVIDIA H200", torch="2.13.0")]
    versions, devices = report(mixed).notes
    assert "2.15.0 (3 runs), 2.13.0 (3 runs)" in versions
    assert "cpu (3 runs), NVIDIA H200 (3 runs)" in devices
    assert report([*NONE, *SE]).notes == []


def test_several_commits_are_noted():
    old = [record.model_copy(update={"provenance": record.provenance.model_copy(update={"commit": "0123456789"})})
           for record in SE]  # fmt: skip
    (note,) = report([*NONE, *old]).notes
    assert "several commits of this code, which may change results: unknown (3 runs), 0123456 (3 runs)" in note


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no records to report"),
        ([*NONE, run(0.5, 3, status="failed")], "the one of none, seed 3 is failed: train it again"),
        ([*NONE, run(0.5, 1)], "two records of none, seed 1"),
        ([*NONE, run(0.5, 3, batch_size=32)], "none, seed 0, and none, seed 3, .*differ in batch_size: 16 and 32"),
        ([*NONE, run(0.5, attention="se", epochs=3)], "none, seed 0, and se, seed 0, .*differ in epochs: 2 and 3"),
        ([*NONE, run(0.5, 3, backbone="resnet20")], "differ in backbone: 'resnet8' and 'resnet20'"),
        (
            [*NONE, *(run(0.5, i, attention="constant", attention_args={"value": v}) for i, v in enumerate((1, "1")))],
            r"differ in attention_args: \{'value': 1\} and \{'value': '1'\}",
        ),
    ],
)
def test_runs_that_do_not_compare_are_refused(found, reason):
    with pytest.raises(ValueError, match=reason):
        report(found)


def test_a_missing_baseline_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="no baseline among these runs is called 'constant'; known: none, se"):
        report([*NONE, *SE], baseline="constant")


def test_the_frame_has_a_line_for_each_label():
    frame = report([*NONE, *SE]).frame().set_index("label")
    assert list(frame.index) == ["se", "none"]
    assert frame.loc["se", "student_low"] == pytest.approx(student([10.0, 11.0, 12.0])[0])
    assert frame.loc["none", ["difference", "bootstrap_low", "student_high"]].isna().all()


def test_the_json_form_holds_rows_notes_and_conclusion():
    reported = report([*NONE, *SE])
    read = json.loads(reported.model_dump_json())
    assert read["conclusion"] == reported.conclusion
    assert [row["label"] for row in read["rows"]] == ["se", "none"]


def test_one_recipe_and_backbone_are_selected():
    other = runs(0.3, 0.4, backbone="resnet20")
    assert select([*NONE, *other], "smoke", "resnet20") == other
    assert select(NONE, "smoke") == NONE
    with pytest.raises(ValueError, match="several backbones; choose one of resnet20, resnet8"):
        select([*NONE, *other], "smoke")
    with pytest.raises(UnknownNameError, match="no recipe with records is called 'equal-budget'; known: smoke"):
        select(NONE, "equal-budget")
    with pytest.raises(UnknownNameError, match="no backbone with records of recipe smoke is called 'resnet80'"):
        select(NONE, "smoke", "resnet80")


def test_the_inventory_counts_attentions_runs_and_seeds():
    (entry,) = inventory([*NONE, *SE[:2]])
    assert list(entry.values()) == ["smoke", "resnet8", 2, 5, 2, 3]


def test_records_are_found_filed_or_in_their_run_folders(tmp_path):
    for record in NONE:
        archive.store(record, tmp_path / "filed")
        record.save(tmp_path / "runs" / f"none-{record.seed}" / "record.json")
    run(0.1, 5, status="interrupted").save(tmp_path / "runs/none-5/record.json")
    assert on_file(tmp_path / "filed") == on_file(tmp_path / "runs") == NONE
    with pytest.raises(ValueError, match="no record of a finished run in .*empty"):
        on_file(tmp_path / "empty")


def test_the_runs_on_file_are_reported():
    reported = report(records("cifar10-slice"))
    se = row(reported, "se")
    assert se.accuracies == tuple(100 * record.final.accuracy for record in records("cifar10-slice", "se"))
    assert reported.train_images == 4500
