import platform
import subprocess

import pytest
import torch

from attnlib.training import provenance


def test_no_machine_is_named():
    made = provenance.provenance(torch.device("cpu"), 1, "2026-01-01T00:00:00+00:00", 1.0, None)
    assert platform.node() not in made.model_dump_json()


@pytest.fixture
def checkout(tmp_path):
    """A repository with a package in it, which stands for attnlib's."""
    package = tmp_path / "package"
    (package / "results" / "records").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "results" / "records" / "old.json").write_text("1")

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    return package


def test_records_and_files_outside_the_package_are_no_changes(checkout):
    commit = provenance._commit_of(checkout)
    (checkout / "results" / "records" / "old.json").write_text("2")
    (checkout / "results" / "records" / "new.json").write_text("3")
    (checkout.parent / "notes.txt").write_text("")
    assert len(commit) == 40
    assert provenance._commit_of(checkout) == commit


@pytest.mark.parametrize("file", ["__init__.py", "new_module.py", "results/archive.py"])
def test_changed_and_new_modules_are_changes(checkout, file):
    (checkout / file).write_text("changed = True")
    assert provenance._commit_of(checkout).endswith("+changes")


def test_package_in_somebody_elses_repository_has_no_commit(checkout):
    other = checkout / "installed"
    other.mkdir()
    (other / "__init__.py").write_text("")
    assert provenance._commit_of(other) is None


def test_looking_takes_no_lock(checkout):
    (checkout / "__init__.py").touch()  # git would refresh its index, and hold the lock meanwhile
    index = checkout.parent / ".git" / "index"
    before = index.stat().st_mtime_ns
    provenance._commit_of(checkout)
    assert index.stat().st_mtime_ns == before
