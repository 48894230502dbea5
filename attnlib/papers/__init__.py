"""All that a chapter, a page or a command asks of a paper, in one object; where it is stored is nobody else's business.

>>> import attnlib
>>> se = attnlib.paper("se")
>>> se.citation
>>> se.table("table-10")
>>> se.verdicts(most=5)
"""

from typing import TYPE_CHECKING

from attnlib.lazy import later

if TYPE_CHECKING:
    from attnlib.ledger.schema import Evidence
    from attnlib.ledger.verdict import Verdict
    from attnlib.papers.face import Paper, list_papers, paper
    from attnlib.papers.order import by_unkindness, unkind_first

__all__ = ["Evidence", "Paper", "Verdict", "by_unkindness", "list_papers", "paper", "unkind_first"]
__getattr__, __dir__ = later(
    __name__,
    {
        ".face": ["Paper", "list_papers", "paper"],
        ".order": ["by_unkindness", "unkind_first"],
        "attnlib.ledger.verdict": ["Verdict"],
        "attnlib.ledger.schema": ["Evidence"],
    },
)
