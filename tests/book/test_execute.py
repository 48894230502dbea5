import asyncio

import pytest

import chapters
import execute
import stamp

IMPORT = "import sys; sys.path.insert(0, '..')"  # the miniature package of this test, not the installed one


@pytest.fixture
def run(repository):
    return lambda *paths: asyncio.run(execute.execute_all(list(paths), repository))


def test_outputs_stamp_and_ids(run, save, repository):
    path = save(
        f"{IMPORT}\nfrom attnlib import used",
        "from pathlib import Path\nPath('../attnlib/papers/used/paper.yml').read_text()",
        "[each.name for each in Path('../attnlib/results/records/run').iterdir()]",
        "Path('../attnlib/results/new.json').write_text('{}'); used.VALUE",
    )
    ids = [cell.id for cell in chapters.read(path).cells]
    assert run(path)
    notebook = chapters.read(path)
    assert [cell.id for cell in notebook.cells] == ids
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]
    assert notebook.cells[4].outputs[0].data["text/plain"] == "3"
    found = notebook.metadata.stamp
    assert set(found.files) == {"attnlib/__init__.py", "attnlib/used.py", "attnlib/papers/used/paper.yml"}
    assert set(found.folders) == {"attnlib/results/records/run"}
    assert (found.lane, found.device) == ("smoke", "CPU")
    assert stamp.reasons(notebook, repository) == []
    assert "execution" not in notebook.cells[1].metadata


@pytest.mark.parametrize("list_folder", ["os.listdir(folder)", "os.scandir(folder)"])
def test_a_folder_that_was_missed_makes_it_stale_when_it_appears(run, save, repository, list_folder):
    name = "attnlib/results/records/run/none"
    path = save(f"import os\nfolder = '../{name}'\ntry:\n    {list_folder}\nexcept FileNotFoundError:\n    pass")
    assert run(path)
    notebook = chapters.read(path)
    assert notebook.metadata.stamp.folders == {name: None}
    assert stamp.reasons(notebook, repository) == []
    (repository / name).mkdir()
    assert stamp.reasons(notebook, repository) == [f"{name} appeared"]


def test_tracing_leaves_no_name_in_the_kernel(run, save):
    path = save("sorted(name for name in globals() if name in ('ROOT', 'REPORT', 'read', 'note', 'json', 'sys'))")
    assert run(path)
    assert chapters.read(path).cells[1].outputs[0].data["text/plain"] == "[]"


@pytest.mark.parametrize("lane", [None, ""])
def test_kernel_has_one_thread_and_the_smoke_lane(run, save, monkeypatch, lane):
    monkeypatch.delenv("ATTNLIB_LANE", raising=False)
    if lane is not None:
        monkeypatch.setenv("ATTNLIB_LANE", lane)
    path = save("import os; [os.environ[name] for name in ('OMP_NUM_THREADS', 'ATTNLIB_LANE', 'PYTHONHASHSEED')]")
    assert run(path)
    assert chapters.read(path).cells[1].outputs[0].data["text/plain"] == "['1', 'smoke', '0']"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import os; print(os.path.expanduser('/root/there'))", "shows a path of this machine: /root/there"),
        ("for _ in range(12_000): print('x' * 60)", "more than 600,000"),
        ("object()", "an address in memory"),
        ("import attnlib; attnlib.check('a = b', 1.0, 2.0)", "'a = b' does not hold: the entry: ours 1.0"),
    ],
)
def test_a_refused_run_leaves_the_notebook_as_it_was(run, save, capsys, source, message):
    path = save(source)
    before = path.read_bytes()
    assert not run(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert message in capsys.readouterr().out


def test_one_failure_does_not_stop_the_others(run, save):
    bad, good = save("1 / 0", name="bad"), save("1", name="good")
    assert not run(bad, good)
    assert "stamp" in chapters.read(good).metadata


def test_an_unknown_notebook_is_refused_with_the_known_ones(save, repository):
    save("1", name="se")
    with pytest.raises(SystemExit, match=r"no notebook .*ne\.ipynb; there are:\n  notebooks/se\.ipynb"):
        chapters.chosen([str(repository / "notebooks/ne.ipynb")], repository)
