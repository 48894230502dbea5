"""Where the built site lies and which pages it has."""

from pathlib import Path

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"


def pages() -> list[str]:
    """Every page of the site, as its path below the root; themes put fragments below _static, which are no pages."""
    found = (path.relative_to(SITE) for path in SITE.rglob("*.html"))
    names = sorted(path.as_posix() for path in found if not path.parts[0].startswith("_"))
    return names or ["index.html"]  # without a site, the fixture `site` says how to get it
