"""What the experiment files ask for."""

import importlib
import math
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from attnlib import list_modules, networks
from attnlib.cli import app
from attnlib.errors import UnknownNameError
from attnlib.training import loop

sys.path.append(str(Path(__file__).parents[2] / "workflow"))
plan = importlib.import_module("plan")
CLASSES = {"shapes": 10, "cifar10": 10, "cifar100": 100}
EVERY_MODULE = ["cifar10-slice", "cifar10-cpu", "equal-budget", "equal-budget-cifar100", "equal-budget-resnet56"]


@pytest.fixture(scope="module")
def planned():
    return plan.load()


def write(folder, text, name="mine"):
    (folder / f"{name}.toml").write_text(text)
    return folder


def test_smoke_is_two_modules_from_two_seeds(planned):
    assert [run.path for run in planned["smoke"]] == [
        f"smoke/{key}/resnet8-seed{seed}" for key in ("none", "se") for seed in (0, 1)
    ]


@pytest.mark.parametrize("name", EVERY_MODULE)
def test_tables_of_all_modules_leave_none_out_but_the_stem(planned, name):
    by_recipe = {}
    for run in planned[name]:
        by_recipe.setdefault(run.recipe.name, []).append(run.recipe)
    for recipes in by_recipe.values():
        assert {recipe.attention for recipe in recipes} == {"none", "constant", *list_modules()} - {"sasa_stem"}
        assert {recipe.seed for recipe in recipes} == {0, 1, 2}
        assert "constant" in {recipe.label for recipe in recipes}


def test_every_network_can_be_built(planned):
    recipes = [run.recipe for runs in planned.values() for run in runs]
    for recipe in {(recipe.backbone, recipe.label): recipe for recipe in recipes}.values():
        with torch.device("meta"):
            size = networks.image_size(recipe.backbone)
            networks.create(
                recipe.backbone,
                10,
                recipe.attention,
                recipe.attention_args,
                image_size=size,
                placement=recipe.placement,
            )


def test_gain_that_iebn_is_compared_with_stands_behind_the_same_norms(planned):
    [gain] = {
        (run.recipe.placement, *run.recipe.attention_args.values())
        for run in planned["cifar10-slice"]
        if run.recipe.attention == "constant" and run.recipe.placement
    }
    model = networks.create("resnet20", 10)
    behind = [entry.path for entry in networks.attach(model, "constant", placement=gain[0], dry_run=True)]
    assert behind == [entry.path for entry in networks.attach(model, "iebn", dry_run=True)]
    assert gain[1] == 1 / (1 + math.e)  # the sigmoid of -1


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A function that gives the recipe that a run's command would train."""
    seen = []

    class Stop(RuntimeError):
        pass

    def note(recipe, *arguments, **options):
        seen.append(recipe)
        raise Stop

    def recipe_of(run):
        result = CliRunner().invoke(app, shlex.split(run.command("attnlib", tmp_path, "cpu"))[1:])
        assert result.exit_code == 1, result.output  # Stop, and not 2, a wrong command
        return seen.pop()

    monkeypatch.setattr(loop, "train", note)
    return recipe_of


def test_command_of_every_run_is_the_command_of_its_recipe(planned, asked):
    runs = [run for runs in planned.values() for run in runs]
    for run in {(run.recipe.name, run.recipe.backbone, run.recipe.label): run for run in runs}.values():
        assert asked(run) == run.recipe


