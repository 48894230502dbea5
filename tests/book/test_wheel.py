"""A wheel holds the data files too: the tests import the checkout and would not miss them."""

import zipfile

from chapters import REPOSITORY

KINDS = {".py", ".yml", ".json", ".toml"}


def test_a_wheel_has_every_file_of_the_package(wheel):
    found = [path.relative_to(REPOSITORY) for path in (REPOSITORY / "attnlib").rglob("*")]
    visible = [path for path in found if not any(part.startswith((".", "__pycache__")) for part in path.parts)]
    files = {path.as_posix() for path in visible if path.suffix in KINDS}
    assert {name.rpartition(".")[2] for name in files} == {"py", "yml", "json", "toml"}
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()
