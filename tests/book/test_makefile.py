"""The list of commands, and what the CI asks about a change."""

import re
import subprocess

import pytest

from chapters import REPOSITORY


def test_help_lists_every_target():
    targets = set(re.findall(r"(?m)^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8")))
    shown = subprocess.run(["make", "-s", "help"], cwd=REPOSITORY, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets - {"setup"}  # which every other one runs
    assert "make test-all" in shown


@pytest.fixture
def changed(tmp_path):
    """What `.ci/only` says of a commit that changes one file."""

    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    def change(*names):
        git("init", "-q")
        (tmp_path / ".ci").mkdir()
        (tmp_path / ".ci" / "only").write_bytes((REPOSITORY / ".ci" / "only").read_bytes())
        git("add", "-A")
        git("commit", "-qm", "before")
        base = git("rev-parse", "HEAD")
        for name in names:
            (tmp_path / name).write_text("changed")
        git("add", "-A")
        git("commit", "-qm", "after")
        return asked(base)

    def asked(base):
        command = ["bash", tmp_path / ".ci" / "only", base]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    change.asked = asked
    return change


@pytest.mark.parametrize(
    ("names", "only"), [(["index.md", "references.bib"], "book"), (["index.md", "a.py"], ""), (["nam.ipynb"], "")]
)
def test_prose_alone_is_the_book_s_part(changed, names, only):
    assert changed(*names) == only


def test_where_the_commit_before_is_not_known_all_is_tested(changed):
    changed("index.md")
    assert changed.asked("0" * 40) == ""
    assert changed.asked("") == ""
