"""A paper: what it is, how it is known, what it prints and claims, and what became of that."""

import ast
from collections.abc import Callable, Collection
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnlib.errors import unknown
from attnlib.ledger import entries, schema
from attnlib.ledger.cells import Cell, Counting, better, frame
from attnlib.ledger.expressions import is_expression
from attnlib.papers.order import unkind_first
from attnlib.training.recipe import Recipe

if TYPE_CHECKING:
    import pandas

    from attnlib.ledger.verdict import Verdict

_FOLDER = Path(__file__).parent


def paper(key: str) -> "Paper":
    """The paper `key`, e.g. "se"; `attnlib.papers.list_papers()` has all.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
    """
    return Paper(key)


def list_papers() -> list[str]:
    """Keys of the papers there are."""
    return schema.keys()


class Paper:
    """What a chapter or a page asks of a paper.

    Attributes:
        key: the name that every room of the project uses.
        name: the module's name in prose.
        title, authors, venue, year, arxiv, doi: of the paper; the last two are None where there is none.
        known: how the paper is known. `known.how` is "read", "second-hand" (through extracts, translations or
            summaries) or "not read"; `known.sentence`, or str(known), says it for the head of a chapter.
        code, code_licence: where the authors' code is, and under which licence.
        idea, placement, initialisation: in a sentence or two each.
        hyperparameters: name to value, as text.
        differences: where paper and released code differ: `text`, and `claim`, the id of the one that shows it.
        not_found: what of the paper could not be found.
    """

    def __init__(self, key: str) -> None:
        printed = schema.load(key)
        self._printed = printed
        self.key, self.name = printed.key, printed.name
        self.title, self.authors, self.venue, self.year = printed.title, printed.authors, printed.venue, printed.year
        self.arxiv, self.doi, self.known = printed.arxiv, printed.doi, printed.known
        self.code, self.code_licence = printed.code, printed.code_licence
        self.idea, self.placement, self.initialisation = printed.idea, printed.placement, printed.initialisation
        self.hyperparameters, self.differences = printed.hyperparameters, printed.differences
        self.not_found = printed.not_found

    def __repr__(self) -> str:
        return f"Paper({self.key!r}: {self.citation})"

    @property
    def citation(self) -> str:
        """Authors' family names, title, venue and arXiv number in one line."""
        *others, last = (author.split()[-1] for author in self.authors)
        names = f"{', '.join(others)} and {last}" if others else last
        arxiv = f" (arXiv {self.arxiv})" if self.arxiv else ""
        return f"{names}: {self.title}. {self.venue}{arxiv}"

    @property
    def tables(self) -> "dict[str, pandas.DataFrame]":
        """The printed tables by their ids, in the order of the paper, each as `table` gives it."""
        return {table.id: table.frame() for table in self._printed.tables}

    def table(self, id: str) -> "pandas.DataFrame":
        """One printed table; its `attrs` has label, about, source, confidence and note.

        Raises:
            UnknownNameError: no such table; the message lists the near matches.
        """
        return self._printed.table(id)

    @property
    def cells(self) -> list[Cell]:
        """Every printed cost as an object: what `costs` shows as a frame, and the unit."""
        return self._ledger.cells

    def costs(self, rows: str | Collection[str] | Callable[[Cell], bool] | None = None) -> "pandas.DataFrame":
        """The printed costs beside the recomputed ones: a row for each printed figure.

        Columns: table, row, column (of the printed table), published, measured, difference (measured - published),
        agrees (to the printed digits), reason (why it is not recomputed; measured is then missing), confidence (how the
        published figure is known).

        Args:
            rows: which; default all. Labels choose and order: the row of a table, such as "SE-ResNet-50", a table, such
                as "Table 2", or both, "Table 2: SE-ResNet-50". A function of a cell keeps those for which it is true,
                such as `lambda cell: cell.table == "Table 2" and not cell.agrees`.

        Raises:
            UnknownNameError: a label that no cell has; the message lists the near matches.
            ValueError: the costs were never computed.
        """
        if rows is None:
            return frame(self.cells)
        if callable(rows):
            return frame([cell for cell in self.cells if rows(cell)])
        chosen: list[Cell] = []
        for label in [rows] if isinstance(rows, str) else rows:
            labels = [(cell, {cell.row, cell.table, f"{cell.table}: {cell.row}"}) for cell in self.cells]
            if not (found := [cell for cell, names in labels if label in names]):
                raise unknown(f"row of costs of {self.key}", label, set().union(*(names for _, names in labels)))
            chosen += [cell for cell in found if cell not in chosen]
        return frame(chosen)

    @property
    def better_countings(self) -> list[tuple[Counting, Counting]]:
        """For each table that another rule of counting fits better than the stated one: as stated, and by the best.

        Each has `table`, `quantity` (parameters or operations), `rule`, and how many of its `cells` `agree`.
        """
        return better(self._ledger.countings)

    def verdicts(self, ids: str | Collection[str] | None = None, most: int | None = 8) -> "list[Verdict]":
        """Claims with their verdicts: `claim`, `published`, `measured`, `verdict`, `disagreement`, `note` and more.

        Args:
            ids: which, in this order, e.g. "parameters-resnet50" (or with the key in front); default the unkind ones
                first, then those that await a record, then what holds.
            most: so many of them, where no ids are given; None for all.

        Raises:
            UnknownNameError: no such claim; the message lists the near matches.
            ValueError: the claims were never judged.
        """
        judged = self._ledger.verdicts
        if ids is None:
            return unkind_first(judged)[:most]
        by_id = {verdict.id: verdict for verdict in judged}
        return [by_id[self._full(id, by_id)] for id in ([ids] if isinstance(ids, str) else ids)]

    @property
    def recipes(self) -> dict[str, Recipe]:
        """The training recipes of the paper's experiments by name, `<key>-<network>-<data>`."""
        return {name: Recipe.named(name) for name in Recipe.names(self.key)}

    def code_of(self, id: str) -> str | None:
        """The code that computed a verdict, a line of arithmetic or a function with those of its file that it calls.

        None where records decide.

        Raises:
            UnknownNameError: no such claim; the message lists the near matches.
        """
        (verdict,) = self.verdicts(id)
        if verdict.check is None or is_expression(verdict.check):
            return verdict.check
        return source(_FOLDER / self.key / "claims.py", verdict.check)

    def recompute(self) -> None:
        """Judge all claims and recompute all costs, seconds to a minute, and file what they give.

        Raises:
            OSError: it cannot be filed; this paper has it all the same.
        """
        self._ledger = entries.compute(self.key)
        entries.store(self._ledger)

    @cached_property
    def _ledger(self) -> entries.Ledger:
        return entries.stored(self.key)

    def _full(self, id: str, known: Collection[str]) -> str:
        for candidate in (id, f"{self.key}-{id}"):
            if candidate in known:
                return candidate
        raise unknown(f"claim of {self.key}", id, list(known))


def source(path: Path, name: str) -> str:
    """The lines of one function of a file, then those of the file's own functions that it calls."""
    functions = _functions(path)
    shown = [name]
    for each in shown:  # grows meanwhile
        shown += [other for other in functions[each][1] if other in functions and other not in shown]
    return "\n\n\n".join(functions[each][0] for each in shown)


@cache
def _functions(path: Path) -> dict[str, tuple[str, list[str]]]:
    """The functions of a file by name: the lines of each, and the names that it uses."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    return {
        node.name: (
            "\n".join(lines[node.lineno - 1 : node.end_lineno]),
            list(dict.fromkeys(each.id for each in ast.walk(node) if isinstance(each, ast.Name))),
        )
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
