import platform
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import torch

from attnlib.training import provenance


def test_no_machine_is_named():
    made = provenance.provenance(torch.device("cpu"), 1.0, None)
    assert platform.node() not in made.model_dump_json()


def test_start_is_as_long_ago_as_the_run_took():
    started = datetime.fromisoformat(provenance.provenance(torch.device("cpu"), 3600.0, None).started)
    assert started.tzinfo is not None
    assert timedelta(minutes=59) < datetime.now(UTC) - started < timedelta(minutes=61)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
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
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    return package


def test_records_and_files_outside_the_package_are_no_changes(checkout):
    commit = provenance._commit()
    (checkout / "results" / "records" / "old.json").write_text("2")
    (checkout / "results" / "records" / "new.json").write_text("3")
    (checkout.parent / "notes.txt").write_text("")
    assert len(commit) == 40
    assert provenance._commit() == commit


@pytest.mark.parametrize("file", ["__init__.py", "new_module.py", "results/archive.py"])
def test_changed_and_new_modules_are_changes(checkout, file):
    (checkout / file).write_text("changed = True")
    assert provenance._commit().endswith("+changes")


def test_package_in_somebody_elses_repository_has_no_commit(checkout, monkeypatch):
    other = checkout / "installed"
    other.mkdir()
    (other / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "_PACKAGE", other)
    assert provenance._commit() is None
