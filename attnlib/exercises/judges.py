"""The three judges of an exercise: of an exact answer, of a number to stated digits, and of a function.

A judge takes the label and the answer and gives None where it is right, else one sentence. What is right stands nowhere
in the text: exact answers and numbers are kept as slow, salted hashes, which `seal` makes, and a function is tried on
random inputs beside the package's own.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch

from attnlib.checks import CheckError, compare, described, leaves

ROUNDS = 20_000  # 10 ms for one answer, too slow to try all of them by the way


@runtime_checkable
class Judge(Protocol):
    def __call__(self, label: str, given: object) -> str | None: ...


class Exact:
    """For whole numbers, words, booleans, and lists, sets or dicts of them.

    Words are compared without regard to case and spaces, 708.0 is 708, a tensor or array is its nested list.

    Args:
        digest: from `seal`.
        known: {digest of a wrong answer: what is wrong with it}, one sentence that does not give the right one away.
    """

    def __init__(self, digest: str, known: dict[str, str] | None = None) -> None:
        self.digest, self.known = digest, known or {}

    def __call__(self, label: str, given: object) -> str | None:
        try:
            found = digest_of(label, canonical(given))
        except TypeError as error:
            return str(error)
        return None if found == self.digest else self.known.get(found, "this is not the answer; the hint may help")


class Number:
    """For a number that is asked for to some digits: what rounds to the same is right.

    Args:
        digest: from `seal`.
        decimals: how many digits after the point are asked for (below 0: round to tens, hundreds).
        known: {digest of a wrong answer: what is wrong with it}.
    """

    def __init__(self, digest: str, decimals: int, known: dict[str, str] | None = None) -> None:
        self.digest, self.decimals, self.known = digest, decimals, known or {}

    def __call__(self, label: str, given: object) -> str | None:
        number = plain(given)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            return f"a number is asked for, and this is {shortened(given)}"
        found = digest_of(label, rounded(number, self.decimals))
        return None if found == self.digest else self.known.get(found, "this is not the number; the hint may help")


class Function:
    """For a function or a module: tried on inputs that the reader does not see, beside the package's own.

    Args:
        inputs: given a torch.Generator, the lists of arguments to try: `lambda rng: [(torch.randn(2, 8, 5, 7,
            generator=rng),), ...]`.
        reference: what is right, called with the same arguments.
        atol: how far an entry may be off.
        asked: the signature in words, for an answer that is no function: "a function of the map x".
    """

    def __init__(
        self,
        inputs: Callable[[torch.Generator], Iterable[tuple]],
        reference: Callable,
        atol: float = 1e-10,
        asked: str = "a function",
    ) -> None:
        self.inputs, self.reference, self.atol, self.asked = inputs, reference, atol, asked

    def __call__(self, label: str, given: object) -> str | None:
        if not callable(given) or isinstance(given, type):
            return f"{self.asked} is asked for, and this is {shortened(given)}"
        seed = int.from_bytes(hashlib.sha256(label.encode()).digest()[:7])
        with torch.random.fork_rng(devices=[]):  # a judge leaves the reader's random numbers as they were
            torch.manual_seed(seed)
            for number, arguments in enumerate(self.inputs(torch.Generator().manual_seed(seed)), start=1):
                if complaint := self.complaint(label, given, arguments):
                    return f"on random input {number} {complaint}"
        return None

    def complaint(self, label: str, given: Callable, arguments: tuple) -> str | None:
        """What is wrong on one input; the right values are not shown."""
        expected = self.reference(*copy.deepcopy(arguments))
        try:
            found = given(*copy.deepcopy(arguments))
        except Exception as error:  # whatever a reader's code may raise
            return f"your code raised {type(error).__name__}: {error}"
        try:
            for place, ours, reference in leaves(label, "", found, expected):
                compare(label, place, ours, reference, self.atol, 0.0, False)
        except (CheckError, TypeError):
            got, wanted = described(found), described(expected)
            tensors = got != wanted and isinstance(expected, torch.Tensor)
            return f"your result is {got}, and {wanted} is right" if tensors else "your result has other values"
        return None


def seal(label: str, right: object, decimals: int | None = None, known: Iterable[tuple[object, str]] = ()) -> str:
    """The line for the file of judges that knows an answer by its hash.

    >>> print(seal("se-exercise-stage", 0.607, decimals=2, known=[(0.393, "that is the share of the other stages")]))

    Args:
        label: of the exercise.
        right: the right answer.
        decimals: for a number, the digits asked for.
        known: wrong answers that are worth a sentence, each with its sentence.

    Raises:
        ValueError: the number lies so near the border between two roundings that a reader's last digit would decide,
            or a known wrong answer is the right one.
        TypeError: the answer is neither exact nor a number.
    """
    texts = []
    for given in (right, *(wrong for wrong, _ in known)):
        if decimals is None:
            texts.append(canonical(given))
            continue
        scaled = given * 10**decimals
        if abs(scaled - math.floor(scaled) - 0.5) < 0.05:
            raise ValueError(f"{label}: {given} lies between two numbers of {decimals} decimals; ask for others")
        texts.append(rounded(given, decimals))
    if len(set(texts)) < len(texts):
        raise ValueError(f"{label}: two of the answers {', '.join(texts)} are the same")
    digest, *others = (digest_of(label, text) for text in texts)
    kind = f'Exact("{digest}"' if decimals is None else f'Number("{digest}", decimals={decimals}'
    sentences = {other: sentence for other, (_, sentence) in zip(others, known, strict=True)}
    return f'"{label}": {kind}{f", known={sentences!r}" if sentences else ""}),'


def digest_of(label: str, text: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), label.encode(), ROUNDS).hex()[:16]


def rounded(number: float, decimals: int) -> str:
    """The number to so many decimals as text; minus zero is zero."""
    return f"{round(float(number), decimals) + 0.0:.{max(decimals, 0)}f}"


def plain(value: object) -> object:
    """A tensor, an array or one of their numbers as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


def canonical(value: object) -> str:
    """One text for all ways to write the same answer.

    Raises:
        TypeError: a value of another kind, or a number that is not whole.
    """
    value = plain(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return repr(" ".join(value.casefold().split()))
    if isinstance(value, int | float):
        if not math.isfinite(value) or value != int(value):
            raise TypeError(f"a whole number is asked for, and this is {value!r}")
        return str(int(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(canonical, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, dict):
        pairs = sorted((canonical(key), canonical(each)) for key, each in value.items())
        return f"{{{', '.join(f'{key}: {each}' for key, each in pairs)}}}"
    raise TypeError(f"numbers, words or lists of them are asked for, and this is {shortened(value)}")


def shortened(value: object) -> str:
    text = value.__name__ if isinstance(value, type) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
