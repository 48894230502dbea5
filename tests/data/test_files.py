import os

import pytest

from attnlib.data.files import writable_folder, write_text


def test_folder_is_created(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b", fix="")
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_file_in_the_way_is_named_with_the_fix(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write into .*b .*; choose another"):
        writable_folder(tmp_path / "a" / "b", fix="choose another")


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    path.write_text("old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("record.json", "old")]
