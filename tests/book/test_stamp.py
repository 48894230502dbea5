import subprocess
import sys
from pathlib import Path

import pytest

import chapters
import stamp
import verdicts

REPORT = {"versions": {"python": "3.11.7"}, "device": "CPU", "imported": ["torch", "json"]}


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
    names = ("attnlib/used.py", "attnlib/papers/used/paper.yml", "attnlib/results/records/run/")
    return stamped(save("x = 1"), repository, *names)


def test_fresh_stamp_holds(notebook, repository):
    assert stamp.reasons(notebook, repository) == []


def test_without_stamp_it_was_never_executed(save, repository):
    assert stamp.reasons(chapters.read(save("x = 1")), repository) == ["it was never executed"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("attnlib/used.py", "VALUE = 5\n", "attnlib/used.py changed"),
        ("attnlib/papers/used/paper.yml", "claim: false\n", "attnlib/papers/used/paper.yml changed"),
        ("attnlib/results/records/run/seed1.json", "{}", "attnlib/results/records/run changed"),
        ("requirements.lock", "torch==2.0\n", "torch in requirements.lock was 1.0 and is 2.0"),
        ("requirements.lock", "numpy==2.0\n", "torch in requirements.lock was 1.0 and is gone"),
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
        ("attnlib/used.py", '"""What it is."""\nVALUE = 3\n'),
        ("requirements.lock", "seaborn==9.0\ntorch==1.0 \\\n    --hash=sha256:00\n"),
        ("attnlib/unused.py", "VALUE = 5\n"),
        ("attnlib/new.py", "VALUE = 5\n"),
        ("attnlib/papers/other.yml", "claim: true\n"),
    ],
)
def test_comments_docstrings_unused_files_and_packages_change_nothing(notebook, repository, name, text):
    (repository / name).write_text(text)
    assert stamp.reasons(notebook, repository) == []


def test_a_file_that_was_missed_makes_it_stale_when_it_appears(save, repository):
    notebook = stamped(save("x = 1"), repository, "attnlib/papers/later.yml")
    assert stamp.reasons(notebook, repository) == []
    (repository / "attnlib/papers/later.yml").write_text("claim: true\n")
    assert stamp.reasons(notebook, repository) == ["attnlib/papers/later.yml appeared"]


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


def test_docstrings_count_where_they_are_read():
    function = 'def f():\n    """One."""\n    return 1\n'
    assert stamp.source_digest(function) == stamp.source_digest(function.replace("One", "Two"))
    assert stamp.source_digest(function) != stamp.source_digest(function.replace("1", "2"))
    reads = function + "print(f.__doc__)\n"
    assert stamp.source_digest(reads) != stamp.source_digest(reads.replace("One", "Two"))


def test_no_file_of_the_package_reads_the_docstring_of_another():
    # The rule above looks at each file alone.
    package = stamp.REPOSITORY / "attnlib"
    assert [
        path for path in package.rglob("*.py") if "__doc__" in path.read_text() or "getdoc" in path.read_text()
    ] == []


def test_a_string_that_a_cell_shows_is_no_docstring():
    assert stamp.source_digest('"one"', cell=True) != stamp.source_digest('"two"', cell=True)


def test_a_package_is_known_by_the_name_of_the_lock(repository):
    (repository / "requirements.lock").write_text("PyYAML==6.0 ; python_version < '3'\npyyaml==6.1\nnot-installed==1\n")
    assert stamp.depends_on([], [], ["yaml", "not_installed", "os"], repository)["packages"] == {"pyyaml": "6.0, 6.1"}


def test_a_stamp_of_an_older_form_is_stale(notebook, repository):
    del notebook.metadata.stamp["packages"]
    assert stamp.reasons(notebook, repository) == ["its stamp is of an older form"]


def test_everything_stale_is_said_with_its_reason_and_what_mends_it(save, repository):
    save("x = 1")
    result = repository / "attnlib/papers/se/verdicts.json"
    result.parent.mkdir()
    result.write_text("{}")
    dependencies = stamp.depends_on([str(result)], [], [], repository)
    stamp.file_stamp("verdicts-se", dependencies, repository)
    stamp.file_stamp("costs", dependencies, repository)
    assert stamp.stale(repository) == {"notebooks/chapter.ipynb": (["it was never executed"], "make execute")}
    result.write_text('{"paper": "se"}')
    reason = ["attnlib/papers/se/verdicts.json changed"]
    found = stamp.stale(repository)
    assert found["verdicts on se"] == (reason, "make verdicts")
    assert found["costs of networks"] == (reason, "python -m benchmarks.costs")
    stamp.stamp_file("costs", repository).unlink()
    assert stamp.stale(repository)["costs of networks"][0] == ["it was never stamped"]


def test_a_computation_is_traced(repository):
    code = "import sys; sys.path.insert(0, '.'); from attnlib import used; open('attnlib/papers/used/paper.yml').read()"
    found = verdicts.traced(code + "; import colorsys, yaml", repository)
    files = {"attnlib/__init__.py", "attnlib/used.py", "attnlib/papers/used/paper.yml"}
    assert set(stamp.tracked(found["read"], repository)) == files
    assert {"attnlib", "yaml"} <= set(found["imported"]) and "json" not in found["imported"]


def test_magic_commands_are_hashed_as_text():
    assert stamp.source_digest("%matplotlib inline") != stamp.source_digest("%matplotlib agg")


def test_digest_is_the_same_on_every_supported_python():
    """Pinned, so that the run on each Python of the CI compares with the others."""
    source = 'def f(a, *, b: "N C" = 1.5, **c):\n    """Doc."""\n    return f"{a!r:>{b}}" if c else [*a, 1j]\n'
    assert stamp.source_digest(source) == "aadeee3b2418ae6a"


def test_tools_import_no_torch():
    """The check runs before everything else in `make test` and must stay quick."""
    code = "import sys; import stamp, pairs, outputs, verdicts; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(stamp.__file__).parent, check=True)
