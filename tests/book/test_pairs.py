import os
import re
import socket
import subprocess
import sys

import pytest
from nbformat.v4 import new_output

import chapters
import pairs
import serve

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


def commit(repository):
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", repository, *who, *arguments], check=True)


def test_of_differing_halves_the_kept_one_is_named(pair, repository, capsys):
    commit(repository)
    edit(pair, "1 + 1", "1 + 3")
    pairs.bring_together([pair], repository)
    assert capsys.readouterr().out == "notebooks/chapter: cell 1 differs; kept chapter.ipynb\n"
    assert not list(repository.rglob(".overwritten/**/*.*"))
    pairs.bring_together([pair], repository)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize(("newer", "older"), [(".ipynb", ".py"), (".py", ".ipynb")])
def test_where_both_halves_were_edited_none_is_lost(pair, repository, capsys, newer, older, committed):
    if committed:
        commit(repository)
    edit(pair.with_suffix(older), "The end.", "Not the end.")
    held = pair.with_suffix(older).read_bytes()
    edit(pair.with_suffix(newer), "1 + 1", "1 + 3")
    pairs.bring_together([pair], repository)
    told = re.search(rf"kept chapter{newer}; what chapter{older} held is in (\S+)\n", capsys.readouterr().out)
    assert (repository / told[1]).read_bytes() == held
    assert [path.name for path in repository.glob(".overwritten/**/*.*") if path.is_file()] == [f"chapter{older}"]
    assert pairs.difference(pair) is None


@pytest.mark.parametrize("content", ["", "{", "<<<<<<< HEAD\n{}", "{}", "[]", '{"nbformat": 4}'])
def test_a_damaged_notebook_is_named_with_the_way_out(pair, content):
    pair.write_text(content)
    with pytest.raises(SystemExit, match="chapter.ipynb is damaged.*chapter.py holds all its cells: remove the .ipynb"):
        pairs.difference(pair)
    pair.unlink()
    pairs.sync(pair)
    assert pairs.difference(pair) is None


def test_the_marks_of_a_merge_go_into_no_notebook(pair):
    text = pair.with_suffix(".py")
    text.write_text("<<<<<<< HEAD\n" + text.read_text())
    with pytest.raises(SystemExit, match="chapter.py holds the mark of a merge"):
        pairs.sync(pair)


def test_a_port_that_is_taken_is_said_with_the_way_out(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for text in (str(taken.getsockname()[1]), "0", "http"):
            monkeypatch.setattr(sys, "argv", ["serve.py", text])
            with pytest.raises(SystemExit, match="make serve PORT=8001|is no port"):
                serve.main()


def test_a_chapter_that_is_only_text_so_far_is_found(pair, repository):
    pair.unlink()
    (repository / "notebooks" / "helper.py").write_text("VALUE = 1\n")
    assert pairs.halves(repository) == [pair]
