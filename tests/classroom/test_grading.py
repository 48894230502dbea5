"""The sandbox and the whole way from release to scores, as a teacher goes it; slow, so it runs in `make test-all`."""

import copy
import csv
import io
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from classroom import nbgrader_calls, sandbox
from classroom.course import Course
from classroom.feedback import feedback
from classroom.grade import collect, grade
from classroom.judge import fingerprint, judge, load
from classroom.release import leaked, release, solution_lines
from classroom.sandbox import Limits
from classroom.sets import REPOSITORY, sets
from classroom.wire import decode, encode
from instructor import copy_with_sets
from solutions import copy_sources
from tests.classroom.conftest import right_answers, wrong_answers

pytestmark = pytest.mark.thorough

needs_walls = pytest.mark.skipif(not sandbox.walled(), reason="bubblewrap is not here or may not be used")
SETS = {each.number: each for each in sets()}
ONE = SETS["1"]
# two processes of pytest must not count each other's processes
SLOT = 10 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
SHORT = Limits(cell=10, call=4, run=60, memory=1500 * 2**20)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    here = Course.at(tmp_path_factory.mktemp("a course"))
    os.environ["COURSE"] = str(here.root)  # nbgrader's step looks there
    for each in SETS.values():
        release(here, each)
    yield here
    del os.environ["COURSE"]


