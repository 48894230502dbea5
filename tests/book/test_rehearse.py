"""The chapters in the full lane: what is made short, and that there is something to run."""

import tomllib

import rehearse
from chapters import REPOSITORY, notebooks


def test_the_recipe_is_short_and_otherwise_the_same():
    whole = (REPOSITORY / rehearse.RECIPE).read_text(encoding="utf-8")
    before, after = tomllib.loads(whole), tomllib.loads(rehearse.shortened(whole))
    assert after == before | {"epochs": 1, "warmup_epochs": 0, "train_images": 512}


def test_some_chapters_train_by_the_lane_s_recipe():
    assert any(rehearse.trains(path) for path in notebooks())


def test_the_copy_has_what_a_kernel_needs_and_the_short_recipe(tmp_path):
    rehearse.copy_repository(tmp_path)
    assert "train_images = 512" in (tmp_path / rehearse.RECIPE).read_text(encoding="utf-8")
    assert all((tmp_path / path.relative_to(REPOSITORY)).exists() for path in notebooks())
