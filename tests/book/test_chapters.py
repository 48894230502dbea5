"""What every chapter of the book has, read from its committed notebook."""

import ast
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

import chapters
import outputs
from attnlib.checks import numbers


@pytest.fixture(scope="module", params=chapters.notebooks(), ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return chapters.read(path)


def pictures(cell):
    """The kinds of pictures among a cell's outputs, such as image/png."""
    return [kind for output in cell.get("outputs", []) for kind in output.get("data", {}) if kind.startswith("image/")]


def markdown(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def test_compared_cells_have_an_output(notebook):
    """nbval compares nothing where a tagged cell has none."""
    compared = [cell for cell in notebook.cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert [cell.source for cell in compared if not cell.outputs] == []


def test_figures_are_described(notebook):
    drawn = [cell for cell in notebook.cells if pictures(cell)]
    alts = [cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in drawn]
    assert [cell.source for cell, alt in zip(drawn, alts, strict=True) if not alt.strip()] == []


def test_no_line_of_text_is_taken_for_a_comment(notebook):
    """MyST leaves out a line of Markdown that begins with a per cent sign, as where 50 % is broken over two lines."""
    texts = (re.sub(r"^(`{3,}|~{3,}).*?^\1", "", cell.source, flags=re.M | re.S) for cell in markdown(notebook))
    assert [line for text in texts for line in text.splitlines() if line.lstrip().startswith("%")] == []


def test_every_exercise_has_a_solution(notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", text)
    assert len(exercises) == text.count("{exercise}"), "an exercise without a label"
    # The gated form leaves room for code cells between start and end.
    solutions = dict(re.findall(r"\{solution-start\} (\S+)\n(.*?)\{solution-end\}", text, re.DOTALL))
    assert sorted(solutions) == sorted(exercises)
    options_and_fences = re.compile(r"^(?::\w+:.*|`+)$", re.MULTILINE)
    assert [label for label, body in solutions.items() if not options_and_fences.sub("", body).strip()] == []


# ---- findings ----

# `:class: finding`, alone or with other classes, in an admonition or a div; until its fence closes
FINDING = re.compile(r"(?m)^(?P<fence>[:`]{3,})\{(?:admonition|div)\}.*\n(?P<body>(?:(?!(?P=fence)).*\n)*)(?P=fence)$")
CLASSES = re.compile(r"(?m)^:class:.*\bfinding\b|\{div\}.*\bfinding\b")


def findings(text):
    """The text of every finding in a markdown cell, on one line each."""
    blocks = [match for match in FINDING.finditer(text + "\n") if CLASSES.search(match.group())]
    bodies = (re.sub(r"(?m)^:\w+:.*$", "", match["body"]) for match in blocks)
    return [" ".join(body.split()) for body in bodies]


def quotes(source):
    """What the calls of `finding` in a code cell quote, one line each."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    named = ((getattr(call.func, "attr", None) or getattr(call.func, "id", None), call.args[0]) for call in calls)
    return [" ".join(ast.literal_eval(quote).split()) for name, quote in named if name == "finding"]


def measured(finding):
    """The numbers that a measurement must stand behind: with a decimal point, percents and points, but no level."""
    follows = r"(%(?! (confidence )?interval)|points?\b)"
    return [each for each in numbers(finding) if "." in each or re.search(rf"{re.escape(each)} {follows}", finding)]


def unheld(cells):
    """Findings and quotes that do not belong together: each is one sentence on what is missing."""
    codes = [quotes(cell.source) if cell.cell_type == "code" else [] for cell in cells] + [[]]
    texts = [findings(cell.source) if cell.cell_type == "markdown" else [] for cell in cells] + [[]]
    for number in range(len(cells)):
        beside = codes[number - 1] + codes[number + 1]
        for finding in texts[number]:
            held = [quote for quote in beside if quote in finding]
            if not held:
                yield f"no cell beside it holds the finding {finding!r}; quote it in `finding(...)`"
            for each in measured(finding):
                if not any(each in numbers(quote) for quote in held):
                    yield f"{each} in the finding {finding!r} is held by no `finding(...)` beside it"
        for quote in codes[number]:
            if not any(quote in finding for finding in texts[number - 1] + texts[number + 1]):
                yield f"{quote!r} stands in no finding beside its cell; the text has other words"


def test_every_finding_is_held_by_the_cell_beside_it(notebook):
    assert list(unheld(notebook.cells)) == []


def block(text):
    return f"Look:\n\n:::{{admonition}} Finding\n:class: finding wide\n{text}\n:::\nand on."


@pytest.mark.parametrize(
    ("text", "code", "missing"),
    [
        (block("It gains 2.6 points\non all 3 seeds."), 'finding("gains 2.6", x)\nfinding("points on all", y)', []),
        (block("Most keep 44 % of ResNet-50."), 'attnlib.finding("keep 44 %", 44)', []),
        (block("By 2.6 (95 % interval 1.7 to 2.8)."), 'finding("2.6", x)\nfinding("1.7 to 2.8", y, z)', []),
        (block("It helps."), "x = 1", ["no cell beside it holds the finding 'It helps.'"]),
        (block("It helps by 2.6."), 'finding("It helps", x)', ["2.6 in the finding 'It helps by 2.6.' is held by no"]),
        (block("It helps 30 %, or 2.6."), 'finding("helps 30 %", x)', ["2.6 in the finding"]),
        (block("It helps 30 % or 2 points."), 'finding("helps", x)', ["30 in the finding", "2 in the finding"]),
        (block("It helps."), 'finding("It hurts", x)', ["no cell beside it", "'It hurts' stands in no finding"]),
        ("No block.", 'finding("It helps", x)', ["'It helps' stands in no finding"]),
        (":::{div} finding\nIt helps.\n:::", 'finding("It helps", x)', []),
        (":::{admonition} So\n:class: findings-none\nIt helps.\n:::", "x = 1", []),
    ],
)
@pytest.mark.parametrize("code_first", [True, False])
def test_what_counts_as_held(text, code, missing, code_first):
    cells = [new_markdown_cell(text), new_code_cell(code)]
    found = list(unheld(cells[::-1] if code_first else cells))
    assert len(found) == len(missing)
    assert all(any(each in sentence for sentence in found) for each in missing)


# ---- exercises ----

# a fence of its own, since the hint inside has another
EXERCISE = re.compile(r"^(`{3,})\{exercise\}[^\n]*\n:label: (\S+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
LEVEL = re.compile(r"\A\s*\*(Easy|Medium|Hard|Research), \d+ minutes\.\*")


def test_an_exercise_says_its_level_minutes_and_hint_and_answers_back(notebook):
    if notebook.metadata.get("attention_book", {}).get("kind") != "chapter":
        return  # only chapters have exercises
    assert list(unanswered(notebook.cells)) == []


def unanswered(cells):
    """What exercises lack: one sentence each."""
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for _, label, body in EXERCISE.findall(text):
        if not LEVEL.search(body):
            yield f"{label} does not begin with its level and minutes: *Easy, 5 minutes.*"
        if "{dropdown} Hint" not in body:
            yield f"{label} has no hint: :::{{dropdown}} Hint"
        for call in (f'exercises.answer("{label}"', f'exercises.try_judge("{label}"'):
            if call not in "".join(code.split()):
                yield f"{label} has no cell with {call}, ...)"


ASKED = """```{exercise} Where the parameters are
:label: se-exercise-stage

*Easy, 5 minutes.* Which share?

:::{dropdown} Hint
Count.
:::
```"""
ANSWERED = 'exercises.answer("se-exercise-stage", ...)\nexercises.try_judge(\n    "se-exercise-stage", 1, [2, 3])'


@pytest.mark.parametrize(
    ("text", "code", "lacks"),
    [
        (ASKED, ANSWERED, ""),
        (ASKED.replace("5 min", "a few min"), ANSWERED, "level and minutes"),
        (ASKED.replace("Hint", "More"), ANSWERED, "hint"),
        (ASKED, ANSWERED.replace("answer", "right"), "exercises.answer("),
        (ASKED, ANSWERED.replace("try_judge", "right"), "exercises.try_judge("),
    ],
)
def test_what_an_exercise_lacks_is_named(text, code, lacks):
    found = list(unanswered([new_markdown_cell(text), new_code_cell(code)]))
    assert len(found) == bool(lacks)
    assert all(lacks in sentence for sentence in found)


def test_the_file_is_small(path):
    assert path.stat().st_size < outputs.LARGEST


def test_no_path_of_a_machine_is_shown(notebook):
    shown = [cell.source for cell in notebook.cells]
    shown += [text for cell in notebook.cells for output in cell.get("outputs", []) for text in outputs.texts(output)]
    assert outputs.MACHINE_PATH.findall("\n".join(shown)) == []
