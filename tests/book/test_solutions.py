"""Nothing of a solution is left in a notebook, and nothing beside one is lost."""

import ast
import html
import json

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import build
import chapters
from solutions import copy_without_solutions, outside, without_solutions

ASK = "```{exercise} Ask\n:label: a\nWhat?\n```\n\n"


def left(*cells):
    """What stays of these cells: text is Markdown, a code cell begins with a percent sign."""
    made = [new_code_cell(cell[1:]) if cell.startswith("%") else new_markdown_cell(cell) for cell in cells]
    notebook = new_notebook(cells=made)
    without_solutions(notebook)
    return [cell.source.strip() for cell in notebook.cells]


def test_a_solution_with_code_goes_and_its_surroundings_stay():
    start, end = "````{solution-start} a\n:class: dropdown\n````\n\nSECRET", "SECRET\n\n````{solution-end}\n````\n"
    kept = left("%before", ASK + start, "%SECRET", "SECRET", end + "\n## After", "%after")
    assert kept == ["before", ASK.strip(), "## After", "after"]


def test_a_solution_in_one_block_goes():
    assert left(f"{ASK}````{{solution}} a\n```python\nSECRET\n```\n:::{{note}}\nSECRET\n:::\n````\nAfter") == [
        f"{ASK}After"
    ]


def test_two_solutions_in_a_row():
    one = ":::{solution-start} a\n:::\nSECRET\n:::{solution-end}\n:::"
    assert left(f"{one}\nbetween\n{one}") == ["between"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```{solution-start} a\n```\nSECRET", "does not end"),
        ("```{solution} a\nSECRET", "does not end"),
        ("```{solution-end}\n```", "without its solution-start"),
        ("````{solution} a\n```{solution} b\n```\n````", "inside another"),
    ],
)
def test_what_is_not_balanced_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        left(text)


def test_a_copy_has_no_solution_in_any_file(repository):
    cells = [new_markdown_cell(ASK), new_markdown_cell("```{solution-start} a\n```")]
    cells.append(new_code_cell("'SEC' + 'RET'", outputs=[new_output("stream", text="SECRET")]))
    cells.append(new_markdown_cell("```{solution-end}\n```"))
    path = repository / "notebooks" / "chapter.ipynb"
    chapters.write(new_notebook(cells=cells), path)
    path.with_suffix(".py").write_text("# SECRET")
    target = repository / "_build" / "without-solutions"
    for _ in range(2):  # the second time over the first
        copy_without_solutions(repository, target)
    files = [file for file in target.rglob("*") if file.is_file()]
    assert {file.name for file in files} > {"chapter.ipynb", "used.py"}
    assert [file for file in files if "SECRET" in file.read_text() or "'SEC'" in file.read_text()] == []
    assert "SECRET" in path.read_text()


def test_a_slip_in_the_switch_builds_nothing(monkeypatch):
    monkeypatch.setenv("SOLUTIONS", "none")
    with pytest.raises(SystemExit, match="SOLUTIONS is yes or no, got 'none'"):
        build.main()


@pytest.mark.thorough
def test_the_book_without_solutions_shows_none(tmp_path):
    """Every longer line of every solution is looked for in every file: pages, downloads, sources, search index."""
    copy_without_solutions(chapters.REPOSITORY, tmp_path)
    lines = set()
    for path in chapters.notebooks():
        whole, stripped = chapters.read(path), chapters.read(tmp_path / path.relative_to(chapters.REPOSITORY))
        kept = {line.strip() for cell in stripped.cells for line in cell.source.splitlines()}
        gone = {line.strip() for cell in whole.cells for line in cell.source.splitlines()} - kept
        lines |= {json.dumps(line, ensure_ascii=False)[1:-1] for line in gone if len(line) > 40}
        lines |= {html.escape(line) for line in gone if len(line) > 40}
    assert len(lines) > 20
    assert build.build(tmp_path) == 0
    texts = {file: file.read_text(errors="ignore") for file in (tmp_path / "_build/html").rglob("*") if file.is_file()}
    assert [(line, file.name) for line in sorted(lines) for file, text in texts.items() if line in text] == []


def borrowed(notebook):
    """Names that cells outside solutions take from solutions: without them, these cells would not run."""
    until, given, solved, found = None, set(), set(), set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            until = outside(cell.source, until)[1]
            continue
        nodes = list(ast.walk(ast.parse(cell.source)))
        names = {(node.id, isinstance(node.ctx, ast.Load)) for node in nodes if isinstance(node, ast.Name)}
        made = {name for name, loaded in names if not loaded}
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        imports = (alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names)
        made |= {alias.asname or alias.name for alias in imports}
        if until is None:
            found |= {name for name, loaded in names if loaded and name in solved - given - made}
            given |= made
        else:
            solved |= made
    return found


@pytest.mark.parametrize("path", chapters.notebooks(), ids=lambda path: path.stem)
def test_no_cell_needs_a_name_of_a_solution(path):
    assert borrowed(chapters.read(path)) == set()


def test_a_name_of_a_solution_is_found():
    start, end = "```{solution-start} a\n```", "```{solution-end}\n```"
    cells = [new_code_cell("import x\ny = 1"), new_markdown_cell(start), new_code_cell("y = z = 2\ndef f(): pass")]
    cells += [new_markdown_cell(end), new_code_cell("y + z + x"), new_code_cell("def f(): return 1\nf()")]
    assert borrowed(new_notebook(cells=cells)) == {"z"}
