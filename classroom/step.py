"""nbgrader's autograde step with the judge in the place of its kernel."""

import copy
import html
import re
from collections import defaultdict
from pathlib import Path

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from traitlets import Unicode
from traitlets.config import Config

from classroom.course import Course, write
from classroom.judge import Judgement, QuestionResult, fingerprint, judge, load, name_of
from classroom.sandbox import Unsafe
from classroom.sets import STUB, TEXT_STUB, chosen, stub

SCRIPT = re.compile(r"\b(javascript|vbscript)\s*:", re.I)


class RunJudge(NbGraderPreprocessor):
    """Writes the judge's points and remarks where the outputs of the test cells would stand.

    nbgrader reads points from the output of a test cell. The judgement is the one on file, where it is of this very
    submission, set and secret; otherwise the notebook is judged now.
    """

    course = Unicode(help="The course's folder; COURSE, else course/.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        course = Course.at(Path(self.course) if self.course else None)
        wanted = chosen(resources["nbgrader"]["assignment"])
        student = resources["nbgrader"]["student"]
        judgement = current(course, student, wanted.name) or judge_now(course, student, wanted.name)
        if judgement.not_gradable:
            raise ValueError(f"{student}: {judgement.not_gradable}")
        questions = {f"tests-{question.name}": question for question in judgement.questions}
        for number, cell in enumerate(nb.cells):
            name = cell.metadata.get("nbgrader", {}).get("grade_id") or f"cell-{number}"
            if cell.cell_type != "code":
                continue
            if name in questions:
                cell.outputs = shown(questions[name])
            elif result := judgement.cells.get(name):
                cell.outputs = [
                    *([nbformat.v4.new_output("stream", text=result.printed)] if result.printed else []),
                    *(nbformat.v4.new_output("display_data", {"image/png": each}) for each in result.figures),
                    *([nbformat.v4.new_output("stream", name="stderr", text=result.failed)] if result.failed else []),
                ]
        return nb, resources


class OwnMetadata(NbGraderPreprocessor):
    """Puts the set's metadata in the place of what a submission says, and back what it lacks of the set.

    nbgrader fails on metadata that it does not know, where a question's cells were deleted, and where a cell was
    copied, which copies its name. Of several cells of a name the last one is it that something was written into.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        there = defaultdict(list)
        for cell in nb.cells:
            there[name_of(cell)].append(cell)
            cell.metadata.pop("nbgrader", None)
        for cell in chosen(resources["nbgrader"]["assignment"]).notebook.cells:
            if not name_of(cell):
                continue
            given = stub(cell.source, STUB if cell.cell_type == "code" else TEXT_STUB)
            if copies := there[name_of(cell)]:
                own = [each.cell_type == cell.cell_type for each in copies]
                written = [each.source.split() != given.split() for each in copies]
                kept = copies[max(range(len(copies)), key=lambda n: (own[n], written[n], n))]
            else:
                kept = copy.deepcopy(cell)
                kept.source = given
                nb.cells.append(kept)
            kept.metadata["nbgrader"] = copy.deepcopy(cell.metadata.nbgrader)
        return nb, resources


class HarmlessLinks(NbGraderPreprocessor):
    """Takes the script out of a link of Markdown, which becomes one behind the back of SanitizeHTML."""

    def preprocess_cell(self, cell: NotebookNode, resources: ResourcesDict, index: int):
        if cell.cell_type == "markdown":
            plain = cell.source
            while plain != (plain := html.unescape(plain)):
                pass
            if SCRIPT.search(plain):
                cell.source = SCRIPT.sub(r"\1 :", plain)
        return cell, resources


def shown(question: QuestionResult) -> list[NotebookNode]:
    """A question's points and remarks as the outputs of its test cell; the last is the number that nbgrader reads."""
    lines = [
        f"{part.points:g} of {part.most:g}  {part.name}" + (f": {part.remark}" if part.remark else "")
        for part in question.parts
    ]
    return [
        nbformat.v4.new_output("stream", text="\n".join(lines) + "\n"),
        nbformat.v4.new_output("execute_result", {"text/plain": f"{question.points:g}"}, execution_count=1),
    ]


def current(course: Course, student: str, name: str) -> Judgement | None:
    """The judgement on file, where nothing that it depends on has changed."""
    wanted = chosen(name)
    found = load(course.judged(student, wanted))
    mark = fingerprint(course.submitted(student, wanted), wanted, course.secret)
    return found if found is not None and found.fingerprint == mark else None


def judge_now(course: Course, student: str, name: str, slot: int = 0) -> Judgement:
    """Judge a submission and put the judgement on file."""
    wanted = chosen(name)
    try:
        judgement = judge(course.submitted(student, wanted), wanted, course.secret, slot=slot)
    except Unsafe:
        raise
    except Exception as error:  # whatever it is, it is one submission's, and no reason for points or for none
        why = f"the judge failed on it, with {type(error).__name__}: {str(error)[:200]}; ask your teacher"
        judgement = Judgement(fingerprint="", not_gradable=why)
    write(course.judged(student, wanted), judgement.model_dump_json(indent=1))
    return judgement


def configure(config: Config, root: Path | None = None) -> Config:
    """nbgrader's settings for a course of this book; `nbgrader_config.py` calls it with the course's folder."""
    config.RunJudge.course = str(root or "")
    config.Autograde.sanitize_preprocessors = [
        OwnMetadata,
        ClearOutput,
        OverwriteKernelspec,
        OverwriteCells,
        CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [
        RunJudge,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
        HarmlessLinks,
        SanitizeHTML,  # a student's text must not run in the browser of who reads it
    ]
    config.SanitizeHTML.enabled = True
    config.OverwriteCells.add_missing_cells = True
    config.ClearSolutions.code_stub = {"python": STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    return config
