"""What a set asks: questions, their parts, and the mistakes that a part knows by name.

A set's `judge.py` says of each question which function it asks for, and for each part of it the inputs to try and what
is right. All of it runs in the judge's process; a student's code never sees more than the inputs.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from attnlib.checks import CheckError, compare, described, leaves

Arguments = tuple
Inputs = Callable[[torch.Generator], Sequence[Arguments]]


@dataclass(frozen=True)
class Mistake:
    """A wrong way that students take, told by its results.

    Attributes:
        function: gives what this way gives, on the same arguments.
        remark: what to think about, without the answer.
    """

    function: Callable
    remark: str


@dataclass(frozen=True)
class Part:
    """Something that a question's function has to do, with its points.

    Attributes:
        name: what is tried, in words that a student reads in the feedback.
        points: for all inputs right; there is no half of a part.
        inputs: given a generator of the judge's seed, the lists of arguments to try.
        right: what is right on them.
        atol: how far an entry may be off.
        mistakes: wrong ways that get a remark of their own.
        edge: whether an answer that does nothing would be right as well, such as one that gives back what it got; its
            points count only beside those of another part of the question.
    """

    name: str
    points: float
    inputs: Inputs
    right: Callable
    atol: float = 1e-8
    mistakes: Sequence[Mistake] = ()
    edge: bool = False

    def complaint(self, arguments: Arguments, given: object) -> str | None:
        """What is wrong with a result; None where it is right. The right values are not shown."""
        expected = self.right(*arguments)
        if self.agrees(given, expected):
            return None
        for mistake in self.mistakes:
            if self.agrees(given, mistake.function(*arguments)):
                return mistake.remark
        got, wanted = described(given), described(expected)
        shapes = isinstance(expected, torch.Tensor) and got != wanted
        return f"the result is a {got}, asked for is a {wanted}" if shapes else "the result has other values"

    def agrees(self, given: object, expected: object) -> bool:
        """Whether two results are the same: kinds, shapes, and entries within `atol`; any float will do for a float."""
        try:
            for place, one, other in leaves(self.name, "", given, expected):
                compare(self.name, place, one, other, self.atol, 0.0, False)
        except (CheckError, TypeError, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Question:
    """One graded answer of a set.

    Attributes:
        name: of its answer cell in the notebook.
        function: that the answer defines.
        parts: what is tried of it.
    """

    name: str
    function: str
    parts: Sequence[Part]

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)


@dataclass(frozen=True)
class Judge:
    """What a set's `judge.py` defines under the name JUDGE.

    Attributes:
        title: of the set.
        questions: in the order of the notebook.
        refused: what of torch an answer may not use, as patterns ("*avg_pool*"), each with the reason: it would be the
            answer. A student's own function may have such a name.
        packages: what a student installs; the sandbox has these and what they need, and nothing else.
    """

    title: str
    questions: Sequence[Question]
    refused: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ("numpy", "torch", "matplotlib")

    def question(self, name: str) -> Question:
        return next(question for question in self.questions if question.name == name)


def draw(secret: str, *place: object) -> torch.Generator:
    """A generator of the course's secret, for one place: nobody who does not know the secret knows the inputs."""
    digest = hashlib.sha256("\n".join([secret, *map(str, place)]).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
