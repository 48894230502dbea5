"""Tables as text for a page, a paper or another program; a report's among them."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from attnlib.base import check_choice
from attnlib.plain import in_markdown, in_terminal
from attnlib.results.rows import Comparison, Row

FORMATS = ("markdown", "csv", "latex")
_COLUMNS = (
    "attention",
    "seeds",
    "last epoch, %",
    "deviation",
    "best epoch, %",
    "best of",
    "parameters",
    "difference",
    "t, low",
    "t, high",
    "bootstrap, low",
    "bootstrap, high",
)
_LATEX = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "−": "$-$",
    "–": "--",
}


def render(report: Comparison, form: str) -> str:
    """The rows of a report as a table, highest mean first; accuracies in percent, differences in points.

    Args:
        form: "markdown", "latex" (a `tabular` that needs the package booktabs), or "csv", which has every digit and the
            accuracy of every seed.

    Raises:
        UnknownNameError: no such form.
    """
    check_choice("format", form, FORMATS)
    if form == "csv":
        return _csv(report)
    cells = [_cells(row) for row in report.rows]
    return markdown(_COLUMNS, cells) if form == "markdown" else latex(_COLUMNS, cells)


def _cells(row: Row) -> list[str]:
    differences = (row.difference, *(row.student or (None, None)), *(row.bootstrap or (None, None)))
    return [
        in_terminal(row.label),
        str(len(row.seeds)),
        f"{row.mean:.2f}",
        "-" if row.deviation is None else f"{row.deviation:.2f}",
        f"{row.best_mean:.2f}",
        row.best_of,
        str(row.parameters),
        *("-" if value is None else f"{value:+.2f}" for value in differences),
    ]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up in the text, too."""
    escaped = [[in_markdown(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(escaped[0]), ruler, *map(line, escaped[1:])]) + "\n"


def latex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `tabular` that needs the package booktabs; the first column is words, the others are figures."""
    head = [rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", r"\toprule", _latex_line(columns), r"\midrule"]
    return "\n".join([*head, *map(_latex_line, rows), r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_line(cells: Iterable[str]) -> str:
    line = " & ".join(escape_latex(cell) for cell in cells) + r" \\"
    return f"{{}}{line}" if line.startswith("[") else line  # behind \\ of the line before it would be a length


def escape_latex(text: str) -> str:
    """Text whose signs LaTeX prints, whatever they mean to it; on one line, since an empty one ends a paragraph."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _csv(report: Comparison) -> str:
    text = io.StringIO()
    lines: list[dict[str, Any]] = []
    for row in report.rows:
        line = row.model_dump() | {"label": in_terminal(row.label)}
        for name in ("seeds", "accuracies", "paired_seeds", "differences"):
            line[name] = " ".join(map(str, line[name] or ()))
        for name in ("bootstrap", "student"):
            line[f"{name}_low"], line[f"{name}_high"] = line.pop(name) or (None, None)
        lines.append(line)
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
