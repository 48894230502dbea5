"""The order in which verdicts are told: the unkind ones first, those that tell nothing last."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnlib.ledger.verdict import Verdict

_ORDER = ("does not hold", "open", "holds with a note", "", "awaits a record", "holds", "not testable here")


def unkind_first(verdicts: "Iterable[Verdict]") -> "list[Verdict]":
    """The verdicts, the unkind ones first; those of one word stay in their order."""
    return sorted(verdicts, key=lambda verdict: _rank(verdict.verdict))


def by_unkindness(words: Iterable[str]) -> list[str]:
    """The words of verdicts, each once, in the same order."""
    return sorted(dict.fromkeys(words), key=_rank)


def _rank(word: str) -> int:
    # A word that is not known here is something to look at: it stands before what waits or is settled.
    return _ORDER.index(word if word in _ORDER else "")
