"""Sphinx extension: two details of a page that has been read.

* The title of a folded cell, `mystnb={"code_prompt_show": "Draw the figure"}` in its metadata, stays when the cell is
  opened; by default MyST-NB puts "Hide code cell source" in its place.
* A Chinese term of the glossary says that it is Chinese, for fonts and screen readers.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

CHINESE = re.compile("[\u4e00-\u9fff]")


def mend(app: Sphinx, document: nodes.document) -> None:
    """Complete folded cells and terms."""
    for cell in document.findall(nodes.container):
        if "hide_mode" in cell and "code_prompt_show" in cell["cell_metadata"].get("mystnb", {}):
            cell["prompt_hide"] = cell["prompt_show"]
    for term in document.findall(nodes.term):
        if CHINESE.search(term.astext()):
            term["classes"].append("language-zh")  # the writer makes it lang="zh"


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
