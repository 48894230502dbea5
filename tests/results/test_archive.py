import subprocess
import sys

import pytest

from attnlib.results import archive, complete_rounds, failed, records, store
from attnlib.training import Recipe, Record
from attnlib.training.record import Final


@pytest.fixture(scope="module")
def make():
    from attnlib.training import train

    run = train(Recipe.named("smoke", train_images=20, epochs=1, warmup_epochs=0)).record

    def changed(accuracy, status="finished", **overrides):
        recipe = run.recipe.model_copy(update=overrides)
        final = Final(accuracy=accuracy, test_images=500)
        return run.model_copy(update={"recipe": recipe, "seed": recipe.seed, "final": final, "status": status})

    return changed


def test_filed_runs_are_found_by_recipe_and_label(make, tmp_path):
    zero = {"attention": "constant", "attention_args": {"value": 0.0}}
    for accuracy, overrides in [
        (0.3, {"seed": 1}),
        (0.2, {"seed": 0}),
        (0.1, zero),
        (0.4, {"attention": "constant"}),
        (0.5, {"name": "other", "seed": 2}),
    ]:
        store(make(accuracy, **overrides), tmp_path)

    def found(*query):
        return [record.final.accuracy for record in records(*query, folder=tmp_path)]

    assert found("smoke", "none") == [0.2, 0.3]
    assert found("smoke", "constant") == [0.4]
    assert found("smoke", "constant(value=0.0)") == [0.1]
    assert found("other") == [0.5]
    assert len(found()) == 5
    assert found("missing") == []


def test_new_run_takes_the_place_of_the_old_one(make, tmp_path):
    assert store(make(0.2), tmp_path) == store(make(0.3), tmp_path)
    assert [record.final.accuracy for record in records("smoke", folder=tmp_path)] == [0.3]


def test_run_of_another_recipe_is_not_written_over(make, tmp_path):
    store(make(0.2), tmp_path)
    with pytest.raises(ValueError, match="resnet8-seed0.json holds .* differs in batch_size, learning_rate; give"):
        store(make(0.3, batch_size=64, learning_rate=0.2), tmp_path)
    assert [record.final.accuracy for record in records("smoke", folder=tmp_path)] == [0.2]


def test_sign_of_an_argument_tells_files_apart(make, tmp_path):
    for accuracy, value in [(0.1, -1.5), (0.2, 1.5)]:
        store(make(accuracy, attention="constant", attention_args={"value": value}), tmp_path)
    assert [r.final.accuracy for r in records("smoke", "constant(value=-1.5)", folder=tmp_path)] == [0.1]
    assert [r.final.accuracy for r in records("smoke", "constant(value=1.5)", folder=tmp_path)] == [0.2]


def test_an_audit_hook_sees_that_a_missing_folder_was_looked_for(tmp_path):
    # In a process of its own, since an audit hook stays.
    script = (
        "import sys; from attnlib.results import records; seen = [];"
        "sys.addaudithook(lambda event, arguments: event == 'os.listdir' and seen.append(str(arguments[0])));"
        "records('smoke', 'se', folder=sys.argv[1]); print(seen)"
    )
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str([str(tmp_path / "smoke" / "se")])


def test_unfinished_run_is_not_filed(make, tmp_path):
    with pytest.raises(ValueError, match="interrupted"):
        store(make(0.2, status="interrupted"), tmp_path)


def test_diverged_run_is_filed_and_is_no_result(make, tmp_path):
    reason = "the training loss is not finite at step 3"
    diverged = make(0.2, "failed").model_copy(update={"final": None, "error": reason})
    with pytest.raises(ValueError, match="this one is failed; train it again"):
        store(diverged.model_copy(update={"error": "OSError: no space left"}), tmp_path)
    store(diverged, tmp_path)
    assert records("smoke", folder=tmp_path) == []
    assert [record.error for record in failed("smoke", tmp_path)] == [reason]


def test_rounds_are_complete_where_every_attention_has_the_seed(make, tmp_path):
    for attention, seed in [("none", 0), ("none", 1), ("none", 2), ("se", 0), ("se", 2)]:
        store(make(0.2, attention=attention, seed=seed), tmp_path)
    broken = make(0.2, "failed", attention="se", seed=1)
    assert [(r.recipe.label, r.seed) for r in complete_rounds("smoke", tmp_path)] == [
        *[("none", seed) for seed in (0, 2)],
        *[("se", seed) for seed in (0, 2)],
    ]
    store(broken.model_copy(update={"final": None, "error": "the training loss is not finite"}), tmp_path)
    assert [r.seed for r in complete_rounds("smoke", tmp_path) if r.recipe.label == "none"] == [0, 1, 2]


def test_damaged_file_is_named(make, tmp_path):
    store(make(0.2), tmp_path).write_text("{}")
    with pytest.raises(ValueError, match="none/resnet8-seed0.json.*field recipe: Field required"):
        records("smoke", folder=tmp_path)


def test_package_records_lie_where_their_recipe_says():
    for path in archive.FOLDER.glob("**/*.json"):
        record = Record.load(path)
        assert path.relative_to(archive.FOLDER) == archive.location(record.recipe)
        assert record.provenance.commit and "+changes" not in record.provenance.commit


def test_asking_for_one_attention_opens_no_other_record(make, tmp_path):
    store(make(0.2), tmp_path)
    (tmp_path / "smoke/se").mkdir()
    (tmp_path / "smoke/se/resnet8-seed0.json").write_text("{}")
    assert [record.final.accuracy for record in records("smoke", "none", folder=tmp_path)] == [0.2]
