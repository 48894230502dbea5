"""What only a browser can tell, at desktop and phone width."""

import pytest
from axe_playwright_python.sync_playwright import Axe

WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(params=WIDTHS)
def view(request, browser, address):
    """Open a page at one width; `view.faults` collects console errors and requests to another host."""
    # The phone reads in the dark: so both themes are seen.
    scheme = "dark" if request.param == "phone" else "light"
    context = browser.new_context(viewport={"width": WIDTHS[request.param], "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.faults = []

    def only_here(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            page.faults.append(f"asks another host: {route.request.url}")
            route.abort()

    page.route("**/*", only_here)
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: page.faults.append(f"{answer.status} {answer.url}") if not answer.ok else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))

    def open_page(name):
        page.goto(address + name, wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise")
        return page

    yield open_page
    context.close()


def test_page(view, page_name):
    page = view(page_name)

    wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the window"

    formulas = page.locator("article .math").count()
    assert page.locator("article mjx-container").count() >= formulas, "formulas that MathJax did not set"
    assert page.locator("mjx-merror").count() == 0, "a formula with an error"

    # Pictures below the fold load when they are reached.
    for picture in page.locator("article img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") > 0

    # Before axe: it reads the style sheets once more, and from the wrong folder.
    assert page.faults == []

    found = Axe().run(page).response["violations"]
    serious = {
        violation["id"]: [node["target"] for node in violation["nodes"]]
        for violation in found
        if violation["impact"] in ("serious", "critical")
    }
    assert serious == {}


def test_every_solution_opens(view, page_name):
    page = view(page_name)
    solutions = page.locator("article .solution.dropdown").all()
    if page_name.count("/") == 2:  # a chapter, notebooks/<family>/<key>.html; the pages above it are for reference
        assert len(solutions) >= 3
    for solution in solutions:
        content = solution.locator(".toggle-details__content, .section, p").last
        solution.locator("button.toggle-button").first.click()
        assert content.is_visible()


def test_the_ledger_s_filters(view):
    page = view("book/ledger.html?paper=sa&verdict=does+not+hold")
    rows, shown = page.locator("tr[data-paper]"), page.locator("tr[data-paper]:visible")
    assert 0 < shown.count() < rows.count()
    kept = shown.evaluate_all("rows => rows.map(row => [row.dataset.paper, row.dataset.verdict])")
    assert all(pair == ["sa", "does not hold"] for pair in kept)
    assert page.locator(".ledger-filters output").inner_text() == f"{shown.count()} of {rows.count()} claims"
    page.get_by_label("paper").select_option("")
    page.get_by_label("verdict").select_option("")
    page.get_by_label("text").fill("parameters")
    assert 0 < shown.count() < rows.count()
    assert page.url.endswith("?text=parameters")
    page.get_by_label("text").fill("")
    assert shown.count() == rows.count()
    details = page.locator("#sa-parameters-resnet50 details")
    details.locator("summary").click()
    assert "def parameters_resnet50" in details.inner_text()
