import re
from urllib.parse import urlsplit

import yaml

from chapters import REPOSITORY, read

TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_no_placeholder_is_left():
    assert re.findall(r".*@@.*", TEXT) == []


def test_relative_links_and_pictures_exist():
    targets = {urlsplit(target) for target in re.findall(r"\]\(([^)\s]+)", TEXT)}
    inside = {target.path for target in targets if not target.scheme and target.path}
    assert inside
    assert [path for path in sorted(inside) if not (REPOSITORY / path).exists()] == []


def test_its_table_has_every_chapter_with_its_question_in_the_book_s_order():
    parts = yaml.safe_load((REPOSITORY / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    files = [entry["file"] for part in parts for entry in part["chapters"] if entry["file"].startswith("notebooks/")]
    rows = []
    for path in files:
        notebook = read(REPOSITORY / f"{path}.ipynb")
        if notebook.metadata.get("attention_book", {}).get("kind") == "chapter":
            text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
            title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
            question = re.search(r"\{admonition\} (.+)\n:class: question", text)[1]
            rows.append(f"| [{title}]({path}.ipynb) | {question} |")
    assert re.findall(r"^\| \[.*$", TEXT, re.MULTILINE) == rows
