"""The colour and the marker of every module, on white and on black, for the notation page."""

import importlib.util
from pathlib import Path
from types import ModuleType

from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Outline

SIDE = 26  # px of a swatch


def colours(repository: Path) -> ModuleType:
    """attnlib/plots/colours.py alone: importing the package would load torch."""
    spec = importlib.util.spec_from_file_location("colours", repository / "attnlib/plots/colours.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def palette(repository: Path) -> str:
    """A list of swatches for each group of modules."""
    parts = []
    for group, members in colours(repository).GROUPS.items():
        items = "".join(
            f"<li>{swatch(colour, marker, '#ffffff')}{swatch(colour, marker, '#000000')} <code>{key}</code></li>"
            for key, (colour, marker) in members.items()
        )
        parts.append(f'<p>{group[0].upper()}{group[1:]}</p>\n<ul class="palette">{items}</ul>')
    return "\n".join(parts)


def swatch(colour: str, marker: str, paper: str) -> str:
    """A marker on paper of one colour."""
    half = SIDE // 2
    place = f"translate({half} {half}) scale({half} -{half})"
    return (
        f'<svg class="swatch" aria-hidden="true" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}">'
        f'<rect width="{SIDE}" height="{SIDE}" fill="{paper}"/>'
        f'<path transform="{place}" fill="{colour}" d="{outline(marker)}"/></svg>'
    )


def outline(marker: str) -> str:
    """A marker's shape as an SVG path, about one unit wide."""
    style = MarkerStyle(marker)
    letters = dict(zip((1, 2, 3, 4, Outline.CLOSEPOLY), "MLQCz", strict=True))  # the codes of a path
    return "".join(
        letters[code] + ("" if code == Outline.CLOSEPOLY else " ".join(f"{value:.3f}" for value in points))
        for points, code in style.get_path().transformed(style.get_transform()).iter_segments()
    )
