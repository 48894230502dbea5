"""Pages that a build writes among its sources, so that the table of contents finds them."""

from pathlib import Path

from attnlib.data.files import write_text


def write_folder(folder: Path, pages: dict[str, str]) -> None:
    """Make the Markdown files of a folder these and no others; one that is as it was keeps its time."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
