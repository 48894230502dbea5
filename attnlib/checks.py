"""What a chapter is held to: `check` compares two computations, `finding` holds a sentence against the data.

Both raise where they fail, so that no page can be built on a comparison that did not hold.
"""

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import numpy as np
import torch


class CheckError(AssertionError):
    """A comparison or a finding that does not hold; the message says which, where and by how much."""


# ---- check ----


def check(
    name: str, ours: object, reference: object, atol: float = 0.0, rtol: float = 0.0, equal_nan: bool = False
) -> None:
    """Compare two results entry by entry: one line where they agree, an error with the first entry where they do not.

    The line names the bound and not the difference, because the difference changes with the processor.

    Args:
        name: what is compared, "scratch = loops"; it opens the line and the error.
        ours: a tensor, array, number, boolean or text; a nested list or a dict of them.
        reference: the same shape, with no broadcasting. Precisions may differ; numbers, booleans and texts do not mix.
        atol: how far an entry may be off, absolutely. 0 asks for equality.
        rtol: how far it may be off beside that, as a part of the reference's entry.
        equal_nan: NaN agrees with NaN; otherwise any NaN fails.

    Raises:
        CheckError: an entry, a shape, a kind or the keys of a dict differ, or there is nothing to compare.
        ValueError: a bound is negative or not finite, the name is empty, or both sides are the same memory, so that the
            comparison could not fail.
        TypeError: a value that is none of the above.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name must say what is compared, got {name!r}")
    for bound, value in (("atol", atol), ("rtol", rtol)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{bound} must be a finite number of 0 or more, got {value!r}")
    pairs = list(leaves(name, "", ours, reference))
    for place, one, other in pairs:
        compare(name, place, one, other, atol, rtol, equal_nan)
    bound = " and ".join([f"to {atol:g}"] * (atol > 0) + [f"to {rtol:g} of each entry"] * (rtol > 0)) or "exactly"
    print(f"holds: {name}, {bound}{extent([array(one) for _, one, _ in pairs])}")


def leaves(name: str, place: str, ours: object, reference: object) -> Iterator[tuple[str, object, object]]:
    """(place, ours, reference) for every array, number or text inside two structures of dicts and sequences."""
    if isinstance(ours, Mapping) or isinstance(reference, Mapping):
        if not (isinstance(ours, Mapping) and isinstance(reference, Mapping)):
            raise failure(name, place, f"ours is {described(ours)}, the reference {described(reference)}")
        if ours.keys() != reference.keys():
            mine, theirs = (sorted(map(str, a.keys() - b.keys())) for a, b in ((ours, reference), (reference, ours)))
            raise failure(name, place, f"the keys differ: only ours {mine}, only reference {theirs}")
        keys = [(f"{place}[{key!r}]", ours[key], reference[key]) for key in ours]
    elif mixed(ours) or mixed(reference):
        if not (sequence(ours) and sequence(reference)) or len(ours) != len(reference):
            raise failure(name, place, f"ours is {described(ours)}, the reference {described(reference)}")
        keys = [(f"{place}[{n}]", one, other) for n, (one, other) in enumerate(zip(ours, reference, strict=True))]
    else:
        yield place, ours, reference
        return
    if not keys:
        raise failure(name, place, "there is nothing to compare: both are empty")
    for inner, one, other in keys:
        yield from leaves(name, inner, one, other)


def mixed(value: object) -> bool:
    """Whether a list has to be taken entry by entry, because it holds tensors, arrays or dicts."""
    if not isinstance(value, list | tuple):
        return False
    return any(isinstance(each, torch.Tensor | np.ndarray | Mapping) or mixed(each) for each in value)


def sequence(value: object) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim > 0)


def compare(name: str, place: str, ours: object, reference: object, atol: float, rtol: float, equal_nan: bool) -> None:
    """Raise where two arrays, numbers or texts differ."""
    if same_memory(ours, reference):
        raise ValueError(
            f"{name}{place}: ours and reference are the same memory, so that the check cannot fail; "
            "keep a copy of what was before: .clone() or .copy()"
        )
    one, other = array(ours), array(reference)
    both = f"ours: {one.shape} {one.dtype}; reference: {other.shape} {other.dtype}"
    if one.shape != other.shape:
        raise failure(name, place, f"the shapes differ. {both}")
    if kind(one) != kind(other):
        raise failure(name, place, f"a {kind(one)} and a {kind(other)} are not compared. {both}")
    if one.size == 0:
        raise failure(name, place, f"there is nothing to compare: both are empty. {both}")
    agree = np.asarray(one == other)
    if kind(one) == "number" and not agree.all():
        agree = agree | within(one, other, atol, rtol)
        if equal_nan:
            agree = agree | (np.isnan(one) & np.isnan(other))
    if agree.all():
        return
    wrong = np.argwhere(~agree)
    first = tuple(int(each) for each in wrong[0])
    mine, theirs = one[first].item(), other[first].item()
    share = f"{len(wrong):,} of {agree.size:,} entries differ; the first" if agree.size > 1 else "the entry"
    where = f" at [{', '.join(map(str, first))}]" if first else ""
    size = f" ({abs(mine - theirs):.3g} apart)" if kind(one) == "number" else ""
    hint = "; NaN agrees with NaN where equal_nan=True" if mine != mine or theirs != theirs else ""
    raise failure(name, place, f"{share}{where}: ours {mine!r}, reference {theirs!r}{size}{hint}. {both}")


def within(ours: np.ndarray, reference: np.ndarray, atol: float, rtol: float) -> np.ndarray:
    """Where two arrays of numbers are within the bounds; an infinity is within the bounds of nothing."""
    if {ours.dtype.kind, reference.dtype.kind} <= {"i", "u"}:  # Python's own integers do not overflow
        ours, reference = ours.astype(object), reference.astype(object)
        return np.asarray(abs(ours - reference) <= atol + rtol * abs(reference), dtype=bool)
    wide = np.result_type(ours, reference, np.float64)
    ours, reference = ours.astype(wide), reference.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        close = abs(ours - reference) <= atol + rtol * abs(reference)
    return np.asarray(close & np.isfinite(ours) & np.isfinite(reference))  # of two numbers it would be a number


def array(value: object) -> np.ndarray:
    """A tensor, array, number, text or nested list as an array; floating point in double precision."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        floating = value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64)
        value = (value.double() if floating else value).numpy()
    try:
        made = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"a list whose rows differ in length cannot be compared: {value!r}"[:300]) from error
    if made.dtype.kind not in "biufcU":
        raise TypeError(f"cannot compare {type(value).__name__} {value!r}"[:200] + "; pass numbers, booleans or text")
    return made


