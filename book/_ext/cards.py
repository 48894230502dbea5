"""Sphinx extension: what a search engine or a messenger shows of a page, its title and its first paragraph."""

import re
from html import escape

from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 200


def describe(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Put title and description into the head of a page."""
    if doctree is None or (text := opening(doctree)) is None:
        return
    title = re.sub("<[^>]*>", "", context["title"])  # HTML by now
    entries = {"og:type": "article", "og:site_name": app.config.html_title, "og:description": text}
    tags = [f'<meta name="description" content="{escape(text)}" />']
    tags += [f'<meta property="{name}" content="{escape(value)}" />' for name, value in entries.items()]
    tags.append(f'<meta property="og:title" content="{title}" />')
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def opening(doctree: nodes.document) -> str | None:
    """The first paragraph of a page as plain text of at most LONGEST characters, cut between words."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if text and not any(True for _ in paragraph.findall(nodes.math)):  # formulas read badly as text
            return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rpartition(' ')[0]}…"
    return None


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
