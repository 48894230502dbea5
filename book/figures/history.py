"""A short history: three ways from a word read to a word said, and the years from there to the papers of this book."""

from collections import defaultdict

import torch
from torch import Tensor

import attnlib
from attnlib.papers import list_papers
from attnlib.self_attention.dot_product import attention_weights
from attnlib.self_attention.position_codes import sinusoidal
from book.figures.shapes import Picture

WORD = "left"
BEFORE = {  # year: who, what
    2014: [("Cho et al.", "one vector for a sentence"), ("Mnih et al.", "a glimpse, its place drawn")],
    2015: [("Bahdanau et al.", "a context for each word"), ("Xu et al.", "over a picture, soft or hard")],
}
SHORT = {
    "residual_attention": "Residual attention",
    "dot_product": "Transformer",
    "non_local": "Non-local",
    "ocnet": "OCNet",
    "triplet": "Triplet",
    "sasa": "SASA",
}


def pictures() -> list[Picture]:
    return [ways(), years()]


def ways() -> Picture:
    picture = Picture(
        "history-ways",
        height=394,
        title="Three ways from the letters read to the letters said",
        description=f"Three panels. In each the word {WORD} is read above and said backwards below. First: a chain of "
        "four states reads it; one vector is all that reaches the chain of four states that says it. Second: the same "
        "two chains, and lines from each state below to all states above; the heavy ones lead to the mirrored letter. "
        "Third: the lines alone, no chain.",
    )
    panels = (
        ("one vector", "two chains"),
        ("attention beside the chains", "two chains"),
        ("attention alone", "no chain"),
    )
    weights = mirrored().tolist()
    left, pitch = 78, 56
    xs = [left + pitch * n for n in range(len(WORD))]
    for number, (name, chains) in enumerate(panels):
        top = 14 + 134 * number
        upper, lower = top + 36, top + 88
        picture.text(8, top, name, "head", anchor="start")
        picture.text(332, top, chains, "small", anchor="end")
        picture.text(8, upper + 4, "read", "small", anchor="start")
        picture.text(8, lower + 4, "say", "small", anchor="start")
        if number:
            for i, row in enumerate(weights):
                for j, weight in enumerate(row):
                    picture.wire((xs[i], lower - 6), (xs[j], upper + 6), 3 * weight if weight > 0.3 else 0, "gate")
        for n, x in enumerate(xs):
            picture.text(x, upper - 12, WORD[n])
            picture.text(x, lower + 22, WORD[-1 - n])
            picture.node(x, upper, "map")
            picture.node(x, lower, "statistic" if number < 2 else "output")
            if number < 2 and n:
                for y in (upper, lower):
                    picture.arrow((xs[n - 1] + 7, y), (x - 7, y))
        if number < 2:
            picture.symbol(xs[-1] + 22, upper + 5, "h", "map")
            picture.symbol(xs[-1] + 22, lower + 5, "s", "statistic")
        if number == 0:
            middle = (upper + lower) / 2
            picture.arrow((xs[-1], upper + 7), (xs[-1], middle), (xs[0], middle), (xs[0], lower - 7))
            picture.symbol(xs[1] + pitch / 2, middle - 5, "c", "output")
        else:
            picture.symbol(xs[-1] + 22, (upper + lower) / 2 + 5, "α" if number == 1 else "A", "gate")
    picture.also(**{r"\alpha": "gate", "W": "weight", "U": "weight", "v": "-"})
    return picture


def mirrored() -> Tensor:
    """What each letter said takes from each letter read: the code from the start asks for the code from the end."""
    code = sinusoidal(len(WORD), 8, torch.zeros(1))
    return attention_weights(4 * code, code.flip(0))


def years() -> Picture:
    papers: dict[int, dict[str, list[str]]] = defaultdict(lambda: {"scale": [], "self": []})
    scaling = attnlib.list_modules("scale")
    for key in list_papers():
        family = "scale" if key in scaling else "self"
        papers[attnlib.paper(key).year][family].append(SHORT.get(key, key.upper()))
    lines = {year: max(map(len, of.values())) for year, of in papers.items()}
    picture = Picture(
        "history-years",
        height=116 + sum(17 * count + 11 for count in lines.values()) + 14,
        title="From one vector to two families",
        description="A line of years. "
        + " ".join(f"{year}: {'; '.join(f'{who}, {what}' for who, what in of)}." for year, of in BEFORE.items())
        + " Then two columns, what scales and what moves. "
        + " ".join(f"{y}: {', '.join(of['scale'])} | {', '.join(of['self'])}." for y, of in sorted(papers.items())),
    )
    y, scale, moves = 18, 70, 222
    first = y
    for year, entries in BEFORE.items():
        picture.text(4, y, year, "head", anchor="start")
        for who, what in entries:
            picture.text(scale, y, who, anchor="start")
            picture.text(scale + 98, y, what, "small", anchor="start")
            y += 17
        y += 9
    picture.text(scale, y + 12, "scales", "q-gate head", anchor="start")
    picture.text(moves, y + 12, "moves", "q-output head", anchor="start")
    y += 36
    for year, of in sorted(papers.items()):
        picture.text(4, y, year, "head", anchor="start")
        for x, names in ((scale, of["scale"]), (moves, of["self"])):
            for row, name in enumerate(names):
                picture.text(x, y + 17 * row, name, anchor="start")
        y += 17 * lines[year] + 11
    picture.line((52, first - 10), (52, y - 20))
    return picture
