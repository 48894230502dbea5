"""The first cell of a chapter installs the package where it is missing, tried outside the checkout; else it is idle."""

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import jupytext
import pytest
import yaml

import chapters
import first_cell

KINDS = [path for path in chapters.notebooks() if "attention_book" in chapters.read(path).metadata]


def test_every_chapter_begins_with_it():
    for path in KINDS:
        code = next(cell for cell in chapters.read(path).cells if cell.cell_type == "code")
        name = path.relative_to(chapters.REPOSITORY).as_posix()
        assert code.source == first_cell.source(name, first_cell.address()), f"{name}: run book/tools/first_cell.py"
        assert code.metadata == first_cell.METADATA, name


def test_the_source_is_the_configured_address_or_the_checkout():
    assert '"../..[chapters]"' in first_cell.source("notebooks/scale_attention/se.ipynb", "")
    assert '"..[chapters]"' in first_cell.source("notebooks/costs.ipynb", "")
    assert '"attnlib[chapters] @ git+https://there/is/one"' in first_cell.source(
        "notebooks/x.ipynb", "https://there/is/one"
    )


@pytest.fixture
def pair(repository):
    (repository / "_config.yml").write_text(yaml.safe_dump({"repository": {"url": ""}}))
    text = repository / "notebooks" / "chapter.py"
    text.write_text("# %% [markdown]\n# # A chapter\n\n# %%\n1 + 1\n")
    return text.with_suffix(".ipynb"), repository


def test_it_is_written_once_and_follows_the_address(pair):
    path, repository = pair
    assert first_cell.put(path, repository)
    assert not first_cell.put(path, repository)
    (repository / "_config.yml").write_text(yaml.safe_dump({"repository": {"url": "https://there/is/one/"}}))
    assert first_cell.put(path, repository)
    cells = jupytext.read(path.with_suffix(".py")).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "code"]
    assert "git+https://there/is/one" in cells[1].source
    assert cells[1].metadata == first_cell.METADATA
    assert cells[2].source == "1 + 1"


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory):
    """A Python with everything that the wheel needs, and without attnlib: no network is there to fetch it from."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=True)
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "attnlib" not in entry.name and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    python = folder / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    Path(site, "packages.pth").write_text(str(packages))
    for old in Path(site).glob("setuptools*"):  # Python 3.11 brings one, which would hide the newer one of the lock
        shutil.rmtree(old)
    return python


@pytest.mark.thorough
def test_it_installs_a_wheel_in_a_clean_environment_and_then_does_nothing(clean_python, wheel, tmp_path):
    cell = first_cell.source("notebooks/scale_attention/se.ipynb", "")
    script = f"{cell}\nimport attnlib\nfrom attnlib import exercises\nprint(attnlib.__file__)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(source):
        return subprocess.run(
            [clean_python, "-c", script],
            cwd=tmp_path,
            env=environment | {"ATTNLIB_SOURCE": source},
            capture_output=True,
            text=True,
        )

    failed = run("nothing.whl")
    assert failed.returncode != 0
    assert "nothing.whl" in failed.stderr
    for source in (f"attnlib[chapters] @ {wheel.as_uri()}", "nothing.whl"):
        done = run(source)
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).is_relative_to(clean_python.parents[1])
