"""Small extensions of the site: what a page says of itself, titles of folded cells, buttons that need an address."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

TITLE = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Draw the figure"}}


def test_a_page_describes_itself(built):
    text = "# SE & *more*\n\n$x$ is a formula.\n\nIs a `<gate>` a & b? " + "word " * 60
    page, warnings = built(text, ["cards"], html_title="The book")
    assert warnings == ""
    description = re.search('<meta name="description" content="([^"]*)" />', page)[1]
    assert description.startswith("Is a &lt;gate&gt; a &amp; b? word")
    assert description.endswith("word…")
    assert '<meta property="og:title" content="SE &amp; more" />' in page
    assert '<meta property="og:site_name" content="The book" />' in page


def test_a_folded_cell_keeps_its_title(built):
    cells = [new_markdown_cell("# A page"), new_code_cell("1", metadata=TITLE)]
    cells.append(new_code_cell("2", metadata={"tags": ["hide-input"]}))
    page, _ = built(new_notebook(cells=cells), ["details"])
    assert page.count("Draw the figure") == 2  # closed and open
    assert "Show code cell source" in page


def test_a_chinese_term_says_so(built):
    page, warnings = built("# Terms\n\n```{glossary}\ngate\n门控\n  A factor.\n```\n", ["details"])
    assert warnings == ""
    assert [lang for lang in re.findall("<dt([^>]*)>", page) if 'lang="zh"' in lang] != []
    assert page.count('lang="zh"') == 1


@pytest.mark.parametrize("address", ["", "https://github.com/readers/book"])
def test_buttons_lead_to_the_one_address_and_are_absent_without_it(built, address):
    options = {"repository_url": address, "repository_branch": "main"}
    page, warnings = built(
        new_notebook(cells=[new_markdown_cell("# A page")]),
        ["launch"],
        html_theme="sphinx_book_theme",
        html_theme_options=options,
    )
    assert warnings == ""
    colab, binder = (
        "https://colab.research.google.com/github/readers/book/blob/main/index.ipynb",
        "https://mybinder.org/v2/",
    )
    for link in (colab, binder, 'href="https://github.com/readers/book"', "https://github.com/readers/book/issues"):
        assert (link in page) == bool(address), link
