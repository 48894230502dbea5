import errno
import io
import os
from types import SimpleNamespace

import pytest
import torch

from attnlib.training import checkpoint
from attnlib.training.checkpoint import Checkpoints


def state(step):
    return {"step": step, "weights": torch.full((1000,), float(step))}


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (0, 7, 12):
        checkpoints.save(step, state(step))
    return checkpoints


def names(checkpoints):
    return sorted(path.name[:20] for path in checkpoints.folder.iterdir())


def test_the_newest_is_loaded_and_two_are_kept(saved):
    loaded, damaged = saved.load()
    assert (loaded["step"], loaded["weights"][0], damaged) == (12, 12.0, [])
    assert names(saved) == ["checkpoint-000000007", "checkpoint-000000012"]


def test_an_empty_folder_has_none(tmp_path):
    assert Checkpoints(tmp_path).load() == (None, [])


@pytest.mark.parametrize("damage", ["truncated", "one byte", "empty"])
def test_a_damaged_file_falls_back_to_the_one_before_and_is_told(saved, damage):
    newest = max(saved.folder.iterdir())
    content = bytearray(newest.read_bytes())
    if damage == "one byte":
        content[len(content) // 2] ^= 1
    newest.write_bytes(
        content if damage == "one byte" else content[: len(content) // 2 if damage == "truncated" else 0]
    )
    loaded, damaged = saved.load()
    assert loaded["step"] == 7
    assert damaged == [newest] == saved.load()[1]  # reading changes nothing
    damage_of = newest.read_bytes()
    sentence = saved.set_aside(newest)
    assert sentence == f"the checkpoint of step 12 is damaged and was set aside (damaged-{newest.name})"
    aside = newest.with_name(f"damaged-{newest.name}")
    assert aside.read_bytes() == damage_of  # somebody may still make sense of it
    assert saved.load()[1] == []  # told once
    saved.save(12, state(12))
    aside.unlink()
    assert names(saved) == ["checkpoint-000000007", "checkpoint-000000012"]


def test_where_all_are_damaged_there_is_none(saved):
    for path in saved.folder.iterdir():
        path.write_bytes(b"")
    loaded, damaged = saved.load()
    assert loaded is None and len(damaged) == 2


def test_a_write_that_was_cut_off_leaves_nothing_behind(saved):
    partial = saved.folder / ".checkpoint-000000020-0123456789abcdef.pt.7.partial"
    partial.write_bytes(b"half")
    assert saved.load()[0]["step"] == 12
    assert not partial.exists()


def test_a_full_disk_keeps_what_was_there_and_says_so(saved, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot write.*No space left.*step 12 is kept.*make room") as caught:
        saved.save(20, state(20))
    assert caught.value.errno == errno.ENOSPC
    assert names(saved) == ["checkpoint-000000012"]  # the older one has given its room in vain
    assert saved.load()[0]["step"] == 12


def test_the_older_checkpoint_gives_its_room_to_the_newest(saved, monkeypatch):
    fsync = os.fsync

    def full_while_there_are_two(file):
        if "checkpoint-000000007" in names(saved):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full_while_there_are_two)
    saved.save(20, state(20))
    assert names(saved) == ["checkpoint-000000012", "checkpoint-000000020"]


def test_room_is_asked_for_what_is_still_to_be_written(saved, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    saved.check_room(1_000_000)  # two are there
    with pytest.raises(OSError, match=r"take 1.1 MB, and .* has room for 1.0 MB; make room and give the same command"):
        saved.check_room(1_100_000)
    saved.clear()
    with pytest.raises(OSError, match=r"take 1.2 MB"):
        saved.check_room(400_000)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_file_that_cannot_be_read_is_refused_and_stays(saved, monkeypatch, number):
    newest, held = max(saved.folder.iterdir()), names(saved)
    read_bytes = checkpoint.Path.read_bytes

    def unreadable(path):
        if path == newest:
            raise OSError(number, os.strerror(number))
        return read_bytes(path)

    with monkeypatch.context() as patch, pytest.raises(OSError, match=f"{newest.name} cannot be read .*same command"):
        patch.setattr(checkpoint.Path, "read_bytes", unreadable)
        saved.load()
    assert names(saved) == held
    assert saved.load()[0]["step"] == 12


def saved_as(path, content):
    path.joinpath(f"checkpoint-000000001-{checkpoint._digest(content)}.pt").write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"PK\x03\x04", b"hello", b"\x80\x04N."])
def test_a_forged_file_is_one_line(tmp_path, content):
    saved_as(tmp_path, content)
    with pytest.raises(ValueError, match="is whole but no checkpoint of a run.*--restart") as caught:
        Checkpoints(tmp_path).load()
    assert "\n" not in str(caught.value)


def test_a_tensor_is_no_state(tmp_path):
    buffer = io.BytesIO()
    torch.save(torch.zeros(2), buffer)
    saved_as(tmp_path, buffer.getvalue())
    with pytest.raises(ValueError, match="no checkpoint of a run.*it holds a Tensor"):
        Checkpoints(tmp_path).load()


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("code ran",))

    Checkpoints(tmp_path).save(1, {"step": Harmful()})
    with pytest.raises(Exception, match="weights_only|Weights only"):
        Checkpoints(tmp_path).load()
