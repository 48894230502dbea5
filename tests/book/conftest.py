"""A repository in miniature: one package with two modules, a data file, a folder of records and one notebook."""

import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.testing.util import SphinxTestApp

from chapters import REPOSITORY


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A wheel of the package, built from a copy, since setuptools leaves a build folder beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY / "attnlib", folder / "attnlib", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    # of the lock's setuptools, without a network
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    (path,) = (folder / "dist").iterdir()
    return path


@pytest.fixture
def repository(tmp_path):
    """The folder of a small repository; its package is importable only where its folder is on the path."""
    files = {
        "requirements.lock": "torch==1.0\n",
        "attnlib/__init__.py": "",
        "attnlib/used.py": "VALUE = 3  # three\n",
        "attnlib/unused.py": "VALUE = 4\n",
        "attnlib/papers/used/paper.yml": "claim: true\n",
        "attnlib/results/records/run/seed0.json": "{}\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    return tmp_path


@pytest.fixture
def save(repository):
    """Write a notebook of these code cells; returns its path."""

    def write(*sources, name="chapter"):
        path = repository / "notebooks" / f"{name}.ipynb"
        notebook = new_notebook(cells=[new_markdown_cell("# A chapter"), *map(new_code_cell, sources)])
        nbformat.write(notebook, path)
        return path

    return write


@pytest.fixture
def built(tmp_path):
    """Build one page, Markdown text or a notebook, with these extensions; its HTML and the warnings."""

    def build(page, extensions, **settings):
        (tmp_path / "conf.py").touch()
        if isinstance(page, str):
            (tmp_path / "index.md").write_text(page)
        else:
            nbformat.write(page, tmp_path / "index.ipynb")
        settings |= {"extensions": ["myst_nb", *extensions], "nb_execution_mode": "off"}
        settings["myst_enable_extensions"] = ["colon_fence", "dollarmath", "tasklist"]
        app = SphinxTestApp(srcdir=tmp_path, confoverrides=settings)
        try:
            app.build()
            return (app.outdir / "index.html").read_text(), app.warning.getvalue()
        finally:
            app.cleanup()

    return build