def test_argument_that_looks_like_a_number_stays_a_string(tmp_path, asked):
    attentions = "[{ key = 'se', arguments = { squeeze = '8', bias = false } }]"
    write(tmp_path, f"seeds = [3]\ntables = [{{ recipe = 'smoke', attentions = {attentions} }}]\n")
    [run] = plan.load(tmp_path)["mine"]
    assert asked(run) == run.recipe
    assert run.recipe.attention_args == {"squeeze": "8", "bias": False}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seeds = [0]\n", r": field tables: Field required"),
        ("seeds = []\ntables = [{ recipe = 'smoke' }]\n", r": field seeds: .* at least 1 item"),
        ("seeds = [0]\ntables = [{ recipe = 'smoke', modules = ['se'] }]\n", r": field tables.0.modules: Extra inputs"),
        ("seeds = [0\n", r" is no TOML"),
        (f"seeds = {'[' * 5000}", r" is no TOML"),
        (
            "seeds = [0]\ntables = [{ recipe = 'smok', attentions = ['se'] }]\n",
            r": no recipe is called 'smok'; .*'smoke'",
        ),
        ("seeds = [0]\ntables = [{ recipe = 'smoke', changes = { epochs = 1 } }]\n", r": .* a `name` of its own"),
        (
            "seeds = [0]\ntables = [{ recipe = 'smoke', changes = { name = 'x', seed = 1 } }]\n",
            r": .*seed cannot be changed",
        ),
        (
            "seeds = [0]\ntables = [{ recipe = 'smoke', changes = { name = 'x', epochs = 0 }, attentions = ['se'] }]\n",
            r": recipe smoke: field epochs: .* got 0",
        ),
        (
            "seeds = [0, 0]\ntables = [{ recipe = 'smoke', attentions = ['se'] }]\n",
            r": asks for smoke/se/resnet8-seed0 twice",
        ),
        (
            "seeds = [0]\ntables = [{ recipe = 'smoke', shared = 'every-modul' }]\n",
            r": no list of attentions is called 'every-modul'; did you mean 'every-module'",
        ),
        (
            "seeds = [0]\ntables = [{ recipe = 'smoke', backbones = ['resnet21'], attentions = ['none'] }]\n",
            r": no network that classifies images is called 'resnet21'; did you mean .*'resnet20'",
        ),
    ],
)
def test_experiment_that_makes_no_sense_is_refused(tmp_path, text, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 'mine.toml'))}{reason}"):
        plan.load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("attention", "reason"),
    [
        ("'cbm'", r"no module is called 'cbm'; did you mean .*'cbam'"),
        ("'dot_product'", r"dot_product has no place in an existing network; give it a placement"),
        ("{ key = 'cbm', placement = 'layer1' }", r"no module is called 'cbm'"),
        ("{ key = 'se', placement = 'block-ends' }", r"no placement is called 'block-ends'; did you mean 'block-end'"),
        ("{ key = 'se', placement = 'layer9.*' }", r".* no path matches 'layer9\.\*'"),
        ("{ key = 'se', placement = ['layer1', 'layer9'] }", r"the model has no layer 'layer9'"),
        ("{ key = 'none', placement = 'layer1' }", r"\"none\" is the plain network .* got placement='layer1'"),
    ],
)
def test_module_or_place_that_does_not_exist_is_refused(tmp_path, attention, reason):
    write(tmp_path, f"seeds = [0]\ntables = [{{ recipe = 'smoke', attentions = [{attention}] }}]\n")
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 'mine.toml'))}: {reason}"):
        plan.load(tmp_path)


def test_folder_without_experiments_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no experiments"):
        plan.load(tmp_path)


@pytest.mark.parametrize("content", ["seeds = [", "seeds = [0]\n", b"seeds = [0] # \xe9", None, "named -x.toml"])
def test_a_broken_experiment_stops_no_other_and_is_told(tmp_path, capsys, content):
    write(tmp_path, "seeds = [0]\ntables = [{ recipe = 'smoke', attentions = ['se'] }]\n", "good")
    broken = tmp_path / "broken.toml"
    if content is None:
        broken.mkdir()
    elif content == "named -x.toml":
        broken = tmp_path / "-x.toml"
        broken.write_bytes((tmp_path / "good.toml").read_bytes())
    else:
        broken.write_bytes(content if isinstance(content, bytes) else content.encode())
    [run] = plan.named("good", tmp_path)
    assert run.recipe.attention == "se"
    assert capsys.readouterr().err.startswith(f"passed over: {broken}")
    for refused in (lambda: plan.named(broken.stem, tmp_path), lambda: plan.load(tmp_path)):
        with pytest.raises(ValueError, match=f"^{re.escape(str(broken))}"):
            refused()
    with pytest.raises(UnknownNameError, match="did you mean 'good'"):
        plan.named("goood", tmp_path)


def test_two_experiments_may_share_a_run_but_not_a_place(tmp_path):
    table = (
        "seeds = [0]\n[[tables]]\nrecipe = 'smoke'\nchanges = {{ name = 'tiny', epochs = {} }}\nattentions = ['se']\n"
    )
    write(tmp_path, table.format(1), "a")
    assert plan.load(write(tmp_path, table.format(1), "b"))["a"] == plan.load(tmp_path)["b"]
    with pytest.raises(ValueError, match=r"/b.toml: experiment a files tiny/se/resnet8-seed0 with another epochs"):
        plan.load(write(tmp_path, table.format(2), "b"))
