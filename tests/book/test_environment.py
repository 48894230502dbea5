"""The lock, pyproject.toml and environment.yml describe one environment; the set-up script chooses it well."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import environment

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))


def locked() -> list[tuple[Requirement, str]]:
    """Each requirement of the lock with the text of its hashes."""
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in LOCK.splitlines() if not line.lstrip().startswith("#")))
    halves = (entry.partition("\\") for entry in entries if entry.strip())
    return [(Requirement(head.strip()), tail) for head, _, tail in halves]


def test_every_locked_file_has_a_hash():
    assert len(locked()) > 100
    assert [requirement.name for requirement, hashes in locked() if "--hash=sha256:" not in hashes] == []


def test_lock_names_no_index():
    assert re.findall(r"^\s*(?:-i|--(?:extra-)?index-url|--find-links|-f)\b.*|https?://\S+", LOCK, re.MULTILINE) == []


def test_lock_satisfies_the_project():
    versions = {}
    for requirement, _ in locked():
        (pin,) = requirement.specifier
        versions.setdefault(canonicalize_name(requirement.name), []).append(Version(pin.version))
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for wanted in map(Requirement, (text for group in groups for text in group)):
        found = versions.get(canonicalize_name(wanted.name))
        assert found, f"{wanted.name} is not in the lock; run `make lock`"
        assert all(version in wanted.specifier for version in found), f"the lock has {found} for {wanted}"


def test_conda_uses_the_lock_and_the_same_python():
    python = next(each for each in CONDA["dependencies"] if isinstance(each, str) and each.startswith("python"))
    assert SpecifierSet(python.removeprefix("python").strip()) == SpecifierSet(PROJECT["requires-python"])
    (pip,) = (each["pip"] for each in CONDA["dependencies"] if isinstance(each, dict))
    assert pip == ["--requirement requirements.lock"]


def test_binder_asks_for_the_versions_of_the_project():
    binder = yaml.safe_load((REPOSITORY / ".binder/environment.yml").read_text(encoding="utf-8"))["dependencies"]
    asked = {name: SpecifierSet(versions) for name, _, versions in (each.partition(" ") for each in binder)}
    wanted = {requirement.name: requirement.specifier for requirement in map(Requirement, PROJECT["dependencies"])}
    assert asked["python"] == SpecifierSet(PROJECT["requires-python"])
    assert (asked["pytorch-cpu"], asked["torchvision"]) == (wanted["torch"], wanted["torchvision"])


def test_the_script_and_the_project_name_the_same_pythons():
    oldest, newest = environment.OLDEST, environment.NEWEST
    assert PROJECT["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    named = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)}
    assert named == {f"3.{minor}" for minor in range(oldest[1], newest[1] + 1)}


def test_tool_settings_need_no_new_set_up():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    installed = environment.dependencies(text)
    assert "torch" in installed and "jupyter-book" in installed
    assert "line-length" not in installed
    assert environment.dependencies(text + "\n[tool.other]\nvalue = 1\n").strip() == installed.strip()


@pytest.mark.parametrize(
    ("asked", "version", "message"),
    [("python9", None, "PYTHON=python9 does not run"), ("old", (3, 9), "old is Python 3.9; the book needs")],
)
def test_an_unusable_python_is_refused_by_name(monkeypatch, asked, version, message):
    monkeypatch.setattr(environment, "version_of", lambda interpreter: version)
    with pytest.raises(SystemExit, match=message):
        environment.find_interpreter(asked)


def test_an_old_python_looks_for_a_newer_one_on_the_path(monkeypatch):
    known = {sys.executable: (3, 9), "python3": (3, 10), "python3.12": (3, 12)}
    monkeypatch.setattr(environment, "version_of", known.get)
    assert environment.find_interpreter("") == "python3.12"


def test_without_any_python_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setattr(environment, "version_of", lambda interpreter: None)
    monkeypatch.setattr(environment, "loud", lambda command: False)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 to 3\.14.*apt-get install.*make PYTHON="):
        environment.find_interpreter("")


@pytest.mark.parametrize("size", [1_000_000, 1_000_001])
def test_large_files_are_refused(tmp_path, size):
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(size))
    command = [sys.executable, REPOSITORY / "book/tools/large_files.py", path]
    assert subprocess.run(command, capture_output=True).returncode == (size > 1_000_000)
