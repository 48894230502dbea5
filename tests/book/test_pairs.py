import os

import pytest
from nbformat.v4 import new_output

import chapters
import pairs

SCRIPT = """# %% [markdown]
# # A chapter

# %% tags=["nbval-check-output"]
1 + 1

# %% [markdown]
# The end.
"""


@pytest.fixture
def pair(repository):
    """The .ipynb of a pair made from SCRIPT, with an output as if it had been executed."""
    text = repository / "notebooks" / "chapter.py"
    text.write_text(SCRIPT)
    path = text.with_suffix(".ipynb")
    pairs.sync(path)
    notebook = chapters.read(path)
    notebook.cells[1].outputs = [new_output("execute_result", data={"text/plain": "2"}, execution_count=1)]
    notebook.metadata["stamp"] = {"code": "0"}
    chapters.write(notebook, path)
    return path


def edit(path, old, new):
    """Change a half so that it is the newer one."""
    path.write_text(path.read_text().replace(old, new))
    other = path.with_suffix(".py" if path.suffix == ".ipynb" else ".ipynb")
    os.utime(path, ns=(0, other.stat().st_mtime_ns + 10**9))


def test_a_synchronised_pair_has_no_difference(pair):
    assert pairs.difference(pair) is None


@pytest.mark.parametrize(
    ("old", "new", "cell"),
    [("# # A chapter", "# # Another", 0), ("1 + 1", "1 + 2", 1), ("nbval-check-output", "hide-input", 1)],
)
def test_the_differing_cell_is_named(pair, old, new, cell):
    edit(pair.with_suffix(".py"), old, new)
    assert pairs.difference(pair) == f"cell {cell} differs"


def test_the_kind_of_page_stands_in_both_halves(pair):
    notebook = chapters.read(pair)
    notebook.metadata["attention_book"] = {"kind": "chapter"}
    chapters.write(notebook, pair)
    os.utime(pair, ns=(0, pair.with_suffix(".py").stat().st_mtime_ns + 10**9))
    assert pairs.difference(pair) == "attention_book in the metadata differs"
    pairs.sync(pair)
    assert pairs.difference(pair) is None
    edit(pair.with_suffix(".py"), "kind: chapter", "kind: overview")
    assert pairs.sync(pair).suffix == ".py"
    notebook = chapters.read(pair)
    assert (notebook.metadata.attention_book, notebook.metadata.stamp) == ({"kind": "overview"}, {"code": "0"})


def test_a_missing_half_is_named(pair):
    pair.with_suffix(".py").unlink()
    assert pairs.difference(pair) == "chapter.py is missing"


def test_the_newer_text_keeps_outputs_ids_and_stamp(pair):
    before = chapters.read(pair)
    edit(pair.with_suffix(".py"), "The end.", "The very end.")
    assert pairs.sync(pair) == pair.with_suffix(".py")
    after = chapters.read(pair)
    assert pairs.difference(pair) is None
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    assert after.cells[1].outputs == before.cells[1].outputs
    assert after.metadata.stamp == before.metadata.stamp


def test_the_newer_notebook_rewrites_the_text(pair):
    edit(pair, "1 + 1", "1 + 3")
    assert pairs.sync(pair) == pair
    text = pair.with_suffix(".py").read_text()
    assert "1 + 3" in text
    assert pairs.difference(pair) is None
    assert "stamp" not in text
    assert "jupytext_version" not in text


def test_of_differing_halves_the_kept_one_is_named(pair, repository, capsys):
    edit(pair, "1 + 1", "1 + 3")
    pairs.bring_together([pair], repository)
    assert capsys.readouterr().out == "notebooks/chapter: cell 1 differs; kept chapter.ipynb\n"
    pairs.bring_together([pair], repository)
    assert capsys.readouterr().out == ""


def test_a_chapter_that_is_only_text_so_far_is_found(pair, repository):
    pair.unlink()
    (repository / "notebooks" / "helper.py").write_text("VALUE = 1\n")
    assert pairs.halves(repository) == [pair]
