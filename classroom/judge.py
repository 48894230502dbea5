"""One submission: read it, run it in the sandbox, compare what comes back."""

import ast
import hashlib
import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from pydantic import BaseModel, BeforeValidator

from classroom import sandbox
from classroom.questions import Part, Question, draw
from classroom.sandbox import Limits
from classroom.sets import Set, stub
from classroom.wire import decode, encode

MOST_BYTES = 20 * 2**20  # of a notebook
MOST_CELLS, MOST_OUTPUTS, MOST_CODE = 1000, 10_000, 500_000  # characters of all code cells
KINDS = ("time", "memory", "syntax", "error", "missing", "output", "died", "not reached")  # of failure, by the runner
# ways to something by a detour; an answer has no use for them, so that a person looks at one that has
DETOURS = {"__import__", "delattr", "eval", "exec", "getattr", "globals", "locals", "setattr", "vars"}
DETOURS_INTO = {"_C", "__dict__", "__globals__", "_getframe", "builtins", "ctypes", "gc", "importlib", "inspect"}
DETOURS_INTO |= {"jit", "ops", "os", "pickle", "subprocess", "sys"}
BASE64 = re.compile(r"[A-Za-z0-9+/]{1,400000}={0,2}")
MOST_RUNS = 6  # a run that is stopped is tried again without what it was stopped at
NO_ANSWER = "no answer: the cell is as it was handed out"


class NotGradable(Exception):
    """A submission that cannot be judged, which is not the same as one without points; the message says why."""


# half of a surrogate pair is a character to Python and to no file
Text = Annotated[str, BeforeValidator(lambda text: text.encode("utf-8", "replace").decode())]


class PartResult(BaseModel):
    name: str
    points: float
    most: float
    remark: Text = ""
    kind: str = ""  # of failure: values, time, error, missing ...


class QuestionResult(BaseModel):
    name: str
    parts: list[PartResult]

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)

    @property
    def most(self) -> float:
        return sum(part.most for part in self.parts)


class CellResult(BaseModel):
    """What a cell left when the judge ran it."""

    printed: Text = ""
    figures: list[str] = []
    failed: Text = ""


class Judgement(BaseModel):
    """What the judge says of one submission; the file that grading goes on from.

    Attributes:
        fingerprint: of all that it depends on; empty where the submission is to be judged again.
        not_gradable: why; empty where it could be judged.
        questions: with the points of their parts.
        cells: what each left.
        detours: cells that reach for something by a detour, such as getattr: for a person to look at.
        seconds: that judging took.
    """

    fingerprint: str
    not_gradable: Text = ""
    questions: list[QuestionResult] = []
    cells: dict[str, CellResult] = {}
    detours: list[Text] = []
    seconds: float = 0.0


def fingerprint(path: Path, chosen: Set, secret: str) -> str:
    """Of all that a judgement depends on: the submission, the set with its judge, the secret."""
    digest = hashlib.sha256(secret.encode())
    code = [chosen.folder / "set.py", chosen.folder / "judge.py", *sorted(Path(__file__).parent.glob("*.py"))]
    for each in (path, *code):
        digest.update(hashlib.sha256(_data(each)).digest())
    return digest.hexdigest()


def _data(path: Path) -> bytes:
    """What is read of a file; of one that is not read at all, why."""
    try:
        if path.is_symlink() or not path.is_file():
            return b"no file"
        size = path.stat().st_size
        return path.read_bytes() if size <= MOST_BYTES else f"{size} bytes".encode()
    except OSError as error:
        return str(error).encode("utf-8", "replace")


