import errno
import os
import secrets

import pytest

from attnlib.data.files import writable_file, writable_folder, write_bytes, write_text


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


def test_writing_goes_through_a_link_and_keeps_the_permissions(tmp_path):
    path, link = tmp_path / "weights.pt", tmp_path / "newest.pt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to("weights.pt")
    write_bytes(link, b"new")
    assert (link.is_symlink(), path.read_bytes(), path.stat().st_mode & 0o777) == (True, b"new", 0o640)
    assert writable_file(link, fix="") == path


def test_what_is_no_regular_file_is_not_written_over(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "circle").symlink_to("circle")
    for path in (tmp_path / "pipe", tmp_path / "device", tmp_path / "circle", tmp_path):
        for writing in (lambda path: write_bytes(path, b""), lambda path: writable_file(path, fix="")):
            with pytest.raises(ValueError, match="is (a folder|no regular file)"):
                writing(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["circle", "device", "pipe"]


def test_a_link_that_waits_under_the_name_of_the_unfinished_file_is_not_followed(tmp_path, monkeypatch):
    """In a folder that others may write, too."""
    (tmp_path / "precious").write_bytes(b"precious")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".a.guessed.partial").symlink_to("precious")
    with pytest.raises(FileExistsError):
        write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_full_disk_is_told_with_what_is_needed_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "fsync", full)
    message = rf"cannot write {tmp_path}/a: No space left on device; it takes 2.0 MB, and {tmp_path} has room for \d+"
    with pytest.raises(OSError, match=message) as caught:
        write_bytes(tmp_path / "a", bytes(2_000_000))
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_an_empty_name_is_refused():
    for empty in ("", " "):
        with pytest.raises(ValueError, match="needs a name"):
            writable_file(empty, fix="")
        with pytest.raises(ValueError, match="needs a name"):
            writable_folder(empty, fix="")
