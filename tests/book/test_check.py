"""Which parts run, in what order they fail, and that none begins too late."""

import re
import sys

import pytest

import check
from chapters import REPOSITORY
from check import Part

PASSES, FAILS = ([sys.executable, "-c", f"raise SystemExit({code})"] for code in (0, 1))


def test_a_book_without_notebooks_is_refused(monkeypatch):
    monkeypatch.setattr(check, "notebooks", list)
    with pytest.raises(SystemExit, match="no notebook below notebooks/"):
        check.main([])


def test_a_module_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SystemExit, match="no module is called 'sse'.* nam .* se "):
        check.main(["--key", "sse"])


def test_all_parts_run_but_those_that_need_what_failed(capfd):
    parts = {"a": Part(FAILS), "b": Part(PASSES), "c": Part(PASSES, needs="a"), "d": Part(PASSES, needs="b")}
    assert check.run(parts) == 1
    told = dict(re.findall(r"^([abcd]) +(passed|FAILED|NOT RUN) +\d+\.\d$", capfd.readouterr().out, re.MULTILINE))
    assert told == {"a": "FAILED", "b": "passed", "c": "NOT RUN", "d": "passed"}
    assert check.run({"b": Part(PASSES)}) == 0


def test_no_part_begins_after_the_end_and_those_left_over_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PART_AFTER", "100")
    monkeypatch.setenv("CHECK_REPORT", str(tmp_path / "report"))
    times = iter([90, 101, 101])  # begin, end, begin
    assert check.run({"first": Part(PASSES), "second": Part(PASSES)}, clock=lambda: next(times)) == 1
    told = (tmp_path / "report").read_text()
    assert re.search(r"^first +passed", told, re.MULTILINE)
    assert re.search(r"^second +NOT RUN", told, re.MULTILINE)


def test_every_unit_test_is_in_one_part_and_no_marker_is_forgotten():
    """`make test` and `make test-all` together run all tests: what one selects, no other leaves out."""
    parts = [*check.test().values(), *check.rest().values()]
    commands = [part.command for part in parts if part.command[: len(check.UNIT)] == check.UNIT]
    expressions = [command[len(command) - command[::-1].index("-m")] for command in commands]
    for thorough in (False, True):
        for export in (False, True):
            for cifar in (False, True):
                marks = {"thorough": thorough, "export": export, "cifar": cifar}
                chosen = [text for text in expressions if eval(text, {}, marks)]
                assert len(chosen) == 1, (marks, chosen)


def test_prose_alone_runs_no_notebook_and_no_unit_test():
    book = [name for name, part in check.test().items() if part.book]
    assert book == ["pairs", "stamps", "outputs", "book's tests", "build", "site"]


def test_one_module_has_its_tests_paper_and_chapter():
    parts = check.one_module("se")
    assert list(parts) == ["style", "imports", "pairs", "module and paper", "chapter", "rhythm"]
    assert {"tests/modules", "tests/scale_attention/test_se.py"} <= set(parts["module and paper"].command)
    assert parts["module and paper"].environment == {"ATTNLIB_CASES": "se"}
    assert REPOSITORY / "notebooks" / "scale_attention" / "se.ipynb" in parts["chapter"].command
