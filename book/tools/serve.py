"""Serve the built site at http://127.0.0.1:PORT: python book/tools/serve.py [PORT]"""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from chapters import REPOSITORY

SITE = REPOSITORY / "_build" / "html"


def main() -> None:
    text = sys.argv[1] if len(sys.argv) > 1 else "8000"
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        sys.exit(f"PORT={text} is no port; take a number from 1024 to 65535")
    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", int(text)), functools.partial(SimpleHTTPRequestHandler, directory=SITE)
        )
    except OSError as error:
        sys.exit(f"port {text} cannot be used ({error.strerror}); choose another one: make serve PORT=8001")
    print(f"http://127.0.0.1:{text}  (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
