"""What only a browser can tell. In `make test` each page loads once, and one of each kind is read under axe.

In `make test-all` every page is read so, and one of each kind at both widths in both themes.
"""

import itertools
import json

import pytest
from axe_playwright_python.sync_playwright import Axe

from chapters import REPOSITORY
from tests.site.pages import pages

WIDTHS = {"desktop": 1280, "phone": 390}
NARROW = 360  # the narrowest phone
THEMES = ("light", "dark")
# One page of each kind. The phone reads in the dark: so both themes are seen.
KINDS = {
    "landing": "index.html",
    "chapter": "notebooks/scale_attention/se.html",
    "overview": "notebooks/accuracy.html",
    "ledger": "book/ledger.html",
    "paper": "book/ledger/se.html",
    "interface": "book/api/scale_attention.html",
    "prose": "book/training.html",
    "search": "search.html",
}
VIEWS = [("desktop", "light"), ("phone", "dark")]


@pytest.fixture
def open_page(browser, address):
    """Open a page; its `faults` are console errors and requests to another host."""
    contexts = []

    def visit(name, width="desktop", theme="light"):
        contexts.append(browser.new_context(viewport={"width": WIDTHS[width], "height": 900}, color_scheme=theme))
        page = contexts[-1].new_page()
        page.faults = []

        def only_here(route):
            if route.request.url.startswith((address, "data:", "blob:")):
                route.continue_()
            else:
                page.faults.append(f"asks another host: {route.request.url}")
                route.abort()

        page.route("**/*", only_here)
        page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
        page.on(
            "response", lambda answer: page.faults.append(f"{answer.status} {answer.url}") if not answer.ok else None
        )
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(address + name, wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise")
        return page

    yield visit
    for context in contexts:
        context.close()


def too_wide(page):
    """By how many pixels the page is wider than its window."""
    return page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")


# What a display takes beyond its column; those of class `wide` may, and show their edge.
SCROLLING = """() => [...document.querySelectorAll("article div.math, article mjx-container[display=true]")]
    .filter(display => display.scrollWidth > display.clientWidth + 1 && !display.closest(".wide"))
    .map(display => display.closest("div.math")?.id || display.textContent.slice(0, 40))"""


def finished(page_name):
    """Whether a page is written in the rhythm of the second edition: its notebook says what kind of page it is."""
    notebook = REPOSITORY / page_name.replace(".html", ".ipynb")
    return not notebook.exists() or "attention_book" in json.loads(notebook.read_text(encoding="utf-8"))["metadata"]


def test_page_loads_without_fault_and_fits_every_width(open_page, page_name):
    page = open_page(page_name)

    formulas = page.locator("article .math").count()
    assert page.locator("article mjx-container").count() >= formulas, "formulas that MathJax did not set"
    assert page.locator("mjx-merror").count() == 0, "a formula with an error"

    # Pictures below the fold load when they are reached.
    for picture in page.locator("article img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") > 0

    for width in (*WIDTHS.values(), NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        assert too_wide(page) <= 0, f"the page is wider than a window of {width} pixels"
    if finished(page_name):
        assert page.evaluate(SCROLLING) == [], f"displays that scroll at {NARROW} pixels"

    for solution in page.locator("article .solution.dropdown").all():
        content = solution.locator("p:not(.admonition-title), .cell").first
        solution.locator("button.toggle-button").first.click()
        assert content.is_visible()

    assert page.faults == []


def test_every_kind_of_page_is_there():
    assert set(KINDS.values()) <= set(pages())


def views():
    """Every page with the width and the theme it is read in; what `make test` leaves out is marked."""
    for page_name in pages():
        kind = page_name in KINDS.values()
        for width, theme in itertools.product(WIDTHS, THEMES) if kind else VIEWS:
            marks = [] if kind and (width, theme) in VIEWS else [pytest.mark.thorough]
            yield pytest.param(page_name, width, theme, marks=marks, id=f"{page_name}-{width}-{theme}")


@pytest.mark.parametrize(("page", "width", "theme"), [*views()])
def test_page_can_be_read_by_everyone(open_page, page, width, theme):
    page = open_page(page, width, theme)
    assert too_wide(page) <= 0
    assert page.faults == []  # before axe: it reads the style sheets once more, and from the wrong folder
    found = Axe().run(page).response["violations"]
    serious = {
        violation["id"]: [node["target"] for node in violation["nodes"]]
        for violation in found
        if violation["impact"] in ("serious", "critical")
    }
    assert serious == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_ledger_s_filters(open_page, width):
    page = open_page("book/ledger.html?paper=sa&verdict=does+not+hold", width)
    rows, shown = page.locator("tr[data-paper]"), page.locator("tr[data-paper]:visible")
    assert 0 < shown.count() < rows.count()
    kept = shown.evaluate_all("rows => rows.map(row => [row.dataset.paper, row.dataset.verdict])")
    assert all(pair == ["sa", "does not hold"] for pair in kept)
    assert page.locator(".ledger-filters output").inner_text() == f"{shown.count()} of {rows.count()} claims"
    page.locator('[data-filter="paper"]').select_option("")
    page.get_by_label("verdict").select_option("")
    page.get_by_label("text").fill("parameters")
    assert 0 < shown.count() < rows.count()
    assert page.url.endswith("?text=parameters")
    page.get_by_label("text").fill("")
    assert shown.count() == rows.count()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_claim_of_the_ledger_leads_to_its_code(open_page, width):
    page = open_page("book/ledger.html#sa-parameters-resnet50", width)
    page.locator("#sa-parameters-resnet50 a").click()
    assert page.url.endswith("book/ledger/sa.html#sa-parameters-resnet50")
    details = page.locator("#sa-parameters-resnet50 details").first
    details.locator("summary").click()
    assert "def parameters_resnet50" in details.inner_text()
