"""What a reader does beside reading: scrolls on a phone, searches, answers a quiz by keyboard, prints."""

from urllib.parse import quote

import pytest

from .conftest import SITE, pages


@pytest.fixture(scope="module")
def phone(browser):
    """A page of 360 pixels, in the dark, as narrow as phones are."""
    context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme="dark")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("words", ["708", "1709.01507", "Hu", "注意力", "注意力机制"])
def test_search_finds(phone, address, words):
    phone.goto(f"{address}search.html?q={quote(words)}", wait_until="load")
    assert phone.locator("#search-results li a").first.is_visible(timeout=20_000)


def test_search_lists_chapters_before_the_reference(phone, address):
    phone.goto(f"{address}search.html?q=gate", wait_until="load")
    phone.wait_for_function("() => /Search finished/.test(document.querySelector('#search-results').textContent)")
    found = phone.locator("#search-results li > a").evaluate_all("links => links.map(link => link.pathname)")
    kinds = ["api" if "/book/api" in path else "chapter" if "/notebooks/" in path else "page" for path in found]
    assert {"api", "chapter"} <= set(kinds)
    assert "chapter" not in kinds[kinds.index("api") :]


def test_a_quiz_is_answered_by_keyboard_and_printed_closed(phone, address):
    name = next((name for name in pages() if 'class="quiz"' in (SITE / name).read_text(encoding="utf-8")), None)
    if name is None:
        pytest.skip("no page has a quiz yet")
    phone.goto(address + name, wait_until="load")
    quiz = phone.locator(".quiz").first
    first, second = quiz.locator("details").nth(0), quiz.locator("details").nth(1)
    first.locator("summary").focus()
    phone.keyboard.press("Enter")
    assert first.locator(".quiz-why").is_visible()
    assert first.locator(".quiz-verdict").inner_text().strip("✓✗ ") in ("Right.", "Not so.")
    phone.keyboard.press("Tab")
    while not second.locator("summary").evaluate("summary => summary === document.activeElement"):
        phone.keyboard.press("Tab")  # past a link in the explanation
    phone.keyboard.press("Space")
    assert second.locator(".quiz-why").is_visible()
    assert not first.locator(".quiz-why").is_visible()
    phone.reload(wait_until="load")
    phone.emulate_media(media="print")
    assert quiz.is_visible()
    assert not first.locator(".quiz-why").is_visible()
    phone.emulate_media(media="screen")
