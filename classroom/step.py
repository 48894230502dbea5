"""nbgrader's autograde step with the judge in the place of its kernel."""

import copy

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from traitlets.config import Config

from classroom.course import Course, write
from classroom.judge import Judgement, QuestionResult, fingerprint, judge, load, name_of
from classroom.sets import STUB, chosen


class RunJudge(NbGraderPreprocessor):
    """Writes the judge's points and remarks where the outputs of the test cells would stand.

    nbgrader reads points from the output of a test cell. The judgement is the one on file, where it is of this very
    submission, set and secret; otherwise the notebook is judged now.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        course = Course.at()
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
    """Puts the set's metadata in the place of what a submission says; nbgrader fails on what it does not know."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        cells = chosen(resources["nbgrader"]["assignment"]).notebook.cells
        known = {name_of(cell): cell.metadata.nbgrader for cell in cells if name_of(cell)}
        for cell in nb.cells:
            name = name_of(cell)
            cell.metadata.pop("nbgrader", None)
            if name in known:
                cell.metadata["nbgrader"] = copy.deepcopy(known[name])
        return nb, resources


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
    judgement = judge(course.submitted(student, wanted), wanted, course.secret, slot=slot)
    write(course.judged(student, wanted), judgement.model_dump_json(indent=1))
    return judgement


def configure(config: Config) -> Config:
    """nbgrader's settings for a course of this book; `nbgrader_config.py` calls it."""
    config.Autograde.sanitize_preprocessors = [
        OwnMetadata,
        ClearOutput,
        DeduplicateIds,
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
        SanitizeHTML,  # a student's text must not run in the browser of who reads it
    ]
    config.SanitizeHTML.enabled = True
    config.OverwriteCells.add_missing_cells = True
    config.ClearSolutions.code_stub = {"python": STUB}
    config.ClearSolutions.text_stub = "*Your answer here.*"
    return config
