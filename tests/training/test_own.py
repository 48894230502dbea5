"""Training what a user brings: a network, by name or as it stands, and a folder of images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import attnlib
from attnlib.errors import UnknownNameError
from attnlib.networks import attention_modules, create
from attnlib.results.archive import location
from attnlib.training import Recipe, network
from attnlib.training.batches import evaluation_batch

OWN = """
from torch import nn

def small(num_classes=3):
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, num_classes))

def fixed():
    return small(7)
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder `photos` of three classes that differ in colour, beside a file `own_networks.py`."""
    draw = np.random.default_rng(0)
    for label, name in enumerate(("red", "green", "blue")):
        for number in range(20):
            pixels = draw.integers(0, 80, (20, 24, 3), dtype=np.uint8)
            pixels[..., label] += 150
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "photos"


def recipe(**changes):
    chosen = {"epochs": 2, "batch_size": 12, "protocol": "paper", "data": "photos", "image_size": 16} | changes
    return Recipe.named("smoke", **chosen)


def test_a_network_by_name_learns_a_folder_and_goes_on(photos, tmp_path):
    chosen = recipe(backbone="own_networks:small", attention="se", attention_args={"reduction": 2}, placement="1")
    trained = attnlib.train(chosen, tmp_path / "run")
    assert trained.record.train_images == 48 and trained.record.final.test_images == 12
    assert sum(trained.record.attached.values()) == 1
    again = attnlib.train(chosen, tmp_path / "run")
    assert again.record == trained.record
    assert recipe(data=str(tmp_path / "photos")).data == str(tmp_path / "photos")
    assert trained.predict(attnlib.load("photos", "test", image_size=16).images).shape == (12, 3)
    assert location(chosen).name == "own_networks-small-seed0.json"
    with torch.random.fork_rng():
        one, two = (network.build(chosen.model_copy(update={"seed": s}), 3, 16).state_dict() for s in (0, 0))
        other = network.build(chosen.model_copy(update={"seed": 1}), 3, 16).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_a_network_as_it_stands_keeps_its_weights_and_is_not_changed(photos):
    model = create("resnet8", 3)
    with torch.no_grad():
        model.fc.bias.fill_(3.0)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    built = network.build(recipe(attention="eca"), 3, 16, model)
    assert len(attention_modules(built)) == 3 and built.fc.bias.tolist() == [3.0] * 3
    trained = attnlib.train(recipe(data="shapes", image_size=None, attention="eca"), model=model, data="photos")
    assert trained.record.recipe.backbone == "model:CifarResNet" and trained.record.recipe.data == "photos"
    assert model.state_dict().keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


@pytest.mark.usefixtures("own_errors")
def test_a_network_that_does_not_score_the_classes_is_refused_before_the_training(photos):
    with pytest.raises(ValueError, match=r"model:Sequential gives \(2, 7\) for two images of 16 x 16.*\(2, 3\)"):
        attnlib.train(recipe(), model=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7)))
    with pytest.raises(ValueError, match="own_networks:fixed takes neither num_classes nor classes"):
        attnlib.train(recipe(backbone="own_networks:fixed"))
    with pytest.raises(TypeError, match="model must be an nn.Module, got str"):
        attnlib.train(recipe(), model="resnet8")
    with pytest.raises(UnknownNameError, match="no dataset is called 'photo'.*no folder has that name"):
        attnlib.train(recipe(), data="photo")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attention": "sse"}, "no module is called 'sse'; did you mean 'se'"),
        ({"backbone": "resnet21"}, "no network that classifies images is called 'resnet21'; did you mean 'resnet20'"),
        ({"backbone": "retinanet_resnet50"}, "no network that classifies images is called 'retinanet_resnet50'"),
        ({"data": "photos/of/none"}, "no dataset is called 'photos/of/none'"),
        ({"data": "cifar11"}, "no dataset is called 'cifar11'; did you mean 'cifar10'"),
    ],
)
def test_a_recipe_with_a_name_that_does_not_exist_is_refused_when_it_is_made(changes, reason):
    with pytest.raises(UnknownNameError, match=reason):
        Recipe.named("smoke", **changes)


def test_large_images_are_evaluated_a_few_at_a_time():
    assert [evaluation_batch(side, side) for side in (32, 224, 2000)] == [500, 10, 1]
