"""What every chapter of the book has, read from its committed notebook."""

import re

import pytest

import chapters
import outputs


@pytest.fixture(scope="module", params=chapters.notebooks(), ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return chapters.read(path)


def pictures(cell):
    """The kinds of pictures among a cell's outputs, such as image/png."""
    return [kind for output in cell.get("outputs", []) for kind in output.get("data", {}) if kind.startswith("image/")]


def test_cells_are_compared_with_their_outputs(notebook):
    compared = [cell for cell in notebook.cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert len(compared) >= 4
    assert [cell.source for cell in compared if not cell.outputs] == []


def test_figures_are_drawn_and_described(notebook):
    drawn = [cell for cell in notebook.cells if pictures(cell)]
    assert sum(pictures(cell).count("image/png") for cell in drawn) >= 2
    alts = [cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in drawn]
    assert [cell.source for cell, alt in zip(drawn, alts, strict=True) if not alt.strip()] == []


def test_every_exercise_has_a_solution(notebook, path):
    if path.parent == chapters.REPOSITORY / "notebooks":
        return  # a page of reference, not a chapter
    text = "\n".join(cell.source for cell in notebook.cells)
    exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", text)
    assert len(exercises) >= 3
    assert len(exercises) == text.count("{exercise}"), "an exercise without a label"
    # The gated form leaves room for code cells between start and end.
    solutions = dict(re.findall(r"\{solution-start\} (\S+)\n(.*?)\{solution-end\}", text, re.DOTALL))
    assert sorted(solutions) == sorted(exercises)
    options_and_fences = re.compile(r"^(?::\w+:.*|`+)$", re.MULTILINE)
    assert [label for label, body in solutions.items() if not options_and_fences.sub("", body).strip()] == []


def test_the_file_is_small(path):
    assert path.stat().st_size < outputs.LARGEST


def test_no_path_of_a_machine_is_shown(notebook):
    shown = [cell.source for cell in notebook.cells]
    shown += [text for cell in notebook.cells for output in cell.get("outputs", []) for text in outputs.texts(output)]
    assert outputs.MACHINE_PATH.findall("\n".join(shown)) == []
