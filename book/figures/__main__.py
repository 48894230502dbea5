"""Draw all mechanism pictures, or check that the committed ones are what the code draws.

python -m book.figures          write book/figures/*.svg and book/_static/quantities.css
python -m book.figures --check  exit 1 and name the files that differ
"""

import sys
from importlib import import_module
from pathlib import Path

from attnlib.plots.colours import FAINT, INK, PAPER, QUANTITIES

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "_static"
NO_PICTURES = {"__init__", "__main__", "attend", "patterns", "residual", "shapes"}


def stylesheet() -> str:
    """The colours as variables, light, dark by the theme's switch or by the system where there is no switch; rules."""
    variables = {"ink": INK, "faint": FAINT, "paper": PAPER, **QUANTITIES}
    light = " ".join(f"--q-{name}: {ink.light};" for name, ink in variables.items())
    dark = " ".join(f"--q-{name}: {ink.dark};" for name, ink in variables.items())
    kinds = "\n".join(
        f".q-{kind} {{ color: var(--q-{kind}); }} .fig .q-{kind} {{ fill: var(--q-{kind}); }} "
        f".fig .s-{kind} {{ stroke: var(--q-{kind}); fill: none; }}"
        for kind in QUANTITIES
    )
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {{ {dark} }} }}\n"
        f':root[data-theme="dark"] {{ {dark} }}\n'
        f"{(HERE / 'style.css').read_text(encoding='utf-8')}{kinds}\n"
    )


def files() -> dict[Path, str]:
    """Every file that the code draws, and its text."""
    style = stylesheet()
    drawn = {STATIC / "quantities.css": style}
    for path in sorted(HERE.glob("*.py")):
        if path.stem not in NO_PICTURES:
            for picture in import_module(f"book.figures.{path.stem}").pictures():
                drawn[HERE / f"{picture.name}.svg"] = picture.svg(style)
    return drawn


def main(arguments: list[str]) -> int:
    drawn = files()
    differing = [path for path, text in drawn.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left_over = set(HERE.glob("*.svg")) - drawn.keys()
    if arguments == ["--check"]:
        for path in [*differing, *sorted(left_over)]:
            print(f"{path.relative_to(HERE.parent.parent)} is not what the code draws; python -m book.figures")
        return bool(differing or left_over)
    for path in differing:
        path.write_text(drawn[path], encoding="utf-8")
        print(path.relative_to(HERE.parent.parent))
    for path in left_over:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