def read(path: Path, chosen: Set) -> NotebookNode:
    """A submitted notebook.

    Raises:
        NotGradable: there is none, or it is not this set's; the message is for student and teacher.
    """
    for each in (path, path.parent, path.parent.parent):  # the notebook, the set's folder, the student's
        if each.is_symlink():
            raise NotGradable(f"{each.name} is a link to another file or folder; hand in the file itself")
    if not path.exists():
        others = sorted(each.name for each in path.parent.glob("*") if each.is_file()) if path.parent.is_dir() else []
        has = f"what is there: {', '.join(others[:5])}" if others else "nothing is there"
        raise NotGradable(f"there is no {path.name}; {has}")
    if not path.is_file():
        raise NotGradable(f"{path.name} is no file")
    if path.stat().st_size > MOST_BYTES:
        size, most = path.stat().st_size / 2**20, MOST_BYTES // 2**20
        raise NotGradable(f"{path.name} has {size:.0f} MiB, at most {most} are read")
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_odd(json.loads(text), path.name)
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except NotGradable:
        raise
    except UnicodeDecodeError as error:
        raise NotGradable(f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (RecursionError, MemoryError) as error:
        raise NotGradable(f"{path.name} is damaged: its nesting cannot be read") from error
    except Exception as error:  # whatever a damaged file makes nbformat raise
        raise NotGradable(f"{path.name} is damaged: {type(error).__name__}: {str(error)[:200]}") from error
    answers = {f"answer-{question.name}" for question in chosen.judge.questions}
    if not answers & {name_of(cell) for cell in notebook.cells}:
        raise NotGradable(f"{path.name} has none of the answer cells of {chosen.name}; is it another notebook?")
    return notebook


def _refuse_odd(found: Any, name: str) -> None:
    """Notebooks that are text and JSON, and that still nobody should work on.

    Raises:
        NotGradable: it has no cells, or more of something than anyone writes, or halves of characters.
    """
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise NotGradable(f"{name} is no notebook of format 4: it has no list of cells")
    outputs = [cell.get("outputs") for cell in cells if isinstance(cell, dict)]
    if len(cells) > MOST_CELLS or sum(len(each) for each in outputs if isinstance(each, list)) > MOST_OUTPUTS:
        raise NotGradable(f"{name} has more than {MOST_CELLS:,} cells or {MOST_OUTPUTS:,} outputs")
    code = [
        "".join(each.get("source") or "")
        for each in cells
        if isinstance(each, dict) and each.get("cell_type") == "code"
    ]
    if sum(map(len, code)) > MOST_CODE:  # Python reads code into a thousand times its size
        raise NotGradable(f"{name} has more than {MOST_CODE:,} characters of code")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotGradable(f"{name} has a character that is half of one: {error.object[error.start]!a}") from error


def name_of(cell: NotebookNode) -> str:
    found = cell.metadata.get("nbgrader")
    name = found.get("grade_id") if isinstance(found, dict) else None
    return name if isinstance(name, str) else ""


def judge(path: Path, chosen: Set, secret: str, limits: Limits | None = None, slot: int = 0) -> Judgement:
    """Judge one notebook.

    Args:
        path: of the notebook.
        chosen: the set that it answers.
        secret: the course's, from which the inputs are drawn, together with the notebook: who hands in a table of
            results, found with the inputs that an earlier feedback told, is asked something else.
        limits: of a run.
        slot: 0, 1, ... for judges at work at the same time.

    Raises:
        Unsafe: there is no way here to run a student's code without danger.
        TimeoutError: the sandbox did not come so far as to run a cell.
    """
    start = time.perf_counter()
    mark = fingerprint(path, chosen, secret)
    try:
        notebook = read(path, chosen)
    except NotGradable as error:
        return Judgement(fingerprint=mark, not_gradable=str(error))
    cells, refused = _cells(notebook, chosen)
    calls = _calls(chosen, hashlib.sha256(secret.encode() + _data(path)).hexdigest())
    results, left = _run(chosen, cells, calls, limits or Limits(), slot)
    left |= {name: CellResult(failed=why) for name, why in refused.items()}
    questions = []
    for question in chosen.judge.questions:
        parts = [_part(question, part, n, calls, results, left) for n, part in enumerate(question.parts)]
        questions.append(QuestionResult(name=question.name, parts=beside(question, parts)))
    return Judgement(
        fingerprint=mark,
        questions=questions,
        cells=left,
        detours=[f"{cell['id']}: {', '.join(names)}" for cell in cells if (names := detours(cell["source"]))],
        seconds=time.perf_counter() - start,
    )


# ---- what is run ----


def _cells(notebook: NotebookNode, chosen: Set) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The code cells to run, and why others are refused.

    What the set locks comes from the set, at the top where a student has deleted it; visible checks are left out,
    since the judge has its own. A copy of an answer cell is run as any cell, unless nothing was written into it.
    """
    locked = {name_of(cell): cell.source for cell in chosen.notebook.cells if name_of(cell).startswith("locked-")}
    given = {name_of(cell): stub(cell.source).split() for cell in chosen.notebook.cells}
    there = {name_of(cell) for cell in notebook.cells if cell.cell_type == "code"}
    sources = {name: source for name, source in locked.items() if name not in there}
    refused: dict[str, str] = {}
    for number, cell in enumerate(notebook.cells):
        name = name_of(cell) or f"cell-{number}"
        if name.startswith("answer-") and cell.cell_type != "code":
            refused.setdefault(name, f"its cell is a {cell.cell_type} cell now, which is not run; make it code again")
        elif name.startswith("answer-") and cell.source.split() == given.get(name):
            refused.setdefault(name, NO_ANSWER)
        elif cell.cell_type != "code" or name.startswith("tests-"):
            continue
        else:
            source = locked[name] if name in locked else in_python(cell.source)
            if name not in locked and (why := _refusal(source, chosen.judge.refused)):
                refused[name] = why
            else:
                sources[f"{name}, again in cell {number}" if name in sources else name] = source
    cells = [{"id": name, "source": source} for name, source in sources.items()]
    return cells, {name: why for name, why in refused.items() if name not in sources}


def in_python(source: str) -> str:
    """A cell without IPython's own words, such as %time and !ls, which a notebook takes beside Python."""
    try:
        ast.parse(source)
        return source
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    if len(source) > 20_000 or sum(map(source.count, "%!?")) > 100:
        return source  # each of them makes IPython read all of the cell again
    try:
        return TransformerManager().transform_cell(source)
    except Exception:  # it is neither; the runner says so in the student's own lines
        return source


def _used(source: str) -> tuple[set[str], set[str]]:
    """(names of variables, names behind a dot or behind import) of a cell; nothing where it cannot be read."""
    names, inside = set[str](), set[str]()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        nodes = []  # the runner says why
    for node in nodes:
        match node:
            case ast.Name():
                names.add(node.id)
            case ast.Attribute():
                inside.add(node.attr)
            case ast.alias():
                inside |= set(node.name.split("."))
            case ast.ImportFrom():
                inside |= set((node.module or "").split("."))
    return names, inside


def _refusal(source: str, refused: dict[str, str]) -> str:
    """What a cell takes from torch that the set refuses; nothing where there is none.

    This is where a student is told. Names that come another way meet what the runner has put in their place.
    """
    for name in sorted(_used(source)[1]):
        for pattern, why in refused.items():
            if fnmatchcase(name, pattern):
                return f"{name} may not be used here: {why}"
    return ""


def detours(source: str) -> list[str]:
    """What a cell uses of `DETOURS`; a person judges whether that was to get at what the set refuses."""
    names, inside = _used(source)
    return sorted((names & DETOURS) | (inside & DETOURS_INTO))


@dataclass(frozen=True)
class _Call:
    question: Question
    part: int
    arguments: tuple

    def message(self, name: str) -> dict[str, Any]:
        return {"id": name, "function": self.question.function, "arguments": [encode(a) for a in self.arguments]}


def _calls(chosen: Set, seed: str) -> dict[str, _Call]:
    """Every call of the judge by its name, with inputs drawn from the seed."""
    calls = {}
    for question in chosen.judge.questions:
        for number, part in enumerate(question.parts):
            inputs = part.inputs(draw(seed, chosen.name, question.name, part.name))
            for each, arguments in enumerate(inputs):
                calls[f"{question.name}/{number}/{each}"] = _Call(question, number, arguments)
    return calls


def _run(
    chosen: Set, cells: list[dict[str, str]], calls: dict[str, _Call], limits: Limits, slot: int
) -> tuple[dict[str, dict[str, Any]], dict[str, CellResult]]:
    """(what came of each call, what each cell left), in as many runs as it takes.

    Raises:
        TimeoutError: the sandbox did not come so far as to run a cell, as on a machine that has too much to do.
    """
    results: dict[str, dict[str, Any]] = {}
    left: dict[str, CellResult] = {}
    stopped: dict[str, CellResult] = {}
    messages = {name: call.message(name) for name, call in calls.items()}
    end = time.monotonic() + limits.submission
    for _ in range(MOST_RUNS):
        seconds = min(limits.run, end - time.monotonic())
        if seconds <= 0:
            break
        job = {
            "cells": [cell for cell in cells if cell["id"] not in stopped],
            "calls": [message for name, message in messages.items() if name not in results],
            "refused": chosen.judge.refused,
        }
        run = sandbox.run(job, list(chosen.judge.packages), replace(limits, run=seconds), slot)
        at = _read(run.messages, {cell["id"] for cell in job["cells"]}, calls, results, left)
        if run.ended == "itself":
            break
        if at[0] == "start" and seconds == limits.run:  # no line of the student's has run, so none can be at fault
            raise TimeoutError(f"the sandbox ran no cell within {seconds:.0f} seconds; it ended by: {run.ended}")
        why = {
            "time": f"it was stopped: all of it took more than {seconds:.0f} seconds",
            "memory": "it was stopped: all its processes together held more memory than they may",
            "output": "it was stopped: it wrote more than it may",
            "died": "its process ended: killed, out of memory or of a limit",
        }[run.ended]
        if at[0] == "cell" and at[1] not in stopped:
            stopped[at[1]] = CellResult(failed=why)
        elif at[0] == "call" and at[1] in calls:
            part = at[1].rpartition("/")[0] + "/"  # its points are lost, so its other inputs are not tried
            for name in calls:
                if name.startswith(part):
                    results.setdefault(name, {"failed": {"kind": run.ended, "text": why}})
        else:
            break
    for name in calls:
        results.setdefault(name, {"failed": {"kind": "not reached", "text": "the judge did not come so far"}})
    return results, left | stopped


def _read(
    messages: list[dict[str, Any]],
    cells: set[str],
    calls: dict[str, _Call],
    results: dict[str, dict[str, Any]],
    left: dict[str, CellResult],
) -> tuple[str, str]:
    """Take over what a run said, as far as it makes sense; where it was last."""
    at = ("start", "")
    for message in messages:
        if isinstance(message.get("at"), str):
            at = (message["at"], str(message.get("id", "")))
        elif isinstance(message.get("call"), str) and message["call"] in calls:
            results.setdefault(message["call"], message)
        elif isinstance(message.get("cell"), str) and message["cell"] in cells:
            failed = message.get("failed")
            left[message["cell"]] = CellResult(
                printed=str(message.get("printed", ""))[:20_000],
                figures=_pictures(message.get("figures")),
                failed=_text(failed) if failed else "",
            )
    return at


def _pictures(found: Any) -> list[str]:
    """What is base64 indeed: it comes to stand in a page."""
    kept = [f for f in found if isinstance(f, str) and BASE64.fullmatch(f)] if isinstance(found, list) else []
    return kept[:4]


def _text(failed: Any) -> str:
    return str(failed.get("text", ""))[:2000] if isinstance(failed, dict) else "it failed"


# ---- what comes of it ----


def _part(
    question: Question,
    part: Part,
    number: int,
    calls: dict[str, _Call],
    results: dict[str, dict[str, Any]],
    left: dict[str, CellResult],
) -> PartResult:
    """A part's points: all of them where every result is right."""
    for name, call in calls.items():
        if call.question is not question or call.part != number:
            continue
        kind, remark = _wrong(question, part, call, results[name], left)
        if kind:
            return PartResult(name=part.name, points=0, most=part.points, remark=remark, kind=kind)
    return PartResult(name=part.name, points=part.points, most=part.points)


def _wrong(
    question: Question, part: Part, call: _Call, result: dict[str, Any], left: dict[str, CellResult]
) -> tuple[str, str]:
    """(kind of failure, remark), both empty where the result is right."""
    failed = result.get("failed")
    if failed:
        kind = failed.get("kind") if isinstance(failed, dict) else None
        kind = kind if kind in KINDS else "error"
        cell = left.get(f"answer-{question.name}")
        if kind == "missing" and cell is not None and cell.failed:
            return ("no answer", "") if cell.failed == NO_ANSWER else ("cell", f"its cell failed: {cell.failed}")
        return kind, _text(failed)
    try:
        given = decode(result.get("value"))
    except (ValueError, TypeError, RecursionError):
        return "error", "what it returned could not be read"
    complaint = part.complaint(call.arguments, given)
    if complaint is None:
        return "", ""
    remarks = {mistake.remark for mistake in part.mistakes}
    return ("mistake" if complaint in remarks else "values"), complaint[:500]


def beside(question: Question, parts: list[PartResult]) -> list[PartResult]:
    """The results of a question's parts, where those at the edge count beside another one alone."""
    edges = {part.name for part in question.parts if part.edge}
    if any(part.points for part in parts if part.name not in edges):
        return parts
    lost = {"points": 0.0, "kind": "edge", "remark": "its points count where another part of the question is right"}
    return [part.model_copy(update=lost) if part.name in edges and part.points else part for part in parts]


def by_kind(judgements: list[Judgement]) -> dict[str, dict[str, int]]:
    """{question: {remark or kind: how many}}: what a class got wrong."""
    counted: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for judgement in judgements:
        for question in judgement.questions:
            for part in question.parts:
                if part.kind:
                    label = part.remark if part.kind == "mistake" else part.kind
                    counted[question.name][label] += 1
    return {name: dict(kinds) for name, kinds in counted.items()}


def load(path: Path) -> Judgement | None:
    """A judgement from its file; None where there is none or only half of one."""
    try:
        return Judgement.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
