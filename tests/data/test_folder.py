"""A folder of images by class: what is an image of which split, how it is resized, and what is refused by name."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from attnlib.data import load
from attnlib.data.cifar import DamagedDataError
from attnlib.data.folder import files
from attnlib.errors import UnknownNameError


def put(path, size=(12, 8), colour=(255, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def photos(tmp_path):
    for number in range(10):
        for name, colour in {"cat": (255, 0, 0), "dog": (0, 0, 255)}.items():
            put(tmp_path / "photos" / name / f"{number}.png", colour=colour)
    return tmp_path / "photos"


def test_classes_are_folders_and_every_image_is_in_one_split(photos):
    train, test = (load(str(photos), split, image_size=6) for split in ("train", "test"))
    assert train.classes == test.classes == ["cat", "dog"]
    assert (train.images.shape, test.images.shape) == ((16, 6, 6, 3), (4, 6, 6, 3))
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64
    for data in (train, test):
        assert all((image[..., 2 * label] == 255).all() for image, label in zip(data.images, data.labels, strict=True))
    paths = {split: {path for path, _ in files(photos, split)[1]} for split in ("train", "test")}
    assert not paths["train"] & paths["test"] and len(paths["train"] | paths["test"]) == 20


@pytest.mark.parametrize("name", ["test", "val"])
def test_splits_of_ones_own_are_taken(tmp_path, name):
    for split, count in (("train", 3), (name, 2)):
        for number in range(count):
            put(tmp_path / split / "a" / f"{number}.png")
            put(tmp_path / split / "b" / "deeper" / f"{number}.JPG")
    (tmp_path / "train" / "a" / "notes.txt").write_text("no image")
    assert [len(files(tmp_path, split)[1]) for split in ("train", "test")] == [6, 4]


def test_an_image_is_upright_and_cut_to_its_middle(tmp_path):
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:6] = 200  # the middle square of a wide image
    pixels[:2, 2:6, 0] = 90
    for name in ("a", "b"):
        for number in range(2):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            exif = Image.Exif()
            exif[0x0112] = 3 if name == "b" else 1  # turned by 180 degrees
            Image.fromarray(pixels).save(path, exif=exif)
    data = load(str(tmp_path), "train", image_size=4)
    assert (data.images[0][:, :, 1] == 200).all()
    assert [image[0, 0, 0] for image in data.images] == [90, 200]


@pytest.mark.skipif(sys.platform != "linux", reason="names are not of bytes everywhere")
def test_a_class_may_have_a_name_that_is_not_utf_8(tmp_path):
    for name in ("a", os.fsdecode(b"b\xff")):
        for number in range(2):
            put(tmp_path / name / f"{number}.png")
    assert len(load(str(tmp_path), "train", image_size=8)) == 2


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path):
    for name in ("a", "b"):
        for split in ("train", "test"):
            put(tmp_path / split / name / "0.png")
    os.mkfifo(tmp_path / "train" / "b" / "1.png")
    with pytest.raises(DamagedDataError, match=r"1 of 3 images cannot be read: .*1\.png"):
        load(str(tmp_path), "train", image_size=8)


def test_files_that_are_no_image_are_all_named(tmp_path):
    for split in ("train", "test"):
        for name in "ab":
            put(tmp_path / split / name / "good.png")
    for name in ("a/bad.png", "b/worse.jpg"):
        (tmp_path / "train" / name).write_bytes(b"no image")
    with pytest.raises(DamagedDataError, match="2 of 4 images cannot be read: .*bad.png .*worse.jpg .*mend or remove"):
        load(str(tmp_path), "train", image_size=6)


def test_what_is_no_folder_of_images_by_class_is_refused(tmp_path, photos):
    def refused(path, reason, error=ValueError):
        with pytest.raises(error, match=reason):
            load(str(path), "train", image_size=8)

    refused(tmp_path / "nothing", "a folder of images by class is taken too, and no folder has", UnknownNameError)
    refused(photos / "cat", "has to hold a folder of images for each class, two or more; it holds none")
    (photos / "bird").mkdir()
    refused(photos, "bird holds no image; an image ends in .jpg")
    put(photos / "bird" / "1.png")
    refused(photos, "bird holds one image, where one to train on and one to test are needed")
    put(tmp_path / "split" / "train" / "a" / "1.png")
    refused(tmp_path / "split", "a folder train and neither test nor val")
    put(tmp_path / "split" / "train" / "b" / "1.png")
    for name in "ac":
        put(tmp_path / "split" / "test" / name / "1.png")
    refused(tmp_path / "split", "the same classes; one alone has b, c")
    with pytest.raises(ValueError, match="image_size=None does not go with .*photos: say to which side"):
        load(str(photos), "train")
    with pytest.raises(ValueError, match="image_size=8 does not go with shapes: leave it out"):
        load("shapes", "train", image_size=8)
