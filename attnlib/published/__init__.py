"""What the papers print and claim, as data: one file `<key>.yml` for each paper, checked against `schema.Paper`.

>>> from attnlib import published
>>> published.load("se").table("table-10")
"""

from attnlib.published.schema import Claim, Paper, PublishedDataError, Table, keys, load

__all__ = ["Claim", "Paper", "PublishedDataError", "Table", "keys", "load"]
