"""A repository in miniature: one package with two modules, a data file, a folder of records and one notebook."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


@pytest.fixture
def repository(tmp_path):
    """The folder of a small repository; its package is importable only where its folder is on the path."""
    files = {
        "requirements.lock": "torch==1.0\n",
        "attnlib/__init__.py": "",
        "attnlib/used.py": "VALUE = 3  # three\n",
        "attnlib/unused.py": "VALUE = 4\n",
        "attnlib/published/used.yml": "claim: true\n",
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
