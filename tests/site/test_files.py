"""What can be read from the files: links, alternative texts, and that nothing is loaded from another host."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from classroom.release import solution_lines
from classroom.sets import sets

FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)
IN_CSS = re.compile(r"(?:url\(\s*|@import\s+)['\"]?([^'\")\s;]+)")


def is_external(reference: str) -> bool:
    parts = urlsplit(reference)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "mailto", "javascript")


def loaded(tag: str, attributes: dict[str, str]) -> list[str]:
    """What the browser fetches by itself for a tag; a plain link is not among it."""
    found = [attributes[key] for key in ("src", "poster", "data") if key in attributes and tag != "a"]
    found += [part.split()[0] for part in attributes.get("srcset", "").split(",") if part.strip()]
    if tag == "link" and attributes.get("rel") not in ("canonical", "index", "search", "next", "prev", "author"):
        found.append(attributes.get("href", ""))
    return found + IN_CSS.findall(attributes.get("style", ""))


def broken(page: Path, reference: str, parsed: Callable) -> bool:
    """Whether a reference from a page to the inside of the site leads nowhere."""
    parts = urlsplit(reference)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return True
    anchor = unquote(parts.fragment)
    return bool(anchor) and target.suffix == ".html" and anchor not in parsed(target).ids


def test_every_internal_link_and_file_is_there(page_name, site, parsed):
    page = site / page_name
    references = {attributes.get(key, "") for _, attributes in parsed(page).tags for key in ("href", "src")} - {"", "#"}
    internal = {reference for reference in references if not urlsplit(reference).scheme and not is_external(reference)}
    assert [reference for reference in sorted(internal) if broken(page, reference, parsed)] == []


def test_every_picture_says_what_it_shows(page_name, site, parsed):
    for tag, attributes in parsed(site / page_name).tags:
        if tag == "img":
            text = attributes.get("alt", "")
            assert text.strip(), f"no alternative text: {attributes}"
            assert not FILE_NAME.search(text), f"the alternative text is a file name: {text}"
        if tag == "svg" and "aria-hidden" not in attributes:
            assert attributes.keys() & {"aria-label", "aria-labelledby"}, f"a drawing without a label: {attributes}"


def test_nothing_is_loaded_from_another_host(page_name, site, parsed):
    page = site / page_name
    references = [reference for tag, attributes in parsed(page).tags for reference in loaded(tag, attributes)]
    for style in re.findall(r"<style[^>]*>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL):
        references += IN_CSS.findall(style)
    assert [reference for reference in references if is_external(reference)] == []


def test_no_style_sheet_loads_from_another_host(site):
    for sheet in site.rglob("*.css"):
        references = IN_CSS.findall(sheet.read_text(encoding="utf-8"))
        assert [reference for reference in references if is_external(reference)] == [], sheet.name


@pytest.mark.thorough
def test_no_solution_of_a_set_is_in_the_site(site):
    lines = set().union(*(solution_lines(each) for each in sets()))
    assert len(lines) > 60
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in site.rglob("*") if path.is_file()}
    assert [(line, path.name) for path, text in texts.items() for line in lines if html.escape(line) in text] == []