def handed_in(course: Course, answers: dict[str, str], number: str = "1") -> nbformat.NotebookNode:
    """The released notebook with answers written into it; an answer `solution` goes into a cell before all others."""
    chosen = SETS[number]
    notebook = nbformat.read(course.root / "release" / chosen.name / f"{chosen.name}.ipynb", as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.removeprefix("answer-") in answers:
            cell.source = answers[name.removeprefix("answer-")]
    if "solution" in answers:
        notebook.cells.insert(1, nbformat.v4.new_code_cell(answers["solution"]))
    return notebook


def solutions(number: str = "1") -> dict[str, str]:
    cells = {cell.id: cell.source for cell in SETS[number].notebook.cells}
    return {question.name: cells[f"answer-{question.name}"] for question in SETS[number].judge.questions}


def write(notebook: nbformat.NotebookNode, folder: Path, number: str = "1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{SETS[number].name}.ipynb"
    nbformat.write(notebook, path)
    return path


def points(judgement) -> dict[str, float]:
    return {question.name: question.points for question in judgement.questions}


FULL = {question.name: question.points for question in ONE.judge.questions}


# ---- release ----


@pytest.mark.parametrize("number", SETS)
def test_what_is_released_holds_no_solution(number, course):
    """In the notebook, and in no other file of the release."""
    chosen = SETS[number]
    folder = course.root / "release" / chosen.name
    assert leaked(chosen, nbformat.read(folder / f"{chosen.name}.ipynb", as_version=4)) == []
    lines = solution_lines(chosen)
    assert len(lines) > 15
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [line for line in lines if json.dumps(line)[1:-1] in text], path
    kit = {"kit/__init__.py", "kit/checks.py", "kit/plots.py", "kit/shapes.py"}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {f"{chosen.name}.ipynb", "requirements.txt", *kit}


def test_a_solution_that_would_be_released_is_found(course):
    notebook = handed_in(course, {"scale": solutions()["scale"]})
    assert any("BEGIN SOLUTION" in each for each in leaked(ONE, notebook))
    notebook = handed_in(course, {"scale": "x = 1\nreturn math.sqrt(channels) * query_deviation * key_deviation"})
    assert leaked(ONE, notebook) == ["the line 'return math.sqrt(channels) * query_deviation * key_deviation'"]


# ---- what the sandbox runs ----


@pytest.mark.parametrize("number", SETS)
def test_the_solutions_run_with_what_a_student_installs(number, course, tmp_path):
    """Every cell, in a Python that has the packages of requirements.txt and no others; full marks."""
    notebook = copy.deepcopy(SETS[number].notebook)
    judgement = judge(write(notebook, tmp_path, number), SETS[number], "a secret", slot=SLOT)
    assert [(name, cell.failed) for name, cell in judgement.cells.items() if cell.failed] == []
    assert points(judgement) == {question.name: question.points for question in SETS[number].judge.questions}
    assert judgement.cells["solution-figure"].figures if "solution-figure" in judgement.cells else True


@pytest.mark.parametrize("number", SETS)
def test_another_right_answer_gets_full_marks_in_the_sandbox(number, course, tmp_path):
    for name, answers in right_answers(SETS[number]).items():
        judgement = judge(
            write(handed_in(course, answers, number), tmp_path, number), SETS[number], "a secret", slot=SLOT
        )
        assert points(judgement) == {q.name: q.points for q in SETS[number].judge.questions}, name


def test_it_is_the_students_file_that_is_judged(course, tmp_path):
    """A canary: where the answers are the stubs, or one wrong answer, the reference's points must not appear."""
    judgement = judge(write(handed_in(course, {}), tmp_path), ONE, "a secret", slot=SLOT)
    assert points(judgement) == dict.fromkeys(FULL, 0)
    assert {part.kind for question in judgement.questions for part in question.parts} == {"no answer"}
    question, lost, _, code = wrong_answers(ONE)[0]
    judgement = judge(write(handed_in(course, solutions() | {question: code}), tmp_path), ONE, "a secret", slot=SLOT)
    assert [n for n, part in enumerate(judgement.questions[0].parts) if not part.points] == sorted(lost)
    assert points(judgement) == FULL | {
        question: FULL[question] - sum(ONE.judge.questions[0].parts[n].points for n in lost)
    }


# Each loses the question `scale` (3 points) and nothing else, for the kind of failure that is named. Each is bounded in
# itself as well, by 20 seconds, 200 processes or 2 GB, in case the walls do not hold.
SOON = "import os, time\nend = time.time() + 20\n"
STUBBORN = (
    "while time.time() < end:\n{0}    try:\n{0}        while time.time() < end: pass\n{0}    except BaseException: pass"
)
HOSTILE = {
    "an endless loop": ("time", SOON + "def scale(*a):\n    while time.time() < end: pass\n    return 1.0"),
    "a loop that catches everything": (
        "values",
        SOON + "def scale(*a):\n    " + STUBBORN.format("    ") + "\n    return 1.0",
    ),
    "a loop outside any function": ("cell", SOON + "while time.time() < end: pass\nraise SystemExit"),
    "memory": (
        "memory",
        "def scale(*a):\n    kept = [bytearray(b'x') * (50 * 10**6) for _ in range(40)]\n    return 1.0",
    ),
    "processes": (
        "time",
        SOON + "def scale(*a):\n    for _ in range(200):\n        try:\n            if os.fork() == 0:\n"
        "                time.sleep(20); os._exit(0)\n        except OSError: pass\n    while time.time() < end: pass",
    ),
    "the disk": (
        "error",
        "def scale(*a):\n    for n in range(40): open(f'/tmp/{n}', 'wb').write(bytes(5 * 10**6))\n    return a[0]",
    ),
    "deleting files": ("values", "import shutil\nshutil.rmtree('/', ignore_errors=True)\ndef scale(*a): return 1.0"),
    "a flood of text": (
        "time",
        SOON + "def scale(*a):\n    while time.time() < end: print('x' * 10000); os.write(1, b'x' * 10000)",
    ),
    "killing its process": ("died", "import os\ndef scale(*a): os.kill(os.getpid(), 9)"),
    "leaving": ("error", "def scale(*a): raise SystemExit"),
    "leaving at once": ("died", "import os\ndef scale(*a): os._exit(0)"),
    "atexit": ("values", "import atexit, os\natexit.register(os._exit, 0)\ndef scale(*a): return 1.0"),
    "another allclose": (
        "values",
        "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\ndef scale(*a): return 1.0",
    ),
    "an object that equals everything": (
        "error",
        "class Yes(float):\n    __eq__ = lambda *a: True\n    __class__ = property(lambda self: dict)\n"
        "def scale(*a): return object()",
    ),
    "a pickle": ("error", "class Bomb:\n    def __reduce__(self): return print, ('x',)\ndef scale(*a): return Bomb()"),
    "a forged message": (
        "values",
        "import json, os\nfor fd in range(1, 20):\n    try: os.write(fd, json.dumps({'call': 'scale/0/0', 'value': 1.0,"
        " 'points': 3}).encode() + b'\\n')\n    except OSError: pass\ndef scale(*a): return 1.0",
    ),
    "a message that it has ended": (
        None,
        'import os\nfor fd in range(1, 20):\n    try: os.write(fd, b\'{"at": "end"}\\n\')\n    except OSError: pass\n'
        "def scale(*a): return 1.0",
    ),
    "showtraceback": (
        "error",
        "import sys\nsys.excepthook = lambda *a: None\nclass E(Exception):\n    def __str__(self): raise self\n"
        "def scale(*a): raise E",
    ),
    "memory in its children": (
        "memory",
        SOON + "def scale(*a):\n    for _ in range(7):\n        if os.fork() == 0:\n"
        "            kept = os.urandom(1) * (250 << 20); time.sleep(20); os._exit(0)\n"
        "    while time.time() < end: pass",
    ),
    "memory that is shared": (
        "memory",
        SOON + "import mmap\ndef scale(*a):\n    kept = mmap.mmap(-1, 1900 << 20)\n"
        "    for _ in range(1900): kept.write(bytes(1 << 20))\n    while time.time() < end: pass",
    ),
    "a message that fills memory": (
        "values",
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'{\"a\": [' + b'[],' * 10**6 + b'[]]}\\n')\n"
        "    except OSError: pass\ndef scale(*a): return 1.0",
    ),
    "half of a character": ("error", "def scale(*a): raise ValueError('\\ud800')"),
    "a result without an end": ("error", "def scale(*a):\n    x = []; x.append(x)\n    return x"),
    "a result that is too large": ("error", "import torch\ndef scale(*a): return torch.zeros(10**7)"),
}


@needs_walls
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_costs_its_own_question(name, course, tmp_path):
    kind, code = HOSTILE[name]
    path = write(handed_in(course, solutions() | {"scale": code}), tmp_path)
    start = time.monotonic()
    judgement = judge(path, ONE, "a secret", SHORT, SLOT)
    assert time.monotonic() - start < 6 * SHORT.run
    if kind is None:  # it ended its own run: what came before counts
        assert points(judgement)["scale"] == 0
        return
    assert points(judgement) == FULL | {"scale": 0}
    [part] = [part for question in judgement.questions if question.name == "scale" for part in question.parts]
    assert part.kind == kind, part
    assert part.remark


# What a set refuses, reached for by names that no reading of the cell finds; each loses its own question.
DETOURS = {
    "1": {
        "heads": "F = getattr(torch._C._nn, 'scaled_dot' + '_product_attention')\ndef attend_heads(q, k, v, sizes):\n"
        "    parts = zip(*(each.split(sizes, -1) for each in (q, k, v)))\n"
        "    return torch.cat([F(*part) for part in parts], -1)",
    },
    "2": {
        "backward": "def backward(x, a, b, u):\n    x = x.clone().requires_grad_()\n"
        "    (torch.sigmoid(a * x.mean() + b) * x * u).sum().backward()\n    return getattr(x, 'gr' + 'ad')",
    },
    "3": {
        "normalise": "def normalise(x, g, b, m, v, training, momentum, eps):\n"
        "    y = getattr(torch.ops.aten, 'native_batch' + '_norm')(x, g, b, m, v, training, momentum, eps)[0]\n"
        "    return y, m, v",
    },
    "4": {
        "deal": "def deal(x, sizes): return getattr(torch, 'native_channel' + '_shuffle')(x, len(sizes))",
        "local": "def local_mean(x, size):\n    mean = getattr(torch.nn.functional, 'avg' + '_pool2d')\n"
        "    return mean(x[None], size, 1, size // 2, count_include_pad=False)[0]",
    },
}


@needs_walls
@pytest.mark.parametrize("number", DETOURS)
def test_a_detour_to_what_is_refused_gains_nothing(number, course, tmp_path):
    path = write(handed_in(course, solutions(number) | DETOURS[number], number), tmp_path, number)
    judgement = judge(path, SETS[number], "a secret", SHORT, SLOT)
    full = {question.name: question.points for question in SETS[number].judge.questions}
    lost = {*DETOURS[number], *(["gate"] if number == "3" else [])}  # which calls `normalise`
    assert points(judgement) == full | dict.fromkeys(lost, 0)
    assert {each.partition(":")[0] for each in judgement.detours} == {f"answer-{name}" for name in DETOURS[number]}
    for question in judgement.questions:
        if question.name in DETOURS[number]:
            assert all("may not be used here" in part.remark for part in question.parts), question


@needs_walls
def test_differences_of_outputs_are_no_gradient(course, tmp_path):
    code = "def backward(x, a, b, u):\n    f = lambda x: (torch.sigmoid(a * x.mean() + b) * x * u).sum()\n"
    code += "    steps = 1e-5 * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)\n"
    code += "    return torch.stack([(f(x + s) - f(x - s)) / 2e-5 for s in steps]).reshape(x.shape)"
    path = write(handed_in(course, solutions("2") | {"backward": code}, "2"), tmp_path, "2")
    assert points(judge(path, SETS["2"], "a secret", SHORT, SLOT))["backward"] == 0


@needs_walls
def test_a_cell_as_a_notebook_takes_it_gets_full_marks(course, tmp_path):
    """With %words, !words, display, and a function of the student's own that has a refused one's name."""
    right = solutions()
    answers = right | {
        "scale": f"%matplotlib inline\n!pip list\n{right['scale']}\n%time scale(4, 1.0, 1.0)\nscale?\ndisplay(1)",
        "entropy": f"%%time\n{right['entropy']}",
        "heads": "def scaled_dot_product_attention(q, k, v):\n"
        "    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v\n"
        "def attend_heads(q, k, v, sizes):\n    parts = zip(*(each.split(sizes, -1) for each in (q, k, v)))\n"
        "    return torch.cat([scaled_dot_product_attention(*part) for part in parts], -1)",
    }
    judgement = judge(write(handed_in(course, answers), tmp_path), ONE, "a secret", SHORT, SLOT)
    assert points(judgement) == FULL, judgement.questions


LOOKS = """
import os, socket
found = []
for place in {places!r}:
    try:
        os.listdir(place) if os.path.isdir(place) else open(place).read()
        found.append(place)
    except OSError:
        pass
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53)):
    try:
        socket.create_connection(address, 2)
        found.append(address)
    except OSError:
        pass
for name in ("attnlib", "classroom", "timm", "torchvision", "nbgrader", "pytest"):
    try:
        __import__(name)
        found.append(name)
    except ImportError:
        pass
for place in ("/judge/runner.py", "/x", "/usr/x", "/dev/x"):
    try:
        open(place, "a").close()
        found.append("wrote " + place)
    except OSError:
        pass
print("found", found)
"""


@needs_walls
def test_a_submission_sees_nothing_of_this_machine(course, tmp_path):
    import socket

    other = write(handed_in(course, {}), tmp_path / "other")
    places = [str(other), str(course.root), str(ONE.folder / "judge.py"), str(course.root / "gradebook.db"), "/home"]
    places += [str(REPOSITORY / "README.md"), str(tmp_path), "../../gradebook.db"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = LOOKS.format(places=places, port=server.getsockname()[1])
        path = write(handed_in(course, solutions() | {"solution": code}), tmp_path)
        judgement = judge(path, ONE, "a secret", slot=SLOT)
    printed = [cell.printed for cell in judgement.cells.values() if cell.printed.startswith("found")]
    assert printed == ["found []\n"]
    assert points(judgement) == FULL


def test_without_walls_it_warns_or_refuses(course, tmp_path, monkeypatch):
    """As root it needs another user, and a Python which that user may read; else it says what to do."""
    monkeypatch.setattr(sandbox, "walled", lambda: None)
    path = write(handed_in(course, solutions()), tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            judgement = judge(path, ONE, "a secret", slot=SLOT)
        except sandbox.Unsafe as error:
            assert "apt install bubblewrap" in str(error)
            return
    assert any("can reach the network" in str(each.message) for each in told)
    assert points(judgement) == FULL


def test_the_book_for_teachers_has_the_solutions_and_the_other_has_not(tmp_path):
    copy_with_sets(REPOSITORY, tmp_path / "with")
    copy_sources(REPOSITORY, tmp_path / "without")
    for chosen in SETS.values():
        lines = {json.dumps(line)[1:-1] for line in solution_lines(chosen)}
        held = (tmp_path / "with" / "notebooks" / "assignments" / f"{chosen.name}.ipynb").read_text(encoding="utf-8")
        assert all(line in held for line in lines)
        assert f"notebooks/assignments/{chosen.name}" in (tmp_path / "with" / "_toc.yml").read_text()
    assert not list((tmp_path / "without").rglob("assignments"))


# ---- the whole way ----


def test_ten_submissions_from_grading_to_scores(course, tmp_path, capsys):
    handed = tmp_path / "handed in"
    question, _, _, code = wrong_answers(ONE)[3]
    write(handed_in(course, solutions()), handed / "ada")
    write(handed_in(course, right_answers(ONE)["right_numpy"]), handed / "ben" / ONE.name)
    write(handed_in(course, solutions() | {question: code}), handed / "cem")
    write(handed_in(course, solutions() | {"heads": "def attend_heads(:"}), handed / "dana")
    write(handed_in(course, solutions() | {"scale": HOSTILE["killing its process"][1]}), handed / "eve")
    (handed / "finn").mkdir()  # nothing
    write(handed_in(course, solutions()), handed / "gil").rename(handed / "gil" / "homework.ipynb")
    (handed / "hana").mkdir()
    (handed / "hana" / f"{ONE.name}.ipynb").write_bytes(b"\xff\xfe{}")
    (handed / "ivo").mkdir()
    (handed / "ivo" / f"{ONE.name}.ipynb").write_text('{"cells": [')
    odd = handed_in(course, solutions())
    odd.cells.append(
        nbformat.v4.new_code_cell("1", metadata={"nbgrader": {"grade": True, "points": 100, "grade_id": 7}})
    )
    odd.cells.append(nbformat.v4.new_markdown_cell("<script>alert(1)</script> <img src=x onerror=alert(2)>"))
    write(odd, handed / "kim")
    (handed / "jan").mkdir()
    (handed / "jan" / f"{ONE.name}.ipynb").symlink_to(handed / "ada" / f"{ONE.name}.ipynb")
    (course.root / "roster.csv").write_text(
        "id,first_name,last_name,email\nada,Ada,=cmd,ada@example.org\nzoe,Zoe,Late,zoe@example.org\n", encoding="utf-8"
    )
    assert len(collect(course, ONE, handed)) == 11
    graded = grade(course, ONE)
    got = {student: None if j.not_gradable else sum(points(j).values()) for student, j in graded.items()}
    full = sum(FULL.values())
    lost = {"cem": FULL["scale"], "dana": FULL["heads"], "eve": FULL["scale"]}
    assert got == {
        **{student: full - lost.get(student, 0) for student in ("ada", "ben", "cem", "dana", "eve", "kim")},
        **dict.fromkeys(("finn", "gil", "hana", "ivo", "jan", "zoe")),
    }
    reasons = {student: judgement.not_gradable for student, judgement in graded.items()}
    assert "homework.ipynb" in reasons["gil"]
    assert "UTF-8" in reasons["hana"] and "damaged" in reasons["ivo"] and "link" in reasons["jan"]

    files = {path.name: path for path in feedback(course, ONE)}
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(files[f"{ONE.name}.csv"].read_text()))}
    assert {student: row["points"] for student, row in rows.items()} == {
        student: "" if value is None else f"{value:g}" for student, value in got.items()
    }
    assert rows["ada"]["last_name"] == "'=cmd", "a spreadsheet must not run a name"
    canvas = list(csv.reader(io.StringIO(files[f"{ONE.name}-canvas.csv"].read_text())))
    assert canvas[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert canvas[1][0].strip() == "Points Possible" and float(canvas[1][5]) == full + 6  # with the two texts
    assert canvas[2][2:] == ["ada", "ada@example.org", "", f"{full:g}"]
    page = (course.root / "feedback" / "cem" / ONE.name / f"{ONE.name}.html").read_text()
    assert "queries and keys have a standard deviation of 1" in page
    assert "not gradable" in (course.root / "feedback" / "gil" / ONE.name / f"{ONE.name}.html").read_text()
    hidden = [
        line for line in (ONE.folder / "judge.py").read_text().splitlines() if len(line) > 50 and "Mistake" not in line
    ]
    assert "<script>alert" not in "".join(p.read_text() for p in course.root.glob("feedback/*/*/*.html"))
    for student in ("cem", "dana", "eve"):
        text = (course.root / "feedback" / student / ONE.name / f"{ONE.name}.html").read_text()
        assert not [line for line in hidden if line.strip() in text], "feedback shows no hidden test"
    assert "zoe" in files[f"{ONE.name}.html"].read_text()

    before = {student: course.judged(student, ONE).stat().st_mtime_ns for student in graded}
    again = grade(course, ONE)  # nothing has changed, so nothing is judged
    assert again == graded
    assert {student: course.judged(student, ONE).stat().st_mtime_ns for student in graded} == before


def rightly(job: dict, *_) -> sandbox.Run:
    """In the place of a sandbox: right results of every question whose cell would run."""
    cells, messages = {cell["id"] for cell in job["cells"]}, [{"at": "start"}]
    for call in job["calls"]:
        name, part, _ = call["id"].split("/")
        if f"answer-{name}" in cells:
            right = ONE.judge.question(name).parts[int(part)].right
            messages.append({"call": call["id"], "value": encode(right(*map(decode, call["arguments"])))})
        else:
            messages.append({"call": call["id"], "failed": {"kind": "missing", "text": "there is none"}})
    return sandbox.Run([*messages, {"at": "end"}], "itself")


def test_nothing_in_a_notebook_makes_nbgrader_give_points_or_stops_the_class(course, tmp_path, monkeypatch):
    """Metadata that was edited, cells that were copied, deleted or exchanged, and a text that is never done."""
    monkeypatch.setattr(sandbox, "run", rightly)
    monkeypatch.setattr(nbgrader_calls, "MOST_SECONDS", 8)
    here = Course.at(tmp_path / "course")
    release(here, ONE)

    def named(notebook):
        found = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in notebook.cells}
        return {name: cell for name, cell in found.items() if name}

    names = ("copied", "deleted", "exchanged", "raised")
    odd = {name: handed_in(course, {"scale": solutions()["scale"]}) for name in names}
    odd["copied"].cells += [copy.deepcopy(cell) for cell in named(handed_in(course, {})).values()]
    odd["deleted"].cells = [named(odd["deleted"])["answer-scale"]]
    swapped = named(odd["exchanged"])
    names_of_others = {"tests-scale": "tests-heads", "tests-heads": "written-why", "written-why": "tests-weights"}
    for name, other in names_of_others.items():
        swapped[name].metadata.nbgrader["grade_id"] = other
    for name, cell in named(odd["raised"]).items():
        cell.metadata.nbgrader.update(points=100, grade=True, solution=False, task=True)
        if name.startswith("tests-"):
            cell.cell_type = "markdown"
            del cell["outputs"], cell["execution_count"]
    odd["slow"] = handed_in(course, solutions())
    odd["slow"].cells.append(nbformat.v4.new_markdown_cell("<a " * 500_000))
    odd["zoe"] = handed_in(course, solutions())
    for student, notebook in odd.items():
        here.submitted(student, ONE).parent.mkdir(parents=True)
        here.submitted(student, ONE).write_text(json.dumps(notebook), encoding="utf-8")
    judgements = grade(here, ONE)
    assert {student for student, judgement in judgements.items() if judgement.not_gradable} == {"slow"}
    assert "8 seconds of the processor" in judgements["slow"].not_gradable
    files = {path.name: path for path in feedback(here, ONE)}
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(files[f"{ONE.name}.csv"].read_text()))}
    got = {student: row["points"] for student, row in rows.items()}
    full, scale = f"{sum(FULL.values()):g}", f"{FULL['scale']:g}"
    assert got == dict.fromkeys(names, scale) | {"slow": "", "zoe": full}
    assert {row["most"] for row in rows.values()} == {f"{sum(FULL.values()) + 6:g}"}


