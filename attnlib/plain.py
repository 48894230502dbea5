"""What comes from data, made fit for where it is shown: nothing in it is HTML, Markdown or an order to a terminal.

Records, papers, recipes and experiments are files that anybody may send; pages and commands show their text through
these functions.
"""

import html
import re

# C0 and C1 without tab and newline, and what turns the direction of writing, so that a text reads as what it is not;
# lone halves of pairs, which no file and no terminal in UTF-8 takes.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def in_html(text: object, one_line: bool = True) -> str:
    """Text of an element or a quoted attribute; on one line, since Markdown ends HTML at an empty one."""
    escaped = html.escape(_CONTROLS.sub("", str(text)))
    return re.sub(r"\s*\n\s*", " ", escaped) if one_line else escaped


def in_cell(text: object) -> str:
    """Text of a cell of an HTML table, in which quotes stay as they are."""
    return html.escape(_CONTROLS.sub("", str(text)), quote=False)


def in_markdown(text: object) -> str:
    """Text inside a line of Markdown, also of a table: its signs stand for themselves."""
    return re.sub(r"([\\`*\[\]{}<>&$|#!~^\"])", r"\\\1", " ".join(_CONTROLS.sub("", str(text)).split()))


def in_terminal(text: str) -> str:
    """Text for a terminal, without the signs that it takes for orders: colours, titles, moves, what it types back."""
    return _CONTROLS.sub("", text)
