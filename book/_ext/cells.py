"""Sphinx extension: the title of a folded cell stays when the cell is opened.

A cell that is hidden by a tag says what is in it by its metadata, `mystnb={"code_prompt_show": "Draw the figure"}`. By
default MyST-NB puts "Hide code cell source" in that place once the cell is open.
"""

from docutils import nodes
from sphinx.application import Sphinx


def keep_titles(app: Sphinx, document: nodes.document) -> None:
    """Give every folded cell that has a title the same title for its open state."""
    for cell in document.findall(nodes.container):
        if "hide_mode" in cell and "code_prompt_show" in cell["cell_metadata"].get("mystnb", {}):
            cell["prompt_hide"] = cell["prompt_show"]


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", keep_titles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
