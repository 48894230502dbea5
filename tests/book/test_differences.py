"""What is said of a cell whose outputs are not the committed ones."""

from pathlib import Path
from types import SimpleNamespace

from nbformat.v4 import new_output

from book.tools.differences import MOST, describe


def item(*, committed=(), new=()):
    cell = SimpleNamespace(source="# counts\ncounts = count(module)\nprint(counts)", outputs=list(committed))
    config = SimpleNamespace(rootpath="/book")
    parent = SimpleNamespace(skip_compare=("image/png",))
    path = Path("/book/notebooks/scale_attention/se.ipynb")
    return SimpleNamespace(path=path, config=config, parent=parent, cell=cell, test_outputs=list(new))


def test_a_difference_names_chapter_cell_values_and_command():
    failed = item(
        committed=[new_output("stream", name="stdout", text="parameters 708\nMACs 12\n")],
        new=[new_output("stream", name="stdout", text="parameters 300\nMACs 12\n")],
    )
    assert describe(failed, ValueError("Cell outputs differ")).splitlines() == [
        "notebooks/scale_attention/se.ipynb, the cell that begins: counts = count(module)",
        "  stdout, committed -> new:",
        "    parameters 708 -> parameters 300",
        "If the new one is right: make execute NB=notebooks/scale_attention/se.ipynb",
    ]


def test_only_what_is_compared_is_shown_and_long_differences_end():
    committed = new_output("execute_result", data={"text/plain": "1", "image/png": "a"})
    many = "\n".join(map(str, range(2, 2 + MOST + 5)))
    new = new_output("execute_result", data={"text/plain": many, "image/png": "b"})
    told = describe(item(committed=[committed], new=[new]), ValueError("Cell outputs differ"))
    assert "1 -> 2\n    (nothing) -> 3\n" in told
    assert "and 5 lines more" in told
    assert "image" not in told


def test_an_output_that_is_gone_is_told():
    told = describe(item(committed=[new_output("stream", name="stdout", text="x")]), ValueError("Cell outputs differ"))
    assert "x -> (nothing)" in told


def test_a_cell_that_raises_shows_its_traceback_without_colours():
    error = ValueError("Cell execution caused an exception")
    error.inner_traceback = "\x1b[31mZeroDivisionError\x1b[0m: division by zero"
    told = describe(item(), error)
    assert "ZeroDivisionError: division by zero" in told
    assert "committed" not in told
