import pytest

from attnlib.data import datasets
from attnlib.errors import UnknownNameError
from attnlib.networks import list_networks
from attnlib.training import Recipe


@pytest.mark.parametrize("name", Recipe.names())
def test_recipes_of_the_package_name_what_there_is(name):
    recipe = Recipe.named(name)
    assert recipe.name == name
    assert recipe.data in datasets()
    assert recipe.backbone in list_networks()


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
        ({"epoch": 3}, "field epoch: .*not permitted"),
        ({"learning_rate": float("nan")}, "field learning_rate: .*got nan"),
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
