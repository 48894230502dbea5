"""What holds of a paper, and where its code differs from it, as sentences on the page."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attnlib.plain import in_html, in_terminal

if TYPE_CHECKING:
    from attnlib.ledger.verdict import Verdict
    from attnlib.papers import Paper


class Sentences:
    """A list for the page (HTML) and for a terminal (text), from pairs of a heading and a text."""

    def __init__(self, kind: str, rows: Iterable[tuple[str, str]]) -> None:
        self.kind, self.rows = kind, list(rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<dt class="{in_html(_slug(word))}">{in_html(word)}</dt><dd>{in_html(text)}</dd>'
            for word, text in self.rows
        )
        return f'<dl class="{self.kind}">{rows}</dl>'

    def __repr__(self) -> str:
        return in_terminal("\n".join(f"{word}: {text}" for word, text in self.rows))


# How a printed figure is known, where it was not read.
_KNOWN = {"second-hand": "The printed figure is known at second hand.", "recalled": "The printed figure is recalled."}


def verdicts(judged: Sequence["Verdict"]) -> Sentences:
    """Claims as sentences, each behind its verdict; then what is printed and what was measured, where they differ.

    Where the printed figure was not read, the sentence says how it is known; what others found follows, without its
    figures and sources, which stand in the ledger.
    """
    rows = []
    for v in judged:
        evidence = (f"Evidence that {found.says} it: {found.text}" for found in v.evidence)
        text = " ".join(filter(None, (v.claim, _figures(v), _KNOWN.get(v.confidence), *evidence)))
        rows.append((v.words, text))
    return Sentences("verdicts", rows)


def differences(paper: "Paper") -> Sentences:
    """Where a paper and its released code differ, a sentence or two for each place."""
    return Sentences("differences", ((d.id.replace("-", " "), d.text) for d in paper.differences))


def _figures(verdict: "Verdict") -> str:
    """The two figures with their unit; nothing where the claim holds as it is said, and its number stands in it.

    Of a question of yes or no, 1 or 0 in the ledger, the note says more than the figures.
    """
    if verdict.verdict == "holds":
        return ""
    if verdict.published is None or verdict.measured is None or verdict.unit.startswith("1 where "):
        return f"({verdict.note})" if verdict.note else ""
    unit = "".join(f" {word}" for word in verdict.unit.replace("10^6", "million").replace("10^9", "billion").split())
    figures = f"Printed: {verdict.published:.6g}{unit}; measured: {verdict.measured:.6g}"
    return f"{figures} ({verdict.note.rstrip('.')})." if verdict.note else f"{figures}."


def _slug(word: str) -> str:
    return word.partition(":")[0].replace(" ", "-")
