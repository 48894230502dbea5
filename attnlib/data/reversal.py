"""Words to be said backwards: a translation so small that it trains in seconds, in which every letter has to travel."""

import torch
from jaxtyping import Int
from torch import Tensor

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def reversal(
    count: int, length: int, generator: torch.Generator
) -> tuple[Int[Tensor, "N length"], Int[Tensor, "N length"]]:
    """Words of random letters, and the same words backwards.

    Args:
        count: number of words N.
        length: letters of every word.
        generator: of the random numbers.

    Returns:
        words: indices into ALPHABET.
        reversed: the same letters, the last one first.

    Raises:
        ValueError: `count` or `length` is below 1.
    """
    for name, value in (("count", count), ("length", length)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    words = torch.randint(len(ALPHABET), (count, length), generator=generator)
    return words, words.flip(1)


def spelled(letters: Int[Tensor, " length"]) -> str:
    """The word that indices stand for."""
    return "".join(ALPHABET[letter] for letter in letters.tolist())
