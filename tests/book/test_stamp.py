import subprocess
import sys
from pathlib import Path

import pytest

import chapters
import stamp

REPORT = {"versions": {"python": "3.11.7"}, "device": "CPU"}


def stamped(path, repository, *names):
    """The notebook with a stamp as if its kernel had read these files and listed these folders (with a final slash)."""
    notebook = chapters.read(path)
    touched = {"read": [], "listed": []}
    for name in names:
        touched["listed" if name.endswith("/") else "read"].append(str(repository / name))
    report = {**REPORT, **touched}
    notebook.metadata["stamp"] = stamp.make(notebook, report, lane="smoke", seconds=1.0, repository=repository)
    return notebook


@pytest.fixture
def notebook(save, repository):
    names = ("attnlib/used.py", "attnlib/published/used.yml", "attnlib/results/records/run/")
    return stamped(save("x = 1"), repository, *names)


def test_fresh_stamp_holds(notebook, repository):
    assert stamp.reasons(notebook, repository) == []


def test_without_stamp_it_was_never_executed(save, repository):
    assert stamp.reasons(chapters.read(save("x = 1")), repository) == ["it was never executed"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("attnlib/used.py", "VALUE = 5\n", "attnlib/used.py changed"),
        ("attnlib/published/used.yml", "claim: false\n", "attnlib/published/used.yml changed"),
        ("attnlib/results/records/run/seed1.json", "{}", "attnlib/results/records/run changed"),
        ("requirements.lock", "torch==2.0\n", "requirements.lock changed"),
    ],
)
def test_a_change_in_what_it_used_is_named(notebook, repository, name, text, reason):
    (repository / name).write_text(text)
    assert stamp.reasons(notebook, repository) == [reason]


def test_a_removed_file_is_named(notebook, repository):
    (repository / "attnlib/used.py").unlink()
    assert stamp.reasons(notebook, repository) == ["attnlib/used.py is gone"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("attnlib/used.py", "# a remark\n\nVALUE  =  (3)\n"),
        ("attnlib/unused.py", "VALUE = 5\n"),
        ("attnlib/new.py", "VALUE = 5\n"),
        ("attnlib/published/other.yml", "claim: true\n"),
    ],
)
def test_a_comment_and_unused_files_change_nothing(notebook, repository, name, text):
    (repository / name).write_text(text)
    assert stamp.reasons(notebook, repository) == []


def test_a_file_that_was_missed_makes_it_stale_when_it_appears(save, repository):
    notebook = stamped(save("x = 1"), repository, "attnlib/published/later.yml")
    assert stamp.reasons(notebook, repository) == []
    (repository / "attnlib/published/later.yml").write_text("claim: true\n")
    assert stamp.reasons(notebook, repository) == ["attnlib/published/later.yml appeared"]


def test_code_cells_count_and_prose_does_not(notebook, repository):
    notebook.cells[0].source = "# Another title"
    assert stamp.reasons(notebook, repository) == []
    notebook.cells[1].source = "x = 2"
    assert stamp.reasons(notebook, repository) == ["its code cells changed"]


def test_files_outside_the_package_are_not_tracked(repository):
    names = ("notebooks/chapter.ipynb", "attnlib/__pycache__/used.pyc")
    assert stamp.tracked([str(repository / name) for name in names], repository) == {}


def test_a_folder_of_python_files_is_not_tracked(save, repository):
    assert stamped(save("x = 1"), repository, "attnlib/").metadata.stamp.folders == {}


def test_magic_commands_are_hashed_as_text():
    assert stamp.source_digest("%matplotlib inline") != stamp.source_digest("%matplotlib agg")


def test_digest_is_the_same_on_every_supported_python():
    """Pinned, so that the run on each Python of the CI compares with the others."""
    source = 'def f(a, *, b: "N C" = 1.5, **c):\n    """Doc."""\n    return f"{a!r:>{b}}" if c else [*a, 1j]\n'
    assert stamp.source_digest(source) == "141b245a68baad78"


def test_tools_import_no_torch():
    """The check runs before everything else in `make test` and must stay quick."""
    code = "import sys; import stamp, pairs, outputs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(stamp.__file__).parent, check=True)
