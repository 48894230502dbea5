"""One submission: read it, run it in the sandbox, compare what comes back."""

import ast
import hashlib
import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from pydantic import BaseModel

from classroom import sandbox
from classroom.questions import Part, Question, draw
from classroom.sandbox import Limits
from classroom.sets import Set, stub
from classroom.wire import decode, encode

MOST_BYTES = 20 * 2**20  # of a notebook
KINDS = ("time", "memory", "syntax", "error", "missing", "output", "died", "not reached")  # of failure, by the runner
BASE64 = re.compile(r"[A-Za-z0-9+/]{1,400000}={0,2}")
MOST_RUNS = 6  # a run that is stopped is tried again without what it was stopped at
NO_ANSWER = "no answer: the cell is as it was handed out"


class NotGradable(Exception):
    """A submission that cannot be judged, which is not the same as one without points; the message says why."""


class PartResult(BaseModel):
    name: str
    points: float
    most: float
    remark: str = ""
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

    printed: str = ""
    figures: list[str] = []
    failed: str = ""


class Judgement(BaseModel):
    """What the judge says of one submission; the file that grading goes on from."""

    fingerprint: str
    not_gradable: str = ""
    questions: list[QuestionResult] = []
    cells: dict[str, CellResult] = {}
    seconds: float = 0.0


def fingerprint(path: Path, chosen: Set, secret: str) -> str:
    """Of all that a judgement depends on: the submission, the set with its judge, the secret."""
    digest = hashlib.sha256(secret.encode())
    code = [chosen.folder / "set.py", chosen.folder / "judge.py", *sorted(Path(__file__).parent.glob("*.py"))]
    for each in (path, *code):
        data = each.read_bytes() if each.is_file() and not each.is_symlink() else b"nothing"
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def read(path: Path, chosen: Set) -> NotebookNode:
    """A submitted notebook.

    Raises:
        NotGradable: there is none, or it is not this set's; the message is for student and teacher.
    """
    if path.is_symlink():
        raise NotGradable(f"{path.name} is a link to another file; hand in the file itself")
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
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
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


def name_of(cell: NotebookNode) -> str:
    found = cell.metadata.get("nbgrader")
    name = found.get("grade_id") if isinstance(found, dict) else None
    return name if isinstance(name, str) else ""


def judge(path: Path, chosen: Set, secret: str, limits: Limits | None = None, slot: int = 0) -> Judgement:
    """Judge one notebook.

    Args:
        path: of the notebook.
        chosen: the set that it answers.
        secret: the course's, from which the inputs are drawn.
        limits: of a run.
        slot: 0, 1, ... for judges at work at the same time.

    Raises:
        Unsafe: there is no way here to run a student's code without danger.
    """
    start = time.perf_counter()
    mark = fingerprint(path, chosen, secret)
    try:
        notebook = read(path, chosen)
    except NotGradable as error:
        return Judgement(fingerprint=mark, not_gradable=str(error))
    cells, refused = _cells(notebook, chosen)
    refused |= {f"answer-{name}": NO_ANSWER for name in _untouched(notebook, chosen)}
    cells = [cell for cell in cells if cell["id"] not in refused]
    calls = _calls(chosen, secret)
    results, left = _run(chosen, cells, calls, limits or Limits(), slot)
    left |= {name: CellResult(failed=why) for name, why in refused.items()}
    questions = [
        QuestionResult(name=q.name, parts=[_part(q, part, n, calls, results, left) for n, part in enumerate(q.parts)])
        for q in chosen.judge.questions
    ]
    return Judgement(fingerprint=mark, questions=questions, cells=left, seconds=time.perf_counter() - start)


# ---- what is run ----


def _cells(notebook: NotebookNode, chosen: Set) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The code cells to run, and why others are refused.

    What the set locks comes from the set; visible checks are left out, since the judge has its own.
    """
    locked = {name_of(cell): cell for cell in chosen.notebook.cells if name_of(cell).startswith("locked-")}
    cells, refused = [], {}
    for number, cell in enumerate(notebook.cells):
        name = name_of(cell) or f"cell-{number}"
        if cell.cell_type != "code" or name.startswith("tests-"):
            continue
        source = locked[name].source if name in locked else cell.source
        if name not in locked and (why := _refusal(source, chosen.judge.refused)):
            refused[name] = why
        else:
            cells.append({"id": name, "source": source})
    return cells, refused


def _untouched(notebook: NotebookNode, chosen: Set) -> list[str]:
    """The questions whose answer cell is as it was handed out."""
    given = {name_of(cell): stub(cell.source) for cell in chosen.notebook.cells}
    there = {name_of(cell): cell.source for cell in notebook.cells}
    names = [question.name for question in chosen.judge.questions]
    return [name for name in names if there.get(f"answer-{name}", "").split() == given[f"answer-{name}"].split()]


def _refusal(source: str, names: dict[str, str]) -> str:
    """Which refused name a cell uses; nothing where it uses none or cannot be read, which the runner tells better."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in ast.walk(tree):
        used = {
            ast.Name: lambda n: [n.id],
            ast.Attribute: lambda n: [n.attr],
            ast.alias: lambda n: n.name.split("."),
        }.get(type(node), lambda n: [])(node)
        for name in names.keys() & set(used):
            return f"{name} may not be used here: {names[name]}"
    return ""


@dataclass(frozen=True)
class _Call:
    question: Question
    part: int
    arguments: tuple

    def message(self, name: str) -> dict[str, Any]:
        return {"id": name, "function": self.question.function, "arguments": [encode(a) for a in self.arguments]}


def _calls(chosen: Set, secret: str) -> dict[str, _Call]:
    """Every call of the judge by its name, with inputs drawn from the secret."""
    calls = {}
    for question in chosen.judge.questions:
        for number, part in enumerate(question.parts):
            inputs = part.inputs(draw(secret, chosen.name, question.name, part.name))
            for each, arguments in enumerate(inputs):
                calls[f"{question.name}/{number}/{each}"] = _Call(question, number, arguments)
    return calls


def _run(
    chosen: Set, cells: list[dict[str, str]], calls: dict[str, _Call], limits: Limits, slot: int
) -> tuple[dict[str, dict[str, Any]], dict[str, CellResult]]:
    """(what came of each call, what each cell left), in as many runs as it takes."""
    results: dict[str, dict[str, Any]] = {}
    left: dict[str, CellResult] = {}
    stopped: dict[str, CellResult] = {}
    messages = {name: call.message(name) for name, call in calls.items()}
    for _ in range(MOST_RUNS):
        job = {
            "cells": [cell for cell in cells if cell["id"] not in stopped],
            "calls": [message for name, message in messages.items() if name not in results],
            "refused": chosen.judge.refused,
        }
        run = sandbox.run(job, list(chosen.judge.packages), limits, slot)
        at = _read(run.messages, calls, results, left)
        if run.ended == "itself":
            break
        why = {
            "time": f"it was stopped: all of it took more than {limits.run:g} seconds",
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
        elif isinstance(message.get("cell"), str):
            failed = message.get("failed")
            left[message["cell"][:100]] = CellResult(
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
    return ("mistake" if complaint in remarks else "values"), complaint


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