def test_a_course_of_nbgraders_goes_on(course, tmp_path):
    """A person's points stay when grading goes on, nbgrader's own command calls the judge, and its export agrees."""
    here = Course.at(tmp_path / "course")
    release(here, ONE)
    answers = solutions() | {"scale": "def scale(*a): return 1.0"}
    notebook = handed_in(course, answers)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "written-why":
            cell.source = "Variances of independent products add up. [a link](javascript:alert(1))"
    notebook.cells = [cell for cell in notebook.cells if "entropy" not in str(cell.metadata.get("nbgrader", ""))]
    write(notebook, here.submitted("ada", ONE).parent)
    [judgement] = grade(here, ONE).values()
    full = sum(FULL.values()) - FULL["scale"] - FULL["entropy"]
    assert not judgement.not_gradable and sum(points(judgement).values()) == full

    database = f"sqlite:///{here.root / 'gradebook.db'}"
    with Gradebook(database) as gradebook:
        for name, given in (("written-why", 3.0), ("tests-scale", 1.0)):
            found = gradebook.find_grade(name, ONE.name, ONE.name, "ada")
            found.manual_score, found.needs_manual_grade = given, False
        gradebook.find_comment("written-why", ONE.name, ONE.name, "ada").manual_comment = "Where is the mean?"
        gradebook.db.commit()
    grade(here, ONE)  # nothing is new
    files = {path.name: path for path in feedback(here, ONE)}
    [row] = csv.DictReader(io.StringIO(files[f"{ONE.name}.csv"].read_text()))
    assert (row["points"], row["why"], row["scale"]) == (f"{full + 4:g}", "3", "1")
    page = (here.root / "feedback" / "ada" / ONE.name / f"{ONE.name}.html").read_text()
    assert "Where is the mean?" in page and "javascript:alert" not in page

    command = [sys.executable, "-m", "nbgrader", "export", "--to", str(tmp_path / "export.csv")]
    environment = {name: value for name, value in os.environ.items() if name != "COURSE"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    subprocess.run(command, cwd=here.root, env=environment, check=True, capture_output=True)
    [exported] = csv.DictReader((tmp_path / "export.csv").open())
    assert float(exported["score"]) == float(row["points"]) and exported["max_score"] == row["most"] + ".0"

    cell = next(each for each in notebook.cells if each.source == answers["scale"])
    cell.source = solutions()["scale"]  # handed in again
    path = write(notebook, here.submitted("ada", ONE).parent)
    command = [sys.executable, "-m", "nbgrader", "autograde", ONE.name, "--force"]
    done = subprocess.run(command, cwd=here.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert load(here.judged("ada", ONE)).fingerprint == fingerprint(path, ONE, here.secret)
    with Gradebook(database) as gradebook:
        found = gradebook.find_grade("tests-scale", ONE.name, ONE.name, "ada")
        assert (found.auto_score, found.manual_score, found.needs_manual_grade) == (FULL["scale"], 1.0, True)


def test_grading_goes_on_after_it_was_killed(course, tmp_path):
    chosen = SETS["3"]
    here = Course.at(tmp_path / "course")
    release(here, chosen)
    for student in "abc":
        write(handed_in(course, solutions("3"), "3"), here.submitted(student, chosen).parent, "3")
    command = [sys.executable, "-m", "classroom", "grade", "3", "--at-once", "1", "--course", str(here.root)]
    environment = {**os.environ, "COURSE": str(here.root)}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    while not here.judged("a", chosen).exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.1)
    process.kill()
    process.wait()
    first = here.judged("a", chosen).read_bytes()
    finished = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert here.judged("a", chosen).read_bytes() == first
    full = sum(question.points for question in chosen.judge.questions)
    for student in "abc":
        assert f"{student}: {full:g} of {full:g}" in finished.stdout
