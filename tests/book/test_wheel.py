"""A wheel holds the data files too: the tests import the checkout and would not miss them."""

import shutil
import subprocess
import sys
import zipfile

from chapters import REPOSITORY

KINDS = {".py", ".yml", ".json", ".toml"}


def test_a_wheel_has_every_file_of_the_package(tmp_path):
    # A copy, since setuptools leaves a build folder beside what it builds; of the lock's setuptools, without a network.
    shutil.copytree(REPOSITORY / "attnlib", tmp_path / "attnlib", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    found = [path.relative_to(tmp_path) for path in (tmp_path / "attnlib").rglob("*")]
    files = {path.as_posix() for path in found if path.suffix in KINDS}
    assert {name.rpartition(".")[2] for name in files} == {"py", "yml", "json", "toml"}
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()
