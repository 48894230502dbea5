import tomllib
from fnmatch import filter as matching
from pathlib import Path

import pytest
import torch

from attnlib import networks
from attnlib.data import datasets
from attnlib.errors import UnknownNameError
from attnlib.ledger import schema
from attnlib.training import Recipe

REPOSITORY = Path(__file__).parents[2]
CLASSES = {"cifar10": 10, "cifar100": 100}
KEYS = schema.keys()
PAPERS = [name for name in Recipe.names() if name.partition("-")[0] in KEYS]


@pytest.mark.parametrize("name", Recipe.names())
def test_recipes_of_the_package_name_what_there_is(name):
    recipe = Recipe.named(name)
    assert recipe.name == name
    assert recipe.data in datasets()
    assert recipe.backbone in networks.list_networks("classifier")
    assert recipe.attention == "none", "the user says which"


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_recipe_is_called_by_key_network_and_data(name):
    recipe, key = Recipe.named(name), name.partition("-")[0]
    assert name == f"{key}-{recipe.backbone.removesuffix('_cifar')}-{recipe.data}"
    assert networks.image_size(recipe.backbone) == 32


def test_the_papers_recipes_and_no_others_read_the_test_images_every_epoch():
    assert [name for name in Recipe.names() if Recipe.named(name).protocol == "paper"] == PAPERS


TRAINED_WITH = {(name, name.partition("-")[0]) for name in PAPERS} | {
    (claim.settled_by.recipe, key)
    for key in KEYS
    for claim in schema.load(key).claims
    if claim.settled_by and claim.settled_by.recipe
}


@pytest.mark.parametrize(("name", "key"), sorted(TRAINED_WITH))
def test_a_papers_recipe_builds_with_the_papers_attention(name, key):
    recipe = Recipe.named(name)
    attention = "none" if key == "residual_attention" else key  # there it is part of the network
    with torch.device("meta"):
        model = networks.create(recipe.backbone, CLASSES[recipe.data], attention)
    assert bool(networks.attention_modules(model)) == (attention != "none")
    assert model.fc.out_features == CLASSES[recipe.data]


@pytest.mark.parametrize(
    "pattern", ["bam-*", "equal-budget*", "residual_attention-*", "se-resnet*", "se-wrn*", "sem-*"]
)
def test_recipes_of_one_setting_differ_in_network_and_data_alone(pattern):
    first, *others = (Recipe.named(name) for name in matching(Recipe.names(), pattern))
    assert others
    for other in others:
        assert set(first.differing_fields(other)) <= {"name", "backbone", "data"}


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("residual_attention-attention92-cifar10", (64_000, 96_000, 160_000)),
        ("se-resnet164_preact-cifar10", (32_000, 48_000, 64_000)),
    ],
)
def test_epochs_stand_for_the_papers_steps(name, steps):
    recipe = Recipe.named(name)
    per_epoch = -(-50_000 // recipe.batch_size)
    for epochs, count in zip((*recipe.milestones, recipe.epochs), steps, strict=True):
        assert abs(epochs * per_epoch - count) <= per_epoch / 2


def test_overrides_replace_fields():
    recipe = Recipe.named("smoke", attention="se", seed=3)
    assert (recipe.attention, recipe.seed, recipe.data) == ("se", 3, "shapes")


def test_unknown_recipe_lists_the_near_ones():
    with pytest.raises(UnknownNameError, match="'smoke'"):
        Recipe.named("smok")


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"epochs": 0}, "recipe smoke: field epochs: .*got 0"),
        ({"epoch": 3}, "no field of a recipe is called 'epoch'; did you mean 'epochs'"),
        ({"learning_rat": 0.1}, "no field of a recipe is called 'learning_rat'; did you mean 'learning_rate'"),
        ({"momentum": 0}, "recipe smoke: momentum=0 does not go with nesterov=true, .*; set nesterov=false"),
        ({"learning_rate": float("nan")}, "field learning_rate: .*got nan"),
        ({"weight_decay": float("inf")}, "field weight_decay: .*got inf"),
        ({"attention_args": {"kernel": {3}}}, "field attention_args: .*JSON"),
        ({"protocol": "dirty"}, "field protocol: .*'clean' or 'paper'.*got 'dirty'"),
        ({"schedule": "steps"}, "steps need"),
        ({"milestones": (1,)}, "steps need"),
        ({"schedule": "steps", "milestones": (2, 1)}, r"milestones=\(2, 1\) must increase and lie between 1 and 2"),
        ({"schedule": "steps", "milestones": (1, 1)}, "must increase"),
        ({"schedule": "steps", "milestones": (3,)}, "between 1 and 2, as epochs=3"),
        ({"schedule": "steps", "milestones": (0, 1)}, "between 1 and 2"),
        ({"warmup_epochs": 3}, "warmup_epochs=3.* must be less than epochs=3"),
        ({"train_images": 5}, "field train_images: .*got 5"),
    ],
)
def test_values_that_do_not_fit_are_named(overrides, reason):
    with pytest.raises(ValueError, match=reason):
        Recipe.named("smoke", **overrides)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "a\n", "é"])
def test_a_name_that_cannot_be_a_folders_is_refused(name):
    with pytest.raises(ValueError, match="recipe smoke: field name: records are filed under it: .*, got ") as refused:
        Recipe.named("smoke", name=name)
    assert repr(name) in str(refused.value)


def test_no_name_in_use_is_refused():
    changed = [
        table["changes"]["name"]
        for file in (REPOSITORY / "workflow" / "experiments").glob("*.toml")
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["tables"]
        if "name" in table.get("changes", {})
    ]
    assert changed
    for name in changed:
        assert Recipe.named("smoke", name=name).name == name


def test_no_momentum_goes_without_nesterov():
    assert Recipe.named("smoke", momentum=0, nesterov=False).momentum == 0


def test_differing_fields_are_named_in_order():
    recipe = Recipe.named("smoke")
    assert recipe.differing_fields(Recipe.named("smoke", seed=1, epochs=5)) == ["epochs", "seed"]
    assert recipe.differing_fields(Recipe.named("smoke")) == []


def test_label_tells_runs_apart():
    def label(**overrides):
        return Recipe.named("smoke", **overrides).label

    assert label() == "none"
    assert label(attention="constant", attention_args={"value": 0.0}) == "constant(value=0.0)"
    assert label(attention="nam", sparsity=1e-3) == "nam(sparsity=0.001)"
