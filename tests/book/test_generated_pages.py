"""The parts of pages that are written at build time."""

import ast
import re

import generated_pages
import ledger_page

import attnlib
from attnlib.papers import list_papers
from chapters import REPOSITORY


def test_a_signature_stands_as_in_the_source():
    function = ast.parse('def gate(self, x: Float[Tensor, "N C"], *, size=None) -> Tensor: pass').body[0]
    assert generated_pages.signature(function) == "def gate(self, x: Float[Tensor, 'N C'], *, size=None) -> Tensor"


def test_a_long_signature_has_one_argument_a_line():
    arguments = [f'argument_{number}: dict[str, int] = {{"a": 1, "b": 2}}' for number in range(4)]
    function = ast.parse(f"def f({', '.join(arguments)}): pass").body[0]
    lines = generated_pages.signature(function).splitlines()
    assert len(lines) == 6
    assert lines[1] == "    argument_0: dict[str, int] = {'a': 1, 'b': 2},"


def test_a_docstring_becomes_markdown():
    text = "Scale x by 2 * y.\n\n* one\n* `two_three`\n\nArgs:\n    x: a map\n        of [0, 1].\n\n>>> 1 + 1\n2"
    assert generated_pages.markdown(text) == (
        "Scale x by 2 \\* y.\n\n* one\n* `two_three`\n\n**Arguments:**\n\n- `x`: a map of \\[0, 1].\n\n"
        "```pycon\n>>> 1 + 1\n2\n```"
    )


def test_only_documented_public_names_are_shown():
    tree = ast.parse('def a():\n    "x"\ndef b(): pass\ndef _c():\n    "x"\n')
    assert [node.name for node in generated_pages.public(tree)] == ["a"]


def test_a_package_shows_the_names_that_it_gives():
    tree = ast.parse("if TYPE_CHECKING:\n    from a.b import d, c\nfrom a.e import f")
    assert generated_pages.given_names(tree) == {"c": "a.b", "d": "a.b"}
    assert "- `attnlib.create`: see `attnlib.registry`" in generated_pages.api()


def test_the_map_has_every_paper_of_the_field():
    keys = {
        item.split(" ")[0] for groups in generated_pages.FIELD.values() for items in groups.values() for item in items
    }
    assert keys == set(list_papers())


def test_every_module_of_the_map_leads_to_its_chapter():
    pages = re.findall(r'href="([^"]+)\.html"', generated_pages.field_map())
    assert len(pages) == len(list_papers())
    assert [page for page in pages if not (REPOSITORY / f"{page}.ipynb").exists()] == []


def test_the_ledger_s_page_has_every_claim_and_every_cost():
    papers, page = ledger_page.every_paper(), ledger_page.page()
    verdicts = [verdict for paper in papers for verdict in paper.verdicts(most=None)]
    assert all(f'<tr id="{verdict.id}"' in page for verdict in verdicts)
    assert page.count("how it is computed") == sum(verdict.check is not None for verdict in verdicts)
    cells = sum(len(paper.cells) for paper in papers)
    assert page.count("<tr><td>") == cells
    assert f"Of {cells} printed costs" in ledger_page.counts()


def test_the_ledger_s_tables_hold_no_blank_line_which_would_end_them():
    page = ledger_page.page()
    assert all("\n\n" not in table.partition("</table>")[0] for table in page.split("<table")[1:])


def test_a_claim_shows_how_its_number_is_known_and_nothing_of_it_is_taken_for_html():
    shown = {
        "id": "sa-x",
        "kind": "cost",
        "claim": "a < b",
        "published": 12345,
        "measured": 0.123456789,
        "tolerance": 0.5,
        "verdict": "does not hold",
        "disagreement": "counting rule",
        "source": "Table 1",
        "confidence": "recalled",
        "check": None,
        "note": "",
        "unit": "",
        "evidence": [attnlib.papers.Evidence(text="c < d.", says="qualifies", numbers={"e": 1234.5}, source="a file")],
    }
    row = ledger_page.claim(attnlib.paper("sa").verdicts(most=1)[0].model_copy(update=shown), code=None)
    assert "Evidence that qualifies it:</b> c &lt; d. <small>(e 1234.5; a file)</small>" in row
    assert "a &lt; b" in row
    assert "<small>Table 1</small>" in row
    assert "12\u202f345 <small>± 0.5</small> <small>(recalled)</small>" in row
    assert "<td>0.123457</td>" in row
    assert "<small>counting rule</small>" in row
    assert "<details>" not in row


def test_the_palette_shows_every_module_on_both_papers():
    shown = generated_pages.GENERATE["palette"]()
    for key in ("none", "constant", "se", "asp_oc"):
        assert f"<code>{key}</code>" in shown
    assert shown.count('fill="#ffffff"') == shown.count('fill="#000000"') == shown.count("<code>")
