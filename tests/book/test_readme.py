import re
from urllib.parse import urlsplit

from chapters import REPOSITORY

TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_no_placeholder_is_left():
    assert re.findall(r".*@@.*", TEXT) == []


def test_relative_links_and_pictures_exist():
    targets = {urlsplit(target) for target in re.findall(r"\]\(([^)\s]+)", TEXT)}
    inside = {target.path for target in targets if not target.scheme and target.path}
    assert inside
    assert [path for path in sorted(inside) if not (REPOSITORY / path).exists()] == []
