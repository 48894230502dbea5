"""Labels and numbers as sentences and figures show them."""

import re
import textwrap
from collections.abc import Sequence


def shown(label: str) -> str:
    """A recipe's label as it is shown: numbers to three digits, and cut where it is longer than 60 characters."""
    rounded = re.sub(r"\d+\.\d{4,}", lambda number: f"{float(number[0]):.3g}", label)
    return textwrap.shorten(rounded, 60, placeholder=" ...)")


def listed(labels: Sequence[str], of: int | None = None) -> str:
    """The labels in one line; their number instead where they are nearly all of `of`."""
    if of is not None and len(labels) > max(4, 0.75 * of):
        return f"{len(labels)} of {of}"
    return ", ".join(map(shown, labels)) or "no attention"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
