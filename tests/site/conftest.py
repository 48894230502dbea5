"""The built site, read from its files and served to a real Chromium. `make test` builds it first."""

import functools
import os
import shutil
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import sync_playwright

from tests.site.pages import SITE, pages

# The site asks nobody; neither may the browser on its own account.
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync""".split()


def pytest_generate_tests(metafunc):
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", pages())


class Tags(HTMLParser):
    """The start tags of a page: [(name, attributes)], and the ids that a link can point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.ids = {value for _, attributes in self.tags for key, value in attributes.items() if key in ("id", "name")}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {key: value or "" for key, value in attrs}))


@pytest.fixture(scope="session")
def parsed():
    """The tags of a page, given its path; each page is read once."""
    return functools.cache(lambda path: Tags(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="session", autouse=True)
def site():
    """The folder of the built site."""
    if not (SITE / "index.html").exists():
        pytest.fail("there is no built site; run `make book` first", pytrace=False)
    return SITE


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address():
    """The address of the site on a local server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.fail(
            "no Chromium on PATH; on Debian: apt-get install chromium, or name one: CHROMIUM=/path/to/it make test",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield chromium
        chromium.close()
