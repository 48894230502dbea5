"""The one error that every look-up by name shares."""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher


class UnknownNameError(ValueError):
    """A name that is not in a table; the message lists the near matches, or all names where nothing is near."""


def unknown(kind: str, name: str, known: Iterable[str] | Mapping[str, str]) -> UnknownNameError:
    """The error for a `kind` ("module", "dataset" ...) called `name`, where `known` are the names there are.

    A mapping gives each name a description, whose words count as near matches too: "shufle" finds "sa".
    """
    described = known if isinstance(known, Mapping) else dict.fromkeys(known, "")

    def nearness(candidate: str) -> float:
        words = [candidate, *described[candidate].lower().replace("-", " ").split()]
        return max(SequenceMatcher(None, str(name).lower(), word).ratio() for word in words)

    near = sorted((c for c in described if nearness(c) >= 0.6), key=nearness, reverse=True)[:3]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(sorted(described))}"
    return UnknownNameError(f"no {kind} is called {name!r}; {hint}")


def shortened(error: object, most: int = 200) -> str:
    """A message of somebody else's on one line, cut where it is long."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= most else f"{line[:most]} ..."