def kind(values: np.ndarray) -> str:
    return {"b": "boolean", "U": "text"}.get(values.dtype.kind, "number")


def same_memory(ours: object, reference: object) -> bool:
    """Whether two tensors or two arrays are the same entries in memory, not merely equal ones."""
    if isinstance(ours, torch.Tensor) and isinstance(reference, torch.Tensor):
        a, b = ours.detach(), reference.detach()
        return a.numel() > 0 and (a.data_ptr(), a.shape, a.stride()) == (b.data_ptr(), b.shape, b.stride())
    if isinstance(ours, np.ndarray) and isinstance(reference, np.ndarray):
        return ours.size > 0 and ours.__array_interface__ == reference.__array_interface__
    return False


def described(value: object) -> str:
    """A value in a few words, for an error."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list | tuple | Mapping) else repr(value)


def failure(name: str, place: str, what: str) -> CheckError:
    return CheckError(f"{name!r} does not hold{f' for {place}' if place else ''}: {what}")


def extent(arrays: list[np.ndarray]) -> str:
    """How much was compared, in brackets; nothing for a single number."""
    if len(arrays) > 1:
        return f" ({len(arrays)} entries)"
    return f" ({' x '.join(map(str, arrays[0].shape))})" if arrays[0].shape else ""


# ---- finding ----

# "-3.03", "1,024", "4e-16"; not the 50 of ResNet-50, nor the 3 of 3x3
NUMBER = re.compile(r"(?<![\w.\-−])[+\-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?(?!\w)")


def numbers(text: str) -> list[str]:
    """The numbers that a sentence prints, as they are printed."""
    return NUMBER.findall(text)


def finding(quote: str, *found: object) -> None:
    """Hold a sentence of the text against the data: nothing happens where it is so, an error with the sentence else.

    Args:
        quote: the words of the finding, as they stand in the text.
        found: first what each number of the quote is on the data, in its order and its unit (percent where the text
            says percent): equal to the digits printed. Then, or instead, conditions that have to be true.

    >>> attnlib.finding("+2.6, +2.1 and +1.9 points", *gains)
    >>> attnlib.finding("on every seed", min(gains) > 0)

    Raises:
        CheckError: a number or a condition is not so.
        TypeError: nothing to hold the sentence against; another value than a number or a condition.
        ValueError: the quote prints more or fewer numbers than were given.
    """
    plain = [single(value) for value in found]
    if not plain:
        raise TypeError(f"nothing to hold {quote!r} against: give its numbers, or conditions")
    values = [value for value in plain if not isinstance(value, bool)]
    conditions = [value for value in plain if isinstance(value, bool)]
    printed = numbers(quote)
    if values and len(values) != len(printed):
        raise ValueError(f"{quote!r} prints {len(printed)} numbers ({', '.join(printed)}); {len(values)} were given")
    if plain != values + conditions:
        raise ValueError(f"{quote!r}: give the numbers first, then the conditions")
    wrong = [
        f"it says {text}, and the data say {value:.6g}"
        for text, value in zip(printed, values, strict=bool(values))
        if not rounds_to(value, text)
    ]
    wrong += [f"its condition {n} is false" for n, holds in enumerate(conditions, start=1) if not holds]
    if wrong:
        what = "; ".join(wrong)
        raise CheckError(f'the finding "{quote}" does not hold: {what}. Mend the sentence, or find out what changed')


def rounds_to(value: float, text: str) -> bool:
    """Whether a number is the printed one to the digits printed."""
    printed = Decimal(text.replace(",", "").replace("−", "-"))
    if not math.isfinite(value):
        return False
    half = Decimal(5).scaleb(printed.as_tuple().exponent - 1)
    return abs(Decimal(value) - printed) <= half * (1 + Decimal("1e-9"))


def single(value: object) -> bool | int | float:
    """A number or a condition from a Python value, or from a tensor or array of one entry."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        if math.prod(value.shape) != 1:
            raise TypeError(f"expected one number or condition, got {described(value)}; pass entries apart: *values")
        value = value.item()
    if not isinstance(value, bool | int | float):
        raise TypeError(f"expected a number or a condition, got {value!r}")
    return value
