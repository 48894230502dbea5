"""The judge without a sandbox: what it reads, what it runs, and what it makes of whatever comes back."""

import ast
import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from classroom import sandbox, step
from classroom.course import Course
from classroom.grade import collect
from classroom.judge import detours, judge, load, name_of
from classroom.sandbox import Run
from classroom.sets import sets, stub
from classroom.step import HarmlessLinks, OwnMetadata, current, judge_now

ONE = next(each for each in sets() if each.number == "1")
RIGHT = "def scale(c, a, b): return math.sqrt(c) * a * b"


def notebook(**answers: str) -> nbformat.NotebookNode:
    """As students get it, with these answers; nbgrader's own steps are left out."""
    made = copy.deepcopy(ONE.notebook)
    for cell in made.cells:
        cell.source = answers.get(cell.id.removeprefix("answer-"), stub(cell.source))
    return made


def cell(made: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    return next(each for each in made.cells if each.metadata.get("nbgrader", {}).get("grade_id") == name)


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Judge a notebook with messages in the place of a sandbox: (judgement, the job that the sandbox was given)."""

    def judged(made: nbformat.NotebookNode | bytes, *messages: dict, ended: str = "itself"):
        jobs = []
        said = Run([*messages, {"at": "end"}] if ended == "itself" else list(messages), ended)
        monkeypatch.setattr(sandbox, "run", lambda job, *_: jobs.append(job) or said)
        path = tmp_path / f"{ONE.name}.ipynb"
        path.write_bytes(made if isinstance(made, bytes) else json.dumps(made).encode())
        judgement = judge(path, ONE, "a secret")
        assert judgement.model_dump_json()
        return judgement, jobs[0] if jobs else None

    return judged


def run_cells(job: dict) -> dict[str, str]:
    return {each["id"]: each["source"] for each in job["cells"]}


# ---- what is read ----

MANY = notebook()
MANY.cells += [nbformat.v4.new_code_cell("1") for _ in range(1000)]
HALF = notebook(scale=RIGHT + "  # \ud800")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (json.dumps(MANY).encode(), "more than 1,000 cells"),
        (json.dumps(HALF).encode(), "half of one"),
        (json.dumps(notebook(scale="x = [" + "1," * 300_000 + "]")).encode(), "characters of code"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', "no list of cells"),
        (b"[" * 100_000, "damaged"),
        (json.dumps(notebook()).encode("utf-16"), "not UTF-8"),
    ],
    ids=["many cells", "half a character", "much code", "format 3", "nested", "UTF-16"],
)
def test_what_nobody_should_work_on_is_not_gradable(data, reason, judged):
    judgement, _ = judged(data)
    assert reason in judgement.not_gradable


def test_a_folder_that_is_a_link_is_anothers_work(tmp_path):
    handed, course = tmp_path / "handed in", Course.at(tmp_path / "course")
    (handed / "ada").mkdir(parents=True)
    nbformat.write(notebook(scale=RIGHT), handed / "ada" / f"{ONE.name}.ipynb")
    (handed / "eve").mkdir()
    (handed / "eve" / ONE.name).symlink_to(handed / "ada")
    (handed / "mallory").symlink_to(handed / "ada")
    (handed / "__MACOSX").mkdir()
    assert collect(course, ONE, handed) == ["ada", "eve", "mallory"]
    for student in ("eve", "mallory"):
        assert "is a link" in judge(course.submitted(student, ONE), ONE, "a secret").not_gradable
    by_hand = course.root / "submitted" / "trudy" / ONE.name  # as something else than `collect` may leave it
    by_hand.parent.mkdir()
    by_hand.symlink_to(course.root / "submitted" / "ada" / ONE.name)
    assert "is a link" in judge(course.submitted("trudy", ONE), ONE, "a secret").not_gradable


def test_archives_of_canvas_and_moodle_are_taken_as_they_are(tmp_path):
    handed, course = tmp_path / "handed in", Course.at(tmp_path / "course")
    (course.root / "roster.csv").write_text("id,first_name,number\nada,Ada,12\n", encoding="utf-8")
    (handed / "Ben Be_34_assignsubmission_file").mkdir(parents=True)
    for name in (
        "lovelaceada_LATE_12_98_{}-2.ipynb",
        "cemc_56_99_{}.ipynb",
        "Ben Be_34_assignsubmission_file/{}.ipynb",
    ):
        nbformat.write(notebook(scale=RIGHT), handed / name.format(ONE.name))
    assert sorted(collect(course, ONE, handed)) == ["34", "56", "ada"]
    assert all(course.submitted(student, ONE).is_file() for student in ("34", "56", "ada"))


# ---- what is run ----


def test_ipythons_own_words_cost_nothing(judged):
    made = notebook(scale=f"%matplotlib inline\n!pip list\n{RIGHT}\nscale?", heads=f"%%time\n{RIGHT}")
    ran = run_cells(judged(made)[1])
    assert all(ast.parse(ran[f"answer-{name}"]) for name in ("scale", "heads"))


def test_what_happens_to_a_cell_by_mistake(judged):
    made = notebook(scale=RIGHT, heads=RIGHT)
    made.cells.remove(cell(made, "locked-set-up"))
    made.cells.append(copy.deepcopy(cell(notebook(), "answer-scale")))  # a copy from before it was answered
    cell(made, "answer-heads").update(cell_type="markdown")
    del cell(made, "answer-heads")["outputs"], cell(made, "answer-heads")["execution_count"]
    made.cells.append(nbformat.v4.new_code_cell(RIGHT, metadata=cell(made, "answer-scale").metadata))
    judgement, job = judged(made)
    ran = run_cells(job)
    assert next(iter(ran)) == "locked-set-up"
    assert [source for name, source in ran.items() if name.startswith("answer-scale")] == [RIGHT, RIGHT]
    assert "markdown" in judgement.cells["answer-heads"].failed
    assert "as it was handed out" in judgement.cells["answer-weights"].failed


def test_what_is_refused_is_torchs_and_not_a_students_name(judged):
    made = notebook(
        scale="def scaled_dot_product(q, k): return q @ k\ndef scale(*a): return scaled_dot_product(*a)",
        heads="def attend_heads(*a): return torch.nn.functional.scaled_dot_product_attention(*a)",
        positions="from torch.nn import MultiheadAttention as M\ndef attend_positions(*a): return M(*a)",
    )
    judgement, job = judged(made)
    ran = run_cells(job)
    assert "answer-scale" in ran
    for name in ("heads", "positions"):
        assert f"answer-{name}" not in ran
        assert "may not be used here" in judgement.cells[f"answer-{name}"].failed


def test_a_detour_is_shown_to_a_person():
    assert detours("import ctypes\nf = getattr(torch._C._nn, 'a' + 'b')") == ["_C", "ctypes", "getattr"]
    assert detours("model.eval(); x = torch.softmax(s, -1)") == []


def test_a_table_of_results_meets_other_inputs(judged):
    """Feedback can tell a student the inputs, and a notebook that is changed after that gets others."""
    first, same, other = (judged(notebook(scale=RIGHT + comment))[1]["calls"] for comment in ("", "", "  # again"))
    assert first == same
    assert first != other
    assert {call["id"] for call in first} == {call["id"] for call in other}


# ---- what comes back ----

DEEP = 1.0
for _ in range(400):
    DEEP = {"list": [DEEP]}
SIDES = {"tensor": {"dtype": "int8", "shape": [2**24] * 400_000, "data": ""}}  # whose product takes minutes


@pytest.mark.parametrize(
    "message",
    [
        {"failed": {"kind": "error", "text": "\udfff"}},
        {"value": DEEP},
        {"value": SIDES},
        {"value": {"tensor": {"dtype": [], "shape": {}, "data": None}}},
        {"value": "x" * 10**6},
        {"value": {"float": "nan"}},
        {"value": {"float": "inf"}},
        {"value": 10**400},
        {"failed": 7},
    ],
    ids=["half a character", "nested", "sides", "no array", "long", "nan", "inf", "large", "no failure"],
)
def test_whatever_comes_back_is_judged(message, judged):
    made = notebook(scale=RIGHT, heads="def attend_heads(*a): return a")
    forged = [{"call": f"{name}/0/{n}", **message} for name in ("scale", "heads") for n in range(4)]
    forged.append({"cell": "answer-scale", "printed": "\ud800", "figures": ["<script>"], "failed": None})
    forged.append({"cell": "of nobody", "printed": "x"})
    judgement, _ = judged(made, *forged)
    assert sum(question.points for question in judgement.questions) == 0
    assert max(len(part.remark) for question in judgement.questions for part in question.parts) <= 2000
    assert judgement.cells["answer-scale"].figures == [] and "of nobody" not in judgement.cells


def test_a_judge_that_fails_gives_neither_points_nor_none(tmp_path, monkeypatch):
    course = Course.at(tmp_path)
    nbformat.write(notebook(scale=RIGHT), course.root / "x.ipynb")
    path = course.submitted("ada", ONE)
    path.parent.mkdir(parents=True)
    (course.root / "x.ipynb").rename(path)

    def fails(*_, **__):
        raise RecursionError("too deep")

    monkeypatch.setattr(step, "judge", fails)
    assert "RecursionError" in judge_now(course, "ada", ONE.name).not_gradable
    assert load(course.judged("ada", ONE)).not_gradable
    assert current(course, "ada", ONE.name) is None, "the next run tries again"


@pytest.mark.parametrize("ended", ["time", "died"])
def test_a_sandbox_that_does_not_start_is_nobodys_fault(ended, judged):
    with pytest.raises(TimeoutError, match="ran no cell"):
        judged(notebook(scale=RIGHT), {"at": "start"}, ended=ended)


def test_memory_counts_what_no_limit_of_the_system_does():
    """What a child's child holds, in a shared mapping and in a file without a name, 40 MiB each."""
    held = "import mmap, os, time; m = mmap.mmap(-1, 40 << 20); m.write(b'x' * len(m)); f = os.memfd_create('x'); "
    held += "os.write(f, b'x' * (40 << 20)); print(os.getpid(), flush=True); time.sleep(60)"
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    before = sandbox.memory(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", middle], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child = int(process.stdout.readline())
        assert sandbox.memory(os.getpid()) - before > 2 * 40 * 2**20
    finally:
        sandbox._end(process)
    for _ in range(200):
        if not alive(child):
            return
        time.sleep(0.05)
    raise AssertionError("the child's child was not ended")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- what nbgrader is given ----


def test_a_submission_gets_back_what_it_lacks_of_the_set():
    made = notebook()
    made.cells = [each for each in made.cells if "scale" not in each.id and "why" not in each.id]
    resources = {"nbgrader": {"assignment": ONE.name}}
    mended, _ = OwnMetadata().preprocess(made, resources)
    found = [each.metadata.nbgrader.grade_id for each in mended.cells if "nbgrader" in each.metadata]
    assert sorted(found) == sorted(name_of(each) for each in notebook().cells if name_of(each))
    assert "BEGIN SOLUTION" not in nbformat.writes(mended) and "Rubric" not in nbformat.writes(mended)


def test_a_cell_that_was_copied_has_its_name_once():
    """As JupyterLab copies it, metadata and all; the copy that has an answer is the answer."""
    made = notebook(scale=RIGHT)
    made.cells += [copy.deepcopy(cell(notebook(), f"{kind}-scale")) for kind in ("answer", "tests")]
    mended, _ = OwnMetadata().preprocess(made, {"nbgrader": {"assignment": ONE.name}})
    found = [each for each in mended.cells if name_of(each)]
    assert len(found) == len({name_of(each) for each in found})
    assert cell(mended, "answer-scale").source == RIGHT


def test_a_link_runs_no_script():
    texts = ["[x](javascript:alert(1))", "[x](java&#115;cript:alert(1))", "<JavaScript&colon;alert(1)>"]
    for text in texts:
        found, _ = HarmlessLinks().preprocess_cell(nbformat.v4.new_markdown_cell(text), {}, 0)
        assert "script :" in found.source.lower()
    maths = nbformat.v4.new_markdown_cell("$a < b$ &amp; ![](data:image/png;base64,AAAA)")
    assert HarmlessLinks().preprocess_cell(copy.deepcopy(maths), {}, 0)[0].source == maths.source
