"""The parts of pages that are written at build time."""

import re

import generated_pages
import ledger_page
import pytest
import written

import attnlib
from attnlib.papers import list_papers
from chapters import REPOSITORY


def test_the_map_has_every_paper_of_the_field():
    keys = {
        item.split(" ")[0] for groups in generated_pages.FIELD.values() for items in groups.values() for item in items
    }
    assert keys == set(list_papers())


def test_every_module_of_the_map_leads_to_its_chapter():
    pages = re.findall(r'href="([^"]+)\.html"', generated_pages.field_map())
    assert len(pages) == len(list_papers())
    assert [page for page in pages if not (REPOSITORY / f"{page}.ipynb").exists()] == []


def test_the_ledger_has_every_claim_in_short_and_on_its_paper_s_page():
    short = ledger_page.every_claim()
    for paper in ledger_page.every_paper():
        verdicts, page = paper.verdicts(most=None), ledger_page.paper_page(paper)
        assert all(f'<tr id="{v.id}"' in page and f'<tr id="{v.id}"' in short for v in verdicts)
        assert page.count("how it is computed") == sum(v.check is not None for v in verdicts)
        assert page.count("<tr><td>") == len(paper.cells)
        assert paper.cells == [] or f"Of {len(paper.cells)} printed costs" in page
        # A blank line would end the HTML as far as Markdown is concerned.
        assert all("\n\n" not in table.partition("</table>")[0] for table in page.split("<table")[1:])


def test_a_claim_can_be_cited_and_loaded():
    (v,) = attnlib.paper("sa").verdicts("parameters-resnet50")
    assert ledger_page.bibtex(v).startswith("@misc{sa-parameters-resnet50,")
    assert type(v).model_validate_json(ledger_page.as_json(v)) == v


def test_pages_among_the_sources_are_written_once_and_old_ones_go(tmp_path):
    (tmp_path / "gone.md").touch()
    written.write_folder(tmp_path, {"se": "one", "sa": "two"})
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*")}
    assert set(times) == {"se.md", "sa.md"}
    written.write_folder(tmp_path, {"se": "one", "sa": "three"})
    assert (tmp_path / "se.md").stat().st_mtime_ns == times["se.md"]
    assert (tmp_path / "sa.md").read_text() == "three"


def test_every_paper_has_a_page():
    assert sorted(ledger_page.papers_pages()) == sorted(list_papers())


def test_a_claim_shows_how_its_number_is_known_and_nothing_of_it_is_taken_for_html():
    shown = {
        "id": "sa-x",
        "kind": "paper",
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
    assert '<td data-label="where">Table 1</td>' in row
    assert "12\u202f345 <small>± 0.5</small> <small>(recalled)</small>" in row
    assert ">0.123457</td>" in row
    assert "<small>counting rule</small>" in row
    assert "how it is computed" not in row


@pytest.mark.parametrize(("value", "text"), [(4.440892e-16, "4.4e-16"), (8.6272e-05, "8.6e-5"), (0.00047, "0.00047")])
def test_small_numbers_can_be_read(value, text):
    assert ledger_page.number(value) == text


def test_the_palette_shows_every_module_on_both_papers():
    shown = generated_pages.GENERATE["palette"]()
    for key in ("none", "constant", "se", "asp_oc"):
        assert f"<code>{key}</code>" in shown
    assert shown.count('fill="#ffffff"') == shown.count('fill="#000000"') == shown.count("<code>")
