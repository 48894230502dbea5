"""Figures as SVG whose letters are light or dark as the page is. `attnlib.plots.use` puts this in matplotlib's place.

The named colours of `attnlib.plots.colours` (and pure black) become variables with a light and a dark value; the page
that shows the figure decides which one holds. More than 1,000 marks are drawn as pixels inside; nothing in the file
depends on date or machine.
"""

import re
from io import BytesIO
from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnlib.plots.colours import FAINT, INK, PAPER, QUANTITIES

MOST_MARKS = 1000
PIXELS = 200  # per inch, of what is drawn as pixels: twice what a screen shows
_VARIABLES = {"ink": INK, "faint": FAINT, "paper": PAPER, **QUANTITIES}
_NAMES = {ink.light: f"var(--q-{name}, {ink.light})" for name, ink in _VARIABLES.items()}
_NAMES["#000000"] = _NAMES[INK.light]


class FigureCanvas(FigureCanvasSVG):
    """matplotlib's canvas, with the colours of the page."""

    def print_svg(
        self, filename: Any, *, bbox_inches_restore: Any = None, metadata: dict | None = None, **ignored: Any
    ) -> None:
        """Write the figure; `ignored` is what matplotlib passes to every format and drops for its own SVG."""
        rasterise_crowds(self.figure)
        # Left as matplotlib's own leaves it, at the 72 of an SVG: a layout that follows has to measure letters by it.
        self.figure.dpi = PIXELS
        buffer = BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        super().print_svg(buffer, bbox_inches_restore=bbox_inches_restore, metadata=nothing | (metadata or {}))
        data = themed(buffer.getvalue().decode("utf-8"))
        if hasattr(filename, "write"):
            try:
                filename.write(data.encode("utf-8"))
            except TypeError:  # opened as text
                filename.write(data)
        else:
            with open(filename, "w", encoding="utf-8") as file:
                file.write(data)


def rasterise_crowds(figure: Figure) -> None:
    """Draw as pixels whatever has more than 1,000 marks."""
    for artist in figure.findobj(lambda artist: isinstance(artist, Line2D | Collection)):
        if marks(artist) > MOST_MARKS:
            artist.set_rasterized(True)


def marks(artist: Artist) -> int:
    """How many shapes an artist draws: cells of a mesh, points of a scatter, markers of a line."""
    if isinstance(artist, QuadMesh):
        return artist.get_array().size
    if isinstance(artist, Line2D):
        return 0 if artist.get_marker() in ("None", "", " ", None) else len(artist.get_xdata(orig=False))
    return max(len(artist.get_offsets()), len(artist.get_paths()))


def themed(svg: str) -> str:
    """The text of a figure with variables in place of the named colours, and one font family, the page's."""
    svg = re.sub(r"#[0-9a-f]{6}", lambda colour: _NAMES.get(colour[0], colour[0]), svg)
    svg = re.sub(r"(font-family: |font: (?:[^;\"']*? )?[\d.]+px )[^;\"]*", r"\1sans-serif", svg)
    light = " ".join(f"--q-{name}: {ink.light};" for name, ink in _VARIABLES.items())
    dark = " ".join(f"--q-{name}: {ink.dark};" for name, ink in _VARIABLES.items())
    style = f"svg {{ {light} }} @media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}"
    return svg.replace("<defs>", f"<defs>\n  <style>{style}</style>", 1)
