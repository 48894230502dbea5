"""The shapes that every mechanism picture is made of.

A picture is drawn for a column of 340 px, the width of a phone's page; on a wide page two stand side by side. One unit
is one pixel there: letters have 11 or more. Coordinates are those of SVG, y downwards. Colours come by class from
style.css, one for each kind of quantity, and never from here: `map`, `statistic`, `weight`, `gate`, `output`.

    picture = Picture("se-block", height=170, title="...", description="...")
    picture.box(40, 60, 48, 54, "conv", "norm", "ReLU")
    picture.arrow((88, 87), (106, 87))
    picture.symbol(97, 80, "x", "map")
    picture.svg()
"""

from collections.abc import Iterable, Sequence
from html import escape

from attnlib.plots.colours import QUANTITIES

WIDTH = 340
BAR = 36  # length of a bar whose value is 1
CELL_LEVELS = 12  # steps of opacity in a tile: a step is below what the eye tells apart, and keeps the file small


def number(value: float) -> str:
    """At most one decimal, no trailing zero, so that a file's diff is readable."""
    return f"{value:.1f}".removesuffix(".0")


class Picture:
    """One SVG: shapes are added in the order in which they are painted.

    Args:
        name: of the file, and the prefix of every id, which are unique on a page for that reason.
        height: in px, at a width of 340.
        title: what it shows, in a few words.
        description: what a reader who does not see it has to know, in sentences.
    """

    def __init__(self, name: str, height: int, title: str, description: str) -> None:
        self.name, self.height, self.title, self.description = name, height, title, description
        self.symbols: dict[str, str] = {}  # letter -> kind, in the order of drawing; the page's equations follow
        self._parts: list[str] = []

    # ---- words ----

    def text(self, x: float, y: float, words: object, kind: str = "", anchor: str = "middle") -> None:
        """Words on the baseline y; kind "head", "small", or a quantity; anchor "start", "middle" or "end"."""
        kind = f"q-{kind}" if kind in QUANTITIES else kind
        attributes = f' class="{kind}"' if kind else ""
        attributes += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{number(x)}" y="{number(y)}"{attributes}>{escape(str(words))}</text>')

    def symbol(self, x: float, y: float, letter: str, kind: str, sub: str = "", anchor: str = "middle") -> None:
        """A letter of the equations in the colour of its kind, e.g. symbol(10, 20, "W", "weight", sub="1")."""
        if kind not in QUANTITIES:
            raise ValueError(f"{self.name}: kind={kind!r} of symbol {letter!r} is none of {', '.join(QUANTITIES)}")
        # W_1 and W_q are names, and a bare W is a width; the c of z_c is an index
        name = f"{letter}_{sub}" if sub and (sub.isdigit() or letter.isupper()) else letter
        if self.symbols.setdefault(name, kind) != kind:
            raise ValueError(f"{self.name}: symbol {name!r} is a {self.symbols[name]} and a {kind}; choose one")
        index = f'<tspan dy="3">{escape(sub)}</tspan>' if sub else ""
        anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(
            f'<text x="{number(x)}" y="{number(y)}" class="symbol q-{kind}"{anchored}>{escape(letter)}{index}</text>'
        )

    def also(self, **symbols: str) -> None:
        """Letters of the equations that are not drawn, and their kinds: also(b_1="weight")."""
        self.symbols |= symbols

    # ---- lines ----

    def arrow(self, *points: tuple[float, float], kind: str = "line") -> None:
        """A line through the points whose tip touches the last one."""
        self._parts.append(f'<path class="{kind}" marker-end="url(#{self.name}-tip)" d="{_path(points)}"/>')

    def line(self, *points: tuple[float, float], kind: str = "line") -> None:
        """A line without a tip; kind "line", "thin" or "line dashed"."""
        self._parts.append(f'<path class="{kind}" d="{_path(points)}"/>')

    def wire(self, start: tuple[float, float], end: tuple[float, float], weight: float, kind: str = "weight") -> None:
        """A connection of a network: the thicker the larger the weight; dashed where it is negative."""
        dashes = ' stroke-dasharray="3 2"' if weight < 0 else ""
        width = f"{0.6 + 0.7 * min(abs(weight), 3):.1f}"
        self._parts.append(f'<path class="s-{kind}" stroke-width="{width}"{dashes} d="{_path((start, end))}"/>')

    # ---- shapes ----

    def box(self, x: float, y: float, width: float, height: float, *lines: str, wash: str = "") -> None:
        """A layer or a module, its words inside; the module that the picture is about has a wash of a quantity."""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" rx="5"'
        if wash:
            self._parts.append(f'<rect class="wash q-{wash}" {place}/>')
        self._parts.append(f'<rect class="box" {place}/>')
        first = y + height / 2 + 4 - 7 * (len(lines) - 1)
        for row, words in enumerate(lines):
            self.text(x + width / 2, first + 14 * row, words, "head" if wash else "")

    def operator(self, x: float, y: float, sign: str, rows: int = 1, pitch: float = 0) -> None:
        """A sign in a circle, or in a pill that does the same to several rows; (x, y) is the centre of the first."""
        height = 18 + pitch * (rows - 1)
        self._parts.append(
            f'<rect class="box" x="{number(x - 9)}" y="{number(y - 9)}" width="18" height="{number(height)}" rx="9"/>'
        )
        for row in range(rows):
            self.text(x, y + 4 + pitch * row, sign)

    def tile(self, x: float, y: float, size: float, values: Sequence[Sequence[float]], kind: str = "map") -> None:
        """A channel as its pixels: rows of values between 0 (paper) and 1 (full colour)."""
        height, width = size / len(values), size / len(values[0])
        levels: dict[int, list[str]] = {}
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                if not -1e-6 <= value <= 1 + 1e-6:
                    raise ValueError(f"{self.name}: a tile's values lie between 0 and 1, got {value}")
                place = f"M{number(x + j * width)} {number(y + i * height)}"
                levels.setdefault(round(CELL_LEVELS * value), []).append(
                    f"{place}h{number(width)}v{number(height)}h-{number(width)}z"
                )
        for level, cells in sorted(levels.items()):
            if level:
                opacity = f' fill-opacity="{level / CELL_LEVELS:.2f}"' if level < CELL_LEVELS else ""
                self._parts.append(f'<path class="q-{kind}"{opacity} d="{"".join(cells)}"/>')
        self.outline(x, y, size, size)

    def matrix(
        self, x: float, y: float, cell: float, values: Sequence[Sequence[float]], kind: str, digits: int = 0
    ) -> None:
        """A matrix of values between 0 and 1 as cells; with `digits` their numbers stand in them, on a paler colour."""
        levels = [[(0.6 if digits else 1) * value for value in row] for row in values]
        rows, columns = len(values), len(values[0])
        for i, row in enumerate(levels):
            for j, level in enumerate(row):
                place = f'x="{number(x + j * cell)}" y="{number(y + i * cell)}" width="{number(cell)}"'
                shade = f'class="q-{kind}" fill-opacity="{level:.2f}"'
                self._parts.append(f'<rect {shade} {place} height="{number(cell)}"/>')
        inner = [((x + j * cell, y), (x + j * cell, y + rows * cell)) for j in range(1, columns)]
        inner += [((x, y + i * cell), (x + columns * cell, y + i * cell)) for i in range(1, rows)]
        for ends in inner:
            self.line(*ends, kind="thin")
        self.outline(x, y, columns * cell, rows * cell)
        for i, row in enumerate(values if digits else ()):
            for j, value in enumerate(row):
                self.text(x + (j + 0.5) * cell, y + (i + 0.5) * cell + 4, f"{value:.{digits}f}".removeprefix("0"))

    def outline(self, x: float, y: float, width: float, height: float, kind: str = "box") -> None:
        """A frame; kind "box" or "mark", which points something out."""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
        self._parts.append(f'<rect class="{kind}" {place}/>')

    def bar(self, x: float, y: float, value: float, kind: str, length: float = BAR, digits: int = 2) -> None:
        """A value between 0 and 1: a bar whose middle is y, the whole of its scale outlined, its number below."""
        if not 0 <= value <= 1:
            raise ValueError(f"{self.name}: a bar's value lies between 0 and 1, got {value}")
        place = f'x="{number(x)}" y="{number(y - 5)}" height="10"'
        self._parts.append(f'<rect class="thin" {place} width="{number(length)}"/>')
        self._parts.append(f'<rect class="q-{kind}" {place} width="{number(length * value)}"/>')
        self.text(x + length / 2, y + 17, f"{value:.{digits}f}", "small")

    def node(self, x: float, y: float, kind: str, radius: float = 5.5, filled: bool = True) -> None:
        """A unit of a network; hollow where it is switched off."""
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self._parts.append(f'<circle class="{"q" if filled else "s"}-{kind}" {place}/>')

    def wash(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A tint behind what belongs together."""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" rx="5"'
        self._parts.append(f'<rect class="wash q-{kind}" {place}/>')

    # ---- the whole ----

    def body(self) -> str:
        """The picture without its stylesheet, as it stands in a page."""
        name, tip = self.name, f"{self.name}-tip"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="fig" viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-labelledby="{name}-title {name}-desc" data-symbols="{_symbols(self.symbols)}">\n'
            f'<title id="{name}-title">{escape(self.title)}</title>\n'
            f'<desc id="{name}-desc">{escape(self.description)}</desc>\n'
            f'<defs><marker id="{tip}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
            'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 .5L8 4L0 7.5z"/></marker></defs>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )

    def svg(self, stylesheet: str) -> str:
        """The picture as a file of its own, on paper of its own, since who shows it may be dark or light."""
        paper = f'<rect class="paper" width="{WIDTH}" height="{self.height}"/>'
        size = f'width="{WIDTH}" height="{self.height}"'
        return (
            self.body()
            .replace('class="fig"', f'class="fig" {size}', 1)
            .replace("<defs>", f"<style>\n{stylesheet}</style>\n{paper}\n<defs>", 1)
        )


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def _symbols(symbols: dict[str, str]) -> str:
    return " ".join(f"{letter}:{kind}" for letter, kind in symbols.items())
